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
import { databaseError, TxOutcomeUnknown, TxRolledBack } from '../../errors.ts'
import type { GateLease } from '../gate.ts'
import { checkLimits, watchLimits } from '../scope.ts'
import { bindValues } from '../sql.ts'
import type { BeginOptions, Connection, Limits, Method, Params, Query, Row, RunResult, Script } from '../types.ts'
import { cancelBackend } from './cancel.ts'
import { sqlState, toOurError } from './errors.ts'
import { toPostgres, types } from './values.ts'

/** Rows that a cursor fetches at once. */
const FETCH = 100
/** How long a server may take to end a cancelled statement before its connection is cut, and to answer COMMIT after the deadline. */
const GRACE_MS = 5000
const WRITES = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

export class PostgresConnection implements Connection {
  readonly lease: GateLease
  readonly #client: pg.PoolClient
  readonly #onRelease: () => void
  #inTransaction = false
  #isBroken = false
  /** A cancel is on its way, or may still be. */
  #isTainted = false
  #cancelRunning: (() => void) | undefined

  constructor (client: pg.PoolClient, lease: GateLease, onRelease: () => void) {
    this.#client = client
    this.lease = lease
    this.#onRelease = onRelease
    client.on('error', this.#onError)
  }

  get inTransaction (): boolean {
    return this.#inTransaction && !this.#isBroken
  }

  release (): void {
    this.#client.removeListener('error', this.#onError)
    if (this.#isBroken) this.#client.on('error', () => {})
    this.#client.release(this.#isBroken || this.#isTainted || this.#inTransaction)
    this.#onRelease()
  }

  readonly #onError = (): void => {
    this.#isBroken = true
  }

  // --- statements ------------------------------------------------------------------------------------------------------------

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    const values = bindValues(query, params, toPostgres)
    // 'extended', or pg would send a statement without values in the simple protocol, which takes several statements at once
    const config: pg.QueryConfig & { queryMode: 'extended' } = { text: query.text, values, types, queryMode: 'extended' }
    const result = await this.#send<pg.QueryResult<Row>>(query.sql, limits, () => this.#client.query(config))
    if (method === 'get') return result.rows[0]
    return method === 'all' ? result.rows : changesOf(result)
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    const values = bindValues(query, params, toPostgres)
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
    await this.#send(sql, limits, () => this.#client.query(sql))
  }

  cancel (): void {
    this.#cancelRunning?.()
  }

  /** Sends one statement and waits for its end; when the limits pass, cancels it and throws their error instead of the server's. */
  async #send<T> (sql: string, limits: Limits, send: () => Promise<T>): Promise<T> {
    checkLimits(limits, sql)
    this.lease.doing = sql
    let reason: Error | undefined
    let cancelled: Promise<void> | undefined
    const stop = (error: Error): void => {
      reason ??= error
      cancelled ??= this.#cancel()
    }
    const unwatch = watchLimits(limits, sql, stop)
    this.#cancelRunning = () => { stop(databaseError('aborted', sql)) }
    try {
      return await send()
    } catch (error) {
      if (sqlState(error) === '') this.#isBroken = true
      throw reason ?? toOurError(error, sql)
    } finally {
      unwatch()
      this.#cancelRunning = undefined
      await cancelled
    }
  }

  async #cancel (): Promise<void> {
    this.#isTainted = true
    const cut = setTimeout(() => { this.cut() }, GRACE_MS)
    await cancelBackend(this.#client)
    clearTimeout(cut)
  }

  /** Ends the connection without asking; whoever waits for it gets an error. */
  cut (): void {
    this.#isBroken = true
    const { connection } = this.#client as unknown as { connection: { stream: { destroy: () => void } } }
    connection.stream.destroy()
  }

  async #closeCursor (cursor: Cursor): Promise<void> {
    try {
      await cursor.close()
    } catch {
      this.#isBroken = true
    }
  }

  // --- transactions ------------------------------------------------------------------------------------------------------------

  async begin ({ mode, isolation }: BeginOptions, limits: Limits): Promise<void> {
    const level = isolation === undefined ? '' : ` ISOLATION LEVEL ${isolation.toUpperCase()}`
    await this.#control(`BEGIN${level} ${mode === 'read' ? 'READ ONLY' : 'READ WRITE'}`, limits)
    this.#inTransaction = true
  }

  /** The deadline does not cancel COMMIT, which would leave its outcome open; a server that is silent for too long is given up. */
  async commit (limits: Limits): Promise<void> {
    const patience = { deadline: Math.max(limits.deadline, performance.now() + GRACE_MS), signal: undefined }
    const unwatch = watchLimits(patience, 'COMMIT', () => { this.cut() })
    try {
      const { command } = await this.#client.query('COMMIT')
      this.#inTransaction = false
      if (command === 'ROLLBACK') throw new TxRolledBack()
    } catch (error) {
      if (error instanceof TxRolledBack) throw error
      if (sqlState(error) === '' || this.#isBroken) throw this.#lost(error)
      this.#inTransaction = false // a COMMIT that fails has rolled back
      throw toOurError(error, 'COMMIT')
    } finally {
      unwatch()
    }
  }

  #lost (cause: unknown): Error {
    this.#isBroken = true
    return new TxOutcomeUnknown({ cause })
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

  async #control (sql: string, limits: Limits): Promise<void> {
    await this.#send(sql, limits, () => this.#client.query(sql))
  }
}

const unlimited: Limits = { deadline: Infinity, signal: undefined, held: [] }

function changesOf ({ command, rowCount }: pg.QueryResult): RunResult {
  return { changes: WRITES.has(command) ? rowCount ?? 0 : 0, lastInsertRowid: null }
}
