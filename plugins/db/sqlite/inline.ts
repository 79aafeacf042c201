/**
 * A connection on the main thread. While it runs a statement nothing else does, so each has a budget: the watchdog interrupts what takes longer, and
 * whoever asked decides where it is run again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { DbClosed } from '../../errors.ts'
import { Result, sizeOf, type ResultLimits } from '../result.ts'
import { checkLimits } from '../scope.ts'
import type { Limits, Method, Row } from '../types.ts'
import { codeOf } from './errors.ts'
import type { Handle, Prepared, Rows } from './handle.ts'
import type { StopReason } from './watchdog.ts'

/** Rows that a cursor fetches at once. */
const FETCH_ROWS = 100
const FETCH_BYTES = 256 * 1024

/** Reads something, and is not interrupted (native/watchdog.c, invariant 4). */
const SNAPSHOT = 'SELECT tandem_slot() FROM sqlite_schema LIMIT 1'

export class Inline {
  readonly handle: Handle
  readonly #budgetMs: number
  readonly #result: ResultLimits
  /** What the watchdog allows now; 0 for no limit, as at first. */
  #allowedMs = 0
  #operation = 0
  /** The open cursor. */
  #rows: Rows | undefined

  /** `budgetMs`: how long the event loop may be kept. */
  constructor (handle: Handle, budgetMs: number, result: ResultLimits) {
    this.handle = handle
    this.#budgetMs = budgetMs
    this.#result = result
  }

  get inTransaction (): boolean {
    return this.handle.inTransaction
  }

  /** Under the budget. Throws `Interrupted` when that was not enough: it has changed nothing then, or has undone its transaction. */
  tryOut (method: Method, prepared: Prepared, values: readonly unknown[], limits: Limits, now?: number): unknown {
    this.#allow(this.#budget(limits, now))
    const answer = this.#watched(() => this.handle.run(method, prepared, values))
    if (method === 'all' && prepared.statement.readonly) this.#checkResult(answer as Row[])
    return answer
  }

  #checkResult (rows: readonly Row[]): void {
    const bytes = rows.reduce((sum, row) => sum + sizeOf(row), 0)
    new Result(this.#result).add({ rows, bytes })
  }

  /** Under the deadline alone. */
  insist (method: Method, text: string, values: readonly unknown[], limits: Limits): unknown {
    this.#allow(remaining(limits))
    return this.#watched(() => method === 'all' ? this.#all(text, values) : this.handle.execute(method, text, values))
  }

  #watched<T> (task: () => T): T {
    try {
      return task()
    } catch (error) {
      throw interruptedOr(error, this.handle.watchdog?.end())
    }
  }

  /** What nobody stops may have any number of rows. */
  #all (text: string, values: readonly unknown[]): Row[] {
    const rows = this.handle.open(text, values)
    const result = new Result(this.#result)
    try {
      for (let done = false; !done;) {
        const batch = rows.fetch(FETCH_ROWS, FETCH_BYTES, Infinity)
        result.add(batch)
        done = batch.done
      }
      return result.rows
    } finally {
      rows.close()
    }
  }

  /** BEGIN, for reads, of what is committed now. */
  snapshot (): void {
    this.control('BEGIN')
    try {
      this.handle.execute('get', SNAPSHOT, [])
    } catch (error) {
      this.control('ROLLBACK')
      throw error
    }
  }

  /** What takes no time and has to be done. */
  control (sql: string): void {
    try {
      this.handle.execute('run', sql, [])
    } catch (error) {
      this.#liftBudget(error)
      this.handle.execute('run', sql, [])
    }
  }

  /** Looks at the file, if it is EXPLAIN. */
  prepare (text: string): Prepared {
    try {
      return this.handle.prepare(text)
    } catch (error) {
      this.#liftBudget(error)
      return this.handle.prepare(text)
    }
  }

  /** What takes no time may meet the budget of the statement before it nevertheless, on a machine that is busy. It has done nothing then. */
  #liftBudget (error: unknown): void {
    if (codeOf(error) !== 'SQLITE_INTERRUPT') throw error
    this.#allow(0)
  }

  /** All statements of a script under one budget. */
  tryScript (sql: string, limits: Limits): void {
    this.#runScript(sql, this.#budget(limits))
  }

  insistOnScript (sql: string, limits: Limits): void {
    this.#runScript(sql, remaining(limits))
  }

  #runScript (sql: string, ms: number): void {
    const { watchdog } = this.handle
    this.#allow(ms)
    watchdog?.begin(++this.#operation, ms)
    this.#watched(() => { this.handle.exec(sql) })
    watchdog?.end()
  }

  /** The rows of a cursor; the event loop gets its turn between batches. */
  async * batches (text: string, values: readonly unknown[], limits: Limits, sql: string): AsyncGenerator<Row[], undefined> {
    this.#allow(remaining(limits))
    const rows = this.#rows = this.handle.open(text, values)
    try {
      for (;;) {
        checkLimits(limits, sql)
        if (!this.handle.isOpen) throw new DbClosed()
        const batch = rows.fetch(FETCH_ROWS, FETCH_BYTES, performance.now() + this.#budgetMs)
        if (batch.rows.length > 0) yield batch.rows
        if (batch.done) return
        await nextTurn()
      }
    } finally {
      rows.close()
      this.#rows = undefined
    }
  }

  /** Also in the middle of a transaction or of a cursor. */
  close (): void {
    this.#rows?.close()
    this.handle.close()
  }

  /** A long budget may be more than what is left. */
  #budget ({ deadline }: Limits, now: number = performance.now()): number {
    return Math.max(0.01, Math.min(this.#budgetMs, deadline - now))
  }

  #allow (ms: number): void {
    if (ms === this.#allowedMs) return
    this.handle.watchdog?.setBudget(ms)
    this.#allowedMs = ms
  }
}

/** For who has no deadline: still one that the memory of the process is watched under. */
const LONGEST_MS = 1e9

/** In whole seconds beyond the first, so that it changes rarely. */
function remaining ({ deadline }: Limits): number {
  if (deadline === Infinity) return LONGEST_MS
  const ms = Math.max(1, deadline - performance.now())
  return ms < 1000 ? ms : Math.ceil(ms / 1000) * 1000
}

/** SQLite ended the statement because the watchdog told it to; its cause is the driver's error. */
export class Interrupted extends Error {
  readonly code = 'SQLITE_INTERRUPT'
  readonly reason: StopReason | undefined

  constructor (reason: StopReason | undefined, cause: unknown) {
    super('interrupted', { cause })
    this.reason = reason
  }
}

/** The watchdog knows best: what ALTER TABLE was reading when it was interrupted fails as an error in the schema, or as a "logic error". */
function interruptedOr (error: unknown, stopped: StopReason | undefined): unknown {
  const code = codeOf(error)
  return code === 'SQLITE_INTERRUPT' || (code === 'SQLITE_ERROR' && stopped !== undefined) ? new Interrupted(stopped, error) : error
}
