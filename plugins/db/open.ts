/** Opens the database that the configuration names. For the plugin, and for scripts that run without Fastify. */
import type { Config } from '../config/index.ts'
import { createDatabase } from './database.ts'
import { openPostgres } from './postgres/engine.ts'
import { openSqlite } from './sqlite/engine.ts'
import type { Database, Engine, Log } from './types.ts'

/** Throws `TDM_ERR_DB_OPEN`, which says what to do. */
export async function openDatabase (config: Config, log: Log): Promise<Database> {
  const engine = config.database.engine === 'postgres' ? await openPostgresOf(config, log) : await openSqliteOf(config)
  return createDatabase(engine, { statementTimeoutMs: config.statementTimeoutMs, txTimeoutMs: config.txTimeoutMs, log })
}

async function openSqliteOf ({ database, sqlite, acquireTimeoutMs, eventLoopBudgetMs }: Config): Promise<Engine> {
  const { path, readonly } = database
  const { cacheBytes, tempStore, synchronous, readers } = sqlite
  return await openSqlite({ path, readonly, cacheBytes, tempStore, synchronous, readers, acquireTimeoutMs, eventLoopBudgetMs })
}

async function openPostgresOf ({ database, pool, acquireTimeoutMs, idleTimeoutMs }: Config, log: Log): Promise<Engine> {
  const { url, displayUrl } = database
  return await openPostgres({ url, displayUrl, maxConnections: pool.max, lifetimeMs: pool.lifetimeMs, acquireTimeoutMs, idleTimeoutMs }, log)
}
