/**
 * What one connection to SQLite can do, synchronously: the same on the main thread and in a reader's or the writer's thread.
 * Takes SQL with SQLite's own placeholders and values that SQLite has; throws the driver's errors. Knows no limits: the watchdog of the connection keeps them.
 */
import type Sqlite from 'better-sqlite3'
import { Cache } from '../cache.ts'
import type { Cost } from '../placement.ts'
import { sizeOf } from '../result.ts'
import type { Method, Row, RunResult } from '../types.ts'
import { isWithBlobs, mayBeRounded, narrow } from './values.ts'
import type { Watchdog } from './watchdog.ts'

/** A statement of this connection, both ways to read it. */
export interface Prepared {
  readonly statement: Sqlite.Statement<unknown[]>
  /** Integers as bigint; made when it is needed first. */
  exact: Sqlite.Statement<unknown[]> | undefined
  /** Set once a number has been seen that may be rounded. */
  needsExact: boolean
  /** What is known of it, for who asks often. */
  cost: Cost | undefined
}

/** Some rows of a cursor. `reads`: its statement writes nothing. */
export interface Batch { readonly rows: Row[], readonly bytes: number, readonly done: boolean, readonly hasBlobs: boolean, readonly reads: boolean }

/** SQLite compares the schema it has with that of the file before it runs this. */
const READ_SCHEMA = 'SELECT 1 FROM sqlite_schema LIMIT 1'

export class Handle {
  readonly watchdog: Watchdog | undefined
  readonly #db: Sqlite.Database
  readonly #prepared = new Cache<string, Prepared>(200)
  #version: Sqlite.Statement<[], unknown> | undefined

  constructor (db: Sqlite.Database, watchdog: Watchdog | undefined) {
    this.#db = db
    this.watchdog = watchdog
  }

  get isOpen (): boolean {
    return this.#db.open
  }

  get inTransaction (): boolean {
    return this.#db.open && this.#db.inTransaction
  }

  close (): void {
    this.#db.close()
  }

  // --- statements ------------------------------------------------------------------------------------------------------------

  execute (method: Method, text: string, values: readonly unknown[]): unknown {
    return this.run(method, this.prepare(text), values)
  }

  run (method: Method, prepared: Prepared, values: readonly unknown[]): unknown {
    const { statement } = prepared
    if (!statement.reader) return answerOf(method, statement.run(...values).changes)
    if (method === 'run') return answerOf(method, this.#runReader(statement, values))
    return method === 'get' ? this.#get(prepared, values) : this.#all(prepared, values)
  }

  /** What another connection has dropped would still be there for CREATE, which believes what is in memory; any other statement looks first. */
  exec (sql: string): void {
    if (/\bCREATE\b/i.test(sql)) this.execute('get', READ_SCHEMA, [])
    this.#db.exec(sql)
  }

  /** The first column of its first row. */
  pragma (text: string): unknown {
    return Object.values(this.execute('get', `PRAGMA ${text}`, []) as Row)[0]
  }

  /** Changes when another connection has committed, of whatever process. */
  version (): unknown {
    this.#version ??= this.#db.prepare<[], unknown>('PRAGMA data_version').pluck()
    return this.#version.get()
  }

  /** True if the plan finds its rows by an index or a key, and sorts nothing. */
  isSearch (text: string, values: readonly unknown[]): boolean {
    const steps = this.#db.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...values) as Array<{ detail: string }>
    return !steps.some(({ detail }) => /^SCAN (?!CONSTANT|\d+-ROW VALUES)|USE TEMP B-TREE|AUTOMATIC/.test(detail))
  }

  /** A statement that returns rows, for its changes: `RETURNING` has some, `SELECT` has none. */
  #runReader (statement: Sqlite.Statement<unknown[]>, values: readonly unknown[]): number {
    const { changes } = statement.run(...values)
    return statement.readonly ? 0 : changes
  }

  #get (prepared: Prepared, values: readonly unknown[]): Row | undefined {
    const { statement } = prepared
    if (prepared.needsExact) return narrowed(exactOf(prepared).get(...values) as Row | undefined)
    const row = statement.get(...values) as Row | undefined
    if (row === undefined || !mayBeRounded(row)) return row
    prepared.needsExact = true
    return this.#get(prepared, values)
  }

  #all (prepared: Prepared, values: readonly unknown[]): Row[] {
    if (prepared.needsExact) return (exactOf(prepared).all(...values) as Row[]).map(narrow)
    const rows = prepared.statement.all(...values) as Row[]
    if (!rows.some(mayBeRounded)) return rows
    prepared.needsExact = true
    return this.#all(prepared, values)
  }

  /** The rows of a statement, some at a time. */
  open (text: string, values: readonly unknown[]): Rows {
    const prepared = this.prepare(text)
    if (!prepared.statement.reader) {
      prepared.statement.run(...values)
      return new Rows([][Symbol.iterator](), false)
    }
    const statement = exactOf(prepared)
    // a statement cannot be run while it is iterated over
    const free = statement.busy ? this.#db.prepare(text).safeIntegers(true) : statement
    return new Rows(free.iterate(...values) as IterableIterator<Row>, statement.readonly)
  }

  prepare (text: string): Prepared {
    const known = this.#prepared.get(text)
    if (known !== undefined) return known
    const isExplained = /^\s*EXPLAIN\b/i.test(text) // never looks at the file, so neither the schema it was made of nor its plan may be old
    if (isExplained) this.execute('get', READ_SCHEMA, [])
    const prepared: Prepared = { statement: this.#db.prepare(text), exact: undefined, needsExact: false, cost: undefined }
    // a statement that writes cannot be read twice, so its integers are read exactly from the start
    prepared.needsExact = prepared.statement.reader && !prepared.statement.readonly
    if (!isExplained) this.#prepared.set(text, prepared)
    return prepared
  }
}

/** An open cursor. Integers are read exactly. */
export class Rows {
  readonly #rows: IterableIterator<Row>
  readonly #reads: boolean

  constructor (rows: IterableIterator<Row>, reads: boolean) {
    this.#rows = rows
    this.#reads = reads
  }

  /** At most `maxRows`, about `maxBytes`, or what there is until `until` (on the clock of `performance.now()`). */
  fetch (maxRows: number, maxBytes: number, until: number): Batch {
    const rows: Row[] = []
    let bytes = 0
    let hasBlobs = false
    while (rows.length < maxRows && bytes < maxBytes) {
      const next: IteratorResult<Row, unknown> = this.#rows.next()
      if (next.done === true) return { rows, bytes, hasBlobs, reads: this.#reads, done: true }
      const row = narrow(next.value)
      rows.push(row)
      bytes += sizeOf(row)
      hasBlobs ||= isWithBlobs(row)
      if (until !== Infinity && performance.now() >= until) break
    }
    return { rows, bytes, hasBlobs, reads: this.#reads, done: false }
  }

  close (): void {
    this.#rows.return?.()
  }
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
