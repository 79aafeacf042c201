/**
 * The routes of the jobs: `GET /api/jobs`, `/api/jobs/:id`, `/api/jobs/count`, `/api/jobs/stats`. Reads only; no SQL.
 *
 * What is kept true: every answer shows what one user may see. Until API tokens exist that user is an admin, and so only processes on this machine are answered; anybody
 * else, also through a proxy, gets 401. A row that had to be repaired is logged with its id.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import type {} from '../../plugins/db/index.ts' // app.db
import { JobsUnauthenticated } from './errors.ts'
import { CountQuery, groups, ListQuery, refuseUnknown, StatsQuery, toFilter, toGroupPage, toOrder, toPage, toSortBy } from './query-string.ts'
import { GroupStats, Job, Stats, type User } from './schema.ts'
import { countJobs, findById, jobsStats, jobsStatsGrouped, queryJobs, type JobsOptions } from './store.ts'

/** All have defaults; see `JobsOptions` of the store. */
export type JobsServiceOptions = Pick<JobsOptions, 'now' | 'shortJobSeconds'>

const JobParams = Type.Object({ id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) })

const JobsAnswer = Type.Object({
  jobs: Type.Array(Job),
  items: Type.Integer({ description: 'how many a full page has' }),
  page: Type.Integer()
})
const CountAnswer = Type.Object({ count: Type.Integer() })
const StatsAnswer = Type.Object({ stats: Type.Array(Type.Object({ ...Type.Partial(Type.Pick(GroupStats, ['id', 'name'])).properties, ...Stats.properties })) })

export default async function jobs (app: FastifyInstance, { now, shortJobSeconds }: JobsServiceOptions): Promise<void> {
  const options: JobsOptions = {
    ...(now === undefined ? {} : { now }),
    ...(shortJobSeconds === undefined ? {} : { shortJobSeconds }),
    warn: (details, message) => { app.log.warn(details, message) }
  }
  app.log.warn('jobs: there are no API tokens yet. Requests from this machine are answered as an admin, all others with 401.')

  app.addHook('onRequest', async request => { refuseStrangers(request) })

  app.get<{ Querystring: Static<typeof ListQuery> }>('/api/jobs', route(ListQuery, JobsAnswer), async request => {
    const page = toPage(request.query)
    const found = await queryJobs(app.db, { user: localAdmin, filter: [toFilter(request.query)], order: toOrder(request.query), page }, options)
    return { jobs: found, items: page.itemsPerPage, page: page.page }
  })

  app.get<{ Querystring: Static<typeof CountQuery> }>('/api/jobs/count', route(CountQuery, CountAnswer), async request => {
    return { count: await countJobs(app.db, { user: localAdmin, filter: [toFilter(request.query)] }, options) }
  })

  app.get<{ Querystring: Static<typeof StatsQuery> }>('/api/jobs/stats', route(StatsQuery, StatsAnswer), async request => {
    const input = { user: localAdmin, filter: [toFilter(request.query)] }
    const { groupBy } = request.query
    if (groupBy === undefined) return { stats: await jobsStats(app.db, input, options) }
    const page = toGroupPage(request.query)
    const grouping = { groupBy: groups[groupBy], sortBy: toSortBy(request.query), ...(page === undefined ? {} : { page }) }
    return { stats: await jobsStatsGrouped(app.db, { ...input, ...grouping }, options) }
  })

  app.get<{ Params: Static<typeof JobParams> }>('/api/jobs/:id', { schema: { params: JobParams, response: { 200: Job } } }, async request => {
    return await findById(app.db, { user: localAdmin, id: request.params.id }, options)
  })
}

/** The schemas of a route. Unknown names are looked for before validation, because Fastify's default is to remove them there. */
function route (querystring: { properties: object }, answer: object) {
  return {
    schema: { querystring, response: { 200: answer } },
    preValidation: async ({ query }: FastifyRequest): Promise<void> => { refuseUnknown(query, querystring) }
  }
}

const localAdmin: User = { username: 'local', roles: ['admin'] }

/** Throws `TDM_ERR_JOBS_UNAUTHENTICATED` for a request that did not begin on this machine. */
function refuseStrangers ({ ip, socket, headers }: FastifyRequest): void {
  const isForwarded = headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined || headers['x-real-ip'] !== undefined
  if (isForwarded || !isLoopback(ip) || !isLoopback(socket.remoteAddress ?? '')) throw new JobsUnauthenticated()
}

function isLoopback (address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/.test(address)
}
