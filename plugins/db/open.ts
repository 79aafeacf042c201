/** Opens the database that the configuration names. For the plugin, and for scripts that run without Fastify. */
import type { Config } from '../config/index.ts'
import { smallConnections } from '../config/rules.ts'
import { createDatabase } from './database.ts'
import { displayPostgresUrl } from './postgres-url.ts'
import { openPostgres } from './postgres/engine.ts'
import { openSqlite } from './sqlite/engine.ts'
import type { Database, Engine, Log } from './types.ts'

/** The start of an app has enough to do. */
const OPTIMIZE_AFTER_MS = 60_000
/** Of PostgreSQL, for each connection: each takes some 10 KB there. */
const PREPARED_STATEMENTS = 250

/** Throws `TDM_ERR_DB_OPEN`, which says what to do. */
export async function openDatabase (config: Config, log: Log): Promise<Database> {
  return createDatabase(await openEngine(config, log), { statementTimeoutMs: config.statementTimeoutMs, txTimeoutMs: config.txTimeoutMs, log })
}

/** The engine alone. Throws `TDM_ERR_DB_OPEN`. */
export async function openEngine (config: Config, log: Log): Promise<Engine> {
  return config.database.engine === 'postgres' ? await openPostgresOf(config, log) : await openSqliteOf(config, log)
}

async function openSqliteOf (config: Config, log: Log): Promise<Engine> {
  const { database: { path, readonly }, acquireTimeoutMs, idleTimeoutMs, txIdleTimeoutMs, cursorTimeoutMs, eventLoopBudgetMs, result, sqlite } = config
  const settings = { path, readonly, acquireTimeoutMs, idleTimeoutMs, txIdleTimeoutMs, cursorTimeoutMs, eventLoopBudgetMs, result, ...sqlite }
  return await openSqlite({ ...settings, smallConnections, optimizeAfterMs: OPTIMIZE_AFTER_MS }, log)
}

async function openPostgresOf (config: Config, log: Log): Promise<Engine> {
  const { database: { url, displayUrl, replicaUrl, replicaReads }, pool, postgres, acquireTimeoutMs, idleTimeoutMs, statementTimeoutMs, txTimeoutMs, txIdleTimeoutMs, result } = config
  const settings = { url, displayUrl, maxConnections: pool.max, lifetimeMs: pool.lifetimeMs, acquireTimeoutMs, idleTimeoutMs, statementTimeoutMs, txTimeoutMs, txIdleTimeoutMs, result }
  const replica = replicaUrl === undefined ? undefined : { url: replicaUrl, displayUrl: displayPostgresUrl(replicaUrl) ?? 'postgres://…', reads: replicaReads }
  return await openPostgres({ ...settings, ...postgres, replica, preparedStatements: PREPARED_STATEMENTS }, log)
}
