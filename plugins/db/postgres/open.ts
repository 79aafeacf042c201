/** Opens PostgreSQL: the pool of connections, what every session has, and clear errors for a server that cannot be used. */
import pg from 'pg'
import { DbOpen } from '../../errors.ts'
import type { ResultLimits } from '../result.ts'
import { sqlState } from './errors.ts'
import { types } from './values.ts'

export interface PostgresSettings {
  /** postgres://user:password@host:port/database?sslmode=… */
  readonly url: string
  /** The same without the password, for messages. */
  readonly displayUrl: string
  readonly maxConnections: number
  readonly acquireTimeoutMs: number
  readonly result: ResultLimits
  /** After how long without a statement a transaction is rolled back when others wait. */
  readonly txIdleTimeoutMs: number
  /** An unused connection is closed after this time. */
  readonly idleTimeoutMs: number
  /** A connection is not used again when it is older. */
  readonly lifetimeMs: number
}

/** Connecting takes a few round trips, and the server starts a process. */
const SHORTEST_CONNECT_MS = 5000

/** A pool whose connections answer in UTC and ISO form. Connects once, so that a wrong address is found now. Throws `TDM_ERR_DB_OPEN`. */
export async function openPool (settings: PostgresSettings, onIdleError: (error: Error) => void): Promise<pg.Pool> {
  const pool = new pg.Pool({
    connectionString: settings.url,
    max: settings.maxConnections,
    idleTimeoutMillis: finite(settings.idleTimeoutMs),
    maxLifetimeSeconds: Math.ceil(finite(settings.lifetimeMs) / 1000),
    connectionTimeoutMillis: Math.max(settings.acquireTimeoutMs, SHORTEST_CONNECT_MS), // the wait for a connection is the gate's
    application_name: 'fastify-tandem',
    types,
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool awaits it; its type does not say so
    onConnect: prepareSession
  })
  pool.on('error', onIdleError)
  try {
    const client = await pool.connect()
    client.release()
    return pool
  } catch (error) {
    await pool.end()
    throw new DbOpen(settings.displayUrl, explain(error), { cause: error })
  }
}

const runs = new WeakMap<pg.ClientBase, string>()

/** Stays the same over a clean restart, and changes when the server recovers from a crash, which throws its statistics away; any user may read it. */
export const RUN_OF_SERVER = '(SELECT stats_reset FROM pg_stat_bgwriter)::text'

/** The run of the server that the connection belongs to. */
export function runOf (client: pg.ClientBase): string | undefined {
  return runs.get(client)
}

async function prepareSession (client: pg.ClientBase): Promise<void> {
  const results = await client.query(`SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SELECT ${RUN_OF_SERVER} AS run`) as unknown as Array<pg.QueryResult<{ run: string }>>
  const run = results[2]?.rows[0]?.run
  if (run !== undefined) runs.set(client, run)
}

/** pg takes 0 for no limit. */
function finite (ms: number): number {
  return Number.isFinite(ms) ? ms : 0
}

function explain (error: unknown): string {
  const state = sqlState(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (state === '3D000') return 'the server has no database of this name. Create it with "createdb".'
  if (state.startsWith('28')) return 'the server does not accept this user or password.'
  if (state === '53300') return 'the server has no connection left. Raise its max_connections or lower DB_POOL_MAX.'
  if (state === '57P03') return 'the server is starting up or shutting down.'
  if (code === 'ECONNREFUSED') return 'nothing listens there. Is the server running, and is the port right?'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the host name is not known.'
  return 'the server cannot be reached or refused; its error is the cause of this one.'
}
