/** `GET /api/jobs`: a page of jobs as JSON, or all of them as a stream of lines. The same at `/userapi/jobs`, as cc-backend has it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { requireApi } from '../authentication.ts'
import { readCursor, writeCursor, type ListKey } from '../cursor.ts'
import { JobsBadInput } from '../errors.ts'
import { within } from '../limits.ts'
import { toNdjson } from '../ndjson.ts'
import { ListQuery, toFilter, toOrder, toPage } from '../query-string.ts'
import { DetailedJob, Job, type Position } from '../schema.ts'
import { iterateJobs, learnIndices, queryJobsPage, withDetails } from '../store.ts'
import { describe, type Context } from './route.ts'

const NDJSON = 'application/x-ndjson'

const JobsAnswer = Type.Object({
  jobs: Type.Array(DetailedJob),
  items: Type.Integer({ description: 'how many a full page has' }),
  page: Type.Optional(Type.Integer({ description: 'absent where a cursor was given' })),
  nextCursor: Type.Optional(Type.String({ description: 'for the page behind this one; absent on the last' }))
})

type ListRequest = FastifyRequest<{ Querystring: ListQuery }>

const description = `Newest first, if nothing else is asked for. Pages are counted (page), or begin behind a job (cursor: the nextCursor of the page before), which
costs the same however many pages were before. With "Accept: ${NDJSON}" the whole list is streamed, one job a line, without tags and meta data; a stream that breaks off is not complete.`

export function listRoutes (app: FastifyInstance, { store, deadlines }: Context): void {
  async function answerPage ({ query, jobsUser: user }: ListRequest): Promise<Static<typeof JobsAnswer>> {
    const list = toList(query)
    const page = toPage(query)
    const after = toAfter(query, list)
    const input = { user, filter: [list.filter], order: list.order, page, ...(after === undefined ? {} : { after }) }
    const { jobs, next } = await within(app.db, deadlines.list, async () => {
      const { jobs, ...rest } = await queryJobsPage(app.db, input, store)
      return { jobs: await withDetails(app.db, { user, jobs, withMetadata: query['with-metadata'] === true }, store), ...rest }
    })
    return { jobs, items: page.itemsPerPage, ...(after === undefined ? { page: page.page } : {}), ...(next === undefined ? {} : { nextCursor: writeCursor(next, list) }) }
  }

  async function answerStream ({ query, jobsUser: user }: ListRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { filter, order } = toList(query)
    refusePages(query)
    await learnIndices(app.db)
    return reply.type(NDJSON).send(toNdjson(iterateJobs(app.db, { user, filter: [filter], order }, store), deadlines.streamIdle))
  }

  const summary = 'Jobs, in pages or as a stream'
  const about = { description, querystring: ListQuery, answer: JobsAnswer, alsoAs: { [NDJSON]: Job } }
  const settings = {
    config: { tx: false as const }, // a stream would hold a transaction open
    exposeHeadRoute: false // it would read the whole stream
  }
  const answer = async (request: ListRequest, reply: FastifyReply): Promise<unknown> => wantsStream(request) ? await answerStream(request, reply) : await answerPage(request)
  app.get<{ Querystring: ListQuery }>('/api/jobs', { ...describe({ operationId: 'listJobs', summary, ...about }), ...settings }, answer)
  app.get<{ Querystring: ListQuery }>('/userapi/jobs', { ...describe({ operationId: 'listJobsOfUser', summary: `${summary}, for tokens with the role api`, ...about }), ...settings, onRequest: requireApi }, answer)
}

function toList (query: ListQuery): ListKey {
  return { filter: toFilter(query), order: toOrder(query) }
}

/** Throws `TDM_ERR_JOBS_BAD_CURSOR`, `TDM_ERR_JOBS_BAD_INPUT`. */
function toAfter ({ cursor, page }: ListQuery, list: ListKey): Position | undefined {
  if (cursor === undefined) return undefined
  if (page !== undefined) throw new JobsBadInput('querystring/page', 'has no meaning with a cursor, which says where the page begins. Leave one of them out.')
  return readCursor(cursor, list)
}

function wantsStream ({ headers: { accept = '' } }: FastifyRequest): boolean {
  return accept.split(',').some(type => type.split(';')[0]?.trim().toLowerCase() === NDJSON)
}

/** Throws `TDM_ERR_JOBS_BAD_INPUT`. */
function refusePages (query: ListQuery): void {
  const name = (['limit', 'items-per-page', 'page', 'cursor', 'with-metadata'] as const).find(name => query[name] !== undefined)
  if (name !== undefined) throw new JobsBadInput(`querystring/${name}`, `has no meaning with "Accept: ${NDJSON}", which asks for the whole list, without what belongs to the jobs. Leave it out, or ask for JSON.`)
}
