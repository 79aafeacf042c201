/** `GET /api/jobs/count` and `/api/jobs/stats`: how many jobs there are, and what they add up to. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { within } from '../limits.ts'
import { CountQuery, groups, StatsQuery, toFilter, toGroupPage, toSortBy } from '../query-string.ts'
import { GroupStats, Stats, type User } from '../schema.ts'
import { countJobs, jobsStats, jobsStatsGrouped } from '../store.ts'
import { describe, type Context } from './route.ts'

const CountAnswer = Type.Object({ count: Type.Integer() })
const StatsAnswer = Type.Object({ stats: Type.Array(Type.Object({ ...Type.Partial(Type.Pick(GroupStats, ['id', 'name'])).properties, ...Stats.properties })) })

export function totalsRoutes (app: FastifyInstance, { store, deadlines }: Context): void {
  app.get<{ Querystring: CountQuery }>('/api/jobs/count', {
    ...describe({ operationId: 'countJobs', summary: 'How many jobs there are', querystring: CountQuery, answer: CountAnswer }),
    config: { tx: false }
  }, async ({ query, jobsUser: user }) => {
    return { count: await within(app.db, deadlines.totals, async () => await countJobs(app.db, { user, filter: [toFilter(query)] }, store)) }
  })

  app.get<{ Querystring: StatsQuery }>('/api/jobs/stats', {
    ...describe({ operationId: 'getStats', summary: 'What jobs add up to, as a whole or by groups', querystring: StatsQuery, answer: StatsAnswer }),
    config: { tx: false }
  }, async ({ query, jobsUser }) => ({ stats: await within(app.db, deadlines.totals, async () => await findStats(query, jobsUser)) }))

  async function findStats (query: StatsQuery, user: User | null): Promise<Static<typeof StatsAnswer>['stats']> {
    const input = { user, filter: [toFilter(query)] }
    const { groupBy } = query
    if (groupBy === undefined) return await jobsStats(app.db, input, store)
    const page = toGroupPage(query)
    const grouping = { groupBy: groups[groupBy], sortBy: toSortBy(query), ...(page === undefined ? {} : { page }) }
    return await jobsStatsGrouped(app.db, { ...input, ...grouping }, store)
  }
}
