/**
 * One holder's connection, for a statement, a cursor or a transaction: on the main thread as long as that is short, else in a thread.
 *
 * Kept true:
 *  1. It begins where its first statement belongs, and stays there, with two exceptions in which nobody can tell: the first statement was interrupted by the budget (then
 *     nothing was done yet); a read transaction whose snapshot is still the newest one (then a thread's is the same).
 *  2. A write is interrupted by the budget only as the first statement, when SQLite undoes it as a whole. So it never takes effect twice.
 *  3. What must run on the main thread although it takes longer than the budget (a later statement of a transaction that writes) runs to its end, and is counted as a stall;
 *     the next transaction that begins alike begins in a thread.
 *  4. The event loop is never kept by a wait: another process' lock is waited for with a back-off.
 */
import { databaseError } from '../../errors.ts'
import { publishMemory } from '../events.ts'
import type { GateLease } from '../gate.ts'
import type { Cost, Placement } from '../placement.ts'
import { checkLimits } from '../scope.ts'
import { bindValues } from '../sql.ts'
import type { Connection, Limits, Method, Params, Query, Row, Script } from '../types.ts'
import { toOurError } from './errors.ts'
import { Interrupted, type Inline } from './inline.ts'
import { Outgoing, type Notification } from './listening.ts'
import { retryBusy } from './retry.ts'
import { refuseSession } from './session.ts'
import { Thread, unlimited } from './thread.ts'
import type { Turns } from './turns.ts'
import { toSqlite, type SqliteValue } from './values.ts'

/** What a connection needs of its engine. */
export interface Home {
  readonly placement: Placement
  readonly turns: Turns
  costOf: (query: Query, values: readonly unknown[]) => Cost
  /** Of the transaction that begins with this statement. */
  costOfTransaction: (sql: string) => Cost
  /** A thread for this mode. `leader`: the lease of the transaction that goes on in it. */
  borrowThread: (mode: 'write' | 'read', limits: Limits, sql: string, leader: GateLease) => Promise<Thread>
  giveBack: (place: Inline | Thread) => void
  /** Tells those who listen. */
  deliver: (notifications: readonly Notification[]) => void
  /** Changes with every commit of anybody. */
  version: () => unknown
  /** The same, as it was a moment ago. */
  recentVersion: () => unknown
  /** A statement kept the event loop longer than the budget. */
  noteStall: (sql: string, ms: number) => void
}

export class SqliteConnection implements Connection {
  readonly lease: GateLease
  readonly #home: Home
  readonly #mode: 'write' | 'read'
  readonly #onRelease: () => void
  #place: Inline | Thread
  #hasBegun = false
  /** Savepoints are none: in a thread they are made again. */
  #statements = 0
  readonly #savepoints: string[] = []
  /** Goes out with COMMIT; undefined: nothing. */
  #outgoing: Outgoing | undefined
  /** Of a read transaction on the main thread: as it was before its snapshot. If it is still that, the snapshot is the newest one. */
  #version: unknown
  /** By which the transaction is known. */
  #first = ''

  constructor (home: Home, mode: 'write' | 'read', place: Inline | Thread, lease: GateLease, onRelease: () => void) {
    this.#home = home
    this.#mode = mode
    this.#place = place
    if (place instanceof Thread) place.longestMs = 0
    this.lease = lease
    this.#onRelease = onRelease
  }

  get inTransaction (): boolean {
    return this.#place.inTransaction
  }

  release (): void {
    const place = this.#place
    if (place instanceof Thread) void this.#releaseThread(place)
    else {
      if (place.inTransaction) place.control('ROLLBACK')
      if (this.#hasBegun) this.#home.costOfTransaction(this.#first).shortRuns++
      this.#giveBack()
    }
  }

  /** What its caller has given up may still run. Who is to write next waits for its end, and a reader's place is given up in time (readers.ts). */
  async #releaseThread (thread: Thread): Promise<void> {
    if (this.#mode === 'read') return await this.#releaseReader(thread)
    await thread.settled
    await this.rollback().catch(noop)
    this.#noteWork(thread)
    this.#giveBack()
  }

  async #releaseReader (thread: Thread): Promise<void> {
    if (thread.inTransaction || !thread.isIdle) void thread.exec('ROLLBACK', unlimited).catch(noop)
    this.#giveBack()
    await thread.settled
    this.#noteWork(thread)
  }

  /** On the main thread others have their turn between two statements, so it is the longest that counts. */
  #noteWork (thread: Thread): void {
    if (this.#hasBegun) this.#home.placement.ranApart(this.#home.costOfTransaction(this.#first), thread.longestMs)
  }

  #giveBack (): void {
    this.#home.giveBack(this.#place)
    this.#onRelease()
  }

  // --- statements ------------------------------------------------------------------------------------------------------------

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    checkLimits(limits, query.sql)
    const values = bind(query, params)
    const since = performance.now()
    const value = await this.#during(query.sql, async () => {
      if (this.#place instanceof Thread) return await this.#apart(this.#place, method, query, values, limits)
      return await this.#inline(this.#place, method, query, values, limits)
    }, limits)
    const { placement } = this.#home
    placement.noteRun(this.#home.costOf(query, values), this.#place instanceof Thread ? 'apart' : 'inline', performance.now() - since, limits.request)
    return value
  }

  async #inline (place: Inline, method: Method, query: Query, values: readonly unknown[], limits: Limits): Promise<unknown> {
    const turn = this.#home.turns.take()
    if (turn !== undefined) {
      await turn
      checkLimits(limits, query.sql)
    }
    const prepared = place.prepare(query.text)
    const cost = prepared.cost ??= this.#home.costOf(query, values)
    const mayMove = this.#isUntouched() || this.#mode === 'read'
    if (!cost.isShort && mayMove) {
      const thread = await this.#move(place, limits, query.sql)
      if (thread !== undefined) return await this.#apart(thread, method, query, values, limits)
    }
    const isFirst = this.#statements++ === 0
    const insist = (): unknown => this.#insist(query.sql, () => place.insist(method, query.text, values, limits))
    if (!mayMove && !prepared.statement.readonly) return insist()
    try {
      return place.tryOut(method, prepared, values, limits)
    } catch (error) {
      if (isFirst) this.#statements = 0 // it has done nothing, and may be tried again
      if (!(error instanceof Interrupted)) throw error
      this.#home.placement.overran(cost)
      const thread = mayMove ? await this.#move(place, limits, query.sql) : undefined
      if (thread !== undefined) return await this.#apart(thread, method, query, values, limits)
      return insist()
    }
  }

  /** Runs it here, whatever it takes. */
  #insist<T> (sql: string, task: () => T): T {
    const startedAt = performance.now()
    try {
      return task()
    } catch (error) {
      if (!(error instanceof Interrupted) || error.reason !== 'memory') throw error
      publishMemory({ what: 'ended', sql })
      throw databaseError('memory', sql, { cause: error })
    } finally {
      const ms = performance.now() - startedAt
      if (ms > this.#home.placement.budgetMs) this.#noteStall(sql, ms)
    }
  }

  #noteStall (sql: string, ms: number): void {
    this.#home.noteStall(sql, ms)
    if (!this.#hasBegun) return
    const cost = this.#home.costOfTransaction(this.#first)
    if (!this.#home.placement.mayTryAgain(cost)) this.#home.placement.overran(cost)
  }

  async #apart (thread: Thread, method: Method, query: Query, values: readonly unknown[], limits: Limits): Promise<unknown> {
    this.#statements++
    const before = thread.workedMs
    const value = await this.#whole(thread, query.sql, limits, async () => await thread.execute(method, query.text, values, limits, query.sql))
    this.#home.placement.ranApart(this.#home.costOf(query, values), thread.workedMs - before)
    return value
  }

  /** A write on its own is a transaction in the thread, so that what its caller has given up there, or what brings too many rows, takes no effect. */
  async #whole<T> (thread: Thread, sql: string, limits: Limits, task: () => Promise<T>): Promise<T> {
    if (this.#hasBegun || this.#mode === 'read' || NOT_IN_TRANSACTIONS.test(sql)) return await task()
    await beginIn(thread, 'write', limits)
    try {
      const value = await task()
      checkLimits(limits, sql)
      await thread.exec('COMMIT', unlimited)
      return value
    } catch (error) {
      void thread.exec('ROLLBACK', unlimited).catch(noop) // when it is done
      throw error
    }
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    checkLimits(limits, query.sql)
    const values = bind(query, params)
    const moved = this.#place instanceof Thread ? this.#place : await this.#moveFor(this.#place, limits, query.sql)
    this.#statements++
    this.lease.work(query.sql)
    try {
      for await (const rows of (moved ?? this.#place).batches(query.text, values, limits, query.sql)) {
        this.lease.rest() // as long as its reader does something else
        yield rows
        this.lease.work(query.sql)
      }
    } catch (error) {
      throw toOurError(error, query.sql)
    } finally {
      this.lease.rest()
    }
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    checkLimits(limits, script.sql)
    refuseSession(script.sql)
    await this.#during(script.sql, async () => {
      const isFirst = this.#isUntouched()
      this.#statements++
      const place = this.#place
      if (place instanceof Thread) await this.#whole(place, script.sql, limits, async () => { await place.exec(script.sql, limits) })
      else if (!isFirst) this.#insist(script.sql, () => { place.insistOnScript(script.sql, limits) })
      else await this.#tryScript(place, script.sql, limits)
    })
  }

  async #tryScript (place: Inline, sql: string, limits: Limits): Promise<void> {
    try {
      place.tryScript(sql, limits)
    } catch (error) {
      this.#statements = 0 // it has done nothing, and may be tried again
      if (!(error instanceof Interrupted)) throw error
      const thread = await this.#move(place, limits, sql)
      this.#statements++
      if (thread !== undefined) await this.#whole(thread, sql, limits, async () => { await thread.exec(sql, limits) })
    }
  }

  async notify (channel: string, payload: string, limits: Limits): Promise<void> {
    checkLimits(limits, 'NOTIFY')
    this.#outgoing ??= new Outgoing()
    this.#outgoing.add({ channel, payload })
  }

  cancel (): void {
    if (this.#place instanceof Thread) this.#place.cancel() // on the main thread nothing runs while other code does
  }

  /** `limits`: of a statement of a transaction, whose failure is counted here. */
  async #during<T> (sql: string, task: () => Promise<T>, limits?: Limits): Promise<T> {
    this.lease.work(sql)
    try {
      return await task()
    } catch (error) {
      const ours = toOurError(error, sql)
      if (this.#hasBegun && limits !== undefined) this.#home.placement.noteFailure(sql, ours, limits.request)
      throw ours
    } finally {
      this.lease.rest()
    }
  }

  // --- from the main thread into another ------------------------------------------------------------------------------------------

  /** Nothing has been done yet. */
  #isUntouched (): boolean {
    return this.#statements === 0
  }

  async #moveFor (place: Inline, limits: Limits, sql: string): Promise<Thread | undefined> {
    return this.#isUntouched() || this.#mode === 'read' ? await this.#move(place, limits, sql) : undefined
  }

  /** Goes on in a thread; undefined when that could be told from staying. */
  async #move (place: Inline, limits: Limits, sql: string): Promise<Thread | undefined> {
    const isUntouched = this.#isUntouched()
    if (isUntouched && place.inTransaction) place.control('ROLLBACK') // so that the thread can have the lock
    const thread = await this.#home.borrowThread(this.#mode, limits, sql, this.lease)
    try {
      if (this.#hasBegun) await beginIn(thread, this.#mode, limits)
      for (const name of this.#savepoints) await thread.exec(`SAVEPOINT ${name}`, unlimited)
    } catch (error) {
      this.#home.giveBack(thread)
      throw error
    }
    if (!isUntouched && this.#home.version() !== this.#version) {
      await thread.exec('ROLLBACK', unlimited).catch(noop)
      this.#home.giveBack(thread)
      return undefined
    }
    if (place.inTransaction) place.control('ROLLBACK')
    this.#home.giveBack(place)
    this.#place = thread
    thread.longestMs = 0
    return thread
  }

  // --- transactions ------------------------------------------------------------------------------------------------------------

  /** BEGIN, IMMEDIATE for a writer. A reader's snapshot is taken now and not at its first statement. */
  async begin (limits: Limits, first: string): Promise<void> {
    this.#first = first
    this.#hasBegun = true
    await this.#during(first, async () => { await this.#begin(limits) }) // to wait for another process' lock is no idleness
  }

  async #begin (limits: Limits): Promise<void> {
    if (this.#place instanceof Thread) return await beginIn(this.#place, this.#mode, limits)
    const place = this.#place
    if (this.#mode === 'write') return await retryBusy('BEGIN IMMEDIATE', limits, () => { place.control('BEGIN IMMEDIATE') })
    this.#version = this.#home.recentVersion()
    await retryBusy('BEGIN', limits, () => { place.snapshot() })
  }

  /** Once it was sent it is waited for, whatever it takes: it cannot be stopped, and its outcome has to be told. */
  async commit (limits: Limits): Promise<void> {
    await retryBusy('COMMIT', limits, async () => {
      checkLimits(limits, 'COMMIT')
      await this.#control('COMMIT')
    })
    if (this.#outgoing !== undefined) this.#home.deliver(this.#outgoing.take())
  }

  /** In a thread that cannot be stopped `release` does it, when that has ended. */
  async rollback (): Promise<void> {
    if (this.inTransaction && !this.#isStuck()) await this.#control('ROLLBACK').catch(noop)
  }

  #isStuck (): boolean {
    return this.#place instanceof Thread && this.#place.isStuck
  }

  async savepoint (name: string): Promise<void> {
    await this.#control(`SAVEPOINT ${name}`)
    this.#savepoints.push(name)
    this.#outgoing?.savepoint(name)
  }

  async releaseSavepoint (name: string): Promise<void> {
    this.#savepoints.splice(this.#savepoints.indexOf(name))
    await this.#control(`RELEASE ${name}`)
  }

  async rollbackToSavepoint (name: string): Promise<void> {
    if (this.#isStuck()) throw databaseError('timeout', `ROLLBACK TO ${name}`)
    await this.#control(`ROLLBACK TO ${name}`)
    this.#outgoing?.rollbackTo(name)
    await this.releaseSavepoint(name)
  }

  /** Looks at all rows: what SQLite counts for COMMIT can be asked by nobody else. */
  async checkDeferred (limits: Limits): Promise<void> {
    checkLimits(limits, 'COMMIT')
    this.#statements++
    const values: unknown[] = []
    const found = this.#place instanceof Thread
      ? await this.#place.execute('get', 'PRAGMA foreign_key_check', values, limits, 'COMMIT')
      : this.#place.insist('get', 'PRAGMA foreign_key_check', values, limits)
    if (found !== undefined) throw databaseError('foreignKey', 'COMMIT')
  }

  async setReadonly (isReadonly: boolean): Promise<void> {
    this.#statements++
    await this.#control(`PRAGMA query_only = ${isReadonly ? 'ON' : 'OFF'}`)
  }

  async #control (sql: string): Promise<void> {
    try {
      if (this.#place instanceof Thread) await this.#place.exec(sql, unlimited)
      else this.#place.control(sql)
    } catch (error) {
      throw toOurError(error, sql)
    }
  }
}

const noop = (): void => {}

async function beginIn (thread: Thread, mode: 'write' | 'read', limits: Limits): Promise<void> {
  const sql = mode === 'write' ? 'BEGIN IMMEDIATE' : 'BEGIN; PRAGMA schema_version'
  await retryBusy('BEGIN', limits, async () => {
    try {
      await thread.exec(sql, limits, 'BEGIN')
    } catch (error) {
      void thread.exec('ROLLBACK', unlimited).catch(noop) // it may have begun all the same, or may yet
      throw error
    }
  })
}

const NOT_IN_TRANSACTIONS = /\b(?:VACUUM|PRAGMA)\b/i

const SESSION: ReadonlySet<string> = new Set(['PRAGMA', 'ATTACH', 'DETACH', 'CREATE', 'EXPLAIN'])

/** The values as SQLite takes them. Throws `TDM_ERR_DB_BIND`, and `TDM_ERR_DB_SESSION` for a statement that is about the connection. */
export function bind (query: Query, params: Params): unknown[] {
  if (SESSION.has(query.keyword)) refuseSession(query.sql)
  const values = bindValues(query, params, toSqlite)
  if (query.style === 'none' || query.style === 'positional') return values
  const names = query.style === 'named' ? query.names : values.map((_, i) => String(i + 1))
  return [Object.fromEntries(names.map((name, i): [string, SqliteValue] => [name, values[i] as SqliteValue]))]
}
