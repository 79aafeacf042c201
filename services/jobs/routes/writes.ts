/**
 * What a scheduler reports, and what is cleaned up: start, stop, meta data, deletion. For tokens with exactly [api], or admin and api.
 *
 * What is kept true: each runs in the transaction of its request, so that an answer below 400 is durable, and anything else left nothing behind.
 */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { requireWriter } from '../authentication.ts'
import { within } from '../limits.ts'
import { DetailedJob, JobState, OmitTagged, StartJob } from '../schema.ts'
import { deleteJob, deleteJobsBefore, editMeta, find, startJob, stopJob } from '../store.ts'
import { findDetailed } from './job.ts'
import { ById, describe, type Context } from './route.ts'

const closed = { additionalProperties: false }
const integer = (description: string) => Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description })

/** By what the scheduler knows: of several the newest. */
const lookup = {
  jobId: integer('of the scheduler'),
  cluster: Type.Optional(Type.String({ description: 'default: any' })),
  startTime: Type.Optional(integer('unix seconds; default: any'))
}
const Lookup = Type.Object(lookup, { ...closed, examples: [{ jobId: 123456, cluster: 'alex', startTime: 1675900000 }] })
const StopJob = Type.Object({ ...lookup, stopTime: integer('unix seconds'), jobState: Type.Optional(JobState) }, {
  ...closed, examples: [{ jobId: 123456, cluster: 'alex', startTime: 1675900000, stopTime: 1675960000, jobState: 'completed' }]
})
const Meta = Type.Object({ key: Type.String({ minLength: 1, maxLength: 256 }), value: Type.String({ maxLength: 100_000 }) }, { ...closed, examples: [{ key: 'jobName', value: 'train' }] })
const MetaByLookup = Type.Object({ ...lookup, payload: Meta }, { ...closed, examples: [{ jobId: 123456, cluster: 'alex', payload: { key: 'jobName', value: 'train' } }] })
const NewJob = Type.Object(StartJob.properties, {
  ...closed,
  examples: [{ jobId: 123456, user: 'ann', project: 'p1', cluster: 'alex', subCluster: 'a40', numNodes: 1, numHwthreads: 16, startTime: 1675900000, walltime: 86400, resources: [{ hostname: 'a0128' }], metaData: { jobName: 'train' } }]
})

const BeforeParams = Type.Object({ ts: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'unix seconds: jobs that started before', examples: [1] }) })
const BeforeQuery = Type.Object({
  'omit-tagged': Type.Optional(Type.Union(OmitTagged.anyOf, { description: 'which jobs stay: none, all that have a tag, or those with a tag of a user. Default: none', examples: ['all'] })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'at most so many, the oldest first. Default: all', examples: [1000] }))
}, closed)

const Done = Type.Object({ msg: Type.String() })
const Started = Type.Object({ msg: Type.String(), id: Type.Integer({ description: 'of the row' }) })
const Deleted = Type.Object({ msg: Type.String(), deleted: Type.Integer() })

export function writesRoutes (app: FastifyInstance, context: Context): void {
  const { store, deadlines } = context
  const change = async <T>(fn: () => Promise<T>): Promise<T> => await within(app.db, deadlines.list, fn)

  for (const method of ['POST', 'PUT'] as const) {
    app.route<{ Body: StartJob }>({
      method,
      url: '/api/jobs/start_job',
      ...describe({ operationId: `startJob${nameOf(method)}`, summary: 'A job has started', body: NewJob, answer: Started, status: 201 }),
      onRequest: requireWriter,
      handler: async ({ body }, reply) => {
        const { id } = await change(async () => await startJob(app.db, body, store))
        return await reply.code(201).send({ msg: 'success', id })
      }
    })
    app.route<{ Body: Static<typeof StopJob> }>({
      method,
      url: '/api/jobs/stop_job',
      ...describe({ operationId: `stopJob${nameOf(method)}`, summary: 'A job has ended', body: StopJob, answer: DetailedJob }),
      onRequest: requireWriter,
      handler: async ({ body, jobsUser: user }) => await change(async () => {
        const { id } = await stopJob(app.db, body, store)
        return await findDetailed(app, context, { user, id, withMetadata: false })
      })
    })
  }

  app.patch<{ Params: Static<typeof ById>, Body: Static<typeof Meta> }>('/api/jobs/edit_meta/:id', {
    ...describe({ operationId: 'editMeta', summary: 'Sets one key of a job\'s meta data', params: ById, body: Meta, answer: DetailedJob }),
    onRequest: requireWriter
  }, async ({ params: { id }, body, jobsUser: user }) => await change(async () => {
    await editMeta(app.db, { user, id, ...body }, store)
    return await findDetailed(app, context, { user, id, withMetadata: true })
  }))

  app.patch<{ Body: Static<typeof MetaByLookup> }>('/api/jobs/edit_meta', {
    ...describe({ operationId: 'editMetaByJobId', summary: 'The same, by what the scheduler knows of the job', body: MetaByLookup, answer: DetailedJob }),
    onRequest: requireWriter
  }, async ({ body: { payload, ...selector }, jobsUser: user }) => await change(async () => {
    const { id } = await find(app.db, selector, store)
    await editMeta(app.db, { user, id, ...payload }, store)
    return await findDetailed(app, context, { user, id, withMetadata: true })
  }))

  app.delete<{ Params: Static<typeof ById> }>('/api/jobs/delete_job/:id', {
    ...describe({ operationId: 'deleteJob', summary: 'Deletes a job', params: ById, answer: Done }),
    onRequest: requireWriter
  }, async ({ params: { id } }) => {
    await change(async () => await deleteJob(app.db, { id }))
    return { msg: `Successfully deleted job ${id}` }
  })

  app.delete<{ Body: Static<typeof Lookup> }>('/api/jobs/delete_job', {
    ...describe({ operationId: 'deleteJobByJobId', summary: 'The same, by what the scheduler knows of the job', body: Lookup, answer: Done }),
    onRequest: requireWriter
  }, async ({ body }) => ({ msg: `Successfully deleted job ${await change(async () => await deleteJob(app.db, body))}` }))

  app.delete<{ Params: Static<typeof BeforeParams>, Querystring: Static<typeof BeforeQuery> }>('/api/jobs/delete_job_before/:ts', {
    ...describe({ operationId: 'deleteJobsBefore', summary: 'Deletes the jobs that started before a time', params: BeforeParams, querystring: BeforeQuery, answer: Deleted }),
    onRequest: requireWriter
  }, async ({ params: { ts }, query: { limit, 'omit-tagged': omitTagged = 'none' } }) => {
    const input = { before: ts, omitTagged, ...(limit === undefined ? {} : { limit }) }
    const deleted = await within(app.db, deadlines.totals, async () => await deleteJobsBefore(app.db, input))
    return { msg: `Successfully deleted ${deleted} jobs`, deleted }
  })
}

/** Of the operations that cc-backend has under two methods. */
function nameOf (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'): string {
  return method === 'POST' ? '' : `By${method[0]}${method.slice(1).toLowerCase()}`
}
