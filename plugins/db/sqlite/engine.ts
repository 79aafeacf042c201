/**
 * The SQLite engine: one writer behind a queue, readers beside it.
 *
 * Kept true:
 *  1. There is one writer. Who wants to write waits in order, in JavaScript, not at SQLite's lock.
 *  2. Reads see committed data only: no read ever runs on the writer's connection while another's transaction is open on it.
 *  3. A connection with an open cursor or read transaction is lent to that alone, since it holds a snapshot.
 *  4. Readers are closed before the writer, so that the last connection can put the WAL away.
 */
import { DbClosed, databaseError } from '../../errors.ts'
import { Gate, type GateLease } from '../gate.ts'
import { createParser, sqliteTokens, type Dialect } from '../sql.ts'
import type { BeginOptions, Connection, Engine, Limits, Method, Params, Query, Row, Script } from '../types.ts'
import { SqliteConnection } from './connection.ts'
import { openConnection, resolveFile, type SqliteFile, type SqliteSettings } from './open.ts'
import { retryBusy } from './retry.ts'

const dialect: Dialect = {
  tokens: sqliteTokens,
  nestedComments: false,
  placeholder: (_, name) => name === undefined ? '?' : /^\d/.test(name) ? `$${name}` : `:${name}`
}

/** Opens the file. Throws `TDM_ERR_DB_OPEN`. */
export async function openSqlite (settings: SqliteSettings): Promise<Engine> {
  const file = resolveFile(settings)
  let writer: SqliteConnection | undefined
  try {
    writer = settings.readonly ? undefined : await connect(file, settings, false) // first, since it makes the file
    return new SqliteEngine(file, settings, writer, await connect(file, settings, true))
  } catch (error) {
    writer?.close()
    file.dispose()
    throw error
  }
}

/** While another process makes the file or recovers it, it cannot be opened. */
async function connect ({ path }: SqliteFile, settings: SqliteSettings, readonly: boolean): Promise<SqliteConnection> {
  const limits = { deadline: performance.now() + settings.acquireTimeoutMs, signal: undefined, held: [] }
  return new SqliteConnection(await retryBusy(path, limits, () => openConnection(path, settings, readonly)), settings.eventLoopBudgetMs)
}

class SqliteEngine implements Engine {
  readonly name = 'sqlite'
  readonly parser = createParser(dialect)
  readonly #file: SqliteFile
  readonly #settings: SqliteSettings
  /** For reads on their own; on the main thread, never lent. */
  readonly #inline: SqliteConnection
  readonly #writer: SqliteConnection | undefined
  readonly #idleReaders: SqliteConnection[] = []
  readonly #readers = new Set<SqliteConnection>()
  readonly #writerGate: Gate
  readonly #readerGate: Gate
  #closing: Promise<void> | undefined

  constructor (file: SqliteFile, settings: SqliteSettings, writer: SqliteConnection | undefined, inline: SqliteConnection) {
    this.#file = file
    this.#settings = settings
    this.#writer = writer
    this.#inline = inline
    this.#writerGate = new Gate(1, settings.acquireTimeoutMs)
    this.#readerGate = new Gate(settings.readers, settings.acquireTimeoutMs)
  }

  // --- on their own ------------------------------------------------------------------------------------------------------------

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    if (this.#closing !== undefined) throw new DbClosed()
    if (this.#inline.reads(query)) return this.#inline.executeNow(method, query, params, limits)
    return await this.#withWriter(query.sql, limits, writer => retryBusy(query.sql, limits, () => writer.executeNow(method, query, params, limits)))
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    if (this.#closing !== undefined) throw new DbClosed()
    const mode = this.#inline.reads(query) ? 'read' : 'write'
    const connection = await this.#acquire(mode, limits, query.sql)
    try {
      yield * connection.batches(query, params, limits)
    } finally {
      connection.release()
    }
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    await this.#withWriter(script.sql, limits, async writer => {
      if (script.statements <= 1) return await retryBusy(script.sql, limits, () => { writer.execNow(script, limits) })
      await writer.begin('write', limits)
      writer.execNow(script, limits)
      await writer.commit(limits)
    })
  }

  // --- transactions --------------------------------------------------------------------------------------------------------------

  async begin ({ mode }: BeginOptions, limits: Limits): Promise<Connection> {
    const connection = await this.#acquire(mode, limits, `BEGIN (${mode})`)
    try {
      await connection.begin(mode, limits)
      return connection
    } catch (error) {
      connection.release()
      throw error
    }
  }

  async close (graceMs: number): Promise<void> {
    return await (this.#closing ??= this.#close(graceMs))
  }

  async #close (graceMs: number): Promise<void> {
    await Promise.all([this.#writerGate.close(graceMs), this.#readerGate.close(graceMs)])
    for (const reader of this.#readers) reader.close()
    this.#inline.close()
    this.#writer?.close()
    this.#file.dispose()
  }

  // --- connections ---------------------------------------------------------------------------------------------------------------

  async #withWriter<T> (sql: string, limits: Limits, task: (writer: SqliteConnection) => Promise<T>): Promise<T> {
    const writer = await this.#acquire('write', limits, sql)
    try {
      return await task(writer)
    } finally {
      writer.release()
    }
  }

  /** The writer, or a reader, lent to the caller until `release`. */
  async #acquire (mode: 'write' | 'read', limits: Limits, sql: string): Promise<SqliteConnection> {
    const gate = mode === 'write' ? this.#writerGate : this.#readerGate
    const lease = await gate.acquire(limits, sql)
    try {
      return mode === 'write' ? this.#lendWriter(lease, sql) : await this.#lendReader(lease)
    } catch (error) {
      gate.release(lease)
      throw error
    }
  }

  #lendWriter (lease: GateLease, sql: string): SqliteConnection {
    if (this.#writer === undefined) throw databaseError('readonly', sql)
    this.#writer.lend(lease, () => { this.#writerGate.release(lease) })
    return this.#writer
  }

  async #lendReader (lease: GateLease): Promise<SqliteConnection> {
    const reader = this.#idleReaders.pop() ?? await connect(this.#file, this.#settings, true)
    this.#readers.add(reader)
    reader.lend(lease, () => {
      this.#idleReaders.push(reader)
      this.#readerGate.release(lease)
    })
    return reader
  }
}
