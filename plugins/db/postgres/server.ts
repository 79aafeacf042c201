/**
 * One PostgreSQL server: short reads pipelined on a lane, everything else on connections of its own, behind a queue.
 *
 * Kept true:
 *  1. There are at most `maxConnections`, lanes included. Who wants one waits in order, in JavaScript.
 *  2. A connection belongs to one holder at a time and is given back when that is done, whatever happened; one that is not clean is closed.
 *  3. A statement on its own is run again if it is certain that it did nothing, and never otherwise. What begins like a read is run read only, here and on lanes, so the server
 *     says whether it is one.
 *  4. On lanes run reads that were short; a read that waits behind one that is not is run once more, on a connection of its own.
 * Costs are learned for each server, since they hold the way to it and what it has in its caches. Does not know of other servers.
 */
import { DbClosed, isOurs } from '../../errors.ts'
import { Gate, type GateLease } from '../gate.ts'
import { List } from '../list.ts'
import type { Cost } from '../placement.ts'
import { checkLimits, limitError, watchLimits } from '../scope.ts'
import { bindValues } from '../sql.ts'
import type { Activity, BeginOptions, Connection, EngineStatus, Limits, Log, Method, Params, Query, Row, Script } from '../types.ts'
import { Repeatable } from './call.ts'
import type { Capabilities } from './capabilities.ts'
import { PostgresConnection, type CommitOutcome, type Home } from './connection.ts'
import { toOurError } from './errors.ts'
import { EXPIRED, LaneCall, type Lane } from './lane.ts'
import { Lanes, type LanesOwner } from './lanes.ts'
import { askOutcome } from './outcome.ts'
import { runOf, type Opener, type PostgresSettings } from './open.ts'
import { LanePlacement } from './placement.ts'
import { Pool } from './pool.ts'
import { ReadTransaction, type ReadHome } from './read-transaction.ts'
import type { Session } from './session.ts'
import { traitsOf } from './traits.ts'
import { toPostgres } from './values.ts'
import { positionQuery, readPosition, type Asked, type Written } from './written.ts'

/** With fewer connections than this, all are for transactions. */
const FEWEST_FOR_LANES = 4
/** How often a statement that did nothing is run again. */
const MOST_ATTEMPTS = 4
/** For the end of the log. */
const POSITION_MS = 1000

interface Apart {
  /** It is there as well: it may be answered while it waits for a connection. */
  readonly lane?: LaneCall
  /** It is run read only whatever is known of it: it may be done elsewhere, too, or belongs to a read transaction. */
  readonly mustRead?: boolean
  /** Called with what it runs on. */
  readonly onBegin?: (connection: PostgresConnection) => void
}

export class PostgresServer implements Home, LanesOwner, ReadHome {
  readonly result: PostgresSettings['result']
  /** Undefined: nobody else reads what is written here. */
  readonly written: Written | undefined
  readonly #opener: Opener
  readonly #settings: PostgresSettings
  readonly #pool: Pool
  readonly #gate: Gate
  /** Undefined: there are too few connections, a pooler, which gives a lane's session to others, or a server that is no PostgreSQL. */
  readonly #lanes: Lanes | undefined
  readonly #placement: LanePlacement
  readonly #lent = new List<PostgresConnection>()
  #closing: Promise<void> | undefined

  /** `opener` has opened a session. `written`: for what is written here and read elsewhere. */
  constructor (opener: Opener, first: Session | undefined, settings: PostgresSettings, log: Log, written?: Written) {
    const { maxConnections, acquireTimeoutMs, txIdleTimeoutMs, result } = settings
    const hasLanes = maxConnections >= FEWEST_FOR_LANES && !opener.server.isPooled && opener.can.pipelines
    this.#opener = opener
    this.#placement = new LanePlacement(opener.server.roundTripMs)
    this.#settings = settings
    this.result = result
    this.#pool = new Pool(() => opener.open(), settings, log)
    if (first !== undefined) this.#pool.release(first, true)
    this.written = written
    this.#gate = new Gate(maxConnections, acquireTimeoutMs, txIdleTimeoutMs, this.#placement.meters.waits)
    this.#lanes = hasLanes ? new Lanes(this, this.#gate) : undefined
  }

  // --- on their own ------------------------------------------------------------------------------------------------------------

  execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    const cost = this.#placement.costOf(query.sql)
    const lane = this.#laneFor(cost)
    return lane === undefined ? this.#told(query, limits, this.#executeApart(method, query, params, limits, cost)) : this.#executeOnLane(lane, method, query, params, limits, cost)
  }

  async #executeOnLane (lane: Lane, method: Method, query: Query, params: Params, limits: Limits, cost: Cost): Promise<unknown> {
    const answer = await this.answerOf(this.#send(lane, method, query, params, limits, cost))
    return answer instanceof Repeatable ? await this.#told(query, limits, this.#executeApart(method, query, params, limits, cost)) : answer
  }

  /** What its caller is told of a failure is counted. */
  #told<T> ({ sql }: Query, { request }: Limits, answer: Promise<T>): Promise<T> {
    answer.catch((error: unknown) => { if (!(error instanceof Repeatable)) this.noteFailure(sql, error, request) })
    return answer
  }

  noteRun (sql: string, ms: number, request: object | undefined): void {
    this.#placement.noteRun(this.#placement.costOf(sql), 'apart', ms, request)
  }

  noteFailure (sql: string, error: unknown, request: object | undefined): void {
    this.#placement.noteFailure(sql, error, request)
  }

  #laneFor (cost: Cost): Lane | undefined {
    return cost.isShort && this.#closing === undefined ? this.#lanes?.pick() : undefined
  }

  #send (lane: Lane, method: Method, query: Query, params: Params, limits: Limits, cost: Cost): LaneCall {
    checkLimits(limits, query.sql)
    return lane.run(new LaneCall(method, query, params, bindValues(query, params, toPostgres), this.result, limits, cost))
  }

  sendOnLane (method: Method, query: Query, params: Params, limits: Limits): LaneCall | undefined {
    const cost = this.#placement.costOf(query.sql)
    const lane = this.#laneFor(cost)
    return lane === undefined ? undefined : this.#send(lane, method, query, params, limits, cost)
  }

  async readApart (method: Method, query: Query, params: Params, limits: Limits, onBegin: (connection: PostgresConnection) => void): Promise<unknown> {
    try {
      return await this.#told(query, limits, this.#executeApart(method, query, params, limits, this.#placement.costOf(query.sql), { mustRead: true, onBegin }))
    } catch (error) {
      throw error instanceof Repeatable ? error.error : error
    }
  }

  async answerOf ({ answered, query, limits, cost, since }: LaneCall): Promise<unknown> {
    try {
      const answer = await answered
      this.#placement.noteRun(cost, 'lane', performance.now() - since, limits.request)
      return answer
    } catch (error) {
      if (!(error instanceof Repeatable)) {
        const ours = error === EXPIRED ? limitError(limits, query.sql) : toOurError(error, query.sql)
        this.noteFailure(query.sql, ours, limits.request)
        throw ours
      }
      this.#learnFrom(error, cost)
      return error
    }
  }

  /** With `mustRead` it throws `Repeatable` if it writes. */
  async #executeApart (method: Method, query: Query, params: Params, limits: Limits, cost: Cost, { lane, mustRead = false, onBegin }: Apart = {}): Promise<unknown> {
    const since = performance.now()
    for (let attempt = 1; ; attempt++) {
      const connection = await this.#acquire(limits, query.sql)
      try {
        onBegin?.(connection)
        const isRead = mustRead || (cost.isRead ?? traitsOf(query).looksRead)
        if (lane?.isSettled === true) return undefined
        const answer = await this.#executeOn(connection, method, query, params, limits, cost, isRead)
        if (lane === undefined) this.#placement.noteRun(cost, 'apart', performance.now() - since, limits.request) // else it counts as the lane's
        return answer
      } catch (error) {
        if (!(error instanceof Repeatable)) throw error
        if (attempt === MOST_ATTEMPTS) throw error.error
        this.#learnFrom(error, cost)
        if (mustRead && error.why === 'writes') throw error
      } finally {
        connection.release()
      }
    }
  }

  async #executeOn (connection: PostgresConnection, method: Method, query: Query, params: Params, limits: Limits, cost: Cost, isRead: boolean): Promise<unknown> {
    const since = performance.now()
    const answer = await connection.executeAlone(method, query, params, limits, isRead)
    cost.isRead ??= isRead
    const ms = performance.now() - since
    if (isRead) this.#placement.ranApart(cost, ms)
    else this.#placement.ranWriting(cost, ms)
    return answer
  }

  #learnFrom ({ why }: Repeatable, cost: Cost): void {
    if (why === 'writes') this.#placement.noteWrite(cost)
    else if (why === 'slow') this.#placement.overran(cost)
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    const connection = await this.#acquire(limits, query.sql)
    connection.begin({ mode: 'write', isolation: undefined, statementTimeoutMs: Infinity, timeoutMs: Infinity })
    let isFailed = false
    try {
      yield * connection.batches(query, params, limits)
    } catch (error) {
      isFailed = true
      throw error
    } finally {
      // leaving the loop keeps what the statement has written, as a statement on its own would
      if (isFailed) await connection.rollback()
      else if (connection.inTransaction) await connection.commit(limits)
      connection.release()
    }
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    const connection = await this.#acquire(limits, script.sql)
    try {
      await connection.execAlone(script, limits)
    } finally {
      connection.release()
    }
  }

  // --- transactions --------------------------------------------------------------------------------------------------------------

  async begin (options: BeginOptions, limits: Limits, first: string): Promise<Connection> {
    if (this.#closing !== undefined) throw new DbClosed()
    const isolation = options.isolation ?? this.#opener.server.isolation
    const mayWait = this.#lanes !== undefined && options.mode === 'read' && isolation === 'read committed'
    return mayWait ? new ReadTransaction(this, options) : await this.beginApart(options, limits, first)
  }

  async beginApart (options: BeginOptions, limits: Limits, first: string): Promise<PostgresConnection> {
    const connection = await this.#acquire(limits, first)
    connection.lease.expire = options.expire
    connection.begin(options)
    return connection
  }

  get isPooled (): boolean {
    return this.#opener.server.isPooled
  }

  get can (): Capabilities {
    return this.#opener.can
  }

  limitsOf (options: BeginOptions): string | undefined {
    return this.#opener.limitsOf(options)
  }

  isKnownRead (sql: string): boolean {
    return this.#placement.find(sql)?.isRead === true
  }

  noteRead (sql: string): void {
    this.#placement.costOf(sql).isRead ??= true
  }

  async resolve (id: string, session: Session, limits: Limits): Promise<CommitOutcome> {
    return await askOutcome(async timeoutMs => await this.#opener.connect(timeoutMs), id, runOf(session), limits)
  }

  /** Where the log ends now. */
  async askPosition (): Asked {
    try {
      return readPosition(await this.execute('get', positionQuery, [], { deadline: performance.now() + POSITION_MS, signal: undefined, held: [] }))
    } catch {
      return undefined
    }
  }

  /** True if the server has refused to run the statement read only. */
  isKnownWrite (sql: string): boolean {
    return this.#placement.find(sql)?.isRead === false
  }

  /** Who wants a connection now has to wait. */
  get isFull (): boolean {
    return this.#gate.isFull
  }

  status (): EngineStatus {
    const { version, isPooled, keepsStatements } = this.#opener.server
    return {
      statements: this.#placement.list().map(({ sql, isShort, why, runs, meanMs, overruns, total, failures }) => ({ sql, runs: isShort ? 'lane' : 'apart', why, total, failures, apart: { runs, meanMs }, overruns })),
      meters: this.#placement.meters,
      queues: { connections: this.#gate.load, ...this.#lanes === undefined ? {} : { lanes: this.#lanes.load } },
      postgres: { version, pooler: !isPooled ? 'none' : keepsStatements ? 'keeps statements' : 'forgets statements', idle: this.#pool.idle, can: this.#opener.can }
    }
  }

  activity (): Activity {
    const statements = this.#lent.toArray().flatMap(connection => connection.listRunning()).concat(this.#lanes?.listRunning() ?? [], this.#gate.listWaiting())
    return { statements: statements.toSorted((a, b) => a.since - b.since), transactions: this.#gate.listHeld().toSorted((a, b) => a.since - b.since) }
  }

  async close (graceMs: number): Promise<void> {
    return await (this.#closing ??= this.#close(graceMs))
  }

  async #close (graceMs: number): Promise<void> {
    await this.#gate.close(graceMs)
    this.#lanes?.close()
    this.#lent.forEach(connection => { connection.cut() })
    this.#pool.close()
  }

  /** Ends what is under way: whoever waits for it gets an error. Nothing is possible from then on. */
  cut (): void {
    this.#closing ??= Promise.resolve()
    this.#gate.refuse()
    this.#lent.forEach(connection => { connection.cut() })
    this.#lanes?.cut()
    this.#pool.close()
  }

  // --- lanes -----------------------------------------------------------------------------------------------------------------------

  async openLane (): Promise<Session> {
    const session = this.#pool.take() ?? await this.#opener.open()
    await this.#opener.makeLane(session)
    return session
  }

  releaseLane (session: Session): void {
    this.#opener.unmakeLane(session)
    this.#pool.release(session, session.isOpen)
  }

  onCost (cost: Cost, ms: number): void {
    this.#placement.ranShort(cost, ms)
  }

  isOld (session: Session): boolean {
    return this.#pool.isOld(session)
  }

  onSilent (calls: readonly LaneCall[]): void {
    for (const call of calls) void this.#executeElsewhere(call)
  }

  /** What a lane may answer late, or not at all. */
  async #executeElsewhere (call: LaneCall): Promise<void> {
    const { method, query, params, limits, cost } = call
    try {
      const answer = await this.#executeApart(method, query, params, limits, cost, { lane: call, mustRead: true })
      if (!call.isSettled) call.resolve(answer)
    } catch (error) {
      if (!call.isSettled && !call.isOnLane) call.reject(error)
    }
  }

  // --- connections ---------------------------------------------------------------------------------------------------------------

  async #acquire (limits: Limits, sql: string): Promise<PostgresConnection> {
    if (this.#closing !== undefined) throw new DbClosed()
    const lease = await this.#gate.acquire(limits, sql)
    try {
      return this.#lend(this.#pool.take() ?? await this.#open(limits, sql), lease, limits.request)
    } catch (error) {
      this.#gate.release(lease)
      throw isOurs(error) ? error : toOurError(error, sql)
    }
  }

  /** A new session; one that comes when nobody waits for it any more is for the next. */
  async #open (limits: Limits, sql: string): Promise<Session> {
    const opening = this.#pool.open(Math.min(limits.deadline, performance.now() + this.#settings.acquireTimeoutMs))
    const { promise: expired, reject: expire } = Promise.withResolvers<never>()
    const unwatch = watchLimits(limits, sql, error => {
      opening.then(session => { this.#pool.release(session, true) }, () => {})
      expire(error)
    })
    try {
      return await Promise.race([opening, expired])
    } finally {
      unwatch()
    }
  }

  #lend (session: Session, lease: GateLease, request: object | undefined): PostgresConnection {
    const connection = new PostgresConnection(session, lease, this, request, () => {
      this.#lent.delete(connection)
      if (connection.isSilent) this.#pool.distrust()
      this.#pool.release(session, connection.isClean)
      this.#gate.release(lease)
    })
    this.#lent.add(connection)
    return connection
  }
}
