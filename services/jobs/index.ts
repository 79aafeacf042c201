/**
 * The jobs service as a Fastify plugin: its options, who may ask, and the routes in routes/, by theme. No SQL.
 *
 * What is kept true: every answer shows what one user may see. A row that had to be repaired is logged with its id.
 */
import type { FastifyInstance } from 'fastify'
import type {} from '../../plugins/db/index.ts' // app.db
import { authenticate, defaultRateLimit, type RateLimit } from './authentication.ts'
import { defaultDeadlines, type Deadlines } from './limits.ts'
import { isForeign } from './migrations/index.ts'
import { documentRoutes } from './openapi.ts'
import { histogramsRoutes } from './routes/histograms.ts'
import { jobRoutes } from './routes/job.ts'
import { listRoutes } from './routes/list.ts'
import { nodesRoutes } from './routes/nodes.ts'
import type { Context } from './routes/route.ts'
import { tagsRoutes } from './routes/tags.ts'
import { totalsRoutes } from './routes/totals.ts'
import { writesRoutes } from './routes/writes.ts'
import type { JobsOptions } from './store.ts'
import { TokenCache } from './token-cache.ts'
import { hasTokens } from './tokens.ts'

/** All have defaults; see `JobsOptions` of the store. */
export interface JobsServiceOptions extends Pick<JobsOptions, 'now' | 'shortJobSeconds' | 'metricConfig'> {
  readonly deadlines?: Partial<Deadlines>
  readonly rateLimit?: Partial<RateLimit>
}

const themes = [listRoutes, jobRoutes, totalsRoutes, histogramsRoutes, nodesRoutes, tagsRoutes, writesRoutes]

export default async function jobs (app: FastifyInstance, options: JobsServiceOptions): Promise<void> {
  const { now = readClock, shortJobSeconds, metricConfig, rateLimit, deadlines } = options
  const tokens = await isForeign(app.db) ? undefined : new TokenCache({ db: app.db, log: app.log, now })
  await warnIfOpen(app, tokens)
  await documentRoutes(app)
  const context: Context = {
    store: {
      now,
      ...(shortJobSeconds === undefined ? {} : { shortJobSeconds }),
      ...(metricConfig === undefined ? {} : { metricConfig }),
      warn: (details, message) => { app.log.warn(details, message) }
    },
    deadlines: { ...defaultDeadlines, ...deadlines }
  }
  await app.register(async api => {
    await authenticate(api, { tokens, rateLimit: { ...defaultRateLimit, ...rateLimit } })
    for (const addRoutes of themes) addRoutes(api, context)
  })
}

/** A start may take longer than a request's look at the tokens. */
async function warnIfOpen ({ db, log }: FastifyInstance, tokens: TokenCache | undefined): Promise<void> {
  if (tokens !== undefined && await hasTokens(db)) return
  const reason = tokens === undefined ? 'the database belongs to cc-backend and keeps no API tokens' : 'there are no API tokens yet (npm run token -- create)'
  log.warn(`jobs: ${reason}. Requests from this machine are answered as an admin, all others with 401.`)
}

function readClock (): number {
  return Math.floor(Date.now() / 1000)
}
