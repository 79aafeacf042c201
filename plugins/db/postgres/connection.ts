/**
 * One connection to PostgreSQL, lent by the pool to one holder, and what can be done with it.
 *
 * Kept true:
 *  1. It is used for one thing at a time; the holder sees to it.
 *  2. The statement that runs when the limits pass is cancelled on the server, and its connection is not used for another transaction afterwards: a cancel
 *     that comes late would hit a stranger's statement.
 *  3. A connection whose state is not known to be clean is closed, never given back. An 'error' event always has a listener.
 */
import type pg from 'pg'
import Cursor from 'pg-cursor'
import { databaseError, errorKind, TxLost, TxOutcomeUnknown, TxRolledBack } from '../../errors.ts'
import type { GateLease } from '../gate.ts'
import { Result, sizeOf, type ResultLimits } from '../result.ts'
import { checkLimits, watchLimits } from '../scope.ts'
import { bindValues } from '../sql.ts'
import type { BeginOptions, Connection, Limits, Method, Params, Query, Row, RunResult, Script } from '../types.ts'
import { cancelBackend } from './cancel.ts'
import { sqlState, toOurError } from './errors.ts'
import { TransactionQuery } from './transaction-query.ts'
import { toPostgres, types } from './values.ts'

/** Rows that a cursor fetches at once. */
const FETCH = 100
/** What a server says of a transaction whose COMMIT it did not answer; undefined: nothing, in time. */
export type CommitOutcome = 'committed' | 'aborted' | undefined
export type ResolveOutcome = (id: string, limits: Limits) => Promise<CommitOutcome>

/** How long a server may take to end a cancelled statement before its connection is cut, and to answer COMMIT after the deadline. */
const GRACE_MS = 5000
/** COMMIT waits for the disk, and for standbys if they are synchronous; beyond this nobody waits for the answer any more. */
const LONGEST_COMMIT_MS = 60_000
/** Statements that outlive their transaction; by their text, so one in a function or a comment's company is not seen. `SET LOCAL` does not. */
const CHANGES_SESSION = /^\s*(?:SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)|RESET\b|LISTEN\b|LOAD\b|DISCARD\b|PREPARE\b|CREATE\s+(?:LOCAL\s+)?TEMP)|\bpg_(?:try_)?advisory_lock|\bset_config\s*\(/i
const NOTIFIES = /\bNOTIFY\b|\bpg_notify\b/i
const WRITES = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

export class PostgresConnection implements Connection {
  readonly lease: GateLease
  readonly #client: pg.PoolClient
  readonly #onRelease: () => void
  readonly #result: ResultLimits
  /** Finds out what became of a transaction whose COMMIT was not answered. */
  readonly #resolve: ResolveOutcome
  /** BEGIN, as long as it has not been sent: it travels with the first statement. */
  #begin: string | undefined
  #isWriting = false
  /** Known once something was written by a statement; what a script or a cursor has written is asked for before COMMIT. */
  #transactionId: string | undefined
  #hasUnknownWrites = false
  /** What it has sent goes out with COMMIT, and has no id. */
  #hasNotified = false
  #inTransaction = false
  #isBroken = false
  /** A cancel is on its way, or may still be; or the session is not as it was (SET, LISTEN, an advisory lock). */
  #isTainted = false
  #cancelRunning: (() => void) | undefined
  /** Not everything that waits for a connection is told when that ends: pg-cursor is not. */
  #failRunning: ((error: Error) => void) | undefined

  constructor (client: pg.PoolClient, lease: GateLease, result: ResultLimits, resolve: ResolveOutcome, onRelease: () => void) {
    this.#client = client
    this.lease = lease
    this.#resolve = resolve
    this.#onRelease = onRelease
    this.#result = result
    client.on('error', this.#onLost).on('end', this.#onLost)
  }

  get inTransaction (): boolean {
    return this.#inTransaction && !this.#isBroken
  }

  release (): void {
    this.#client.removeListener('error', this.#onLost)
    this.#client.removeListener('end', this.#onLost)
    if (this.#isBroken) this.#client.on('error', () => {})
    this.#client.release(!this.#isClean())
    this.#onRelease()
  }

  #isClean (): boolean {
    return !this.#isBroken && !this.#isTainted && !this.#inTransaction && this.#client.getTransactionStatus() === 'I'
  }

  readonly #onLost = (): void => {
    this.#isBroken = true
    this.#failRunning?.(new Error('the connection ended'))
  }

  // --- statements ------------------------------------------------------------------------------------------------------------

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    const values = bindValues(query, params, toPostgres)
    // 'extended', or pg would send a statement without values in the simple protocol, which takes several statements at once
    const config: pg.QueryConfig & { queryMode: 'extended' } = { text: query.text, values, types, queryMode: 'extended' }
    const result = await this.#send(query.sql, limits, () => this.#query(config))
    if (method === 'get') return result.rows[0]
    return method === 'all' ? this.#limit(result.rows) : changesOf(result)
  }

  #limit (rows: Row[]): Row[] {
    new Result(this.#result).add({ rows, bytes: rows.reduce((sum, row) => sum + sizeOf(row), 0) })
    return rows
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    const values = bindValues(query, params, toPostgres)
    await this.#sendBegin(limits)
    this.#hasUnknownWrites = this.#isWriting
    const cursor = this.#client.query(new Cursor<Row>(query.text, values, { types }))
    try {
      for (;;) {
        const batch = await this.#send(query.sql, limits, () => cursor.read(FETCH))
        if (batch.length > 0) yield batch
        if (batch.length < FETCH) return
      }
    } finally {
      await this.#closeCursor(cursor)
    }
  }

  async exec ({ sql }: Script, limits: Limits): Promise<void> {
    this.#hasUnknownWrites = this.#isWriting
    await this.#control(sql, limits)
  }

  /** Sends a statement of the extended protocol; in a transaction that writes, together with BEGIN and the question for its id, as long as they are due. */
  #query (config: object): Promise<pg.QueryResult<Row>> {
    const askId = this.#isWriting && this.#transactionId === undefined
    if (this.#begin === undefined && !askId) return this.#client.query(config as pg.QueryConfig)
    const { promise, resolve, reject } = Promise.withResolvers<pg.QueryResult<Row>>()
    const callback = (error: Error | null, result: pg.QueryResult<Row>): void => {
      if (error === null) resolve(result)
      else reject(error)
    }
    const begin = this.#begin
    this.#begin = undefined
    const query = new TransactionQuery({ ...config, callback }, {
      begin,
      onBegun: () => { this.#inTransaction = true },
      onId: askId ? id => { this.#transactionId = id } : undefined
    })
    this.#client.query(query as unknown as pg.Submittable)
    return promise
  }

  /** BEGIN on its own, for what cannot travel with it. */
  async #sendBegin (limits: Limits): Promise<void> {
    if (this.#begin !== undefined) await this.#control('', limits)
  }

  cancel (): void {
    this.#cancelRunning?.()
  }

  /** Sends one statement and waits for its end; when the limits pass, cancels it and throws their error instead of the server's. */
  async #send<T> (sql: string, limits: Limits, send: () => Promise<T>): Promise<T> {
    checkLimits(limits, sql)
    this.lease.work(sql)
    if (CHANGES_SESSION.test(sql)) this.#isTainted = true
    if (NOTIFIES.test(sql)) this.#hasNotified = true
    const { promise: lost, reject: fail } = Promise.withResolvers<never>()
    this.#failRunning = fail
    let reason: Error | undefined
    let cancelled: Promise<void> | undefined
    const stop = (error: Error): void => {
      reason ??= error
      cancelled ??= this.#cancel()
    }
    const unwatch = watchLimits(limits, sql, stop)
    this.#cancelRunning = () => { stop(databaseError('aborted', sql)) }
    try {
      return await Promise.race([send(), lost])
    } catch (error) {
      if (sqlState(error) === '') this.#isBroken = true
      throw reason ?? toOurError(error, sql)
    } finally {
      unwatch()
      this.#failRunning = undefined
      this.#cancelRunning = undefined
      this.lease.rest()
      await cancelled
    }
  }

  async #cancel (): Promise<void> {
    this.#isTainted = true
    const cut = setTimeout(() => { this.cut() }, GRACE_MS)
    await cancelBackend(this.#client, GRACE_MS)
    clearTimeout(cut)
  }

  /** Ends the connection without asking; whoever waits for it gets an error. */
  cut (): void {
    this.#isBroken = true
    const { connection } = this.#client as unknown as { connection: { stream: { destroy: () => void } } }
    connection.stream.destroy()
  }

  async #closeCursor (cursor: Cursor): Promise<void> {
    if (this.#isBroken) return // it would wait for ever
    const { promise: lost, reject: fail } = Promise.withResolvers<never>()
    this.#failRunning = fail
    try {
      await Promise.race([cursor.close(), lost])
    } catch {
      this.#isBroken = true
    } finally {
      this.#failRunning = undefined
    }
  }

  // --- transactions ------------------------------------------------------------------------------------------------------------

  begin ({ mode, isolation }: BeginOptions): void {
    const level = isolation === undefined ? '' : ` ISOLATION LEVEL ${isolation.toUpperCase()}`
    this.#begin = `BEGIN${level} ${mode === 'read' ? 'READ ONLY' : 'READ WRITE'}`
    this.#isWriting = mode === 'write'
  }

  /** The deadline does not cancel COMMIT, which would leave its outcome open; a server that is silent for too long is given up. */
  async commit (limits: Limits): Promise<void> {
    const patience = { ...unlimited, deadline: Math.min(Math.max(limits.deadline, performance.now() + GRACE_MS), performance.now() + LONGEST_COMMIT_MS) }
    if (this.#hasUnknownWrites && this.#transactionId === undefined) await this.#askId(limits)
    const unwatch = watchLimits(patience, 'COMMIT', () => { this.cut() })
    try {
      const { command } = await this.#client.query('COMMIT')
      this.#inTransaction = false
      if (command === 'ROLLBACK') throw new TxRolledBack()
    } catch (error) {
      if (error instanceof TxRolledBack) throw error
      if (sqlState(error) === '' || this.#isBroken || errorKind(toOurError(error, 'COMMIT')) === 'connection') return await this.#findOutcome(error, patience)
      this.#inTransaction = false // a COMMIT that fails has rolled back
      throw toOurError(error, 'COMMIT')
    } finally {
      unwatch()
    }
  }

  async #askId (limits: Limits): Promise<void> {
    const { rows } = await this.#send('COMMIT', limits, () => this.#client.query<{ id: string | null }>('SELECT pg_current_xact_id_if_assigned() AS id'))
    this.#transactionId = rows[0]?.id ?? undefined
  }

  /** The connection was lost while COMMIT was on its way: the server is asked, over another one. If nothing was written nothing can be lost. */
  async #findOutcome (cause: unknown, limits: Limits): Promise<void> {
    this.#isBroken = true
    const id = this.#transactionId
    const outcome = id !== undefined ? await this.#resolve(id, limits) : this.#hasNotified ? undefined : 'committed'
    if (outcome === 'committed') return
    if (outcome === 'aborted') throw new TxLost({ cause })
    throw Object.assign(new TxOutcomeUnknown({ cause }), { xid: id })
  }

  async rollback (): Promise<void> {
    if (!this.inTransaction) return
    try {
      await this.#control('ROLLBACK', { ...unlimited, deadline: performance.now() + GRACE_MS })
      this.#inTransaction = false
    } catch {
      this.#isBroken = true
    }
  }

  async savepoint (name: string, limits: Limits): Promise<void> {
    await this.#control(`SAVEPOINT ${name}`, limits)
  }

  async releaseSavepoint (name: string): Promise<void> {
    await this.#control(`RELEASE SAVEPOINT ${name}`, unlimited)
  }

  async rollbackToSavepoint (name: string): Promise<void> {
    await this.#control(`ROLLBACK TO SAVEPOINT ${name}`, unlimited)
    await this.#control(`RELEASE SAVEPOINT ${name}`, unlimited)
  }

  /** In a savepoint that is undone, so that constraints are as deferred afterwards as before. */
  async checkDeferred (limits: Limits): Promise<void> {
    await this.#control('SAVEPOINT tandem_check; SET CONSTRAINTS ALL IMMEDIATE', limits)
    await this.rollbackToSavepoint('tandem_check')
  }

  /** The end of a savepoint takes it back by itself, and nothing else can. */
  async setReadonly (isReadonly: boolean): Promise<void> {
    if (isReadonly) await this.#control('SET TRANSACTION READ ONLY', unlimited)
  }

  /** Sends SQL of the simple protocol, behind BEGIN as long as that is due. */
  async #control (sql: string, limits: Limits): Promise<void> {
    const begin = this.#begin
    this.#begin = undefined
    if (begin !== undefined) this.#inTransaction = true
    await this.#send(sql, limits, () => this.#client.query(begin === undefined ? sql : `${begin}; ${sql}`))
  }
}

const unlimited: Limits = { deadline: Infinity, signal: undefined, held: [] }

function changesOf ({ command, rowCount }: pg.QueryResult): RunResult {
  return { changes: WRITES.has(command) ? rowCount ?? 0 : 0, lastInsertRowid: null }
}
