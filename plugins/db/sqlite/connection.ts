/**
 * One connection to an SQLite file, and what can be done with it.
 *
 * SQLite answers synchronously; the promises are for the interface. The event loop is given back between rows when they take longer than the budget, and while
 * another process holds a lock: that is waited for with a back-off, never inside of SQLite.
 */
import type Sqlite from 'better-sqlite3'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { databaseError, DbTransactionControl } from '../../errors.ts'
import { Cache } from '../cache.ts'
import type { GateLease } from '../gate.ts'
import { checkLimits } from '../scope.ts'
import { bindValues } from '../sql.ts'
import type { Connection, Lease, Limits, Method, Params, Query, Row, RunResult, Script } from '../types.ts'
import { toOurError } from './errors.ts'
import { retryBusy } from './retry.ts'
import { mayBeRounded, narrow, toSqlite, type SqliteValue } from './values.ts'

/** A statement of this connection, both ways to read it. */
interface Prepared {
  readonly statement: Sqlite.Statement<unknown[]>
  /** Integers as bigint; made when it is needed first. */
  exact: Sqlite.Statement<unknown[]> | undefined
  /** Set once a number has been seen that may be rounded. */
  needsExact: boolean
}

/** Rows that a cursor fetches at once. */
const FETCH = 100

export class SqliteConnection implements Connection {
  readonly #db: Sqlite.Database
  readonly #eventLoopBudgetMs: number
  readonly #prepared = new Cache<string, Prepared>(200)
  #lease: GateLease | undefined
  #onRelease: ((connection: SqliteConnection) => void) | undefined

  constructor (db: Sqlite.Database, eventLoopBudgetMs: number) {
    this.#db = db
    this.#eventLoopBudgetMs = eventLoopBudgetMs
  }

  get lease (): Lease {
    if (this.#lease === undefined) throw new Error('a connection without a lease is not in a transaction')
    return this.#lease
  }

  get inTransaction (): boolean {
    return this.#db.open && this.#db.inTransaction
  }

  /** Gives the connection to one holder until `release`. */
  lend (lease: GateLease, onRelease: (connection: SqliteConnection) => void): void {
    this.#lease = lease
    this.#onRelease = onRelease
  }

  release (): void {
    if (this.#db.open && this.#db.inTransaction) this.#db.exec('ROLLBACK')
    const onRelease = this.#onRelease
    this.#lease = undefined
    this.#onRelease = undefined
    onRelease?.(this)
  }

  close (): void {
    this.#db.close()
  }

  // --- statements ------------------------------------------------------------------------------------------------------------

  /** True if the statement only reads. */
  reads (query: Query): boolean {
    return this.#prepare(query).statement.readonly
  }

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    return this.executeNow(method, query, params, limits)
  }

  /** As `execute`, synchronously. */
  executeNow (method: Method, query: Query, params: Params, limits: Limits): unknown {
    checkLimits(limits, query.sql)
    if (this.#lease !== undefined) this.#lease.doing = query.sql
    if (query.keyword === 'PRAGMA' && this.inTransaction) refusePragma(query.sql)
    const values = this.#bind(query, params)
    const prepared = this.#prepare(query)
    try {
      if (!prepared.statement.reader) return answerOf(method, prepared.statement.run(...values).changes)
      if (method === 'run') return answerOf(method, this.#runReader(prepared, values))
      return method === 'get' ? this.#get(prepared, values) : this.#all(prepared, values, limits, query.sql)
    } catch (error) {
      throw toOurError(error, query.sql)
    }
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    const values = this.#bind(query, params)
    if (!this.#prepare(query).statement.reader) {
      this.executeNow('run', query, params, limits)
      return
    }
    const rows = this.#prepareCursor(query).iterate(...values) as IterableIterator<Row>
    try {
      while (true) {
        const batch = this.#fetch(rows, limits, query.sql)
        if (batch.length === 0) return
        yield batch
        await nextTurn()
      }
    } finally {
      rows.return?.()
    }
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    this.execNow(script, limits)
  }

  /** As `exec`, synchronously. */
  execNow ({ sql }: Script, limits: Limits): void {
    checkLimits(limits, sql)
    if (this.#lease !== undefined) this.#lease.doing = sql
    if (this.inTransaction) refusePragma(sql)
    try {
      this.#db.exec(sql)
    } catch (error) {
      throw toOurError(error, sql)
    }
  }

  #get (prepared: Prepared, values: unknown[]): Row | undefined {
    if (prepared.needsExact) return narrowed(exactOf(prepared).get(...values) as Row | undefined)
    const row = prepared.statement.get(...values) as Row | undefined
    if (row === undefined || !mayBeRounded(row)) return row
    prepared.needsExact = true
    return prepared.statement.readonly ? this.#get(prepared, values) : row
  }

  #all (prepared: Prepared, values: unknown[], limits: Limits, sql: string): Row[] {
    const rows: Row[] = []
    const statement = prepared.needsExact ? exactOf(prepared) : prepared.statement
    for (const row of statement.iterate(...values) as IterableIterator<Row>) {
      if (rows.length % 64 === 63) checkLimits(limits, sql)
      if (!prepared.needsExact && mayBeRounded(row)) {
        prepared.needsExact = true
        break
      }
      rows.push(prepared.needsExact ? narrow(row) : row)
    }
    return statement === prepared.statement && prepared.needsExact ? this.#all(prepared, values, limits, sql) : rows
  }

  /** A statement that returns rows, for its changes: `RETURNING` has some, `SELECT` has none. */
  #runReader (prepared: Prepared, values: unknown[]): number {
    const result = prepared.statement.run(...values)
    return prepared.statement.readonly ? 0 : result.changes
  }

  /** Some rows, as many as the budget of the event loop allows; none at the end. */
  #fetch (rows: IterableIterator<Row>, limits: Limits, sql: string): Row[] {
    checkLimits(limits, sql)
    const until = performance.now() + this.#eventLoopBudgetMs
    const batch: Row[] = []
    try {
      do {
        const next: IteratorResult<Row, unknown> = rows.next()
        if (next.done === true) break
        batch.push(narrow(next.value))
      } while (batch.length < FETCH && performance.now() < until)
    } catch (error) {
      throw toOurError(error, sql)
    }
    return batch
  }

  #bind (query: Query, params: Params): unknown[] {
    const values = bindValues(query, params, toSqlite)
    if (query.style === 'none' || query.style === 'positional') return values
    const names = query.style === 'named' ? query.names : values.map((_, i) => String(i + 1))
    return [Object.fromEntries(names.map((name, i): [string, SqliteValue] => [name, values[i] as SqliteValue]))]
  }

  #prepare (query: Query): Prepared {
    const known = this.#prepared.get(query.sql)
    if (known !== undefined) return known
    try {
      const prepared: Prepared = { statement: this.#db.prepare(query.text), exact: undefined, needsExact: false }
      // a statement that writes cannot be read twice, so its integers are read exactly from the start
      prepared.needsExact = prepared.statement.reader && !prepared.statement.readonly
      this.#prepared.set(query.sql, prepared)
      return prepared
    } catch (error) {
      throw toOurError(error, query.sql)
    }
  }

  /** A statement of its own for a cursor, since a statement cannot be run while it is iterated over. */
  #prepareCursor (query: Query): Sqlite.Statement<unknown[]> {
    return this.#db.prepare(query.text).safeIntegers(true)
  }

  // --- transactions ------------------------------------------------------------------------------------------------------------

  /** BEGIN, IMMEDIATE for a writer. A reader's snapshot is taken now and not at its first statement. */
  async begin (mode: 'write' | 'read', limits: Limits): Promise<void> {
    if (mode === 'write') {
      await retryBusy('BEGIN IMMEDIATE', limits, () => this.#db.exec('BEGIN IMMEDIATE'))
    } else {
      this.#control('BEGIN')
      this.#db.pragma('schema_version')
    }
  }

  async commit (limits: Limits): Promise<void> {
    await retryBusy('COMMIT', limits, () => this.#db.exec('COMMIT'))
  }

  async rollback (): Promise<void> {
    if (this.inTransaction) this.#control('ROLLBACK')
  }

  /** Nothing runs while other code does: see the header. */
  cancel (): void {}

  async savepoint (name: string): Promise<void> {
    this.#control(`SAVEPOINT ${name}`)
  }

  async releaseSavepoint (name: string): Promise<void> {
    this.#control(`RELEASE ${name}`)
  }

  async rollbackToSavepoint (name: string): Promise<void> {
    this.#control(`ROLLBACK TO ${name}`)
    this.#control(`RELEASE ${name}`)
  }

  /** Looks at all rows: what SQLite counts for COMMIT can be asked by nobody else. */
  async checkDeferred (limits: Limits): Promise<void> {
    checkLimits(limits, 'COMMIT')
    const violations = this.#db.pragma('foreign_key_check') as unknown[]
    if (violations.length > 0) throw databaseError('foreignKey', 'COMMIT')
  }

  async setReadonly (isReadonly: boolean): Promise<void> {
    this.#control(`PRAGMA query_only = ${isReadonly ? 'ON' : 'OFF'}`)
  }

  #control (sql: string): void {
    try {
      this.#db.exec(sql)
    } catch (error) {
      throw toOurError(error, sql)
    }
  }
}

/** Those that do nothing inside of a transaction, without a word, or would hold for whoever has the connection next. */
function refusePragma (sql: string): void {
  const match = /\bPRAGMA\s+(?:\w+\.)?(foreign_keys|journal_mode|synchronous|query_only|temp_store|locking_mode|recursive_triggers|defer_foreign_keys)\s*[=(]/i.exec(sql)
  if (match !== null) throw new DbTransactionControl(`PRAGMA ${match[1]}`)
}

function answerOf (method: Method, changes: number): RunResult | Row[] | undefined {
  if (method === 'run') return { changes, lastInsertRowid: null }
  return method === 'all' ? [] : undefined
}

function exactOf (prepared: Prepared): Sqlite.Statement<unknown[]> {
  return prepared.exact ??= prepared.statement.database.prepare(prepared.statement.source).safeIntegers(true)
}

function narrowed (row: Row | undefined): Row | undefined {
  return row === undefined ? undefined : narrow(row)
}
