/**
 * A read transaction at READ COMMITTED, which begins as late as it can.
 *
 * There each statement sees what is committed when it begins, so a transaction of one read is that read, on a lane if it is short. With the second statement, or with anything
 * that is no read, the transaction begins on a connection of its own. What is the same for all of a transaction (`now()`, its id, a snapshot that is exported) is asked in it.
 */
import { databaseError } from '../../errors.ts'
import type { BeginOptions, Connection, Lease, Limits, Method, Params, Query, Row, Script } from '../types.ts'
import { Repeatable } from './call.ts'
import type { PostgresConnection } from './connection.ts'
import { toOurError } from './errors.ts'
import type { LaneCall } from './lane.ts'
import { traitsOf } from './traits.ts'

/** What it needs of its server. */
export interface ReadHome {
  /** Undefined: the statement does not belong on a lane, or there is none. */
  sendOnLane: (method: Method, query: Query, params: Params, limits: Limits) => LaneCall | undefined
  /** The answer; `Repeatable` if it is to be run elsewhere. */
  answerOf: (call: LaneCall) => Promise<unknown>
  /** Runs a read on its own. One that writes fails, and has done nothing. */
  readApart: (method: Method, query: Query, params: Params, limits: Limits, onBegin: (connection: PostgresConnection) => void) => Promise<unknown>
  beginApart: (options: BeginOptions, limits: Limits, first: string) => Promise<PostgresConnection>
}

export class ReadTransaction implements Connection {
  readonly isPipelined = true
  readonly #home: ReadHome
  readonly #options: BeginOptions
  /** As long as it holds no connection. */
  readonly #lease: Lease = { since: performance.now() }
  #hasAsked = false
  #onLane: LaneCall | undefined
  /** Where the first read runs, if that is no lane. */
  #alone: PostgresConnection | undefined
  #beginning: Promise<PostgresConnection> | undefined
  #connection: PostgresConnection | undefined

  constructor (home: ReadHome, options: BeginOptions) {
    this.#home = home
    this.#options = options
  }

  get lease (): Lease {
    return this.#connection?.lease ?? this.#lease
  }

  get inTransaction (): boolean {
    return this.#connection?.inTransaction ?? true
  }

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    const { looksRead, needsTransaction } = traitsOf(query)
    const isAlone = this.#isFirst() && looksRead && !needsTransaction
    return isAlone ? await this.#read(method, query, params, limits) : await (await this.#begin(limits, query.sql)).execute(method, query, params, limits)
  }

  async #read (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    const call = this.#onLane = this.#home.sendOnLane(method, query, params, limits)
    const answer = call === undefined ? undefined : await this.#home.answerOf(call)
    if (call !== undefined && !(answer instanceof Repeatable)) return answer
    if (answer instanceof Repeatable && answer.why === 'writes') throw toOurError(answer.error, query.sql)
    return await this.#home.readApart(method, query, params, limits, connection => { this.#alone = connection })
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    yield * (await this.#begin(limits, query.sql)).batches(query, params, limits)
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    await (await this.#begin(limits, script.sql)).exec(script, limits)
  }

  async notify (channel: string, payload: string, limits: Limits): Promise<void> {
    await (await this.#begin(limits, 'NOTIFY')).notify(channel, payload, limits)
  }

  #isFirst (): boolean {
    const isFirst = !this.#hasAsked && this.#beginning === undefined
    this.#hasAsked = true
    return isFirst
  }

  #begin (limits: Limits, first: string): Promise<PostgresConnection> {
    this.#beginning ??= this.#home.beginApart(this.#options, limits, first).then(connection => this.#connection = connection)
    return this.#beginning
  }

  cancel (): void {
    this.#connection?.cancel()
    this.#alone?.cancel()
    if (this.#onLane?.isSettled === false) this.#onLane.reject(databaseError('aborted', this.#onLane.query.sql))
  }

  async commit (limits: Limits): Promise<void> {
    await (await this.#beginning)?.commit(limits)
  }

  async rollback (): Promise<void> {
    await this.#connection?.rollback()
  }

  release (): void {
    this.#connection?.release()
  }

  async savepoint (name: string, limits: Limits): Promise<void> {
    await (await this.#begin(limits, `SAVEPOINT ${name}`)).savepoint(name, limits)
  }

  async releaseSavepoint (name: string): Promise<void> {
    await this.#connection?.releaseSavepoint(name)
  }

  async rollbackToSavepoint (name: string): Promise<void> {
    await this.#connection?.rollbackToSavepoint(name)
  }

  async checkDeferred (limits: Limits): Promise<void> {
    await this.#connection?.checkDeferred(limits)
  }

  async setReadonly (isReadonly: boolean): Promise<void> {
    await this.#connection?.setReadonly(isReadonly)
  }
}
