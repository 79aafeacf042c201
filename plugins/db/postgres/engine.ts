/**
 * The PostgreSQL engine: a bounded number of connections behind a queue.
 *
 * Kept true:
 *  1. There are at most `maxConnections`. Who wants one waits in order, in JavaScript; the pool behind the queue never makes anybody wait.
 *  2. A connection does one thing at a time and is given back when that is done, whatever happened.
 */
import type pg from 'pg'
import { DbBackup, DbClosed } from '../../errors.ts'
import { Gate, type GateLease } from '../gate.ts'
import { createParser, postgresTokens, type Dialect } from '../sql.ts'
import type { BeginOptions, Connection, Engine, EngineStatus, Limits, Log, Method, Params, Query, Row, Script } from '../types.ts'
import { PostgresConnection } from './connection.ts'
import { toOurError } from './errors.ts'
import { askOutcome } from './outcome.ts'
import { openPool, runOf, type PostgresSettings } from './open.ts'

const dialect: Dialect = {
  tokens: postgresTokens,
  nestedComments: true,
  placeholder: index => `$${index}`
}

/** Connects. Throws `TDM_ERR_DB_OPEN`. */
export async function openPostgres (settings: PostgresSettings, log: Log): Promise<Engine> {
  const pool = await openPool(settings, error => { log.warn({ code: (error as { code?: string }).code }, 'an idle connection to PostgreSQL was lost') })
  return new PostgresEngine(pool, settings)
}

class PostgresEngine implements Engine {
  readonly name = 'postgres'
  readonly parser = createParser(dialect)
  readonly #pool: pg.Pool
  readonly #settings: PostgresSettings
  readonly #gate: Gate
  readonly #lent = new Set<PostgresConnection>()
  #closing: Promise<void> | undefined

  constructor (pool: pg.Pool, settings: PostgresSettings) {
    this.#pool = pool
    this.#settings = settings
    this.#gate = new Gate(settings.maxConnections, settings.acquireTimeoutMs, settings.txIdleTimeoutMs)
  }

  // --- on their own ------------------------------------------------------------------------------------------------------------

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    return await this.#withConnection(query.sql, limits, async connection => await connection.execute(method, query, params, limits))
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    const connection = await this.#acquire(limits, query.sql)
    try {
      yield * connection.batches(query, params, limits)
    } finally {
      connection.release()
    }
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    await this.#withConnection(script.sql, limits, async connection => { await connection.exec(script, limits) })
  }

  // --- transactions --------------------------------------------------------------------------------------------------------------

  async begin (options: BeginOptions, limits: Limits, first: string): Promise<Connection> {
    const connection = await this.#acquire(limits, first)
    connection.lease.expire = options.expire
    connection.begin(options)
    return connection
  }

  async backup (path: string): Promise<never> {
    throw new DbBackup(path, 'the database is PostgreSQL. Use pg_dump.')
  }

  status (): EngineStatus {
    return { statements: [], queues: { connections: this.#gate.load } }
  }

  async close (graceMs: number): Promise<void> {
    return await (this.#closing ??= this.#close(graceMs))
  }

  async #close (graceMs: number): Promise<void> {
    await this.#gate.close(graceMs)
    for (const connection of this.#lent) connection.cut()
    await this.#pool.end()
  }

  // --- connections ---------------------------------------------------------------------------------------------------------------

  async #withConnection<T> (sql: string, limits: Limits, task: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire(limits, sql)
    try {
      return await task(connection)
    } finally {
      connection.release()
    }
  }

  async #acquire (limits: Limits, sql: string): Promise<PostgresConnection> {
    if (this.#closing !== undefined) throw new DbClosed()
    const lease = await this.#gate.acquire(limits, sql)
    try {
      return await this.#lend(lease)
    } catch (error) {
      this.#gate.release(lease)
      throw toOurError(error, sql)
    }
  }

  async #lend (lease: GateLease): Promise<PostgresConnection> {
    const client = await this.#pool.connect()
    const connection = new PostgresConnection(client, lease, this.#settings.result, async (id, limits) => await askOutcome(this.#pool, id, runOf(client), limits), () => {
      this.#lent.delete(connection)
      this.#gate.release(lease)
    })
    this.#lent.add(connection)
    return connection
  }
}
