/**
 * The transaction state machine, the same for both engines.
 *
 * States: open → closing → closed. `closing` is entered synchronously, before COMMIT or ROLLBACK is queued.
 *
 *  1. A statement is accepted only while `open` and not doomed; later ones fail with TDM_ERR_TX_CLOSED or TDM_ERR_TX_DOOMED and are never sent.
 *  2. Each transaction has one FIFO: the order of calls is the order of execution. What was accepted before `closing` runs before COMMIT; before
 *     ROLLBACK it is refused, except what is running, which is stopped and awaited. Where the connection is pipelined a statement is handed over before the one before it is
 *     answered, and COMMIT behind statements whose rows nobody counts; the database refuses what comes behind a failure. Anything else waits for all answers.
 *  3. BEGIN is lazy: the first statement takes the connection. A transaction without statements sends nothing.
 *  4. The first failure of a statement dooms the transaction, whether or not the app catches it. COMMIT of a doomed one becomes ROLLBACK and fails with
 *     TDM_ERR_TX_DOOMED, the first failure as its cause.
 *  5. A nested transaction is a savepoint, taken lazily. It occupies one turn of its parent's FIFO, so siblings follow each other, and the parent cannot be
 *     used from inside of it (TDM_ERR_TX_PARENT_IN_USE instead of a wait for itself). Savepoint names are unique; RELEASE follows both outcomes.
 *     Its failure is undone and stays inside, unless the database ended the whole transaction: then every level is doomed.
 *  6. Only the outermost COMMITs. An answer that says ROLLBACK, or none at all, is an error (the engines see to it).
 *  7. Callbacks run when the outermost has ended and its connection is released: afterCommit of all levels that were kept, afterRollback of all that were not.
 */
import type { FastifyError } from '@fastify/error'
import { abbreviate, isOurs, TxClosed, TxCursorOpen, TxDoomed, TxOutcomeUnknown, TxParentInUse, TxRolledBack } from '../errors.ts'
import { checkChannel, checkPayload } from './channels.ts'
import { RowCursor } from './cursor.ts'
import { checkLimits, currentScope, findTransaction, limitsOf, runInTransaction, watchLimits, type ScopedTransaction } from './scope.ts'
import { PreparedStatement, type Runner } from './statement.ts'
import type { BeginOptions, Connection, Engine, Lease, Limits, Log, Method, Params, Query, Row, Statement, Transaction, TxOptions, TxOutcome, TxState } from './types.ts'

/** What a transaction needs of the database it belongs to. */
export interface TransactionHost {
  /** For what begins from now on. */
  engine: Engine
  readonly log: Log
  /** `db.tx`, for a transaction opened on a transaction. */
  transact: <T>(fn: (tx: Transaction) => T | Promise<T>, options: TxOptions | undefined, inside: Tx | undefined) => Promise<T>
}

export interface TxSettings extends BeginOptions {
  readonly statementTimeoutMs: number
  readonly timeoutMs: number
  /** On the clock of `performance.now()`; what the outermost transaction may take. */
  readonly deadline: number
}

const noop = (): void => {}

/** Awaited and not chained, so that the stack of an error leads to who awaits the statement. */
async function after<T> (turn: Promise<void>, run: () => Promise<T>): Promise<T> {
  await turn
  return await run()
}

export class Tx implements Transaction, ScopedTransaction, Runner {
  readonly mode: 'write' | 'read'
  readonly settings: TxSettings
  readonly parent: Tx | undefined
  readonly #root: Tx
  readonly #host: TransactionHost
  readonly #held: readonly Lease[]

  state: TxState = 'open'
  /** Accepted by this transaction, or by one nested in it. */
  statements = 0
  #ending: 'commit' | 'rollback' | undefined
  /** The first failure, wrapped since an app may throw `undefined`. */
  #failure: { readonly error: unknown } | undefined
  #tail: Promise<void> = Promise.resolve()
  /** Accepted, and not done. */
  #queued = 0
  /** Settled when all that was handed over is answered. */
  #answered: Promise<unknown> = Promise.resolve()
  /** Handed over and not answered, with rows that may yet be too many. */
  #unanswered = 0
  /** Functions that have joined it and are not done. */
  #joined = 0
  #cursor: RowCursor | undefined
  #afterCommit: Array<() => unknown> = []
  #afterRollback: Array<() => unknown> = []
  /** All that were begun inside; not removed when they end, since to look at their end would be to handle it. */
  readonly #inner: Array<Promise<unknown>> = []
  /** The nested transaction that has its turn now. */
  #active: Tx | undefined
  /** Ends the wait for the function of this transaction, and for those that have joined it. */
  readonly #waiting = new Set<(error: unknown) => void>()

  // of the outermost only
  #unguard: (() => void) | undefined
  /** Rolls it back, if it is ended by hand. */
  #onExpired: ((error: Error) => void) | undefined
  #connection: Connection | undefined
  #savepoints = 0
  /** What fails from then on, in code that nobody awaited, changes nothing. */
  #isCommitted = false
  // of a nested one only
  #savepoint: string | undefined

  constructor (host: TransactionHost, settings: TxSettings, held: readonly Lease[], parent?: Tx) {
    this.#host = host
    this.settings = settings
    this.mode = settings.mode
    this.#held = held
    this.parent = parent
    this.#root = parent === undefined ? this : parent.#root
  }

  get lease (): Lease | undefined {
    return this.#root.#connection?.lease
  }

  // --- what the app calls ------------------------------------------------------------------------------------------------

  prepare<R = Row> (sql: string): Statement<R> {
    return new PreparedStatement<R>(this, this.#host.engine.parser.parseQuery(sql))
  }

  async exec (sql: string, input?: Uint8Array): Promise<void> {
    const script = { ...this.#host.engine.parser.parseScript(sql), input }
    await this.#submit(sql, (connection, limits) => connection.exec(script, limits))
  }

  tx<T> (fn: (tx: Transaction) => T | Promise<T>, options?: TxOptions): Promise<T> {
    return this.expect(this.#host.transact(fn, options, this))
  }

  /** A transaction inside of this one. If this is rolled back, that tells of it; an inner one that nobody awaits need not, and must not end the process. */
  expect<T> (inner: Promise<T>): Promise<T> {
    this.#inner.push(inner)
    return inner
  }

  /** A statement like any other: in order, and its failure dooms the transaction. */
  notify (channel: string, payload = ''): Promise<void> {
    return this.#submit('NOTIFY', async (connection, limits) => {
      checkChannel(channel)
      checkPayload(payload)
      await connection.notify(channel, payload, limits)
    })
  }

  afterCommit (fn: () => unknown): void {
    this.#refuseClosed('tx.afterCommit()')
    this.#afterCommit.push(fn)
  }

  afterRollback (fn: (error: unknown) => unknown): void {
    this.#refuseClosed('tx.afterRollback()')
    this.#afterRollback.push(() => fn(this.#failure?.error))
  }

  // --- statements --------------------------------------------------------------------------------------------------------

  execute (method: Method, query: Query, params: Params): Promise<unknown> {
    return this.#submit(query.sql, (connection, limits) => this.#count(method, connection.execute(method, query, params, limits)))
  }

  /** Of what can fail when the database has done its part, as an `all` can. */
  #count (method: Method, result: Promise<unknown>): Promise<unknown> {
    if (method !== 'all') return result
    this.#unanswered++
    return result.finally(() => { this.#unanswered-- })
  }

  last<R> (statement: Statement<R>): Statement<R> {
    const runner: Runner = {
      execute: (method, query, params) => this.#executeLast(method, query, params),
      iterate: (query, params) => this.iterate(query, params)
    }
    return new PreparedStatement<R>(runner, this.#host.engine.parser.parseQuery(statement.sql))
  }

  /** What is decided by somebody further out is not committed here. */
  #executeLast (method: Method, query: Query, params: Params): Promise<unknown> {
    if (this.parent !== undefined || this.#joined > 0 || this.#unguard !== undefined) return this.execute(method, query, params)
    // counted whatever the method: what COMMIT says is not known before it is answered
    const result = this.#submit(query.sql, (connection, limits) => this.#count('all', this.#runLast(connection, method, query, params, limits)))
    if (this.state === 'open') this.#stopAccepting('commit')
    return result
  }

  async #runLast (connection: Connection, method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    if (this.#unanswered > 0) await this.#answered
    if (this.#failure !== undefined) throw new TxDoomed({ cause: this.#failure.error })
    let answer: unknown
    if (connection.isPipelined === true && connection.executeLast !== undefined && method !== 'all') answer = await connection.executeLast(method, query, params, { ...limits, deadline: this.settings.deadline })
    else {
      answer = await connection.execute(method, query, params, limits)
      await connection.commit(this.#commitLimits)
    }
    this.#isCommitted = true
    return answer
  }

  iterate (query: Query, params: Params): AsyncIterableIterator<Row> {
    const cursor: RowCursor = new RowCursor(query.sql, this.#batches(query, params, () => { this.#cursor = cursor }))
    return cursor
  }

  /**
   * Accepts a statement and runs it when its turn comes. Nobody has to await it: its failure, or the end that came before it, is reported by the transaction too.
   * Only what comes after COMMIT was decided is reported by nothing else, so that rejection stays loud if it is not awaited.
   */
  #submit<T> (sql: string, task: (connection: Connection, limits: Limits) => Promise<T>): Promise<T> {
    const refusal = this.#refusal(sql)
    if (refusal !== undefined) return this.#refuse(refusal)
    this.#root.statements++
    const limits = this.#limits(this.settings.statementTimeoutMs)
    const { turn, finish } = this.#takeTurn()
    const run = async (): Promise<T> => {
      try {
        return await this.#run(sql, limits, task, finish)
      } catch (error) {
        result.catch(noop) // not before: an error finds its way to the caller's stack while each promise on it is awaited once
        throw error
      } finally {
        finish()
      }
    }
    const result: Promise<T> = turn === undefined ? run() : after(turn, run)
    return result
  }

  #refuse (refusal: Error): Promise<never> {
    const refused = Promise.reject(refusal)
    if (this.#ending !== 'commit') refused.catch(noop)
    return refused
  }

  /** Puts `task` behind everything that was accepted before. */
  #enqueue<T> (task: () => Promise<T>): Promise<T> {
    const { turn = Promise.resolve(), finish } = this.#takeTurn()
    const result = turn.then(() => this.#answered).then(task)
    result.then(finish, finish)
    return result
  }

  /** The last place in the queue. `turn`: what is before it; undefined for nothing. */
  #takeTurn (): { readonly turn: Promise<void> | undefined, readonly finish: () => void } {
    const turn = this.#queued++ === 0 ? undefined : this.#tail
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#tail = promise
    let isFinished = false
    return { turn, finish: () => { if (!isFinished) this.#queued--; isFinished = true; resolve() } }
  }

  /** `onHandedOver`: the next one may follow. */
  async #run<T> (sql: string, limits: Limits, task: (connection: Connection, limits: Limits) => Promise<T>, onHandedOver?: () => void): Promise<T> {
    if (this.#isRollingBack()) throw new TxClosed('rolled back', abbreviate(sql))
    if (this.#failure !== undefined) throw new TxDoomed({ cause: this.#failure.error })
    let onAnswered: (() => void) | undefined
    try {
      const connection = await this.#open(sql, limits)
      if (this.#isRollingBack()) throw new TxClosed('rolled back', abbreviate(sql)) // it came while the connection was waited for
      const result = task(connection, limits)
      if (connection.isPipelined !== true || onHandedOver === undefined) return await result
      onAnswered = this.#handOver()
      onHandedOver()
      return await result
    } catch (error) {
      if (this.#failure !== undefined && error instanceof TxDoomed) throw this.#because(error) // refused, because one before it had failed
      this.fail(error)
      throw error
    } finally {
      onAnswered?.()
    }
  }

  /** Answers what is to be called when there is an answer. */
  #handOver (): () => void {
    const before = this.#answered
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#answered = promise.then(() => before)
    return resolve
  }

  #isRollingBack (): boolean {
    return this.#ending === 'rollback'
  }

  /** The rows of a cursor. The cursor has the transaction's turn until it is done, so everybody else is refused meanwhile. */
  async * #batches (query: Query, params: Params, onStart: () => void): AsyncGenerator<Row[], undefined> {
    const refusal = this.#refusal(query.sql)
    if (refusal !== undefined) throw refusal
    this.#root.statements++
    onStart()
    const limits = this.#limits(Infinity)
    const { promise: done, resolve: finish } = Promise.withResolvers<void>()
    const turn = new Promise<void>(resolve => { this.#enqueue(async () => { resolve(); await done }).catch(noop) })
    try {
      await turn
      yield * await this.#run(query.sql, limits, async connection => connection.batches(query, params, limits))
    } catch (error) {
      this.fail(error)
      throw error
    } finally {
      this.#cursor = undefined
      finish()
    }
  }

  #limits (timeoutMs: number): Limits {
    const { deadline, signal, request } = limitsOf(currentScope(), this.#host, timeoutMs)
    return { deadline: Math.min(deadline, this.settings.deadline), signal, held: this.#held, request }
  }

  /** Why a statement cannot be accepted now, if so. */
  #refusal (sql: string): Error | undefined {
    if (this.state !== 'open') return this.#because(new TxClosed(this.#ended(), abbreviate(sql)))
    if (this.#failure !== undefined) return this.#because(new TxDoomed())
    if (this.#cursor !== undefined) return new TxCursorOpen(abbreviate(sql))
    const current = findTransaction(currentScope(), this.#host)
    if (current !== this && current instanceof Tx && current.state === 'open' && current.#isInside(this)) return new TxParentInUse(abbreviate(sql))
    return undefined
  }

  /** The first failure as the cause; if that may pass, a request that meets it is a 503 too, and not a 500. */
  #because<E extends FastifyError> (error: E): E {
    if (this.#failure === undefined) return error
    const { error: cause } = this.#failure
    if (isOurs(cause) && cause.statusCode === 503) error.statusCode = 503
    return Object.assign(error, { cause })
  }

  #refuseClosed (call: string): void {
    if (this.state !== 'open') throw new TxClosed(this.#ended(), call)
  }

  #ended (): string {
    return this.#ending === 'commit' ? 'committed' : 'rolled back'
  }

  #isInside (outer: Tx): boolean {
    for (let tx = this.parent; tx !== undefined; tx = tx.parent) if (tx === outer) return true
    return false
  }

  // --- BEGIN and SAVEPOINT -------------------------------------------------------------------------------------------------

  async #open (sql: string, limits: Limits): Promise<Connection> {
    if (this.parent === undefined) return this.#connection ??= await this.#host.engine.begin({ ...this.settings, expire: error => { this.expire(error) } }, limits, sql)
    const connection = await this.parent.#open(sql, limits)
    if (this.#savepoint === undefined) {
      const name = `tandem_${++this.#root.#savepoints}`
      await connection.savepoint(name, limits)
      this.#savepoint = name
    }
    return connection
  }

  // --- failure ---------------------------------------------------------------------------------------------------------------

  /** Dooms this level; all levels if the database has ended the transaction by itself. */
  fail (error: unknown): void {
    this.#failure ??= { error }
    if (this.#root.#connection?.inTransaction === false) this.parent?.fail(error)
  }

  /** Ends it from outside: it is rolled back by whoever has begun it. */
  expire (error: Error): void {
    if (this.state !== 'open') return
    this.#onExpired?.(error)
    this.giveUp(error)
  }

  /** Stops waiting for the functions of this transaction, which then end with `error`. */
  giveUp (error: unknown): void {
    for (const reject of this.#waiting) reject(error)
  }

  /** Runs `fn` as a part of this transaction: its failure dooms the whole. Rejects at once when the transaction is rolled back. */
  async join<T> (fn: (tx: Transaction) => T | Promise<T>): Promise<T> {
    const { promise: givenUp, reject } = Promise.withResolvers<never>()
    this.#waiting.add(reject)
    this.#joined++
    try {
      return await Promise.race([runInTransaction(this.#host, this, async () => await fn(this)), givenUp])
    } catch (error) {
      this.fail(error)
      throw error
    } finally {
      this.#joined--
      this.#waiting.delete(reject)
    }
  }

  // --- the end -----------------------------------------------------------------------------------------------------------------

  /** Runs `fn` in this transaction and ends it: resolves after COMMIT (or RELEASE), rejects after everything is undone. */
  async around<T> (fn: (tx: Transaction) => T | Promise<T>): Promise<T> {
    return this.parent === undefined ? await this.#outermost(fn) : await this.parent.#child(this, fn)
  }

  async #outermost<T> (fn: (tx: Transaction) => T | Promise<T>): Promise<T> {
    const value = await this.#untilExpired(fn).catch(async (error: unknown) => {
      await this.rollback(error)
      throw error
    })
    await this.commit()
    return value
  }

  /** COMMIT, and what follows it. Rejects after everything is undone (or, with `TDM_ERR_TX_OUTCOME_UNKNOWN`, maybe not). */
  async commit (): Promise<void> {
    try {
      await this.#commit()
    } catch (error) {
      await this.rollback(error)
      throw error
    }
    await this.#runCallbacks()
  }

  /** ROLLBACK because of `error`, and what follows it. Never rejects. */
  async rollback (error: unknown): Promise<void> {
    await this.#rollback(error)
    await this.#runCallbacks()
  }

  /** Ends it before its first statement: what comes is refused. */
  seal (): void {
    this.#stopAccepting('commit')
    this.#release()
  }

  /** Calls `onExpired`, in the context of who calls this, if it is ended from outside or its time passes while it is open. For a transaction that is ended by hand. */
  guard (onExpired: (error: Error) => void): void {
    const { promise, resolve } = Promise.withResolvers<Error>()
    void promise.then(onExpired) // in this context, as with AsyncLocalStorage.bind; but that makes what it holds live until the next full collection
    this.#onExpired = resolve
    this.#unguard = watchLimits({ deadline: this.settings.deadline, signal: undefined }, 'the transaction of the request', error => { this.expire(error) })
  }

  /** How it ended; undefined as long as it has not. */
  get outcome (): TxOutcome | undefined {
    if (this.state !== 'closed') return undefined
    if (this.statements === 0) return 'none'
    if (this.#isCommitted) return 'committed'
    return this.#failure?.error instanceof TxOutcomeUnknown ? 'unknown' : 'rolledback'
  }

  /** What `fn` answers, or the error of the deadline or signal if that comes first; `fn` cannot be stopped, but it can do nothing more. */
  async #untilExpired<T> (fn: (tx: Transaction) => T | Promise<T>): Promise<T> {
    const limits = this.#limits(Infinity)
    checkLimits(limits, 'db.tx()')
    const { promise: expired, reject: expire } = Promise.withResolvers<never>()
    this.#waiting.add(expire)
    const unwatch = watchLimits(limits, 'db.tx()', expire)
    try {
      return await Promise.race([this.#call(fn), expired])
    } finally {
      unwatch()
      this.#waiting.delete(expire)
    }
  }

  async #call<T> (fn: (tx: Transaction) => T | Promise<T>): Promise<T> {
    try {
      const value = await runInTransaction(this.#host, this, () => fn(this))
      if (this.state === 'open') this.#stopAccepting('commit')
      return value
    } catch (error) {
      if (this.state === 'open') this.#stopAccepting('rollback')
      throw error
    }
  }

  #stopAccepting (ending: 'commit' | 'rollback'): void {
    this.state = 'closing'
    this.#ending = ending
  }

  async #commit (): Promise<void> {
    await this.#close('commit')
    if (this.#unanswered > 0 || this.#isCommitted) await this.#answered
    if (this.#failure !== undefined) throw this.#because(new TxDoomed())
    if (!this.#isCommitted) {
      this.#checkDeadline()
      await this.#sendCommit()
    }
    this.#isCommitted = true
    this.#release()
  }

  /** Behind statements that are not answered yet; if one of them fails, that is why it was not committed. */
  async #sendCommit (): Promise<void> {
    const [outcome] = await Promise.allSettled([this.#connection?.commit(this.#commitLimits)])
    await this.#answered
    if (outcome.status === 'fulfilled') return
    if (this.#failure !== undefined && outcome.reason instanceof TxRolledBack) throw this.#because(new TxDoomed())
    throw outcome.reason
  }

  /** A timer comes late if something has kept the event loop. */
  #checkDeadline (): void {
    if (this.#root.statements > 0) checkLimits(this.#commitLimits, 'the end of the transaction')
  }

  get #commitLimits (): Limits {
    return { deadline: this.settings.deadline, signal: undefined, held: [] }
  }

  async #rollback (error: unknown): Promise<void> {
    if (this.#isCommitted) return this.#release() // by its last statement
    this.#failure ??= { error }
    this.#connection?.cancel()
    await this.#close('rollback')
    await this.#connection?.rollback()
    this.#release()
  }

  /** Accepts nothing from now on and waits for what was accepted; a nested transaction that is under way is waited for, or given up. */
  async #close (ending: 'commit' | 'rollback'): Promise<void> {
    this.#stopAccepting(ending)
    if (ending === 'rollback') {
      for (const inner of this.#inner) inner.catch(noop)
      this.#active?.giveUp(new TxClosed(this.#ended(), 'tx.tx()'))
      this.giveUp(this.#failure?.error)
    }
    await this.#cursor?.end(new TxClosed(this.#ended(), abbreviate(this.#cursor.sql)))
    await this.#tail
    if (ending === 'rollback' || this.parent !== undefined) await this.#answered
  }

  #release (): void {
    this.state = 'closed'
    this.#unguard?.()
    this.#connection?.release()
    this.#connection = undefined
  }

  async #runCallbacks (): Promise<void> {
    if (this.#failure?.error instanceof TxOutcomeUnknown) return
    const callbacks = this.#isCommitted ? [...this.#afterCommit, ...this.#afterRollbackOfChildren] : [...this.#afterRollbackOfChildren, ...this.#afterRollback]
    for (const callback of callbacks) {
      try {
        await callback()
      } catch (error) {
        this.#host.log.error({ err: error }, 'a callback after a transaction failed; the transaction stands as it ended')
      }
    }
  }

  // --- nested -------------------------------------------------------------------------------------------------------------------

  /** afterRollback of nested transactions that were undone, kept by the outermost until it ends. */
  readonly #afterRollbackOfChildren: Array<() => unknown> = []

  #child<T> (child: Tx, fn: (tx: Transaction) => T | Promise<T>): Promise<T> {
    const refusal = this.#refusal('tx.tx()')
    if (refusal !== undefined) return Promise.reject(refusal)
    const result = this.#enqueue(() => this.#nested(child, fn))
    result.catch(noop)
    return result
  }

  async #nested<T> (child: Tx, fn: (tx: Transaction) => T | Promise<T>): Promise<T> {
    if (this.#isRollingBack()) throw new TxClosed('rolled back', 'tx.tx()')
    if (this.#failure !== undefined) throw new TxDoomed({ cause: this.#failure.error })
    this.#active = child
    try {
      const value = await child.#untilExpired(fn)
      await child.#keep()
      this.#afterCommit.push(...child.#afterCommit)
      this.#afterRollback.push(...child.#afterRollback)
      return value
    } catch (error) {
      await child.#undo(error)
      throw error
    } finally {
      this.#active = undefined
    }
  }

  async #keep (): Promise<void> {
    await this.#close('commit')
    if (this.#failure !== undefined) throw this.#because(new TxDoomed())
    this.#checkDeadline()
    if (this.#savepoint !== undefined) await this.#root.#connection?.releaseSavepoint(this.#savepoint)
    this.state = 'closed'
  }

  async #undo (error: unknown): Promise<void> {
    this.#failure ??= { error }
    this.#root.#connection?.cancel()
    await this.#close('rollback')
    this.state = 'closed'
    this.#root.#afterRollbackOfChildren.push(...this.#afterRollback)
    await this.#undoSavepoint()
  }

  /** A savepoint that cannot be undone dooms the parent. */
  async #undoSavepoint (): Promise<void> {
    const connection = this.#root.#connection
    if (connection === undefined || this.#savepoint === undefined) return
    try {
      if (connection.inTransaction) await connection.rollbackToSavepoint(this.#savepoint)
    } catch (error) {
      this.parent?.fail(error)
    }
    if (!connection.inTransaction) this.parent?.fail(this.#failure?.error)
  }
}
