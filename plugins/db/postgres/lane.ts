/**
 * A lane: one session that carries the short reads of everybody, pipelined.
 *
 *   get() get() get() │ one turn of the event loop │ prepare? · bind execute · bind execute · bind execute · Sync │ one write
 *
 * Kept true:
 *  1. The session is read only, so the server refuses whatever is no read: it can be run again, here or elsewhere.
 *  2. Reads of one turn share a Sync, at most `GROUP` of them. A failure passes over what is behind it in its group: those are run again one by one. Results are told when
 *     the group is done.
 *  3. Nothing is cancelled here, since that would hit a neighbour: who gives up is told so, and the result is dropped. The server ends what takes `LONGEST_ON_LANE_MS`,
 *     which is run again elsewhere.
 *  4. If the server is silent for `SILENT_MS`, or much longer than it usually is, while this process is not what is slow, the lane takes nothing new, and what waits behind its head is handed to `onSilent`.
 *     Whoever answers first counts. One that stays silent for `GONE_MS` is thrown away.
 *  5. A session that is in a transaction when a group is done is thrown away.
 */
import type { Cost } from '../placement.ts'
import type { ResultLimits } from '../result.ts'
import type { Limits, Method, Params, Query, RunningStatement } from '../types.ts'
import { Call, Repeatable } from './call.ts'
import { isStale, isUnknown, sqlState } from './errors.ts'
import { Exchange, type Session } from './session.ts'
import { Typical } from './typical.ts'
import type { PostgresValue } from './values.ts'

/** The server's statement_timeout on a lane. */
export const LONGEST_ON_LANE_MS = 250
const GROUP = 16
/** Reads that are sent and not answered; the others wait here. */
const MOST_SENT = 512
const SILENT_MS = 2
/** So many times what a group usually takes is long, whatever it is in ms. */
const UNUSUAL = 6
/** No group can take so long, since the server ends each of its statements: whoever is at the other end has gone. */
const GONE_MS = GROUP * LONGEST_ON_LANE_MS + 1000
/** A timer that is later than this says that this process was busy, and nothing of the server. */
const LATE_MS = 2
/** Of the average cost of a read, that the last group counts for. */
const COST_WEIGHT = 1 / 64
/** By SQLSTATE. The time a statement may take on a lane is no limit of its caller's. */
const REPEATS: Readonly<Record<string, Repeatable['why'] | undefined>> = { 25006: 'writes', 57014: 'slow' }

/** What a call is rejected with whose limits have passed: the error is made where the stack leads to the caller. */
export const EXPIRED = Symbol('expired')

/** What a lane tells. */
export interface LaneOwner {
  /** What a read has cost on a lane, in ms. */
  onCost: (cost: Cost, ms: number) => void
  /** These may wait for long; they are to be run elsewhere, once. */
  onSilent: (calls: readonly LaneCall[]) => void
  /** Every few ms, as long as there is something to do. */
  onTick: (lane: Lane) => void
}

/** A read on a lane. */
export class LaneCall extends Call {
  readonly method: Method
  readonly query: Query
  readonly params: Params
  readonly limits: Limits
  readonly cost: Cost
  readonly answered: Promise<unknown>
  readonly since = performance.now()
  /** The lane will answer it. */
  isOnLane = true
  /** Somebody else runs it, too. */
  isElsewhere = false
  isSettled = false
  readonly #settle: { resolve: (answer: unknown) => void, reject: (error: unknown) => void }

  constructor (method: Method, query: Query, params: Params, values: readonly PostgresValue[], result: ResultLimits, limits: Limits, cost: Cost) {
    super(query.text, values, method, result)
    this.method = method
    this.query = query
    this.params = params
    this.limits = limits
    this.cost = cost
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.answered = promise
    this.#settle = { resolve, reject }
  }

  resolve (answer: unknown): void {
    this.isSettled = true
    this.#settle.resolve(answer)
  }

  reject (error: unknown): void {
    this.isSettled = true
    this.#settle.reject(error)
  }

  /** Tells what it has come to. */
  finish (): void {
    if (this.isSettled) return
    if (this.tooLarge === undefined) this.resolve(this.answer)
    else this.reject(this.tooLarge)
  }

  /** Gives up if its limits have passed. */
  checkLimits (now: number): void {
    const { deadline, signal } = this.limits
    if (!this.isSettled && (now >= deadline || signal?.aborted === true)) this.reject(EXPIRED)
  }
}

export class Lane {
  readonly session: Session
  readonly #owner: LaneOwner
  #waiting: LaneCall[] = []
  /** By group, in the order in which they are answered. */
  readonly #sent: Array<readonly LaneCall[]> = []
  #sentCount = 0
  #isFlushDue = false
  /** What one read takes on average. */
  #costMs = 0
  /** What a group takes. */
  readonly #typical = new Typical(SILENT_MS / UNUSUAL)
  /** Since when the server works on what it has not answered, and how much of that time this process was busy itself. */
  #headSince = 0
  #excusedMs = 0
  #timer: NodeJS.Timeout | undefined
  #timerDue = 0
  /** Takes nothing new. */
  isSilent = false
  /** When the last read came. */
  usedAt = performance.now()

  constructor (session: Session, owner: LaneOwner) {
    this.session = session
    this.#owner = owner
  }

  /** How long the server will be at what is not answered, by what reads have cost of late. */
  get queuedMs (): number {
    return this.depth * this.#costMs
  }

  /** What is not answered. Nothing on a lane is cancelled: who stops it tells its caller. */
  listRunning (): RunningStatement[] {
    return [...this.#sent.flat(), ...this.#waiting].filter(({ isSettled }) => !isSettled)
      .map(call => ({ key: call, sql: call.query.sql, place: 'lane', since: call.since, deadline: call.limits.deadline, request: call.limits.request, stop: error => { call.reject(error) } }))
  }

  /** Reads that are not answered. */
  get depth (): number {
    return this.#waiting.length + this.#sentCount
  }

  /** `call.answered` rejects with `Repeatable` for what may be run again elsewhere, with `EXPIRED`, or with the server's error. */
  run (call: LaneCall): LaneCall {
    this.usedAt = call.since
    this.#waiting.push(call)
    this.#flushSoon()
    return call
  }

  #flushSoon (): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false
    let taken = 0
    while (taken < this.#waiting.length && this.#sentCount < MOST_SENT) {
      const group = this.#waiting.slice(taken, taken + GROUP)
      taken += group.length
      this.#send(group)
    }
    if (taken > 0) this.#waiting = this.#waiting.slice(taken)
    this.session.flush()
    this.#watch()
  }

  #send (calls: readonly LaneCall[]): void {
    if (this.session.pending === 0) this.#startHead()
    for (const { text } of calls) this.session.prepare(text)
    this.#sent.push(calls)
    this.#sentCount += calls.length
    this.session.send(new Exchange(calls, exchange => { this.#answered(exchange, calls) }))
  }

  // --- answers ---------------------------------------------------------------------------------------------------------------

  #answered (exchange: Exchange, calls: readonly LaneCall[]): void {
    const { error, position, isLost, status } = exchange
    this.#sent.shift()
    this.#sentCount -= calls.length
    for (const call of calls) call.isOnLane = false
    if (isLost || status !== 'I') return this.#lost(error, calls)
    this.#learn(calls)
    this.#startHead()
    this.isSilent = false
    if (error === undefined) for (const call of calls) call.finish()
    else this.#failed(error, position, calls)
    if (this.#waiting.length > 0) this.#flushSoon()
  }

  /** It has ended, or has become somebody's transaction. */
  #lost (error: Error | undefined, calls: readonly LaneCall[]): void {
    const reason = error ?? new Error('a lane was left in a transaction')
    this.session.destroy(reason)
    for (const call of [...calls, ...this.#waiting.splice(0)]) if (!call.isSettled) call.reject(new Repeatable(reason, 'lost'))
  }

  #failed (error: Error, position: number, calls: readonly LaneCall[]): void {
    const failed = calls[position] ?? (calls.length === 1 ? calls[0] : undefined) // behind the last one: what Sync does has failed
    if (failed !== undefined) for (const call of calls.slice(0, position)) if (call !== failed) call.finish()
    if (failed !== undefined) this.#refused(failed, failed.statement?.error ?? error)
    for (const call of failed === undefined ? calls : calls.slice(position + 1)) if (!call.isSettled) this.#again(call)
  }

  #refused (call: LaneCall, error: Error): void {
    if (isStale(error)) this.session.forget(call.statement, isUnknown(error))
    if (call.isSettled) return
    const why = isStale(error) ? 'stale' : REPEATS[sqlState(error)]
    call.reject(why === undefined ? error : new Repeatable(error, why))
  }

  #again (call: LaneCall): void {
    call.reset()
    call.isOnLane = true
    this.#send([call])
  }

  /** Each of a group is taken to have cost the same. */
  #learn (calls: readonly LaneCall[]): void {
    const ms = this.#workedMs()
    this.#typical.add(ms)
    const each = (ms - Math.min(ms, this.#typical.shortestMs)) / calls.length
    this.#costMs += COST_WEIGHT * (each - this.#costMs)
    for (const { cost } of calls) this.#owner.onCost(cost, each)
  }

  /** For how long the server has been at its oldest group. */
  #workedMs (): number {
    return Math.max(0, performance.now() - this.#headSince - this.#excusedMs)
  }

  #startHead (): void {
    this.#headSince = performance.now()
    this.#excusedMs = 0
  }

  // --- time --------------------------------------------------------------------------------------------------------------------

  #watch (): void {
    if (this.#timer !== undefined || this.depth === 0) return
    this.#timerDue = performance.now() + SILENT_MS
    this.#timer = setTimeout(this.#tick, SILENT_MS)
  }

  readonly #tick = (): void => {
    this.#timer = undefined
    const now = performance.now()
    const late = now - this.#timerDue
    if (late > LATE_MS) this.#excusedMs += late
    else setImmediate(this.#listen) // what has arrived is read first
    for (const calls of this.#sent) for (const call of calls) call.checkLimits(now)
    for (const call of this.#waiting) call.checkLimits(now)
    this.#owner.onTick(this)
    this.#watch()
  }

  readonly #listen = (): void => {
    const workedMs = this.#workedMs()
    if (this.#sentCount === 0 || workedMs < Math.max(SILENT_MS, UNUSUAL * this.#typical.medianMs)) return
    if (workedMs > GONE_MS) return this.session.destroy(new Error(`a lane was silent for ${GONE_MS} ms`))
    this.isSilent = true
    const waiting = this.#waiting.splice(0)
    for (const call of waiting) call.isOnLane = false
    const calls = [...this.#sent.flat(), ...waiting].filter(call => !call.isSettled && !call.isElsewhere)
    for (const call of calls) call.isElsewhere = true
    if (calls.length > 0) this.#owner.onSilent(calls)
  }

  /** The session is somebody else's from now on. */
  stop (): void {
    clearTimeout(this.#timer)
  }

  /** Answers nothing more. */
  end (): void {
    this.stop()
    this.session.end()
  }
}
