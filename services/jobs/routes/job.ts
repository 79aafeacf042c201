/** `GET /api/jobs/:id`: one job with what belongs to it; and `/api/jobs/:id/concurrent`: those that ran beside it. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { JobsNotFound } from '../errors.ts'
import { within } from '../limits.ts'
import { WithMetadata } from '../query-string.ts'
import { ConcurrentJobs, DetailedJob, type User } from '../schema.ts'
import { concurrent, findById, withDetails } from '../store.ts'
import { ById, describe, type Context } from './route.ts'

const JobQuery = Type.Object({ 'with-metadata': WithMetadata }, { additionalProperties: false })

export function jobRoutes (app: FastifyInstance, context: Context): void {
  const { store, deadlines } = context
  app.get<{ Params: Static<typeof ById>, Querystring: Static<typeof JobQuery> }>('/api/jobs/:id', {
    ...describe({ operationId: 'getJob', summary: 'One job with its tags', params: ById, querystring: JobQuery, answer: DetailedJob }),
    config: { tx: false }
  }, async ({ params: { id }, query, jobsUser: user }) => {
    return await within(app.db, deadlines.list, async () => await findDetailed(app, context, { user, id, withMetadata: query['with-metadata'] === true }))
  })

  app.get<{ Params: Static<typeof ById> }>('/api/jobs/:id/concurrent', {
    ...describe({ operationId: 'getConcurrentJobs', summary: 'The jobs that ran beside this one, on its first host', params: ById, answer: ConcurrentJobs })
  }, async ({ params: { id }, jobsUser: user }) => await within(app.db, deadlines.list, async () => await concurrent(app.db, { user, id }, store)))
}

/** Throws `TDM_ERR_JOBS_NOT_FOUND`. */
export async function findDetailed ({ db }: FastifyInstance, { store }: Context, { user, id, withMetadata }: { user: User | null, id: number, withMetadata: boolean }): Promise<DetailedJob> {
  const [job] = await withDetails(db, { user, jobs: [await findById(db, { user, id }, store)], withMetadata }, store)
  if (job === undefined) throw new JobsNotFound(`id ${id}`)
  return job
}
