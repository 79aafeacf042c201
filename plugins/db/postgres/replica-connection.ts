/**
 * The connection of a read transaction that begins on the replica, and goes on at the primary when the replica fails it.
 *
 * Kept true:
 *  1. An error of the replica is not told as long as the transaction can move: what failed is done again at the primary, and so is what was sent behind it, in order.
 *  2. It cannot move any more when something was seen that the primary could not go on from: rows of a snapshot (unless the isolation is read committed, where each
 *     statement has its own), a savepoint, a cursor, or a statement that is no read (SET LOCAL). Then a failure of the replica is one of kind serialization, which may be retried.
 *  3. It moves once. What the primary says is told.
 */
import { databaseError, errorKind } from '../../errors.ts'
import type { Connection, Limits, Method, Params, Query, Row, Script } from '../types.ts'
import type { PostgresConnection } from './connection.ts'
import { isOfServer } from './errors.ts'
import { traitsOf } from './traits.ts'

export interface ReplicaTransaction {
  readonly connection: PostgresConnection
  /** Each statement sees what is there when it begins. */
  readonly isReadCommitted: boolean
  /** The same transaction, on the primary. */
  readonly beginOnPrimary: (limits: Limits, first: string) => Promise<PostgresConnection>
  /** The replica has failed. */
  readonly onFailure: (error: unknown) => void
}

type Task<T> = (connection: PostgresConnection) => Promise<T>

export class ReplicaConnection implements Connection {
  readonly isPipelined = true
  readonly #transaction: ReplicaTransaction
  /** Where it is: on the replica, and after a move on the primary. */
  #at: PostgresConnection
  #isBound = false
  #moving: Promise<void> | undefined
  readonly #running = new Set<Promise<unknown>>()
  /** An error was told. */
  #hasFailed = false

  constructor (transaction: ReplicaTransaction) {
    this.#transaction = transaction
    this.#at = transaction.connection
  }

  get lease (): Connection['lease'] {
    return this.#at.lease
  }

  get inTransaction (): boolean {
    return this.#at.inTransaction
  }

  // --- statements ------------------------------------------------------------------------------------------------------------

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    const { isReadCommitted } = this.#transaction
    return await this.#run(limits, query.sql, async at => await at.execute(method, query, params, limits), isReadCommitted && traitsOf(query).looksRead)
  }

  async executeLast (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    return await this.#run(limits, query.sql, async at => await at.executeLast(method, query, params, limits))
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    let rows: AsyncGenerator<Row[], undefined> | undefined
    let hasRows = false
    const next: Task<IteratorResult<Row[], undefined>> = async at => await (hasRows && rows !== undefined ? rows : rows = at.batches(query, params, limits)).next()
    try {
      for (;;) {
        const { value } = await this.#run(limits, query.sql, next)
        if (value === undefined) return
        hasRows = true
        yield value
      }
    } finally {
      await rows?.return(undefined)
    }
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    await this.#run(limits, script.sql, async at => { await at.exec(script, limits) })
  }

  /** A standby refuses it, as a read transaction does. */
  async notify (channel: string, payload: string, limits: Limits): Promise<void> {
    await this.#run(limits, 'NOTIFY', async at => { await at.notify(channel, payload, limits) })
  }

  cancel (): void {
    this.#at.cancel()
  }

  /** `leavesNothing`: it can move afterwards as well as before. */
  async #run<T> (limits: Limits, sql: string, task: Task<T>, leavesNothing = false): Promise<T> {
    const running = this.#attempt(limits, sql, task)
    this.#running.add(running)
    try {
      const answer = await running
      if (!leavesNothing) this.#isBound = true
      return answer
    } catch (error) {
      this.#hasFailed = true
      throw error
    } finally {
      this.#running.delete(running)
    }
  }

  async #attempt<T> (limits: Limits, sql: string, task: Task<T>): Promise<T> {
    if (this.#moving !== undefined) await this.#moving
    const at = this.#at
    try {
      return await task(at)
    } catch (error) {
      if (at !== this.#transaction.connection || !isOfServer(error)) throw error
      this.#transaction.onFailure(error)
      if (this.#isBound) throw errorKind(error) === 'connection' ? databaseError('serialization', sql, { cause: error }) : error
    }
    await (this.#moving ??= this.#move(limits, sql))
    return await task(this.#at)
  }

  async #move (limits: Limits, sql: string): Promise<void> {
    const left = this.#at
    this.#at = await this.#transaction.beginOnPrimary(limits, sql)
    void left.rollback().then(() => { left.release() })
  }

  // --- the end -----------------------------------------------------------------------------------------------------------------

  /** A read transaction has nothing to lose: if the replica fails at its end, it has ended all the same. But what COMMIT was sent behind may have moved. */
  async commit (limits: Limits): Promise<void> {
    if (this.#moving !== undefined) await Promise.allSettled(this.#running)
    const at = this.#at
    try {
      await at.commit(limits)
    } catch (error) {
      await Promise.allSettled(this.#running)
      if (this.#at !== at) await this.#at.commit(limits)
      else if (this.#hasFailed || at !== this.#transaction.connection || !isOfServer(error)) throw error
    }
  }

  async rollback (): Promise<void> {
    await this.#at.rollback()
  }

  async savepoint (name: string, limits: Limits): Promise<void> {
    await this.#run(limits, 'SAVEPOINT', async at => { await at.savepoint(name, limits) })
  }

  async releaseSavepoint (name: string): Promise<void> {
    await this.#at.releaseSavepoint(name)
  }

  async rollbackToSavepoint (name: string): Promise<void> {
    await this.#at.rollbackToSavepoint(name)
    this.#hasFailed = false
  }

  async checkDeferred (limits: Limits): Promise<void> {
    await this.#run(limits, 'SET CONSTRAINTS', async at => { await at.checkDeferred(limits) })
  }

  async setReadonly (isReadonly: boolean): Promise<void> {
    await this.#at.setReadonly(isReadonly)
  }

  release (): void {
    this.#at.release()
  }
}
