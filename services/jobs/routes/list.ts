/** `GET /api/jobs`: a page of jobs as JSON, or all of them as a stream of lines. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { readCursor, writeCursor, type ListKey } from '../cursor.ts'
import { JobsBadInput } from '../errors.ts'
import { within } from '../limits.ts'
import { toNdjson } from '../ndjson.ts'
import { ListQuery, toFilter, toOrder, toPage } from '../query-string.ts'
import { Job, type Position } from '../schema.ts'
import { iterateJobs, queryJobsPage } from '../store.ts'
import { describe, type Context } from './route.ts'

const NDJSON = 'application/x-ndjson'

const JobsAnswer = Type.Object({
  jobs: Type.Array(Job),
  items: Type.Integer({ description: 'how many a full page has' }),
  page: Type.Optional(Type.Integer({ description: 'absent where a cursor was given' })),
  nextCursor: Type.Optional(Type.String({ description: 'for the page behind this one; absent on the last' }))
})

type ListRequest = FastifyRequest<{ Querystring: ListQuery }>

const description = `Newest first, if nothing else is asked for. Pages are counted (page), or begin behind a job (cursor: the nextCursor of the page before), which
costs the same however many pages were before. With "Accept: ${NDJSON}" the whole list is streamed, one job a line; a stream that breaks off is not complete.`

export function listRoutes (app: FastifyInstance, { store, deadlines }: Context): void {
  async function answerPage ({ query, jobsUser: user }: ListRequest): Promise<Static<typeof JobsAnswer>> {
    const list = toList(query)
    const page = toPage(query)
    const after = toAfter(query, list)
    const input = { user, filter: [list.filter], order: list.order, page, ...(after === undefined ? {} : { after }) }
    const { jobs, next } = await within(app.db, deadlines.list, async () => await queryJobsPage(app.db, input, store))
    return { jobs, items: page.itemsPerPage, ...(after === undefined ? { page: page.page } : {}), ...(next === undefined ? {} : { nextCursor: writeCursor(next, list) }) }
  }

  function answerStream ({ query, jobsUser: user }: ListRequest, reply: FastifyReply): FastifyReply {
    const { filter, order } = toList(query)
    refusePages(query)
    return reply.type(NDJSON).send(toNdjson(iterateJobs(app.db, { user, filter: [filter], order }, store), deadlines.streamIdle))
  }

  app.get<{ Querystring: ListQuery }>('/api/jobs', {
    ...describe({ operationId: 'listJobs', summary: 'Jobs, in pages or as a stream', description, querystring: ListQuery, answer: JobsAnswer, alsoAs: { [NDJSON]: Job } }),
    config: { tx: false }, // one statement; and a stream would hold a transaction open
    exposeHeadRoute: false // it would read the whole stream
  }, async (request, reply) => wantsStream(request) ? answerStream(request, reply) : await answerPage(request))
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
  const name = (['limit', 'items-per-page', 'page', 'cursor'] as const).find(name => query[name] !== undefined)
  if (name !== undefined) throw new JobsBadInput(`querystring/${name}`, `has no meaning with "Accept: ${NDJSON}", which asks for the whole list. Leave it out, or ask for JSON.`)
}
