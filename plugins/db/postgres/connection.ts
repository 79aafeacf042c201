/**
 * A session with PostgreSQL that belongs to one holder: a transaction, or one statement on its own.
 *
 * Kept true:
 *  1. What is asked for is sent at once, in order, behind what was asked for before; after a failure the server refuses the rest of the transaction.
 *  2. The statement that runs when its limits pass is cancelled on the server, and the session is not used for anybody else afterwards: a cancel that comes late would hit a
 *     stranger's statement. Once COMMIT is sent nothing is cancelled.
 *  3. A session whose state is not known to be clean is closed, never given back.
 *  4. If there is a replica, the position in the server's log is asked for behind what may have written (see written.ts), in an exchange of its own that travels with it. Nobody waits
 *     for the answer but the session, which is given back behind it.
 *  5. A transaction's id is asked for behind its first writes, in the same packet, so that its fate can be asked for if COMMIT is not answered. What is not known to have
 *     happened is never reported as failed: TDM_ERR_TX_OUTCOME_UNKNOWN.
 */
import { databaseError, DbBind, errorKind, TxDoomed, TxLost, TxOutcomeUnknown, TxPropagation, TxRolledBack } from '../../errors.ts'
import type { GateLease } from '../gate.ts'
import { Listed } from '../list.ts'
import type { ResultLimits } from '../result.ts'
import { checkLimits, LimitWatch, Watched } from '../scope.ts'
import { bindValues } from '../sql.ts'
import type { BeginOptions, Connection, Limits, Method, Params, Query, Row, RunningStatement, Script } from '../types.ts'
import { Call, control, FetchCall, OpenCall, Repeatable } from './call.ts'
import type { Capabilities } from './capabilities.ts'
import { cancelBackend } from './cancel.ts'
import { isStale, isUnknown, sqlState, toOurError } from './errors.ts'
import { NOTIFY } from './listening.ts'
import { MOST_VALUES } from './messages.ts'
import { Exchange, type Session } from './session.ts'
import { readTraits, traitsOf, type Traits } from './traits.ts'
import { toPostgres } from './values.ts'
import { ASK_POSITION, readPosition, type Asked, type Written } from './written.ts'

/** Rows that a cursor fetches at once. */
const FETCH = 100
const PORTAL = 'tandem'
/** What a server says of a transaction whose COMMIT it did not answer; undefined: nothing, in time. */
export type CommitOutcome = 'committed' | 'aborted' | undefined

/** What a connection needs of the engine it belongs to. */
export interface Home {
  readonly can: Capabilities
  readonly result: ResultLimits
  /** Undefined: nobody has to know. */
  readonly written: Written | undefined
  /** Finds out what became of a transaction whose COMMIT was not answered. */
  resolve: (id: string, session: Session, limits: Limits) => Promise<CommitOutcome>
  /** True if the statement was seen to be a read by the server. */
  isKnownRead: (sql: string) => boolean
  /** A statement of a transaction has ended, or failed. */
  noteRun: (sql: string, ms: number, request: object | undefined) => void
  noteFailure: (sql: string, error: unknown, request: object | undefined) => void
  /** It has written nothing: its transaction had no id afterwards. */
  noteRead: (sql: string) => void
  /** SQL that sets the server's own limits for one transaction, to be sent behind BEGIN; undefined if those of the session fit. */
  limitsOf: (options: BeginOptions) => string | undefined
}

/** How long a server may take to take a cancel and to answer the statement, before the connection is cut. */
const CANCEL_MS = 1000
/** How long it may take to answer COMMIT after the deadline, and ROLLBACK. */
const GRACE_MS = 5000
/** COMMIT waits for the disk, and for standbys if they are synchronous; beyond this nobody waits for the answer any more. */
const LONGEST_COMMIT_MS = 60_000

type Send = () => Promise<Exchange>

/** A statement that was sent and is not answered. */
class Running extends Watched {
  readonly since = performance.now()
  readonly request: object | undefined
  /** Why it is stopped, if it is. */
  reason: Error | undefined

  constructor (sql: string, limits: Limits, stop: (running: Running, error: Error) => void) {
    super(sql, limits, error => { stop(this, error) })
    this.request = limits.request
  }
}

export class PostgresConnection extends Listed implements Connection {
  readonly isPipelined: boolean
  readonly lease: GateLease
  readonly session: Session
  /** It did not answer, and was cut. */
  isSilent = false
  readonly #home: Home
  /** For whom it works. */
  readonly #request: object | undefined
  readonly #onRelease: () => void
  readonly #running = new LimitWatch<Running>()
  /** BEGIN and what goes with it, as long as it has not been sent: it travels with the first statement. */
  #begin: readonly string[] = []
  #isWriting = false
  #isReading = false
  /** Known once something was written by a statement; what a script or a cursor has written is asked for before COMMIT. */
  #transactionId: string | undefined
  #hasUnknownWrites = false
  /** Statements that may write, as far as they were sent without the transaction's id. */
  #writes = 0
  /** Those of them of which is known what they have written: nothing, or it has the id. */
  #knownWrites = 0
  /** Asks for the id at its end, if it is not on its way already. */
  #asking: Exchange | undefined
  /** What it has sent goes out with COMMIT, and has no id. */
  #hasNotified = false
  #isCommitting = false
  /** Of the transaction, as of the last answer. */
  #status = 'I'
  /** A cancel is on its way, or may still be; or the session is not as it was (SET, LISTEN, an advisory lock). */
  #isTainted = false
  #cancelled: Promise<void> | undefined
  /** Runs from the cancel to the last answer. */
  #cutTimer: NodeJS.Timeout | undefined
  /** The position behind what it has written last. */
  #asked: Asked | undefined

  constructor (session: Session, lease: GateLease, home: Home, request: object | undefined, onRelease: () => void) {
    super()
    this.isPipelined = home.can.pipelines
    this.session = session
    this.lease = lease
    this.#home = home
    this.#request = request
    this.#onRelease = onRelease
  }

  get inTransaction (): boolean {
    return this.session.isOpen && this.#status !== 'I'
  }

  get isClean (): boolean {
    return this.session.isOpen && !this.#isTainted && this.#status === 'I' && this.session.pending === 0
  }

  release (): void {
    this.#running.stop()
    if (this.#asked === undefined || this.session.pending === 0) return this.#onRelease()
    const cut = setTimeout(() => { this.cut() }, GRACE_MS)
    void this.#asked.then(() => {
      clearTimeout(cut)
      this.#onRelease()
    })
  }

  // --- statements ------------------------------------------------------------------------------------------------------------

  /** What was sent and is not answered. */
  listRunning (): RunningStatement[] {
    return this.#running.list().filter(({ sql }) => sql !== 'COMMIT').map(running => ({ key: running, sql: running.sql, place: 'connection', since: running.since, deadline: running.deadline, request: running.request, stop: running.expire }))
  }

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    return await this.#counted(query.sql, limits, () => this.#execute(method, query, params, limits))
  }

  /** Of a transaction; what runs on its own is counted by the engine. */
  async #counted<T> (sql: string, { request }: Limits, task: () => Promise<T>): Promise<T> {
    const since = performance.now()
    try {
      const value = await task()
      this.#home.noteRun(sql, performance.now() - since, request)
      return value
    } catch (error) {
      this.#home.noteFailure(sql, error, request)
      throw error
    }
  }

  async #execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    const call = this.#callOf(method, query, params)
    const mayWrite = this.#isWriting && this.#transactionId === undefined && !this.#home.isKnownRead(query.sql)
    await this.#run(query.sql, traitsOf(query), limits, call, () => {
      const calls = [...this.#takeBegin(), call]
      return mayWrite ? this.#sendWrite(calls, query) : this.session.run(...calls)
    })
    return call.answer
  }

  /** The id is asked for behind it; if another one that may write goes out with it, only behind that. */
  #sendWrite (calls: readonly Call[], query: Query): Promise<Exchange> {
    const writes = ++this.#writes
    if (!this.#home.can.transactionIds) return this.session.run(...calls)
    const ask = new Call(ASK_ID, [], 'get')
    if (this.#asking !== undefined) this.#asking.last = undefined
    return new Promise(resolve => {
      const exchange = this.#asking = new Exchange(calls, () => {
        if (exchange.error === undefined && exchange.calls.at(-1) === ask) this.#learn(ask, writes, query)
        resolve(exchange)
      })
      exchange.last = ask
      this.session.send(exchange)
    })
  }

  #learn (ask: Call, writes: number, query: Query): void {
    this.#noteId(ask)
    this.#knownWrites = writes
    if (this.#transactionId === undefined && traitsOf(query).looksRead) this.#home.noteRead(query.sql)
  }

  /**
   * A statement on its own. A read is run read only, so that it cannot be anything else: one that writes fails, and has done nothing. Throws `Repeatable` for what is certain
   * not to have happened, `TDM_ERR_TX_OUTCOME_UNKNOWN` for what may have.
   */
  async executeAlone (method: Method, query: Query, params: Params, limits: Limits, isRead: boolean): Promise<unknown> {
    const call = this.#callOf(method, query, params)
    const calls = isRead ? [control('BEGIN READ ONLY'), call, control('COMMIT')] : [call]
    const since = performance.now()
    let exchange: Exchange | undefined
    try {
      await this.#run(query.sql, traitsOf(query), limits, call, async () => exchange = await (isRead ? this.session.run(...calls) : this.#write(() => this.session.run(...calls))))
    } catch (error) {
      if (this.#status === 'E') await this.rollback()
      throw exchange?.error === undefined ? error : this.#judge(error as Error, exchange, query, isRead, performance.now() - since)
    }
    return call.answer
  }

  #judge (error: Error, exchange: Exchange, query: Query, isRead: boolean, ranMs: number): unknown {
    const isStopped = sqlState(error.cause) === '' && errorKind(error) !== 'connection'
    if (isStopped && (isRead || !exchange.isLost)) return error
    if (isRead && sqlState(exchange.error) === READ_ONLY) return new Repeatable(error, 'writes')
    if (isStale(exchange.error)) return new Repeatable(error, 'stale')
    if (!exchange.isLost) return error
    if (!isRead && exchange.isSent && !(traitsOf(query).isPlain && isUndone(exchange))) return new TxOutcomeUnknown({ cause: error })
    return ranMs < AGAIN_WITHIN_MS ? new Repeatable(error, 'lost') : error
  }

  /** The last statement of a transaction, together with COMMIT. */
  async executeLast (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    return await this.#counted(query.sql, limits, () => this.#executeLast(method, query, params, limits))
  }

  async #executeLast (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    const call = this.#callOf(method, query, params)
    await this.#cancelled
    checkLimits(limits, query.sql)
    this.#note(traitsOf(query), query.sql)
    this.#hasUnknownWrites ||= this.#isWriting && this.#transactionId === undefined && !this.#home.isKnownRead(query.sql)
    await this.#commit(limits, () => this.#write(() => this.session.run(...this.#takeBegin(), call, control('COMMIT'))))
    return call.answer
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    const values = this.#bind(query, params)
    const traits = traitsOf(query)
    this.#hasUnknownWrites ||= this.#isWriting && !traits.looksRead
    const opened = new OpenCall(query.text, values, PORTAL, FETCH)
    try {
      let call: Call = opened
      await this.#run(query.sql, traits, limits, undefined, () => this.session.run(...this.#takeBegin(), opened))
      for (;;) {
        if (call.rows.length > 0) yield call.rows
        if (call.tag !== 'suspended') return
        const next = call = new FetchCall(opened, PORTAL, FETCH)
        await this.#run(query.sql, traits, limits, undefined, () => this.session.run(next))
      }
    } finally {
      if (this.#status === 'T') this.session.closePortal(PORTAL)
    }
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    this.#hasUnknownWrites = this.#isWriting
    await this.#control(script.sql, limits, send => send(), script.input)
  }

  /** A script on its own, which the server runs as one transaction. */
  async execAlone (script: Script, limits: Limits): Promise<void> {
    let exchange: Exchange | undefined
    try {
      await this.#control(script.sql, limits, async send => exchange = await this.#write(send), script.input)
    } catch (error) {
      throw exchange?.isLost === true && exchange.isSent ? new TxOutcomeUnknown({ cause: error }) : error
    }
  }

  async notify (channel: string, payload: string, limits: Limits): Promise<void> {
    await this.execute('run', NOTIFY, [channel, payload], limits)
  }

  cancel (): void {
    this.#running.expireAll(() => databaseError('aborted', this.lease.doing))
  }

  /** Sends what ends in a commit, and behind it asks for the position. */
  #write (send: () => Promise<Exchange>): Promise<Exchange> {
    const sent = send()
    const { written } = this.#home
    if (written !== undefined && !this.#isReading) {
      const call = new Call(ASK_POSITION, [], 'get')
      this.#asked = this.session.run(call).then(() => readPosition(call.rows[0]))
      written.note(this.#request, this.#asked)
    }
    return sent
  }

  #callOf (method: Method, query: Query, params: Params): Call {
    return new Call(query.text, this.#bind(query, params), method, this.#home.result)
  }

  #bind (query: Query, params: Params): ReadonlyArray<string | null | Uint8Array> {
    if (query.count > MOST_VALUES) throw new DbBind('list', `at most ${MOST_VALUES} values`, String(query.count))
    if (query.text.includes('\0')) throw databaseError('syntax', query.sql)
    return bindValues(query, params, toPostgres)
  }

  #takeBegin (): readonly Call[] {
    const begin = this.#begin.map(control)
    this.#begin = []
    return begin
  }

  #noteId ({ rows: [row] }: Call): void {
    if (typeof row?.id === 'string') this.#transactionId = row.id
  }

  #note ({ changesSession, notifies }: Traits, sql: string): void {
    this.lease.work(sql)
    if (changesSession) this.#isTainted = true
    if (notifies) this.#hasNotified = true
  }

  /** Sends something and waits for its answer; when the limits pass, it is cancelled, and their error is thrown instead of the server's. */
  async #run (sql: string, traits: Traits, limits: Limits, call: Call | undefined, send: () => Promise<Exchange>): Promise<void> {
    checkLimits(limits, sql)
    this.#note(traits, sql)
    const running = new Running(sql, limits, this.#stop)
    this.#running.add(running)
    if (call !== undefined) call.onTooLarge = running.expire
    try {
      this.#check(await send(), sql, running)
    } finally {
      this.#running.delete(running)
      if (this.#running.size === 0) this.#rest()
      await this.#cancelled
    }
  }

  #rest (): void {
    this.lease.rest()
    clearTimeout(this.#cutTimer)
  }

  /** Throws what the exchange has ended with. */
  #check (exchange: Exchange, sql: string, { reason }: Running): void {
    const { error, isLost, status } = exchange
    const wasFailed = this.#status === 'E'
    this.#status = isLost ? 'I' : status
    if (error === undefined) return
    if (isStale(error)) this.session.forget(exchange.calls[exchange.position]?.statement, isUnknown(error))
    if (reason !== undefined) throw reason
    throw wasFailed && !isLost ? new TxDoomed({ cause: error }) : failureOf(exchange, sql) // whatever it says: a statement whose Parse was passed over is unknown, too
  }

  readonly #stop = (running: Running, error: Error): void => {
    if (this.#isCommitting) return
    running.reason ??= error
    this.#cancelled ??= this.#cancel()
  }

  async #cancel (): Promise<void> {
    this.#isTainted = true
    this.#cutTimer = setTimeout(() => {
      this.isSilent = true
      this.cut()
    }, CANCEL_MS)
    await cancelBackend(this.session.client, CANCEL_MS)
  }

  /** Ends the session without asking; whoever waits for it gets an error. */
  cut (): void {
    this.session.destroy(new Error('the connection was cut'))
  }

  // --- transactions ------------------------------------------------------------------------------------------------------------

  begin (options: BeginOptions): void {
    const { mode, isolation } = options
    const level = isolation === undefined ? '' : ` ISOLATION LEVEL ${isolation.toUpperCase()}`
    const begin = `BEGIN${level} ${mode === 'read' ? 'READ ONLY' : 'READ WRITE'}`
    const settings = this.#home.limitsOf(options)
    this.#begin = settings === undefined ? [begin] : [begin, settings]
    this.#isWriting = mode === 'write'
    this.#isReading = mode === 'read'
  }

  /** Sent at once, behind what was not answered yet; if that fails, the server answers ROLLBACK. */
  async commit (limits: Limits): Promise<void> {
    await this.#cancelled
    if (this.#hasUnknownWrites && this.#transactionId === undefined && this.#home.can.transactionIds) await this.#askId(limits)
    await this.#commit(limits, () => this.#write(() => this.session.runScript('COMMIT')))
  }

  /** The deadline does not cancel COMMIT, which would leave its outcome open; a server that is silent for too long is given up. */
  async #commit (limits: Limits, send: () => Promise<Exchange>): Promise<void> {
    const patience = { ...unlimited, deadline: Math.min(Math.max(limits.deadline, performance.now() + GRACE_MS), performance.now() + LONGEST_COMMIT_MS) }
    this.#isCommitting = true
    const committing = new Running('COMMIT', patience, () => { this.cut() })
    this.#running.add(committing)
    try {
      const exchange = await send()
      const wasFailed = this.#status === 'E'
      this.#status = exchange.isLost ? 'I' : exchange.status
      if (wasFailed && exchange.error !== undefined && !exchange.isLost) throw new TxDoomed({ cause: exchange.error })
      if (exchange.error !== undefined) await this.#failedCommit(exchange, patience)
      else if (exchange.calls.at(-1)?.tag === 'ROLLBACK') throw new TxRolledBack()
    } finally {
      this.#isCommitting = false
      this.lease.rest()
      this.#running.delete(committing)
    }
  }

  /** Returns if the transaction was committed all the same. */
  async #failedCommit (exchange: Exchange, patience: Limits): Promise<void> {
    const isCommit = exchange.position >= exchange.calls.length - 1
    const error = failureOf(exchange, exchange.calls[exchange.position]?.text ?? 'COMMIT')
    if (!exchange.isLost && errorKind(error) !== 'connection') throw error // and the server has rolled back, or will be told to
    if (!exchange.isSent || (!isCommit && (isUndone(exchange) || this.#isReading))) throw new TxLost({ cause: error })
    await this.#findOutcome(error, patience)
  }

  async #askId (limits: Limits): Promise<void> {
    const call = new Call(ASK_ID, [], 'get')
    await this.#run('COMMIT', plain, limits, undefined, () => this.session.run(call))
    this.#noteId(call)
  }

  /** The connection was lost while COMMIT was on its way: the server is asked, over another one. If nothing was written nothing can be lost. */
  async #findOutcome (cause: unknown, limits: Limits): Promise<void> {
    this.cut()
    const id = this.#transactionId
    const hasUnknown = this.#hasNotified || this.#hasUnknownWrites || this.#writes > this.#knownWrites
    const outcome = id !== undefined ? await this.#home.resolve(id, this.session, limits) : hasUnknown ? undefined : 'committed'
    if (outcome === 'committed') return
    if (outcome === 'aborted') throw new TxLost({ cause })
    throw Object.assign(new TxOutcomeUnknown({ cause }), { xid: id })
  }

  async rollback (): Promise<void> {
    if (!this.inTransaction) return
    try {
      await this.#control('ROLLBACK', { ...unlimited, deadline: performance.now() + GRACE_MS })
    } catch {
      this.cut()
    }
  }

  async savepoint (name: string, limits: Limits): Promise<void> {
    if (!this.#home.can.savepoints) throw new TxPropagation('nested', 'this server has no savepoints. Use propagation \'required\', or \'new\'.')
    await this.#control(`SAVEPOINT ${name}`, limits)
  }

  async releaseSavepoint (name: string): Promise<void> {
    await this.#control(`RELEASE SAVEPOINT ${name}`, unlimited)
  }

  async rollbackToSavepoint (name: string): Promise<void> {
    await this.#control(`ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`, unlimited)
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
  async #control (sql: string, limits: Limits, around: (send: Send) => Promise<Exchange> = send => send(), input?: Uint8Array): Promise<void> {
    if (sql.includes('\0')) throw databaseError('syntax', sql)
    const script = [...this.#begin, sql].join('; ')
    this.#begin = []
    await this.#run(sql, readTraits(sql), limits, undefined, () => around(() => this.session.runScript(script, input)))
  }
}

const unlimited: Limits = { deadline: Infinity, signal: undefined, held: [] }
const plain = readTraits('')
const ASK_ID = 'SELECT pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text AS id'
/** A statement whose session is ended after this time may well be the reason: it is not run again. */
const AGAIN_WITHIN_MS = 1000
const READ_ONLY = '25006'

/** The server has ended the session by its own word, before the statement that was due had an answer: it was in it, or had not begun. */
function isUndone ({ error, position, calls }: Exchange): boolean {
  return position < calls.length && sqlState(error) !== ''
}

/** The error of an exchange as ours; of a statement that was not prepared, why it was not. */
function failureOf ({ error, calls, position }: Exchange, sql: string): Error {
  return toOurError(calls[position]?.statement?.error ?? error, sql)
}
