/**
 * The lanes of an engine: one, and a second as long as there is much to do and a connection that nobody else wants. One that is full groups better than two that are half
 * empty.
 *
 * Kept true:
 *  1. A lane is a connection like the others, and has one of their places. It is opened when it is first wanted; who comes before that runs elsewhere.
 *  2. The first gets the next place that is given back, ahead of those who wait: reads do not queue behind transactions. It is kept as long as there are reads, and given to
 *     whoever wants it once there was none for `IDLE_MS`.
 *  3. The second goes as soon as anybody wants its place.
 */
import type { Gate } from '../gate.ts'
import type { Cost } from '../placement.ts'
import type { RunningStatement } from '../types.ts'
import { Lane, type LaneCall, type LaneOwner } from './lane.ts'
import type { Session } from './session.ts'

/** From so much work on that waits for the server a second lane helps, if it stays like that for so many ticks. */
const DEEP_MS = 1
const DEEP_TICKS = 3
/** After so many ticks with little to do it goes. */
const SHALLOW_TICKS = 250
/** Nor is there one if anybody has waited for a connection within this time: it would be opened and given back in turn. */
const CALM_MS = 10_000
/** Before the next attempt to open one. */
const PAUSE_MS = 500
/** A first lane without a read for so long is for whoever wants a connection. */
const IDLE_MS = 1000

export interface LanesOwner {
  /** A session that is read only, in a place that was withdrawn. */
  openLane: () => Promise<Session>
  /** Takes back what `openLane` has answered, for others. */
  releaseLane: (session: Session) => void
  onCost: (cost: Cost, ms: number) => void
  onSilent: (calls: readonly LaneCall[]) => void
  /** True if the session has reached its age. */
  isOld: (session: Session) => boolean
}

export class Lanes implements LaneOwner {
  readonly #owner: LanesOwner
  /** Of the connections. */
  readonly #gate: Gate
  #first: Lane | undefined
  #second: Lane | undefined
  /** Takes nothing new, and gives its place back when it is done. */
  readonly #retiring = new Set<Lane>()
  /** One at a time. */
  #isOpening = false
  #openAfter = 0
  #deepTicks = 0
  #isClosed = false
  /** As long as somebody wants the place of the first one, which was not idle for long enough yet. */
  #idleTimer: NodeJS.Timeout | undefined

  constructor (owner: LanesOwner, gate: Gate) {
    this.#owner = owner
    this.#gate = gate
    gate.onWanted = () => { this.#yield() }
  }

  get load (): { readonly used: number, readonly waiting: number } {
    const lanes = [this.#first, this.#second].filter(lane => lane !== undefined)
    return { used: lanes.length, waiting: lanes.reduce((sum, { depth }) => sum + depth, 0) }
  }

  listRunning (): RunningStatement[] {
    return [this.#first, this.#second, ...this.#retiring].flatMap(lane => lane?.listRunning() ?? [])
  }

  /** The lane for one more read; undefined: there is none now. */
  pick (): Lane | undefined {
    const first = usable(this.#first)
    if (first === undefined) {
      if (this.#first?.session.isOpen === false) this.#retireFirst()
      if (this.#first === undefined) this.#openFirst()
      return usable(this.#second)
    }
    const second = usable(this.#second)
    return second !== undefined && first.queuedMs > DEEP_MS && second.depth < first.depth ? second : first
  }

  // --- opening -------------------------------------------------------------------------------------------------------------

  #openFirst (): void {
    if (!this.#mayOpen()) return
    this.#isOpening = true
    this.#gate.withdraw(() => { void this.#open(lane => { this.#first = lane }) })
  }

  #openSecond (): void {
    if (!this.#mayOpen() || performance.now() - this.#gate.waitedAt < CALM_MS || !this.#gate.tryWithdraw()) return
    this.#isOpening = true
    void this.#open(lane => {
      this.#second = lane
      if (this.#gate.isWanted) this.#retireSecond()
    })
  }

  #mayOpen (): boolean {
    return !this.#isOpening && !this.#isClosed && performance.now() >= this.#openAfter
  }

  /** In a place that was withdrawn. */
  async #open (use: (lane: Lane) => void): Promise<void> {
    try {
      const session = await this.#owner.openLane()
      if (this.#isClosed) session.end()
      else use(new Lane(session, this))
    } catch {
      this.#openAfter = performance.now() + PAUSE_MS // whoever needs the server meets the same error, and tells it
      this.#gate.restore()
    } finally {
      this.#isOpening = false
    }
  }

  // --- giving back -----------------------------------------------------------------------------------------------------------

  /** Gives what is not needed to whoever wants a connection. */
  #yield (): void {
    this.#retireSecond()
    if (this.#first === undefined) return
    const idleMs = this.#first.depth > 0 ? 0 : performance.now() - this.#first.usedAt
    if (idleMs >= IDLE_MS || !this.#first.session.isOpen) this.#retireFirst()
    else this.#yieldLater(IDLE_MS - idleMs)
  }

  #yieldLater (ms: number): void {
    this.#idleTimer ??= setTimeout(() => {
      this.#idleTimer = undefined
      if (this.#gate.isWanted) this.#yield()
    }, ms).unref()
  }

  #retireFirst (): void {
    const lane = this.#first
    this.#first = undefined
    if (lane !== undefined) this.#retire(lane)
  }

  #retireSecond (): void {
    const lane = this.#second
    this.#second = undefined
    if (lane !== undefined) this.#retire(lane)
  }

  #retire (lane: Lane): void {
    this.#retiring.add(lane)
    this.#releaseIfDone(lane)
  }

  #releaseIfDone (lane: Lane): void {
    if (lane.depth > 0 && lane.session.isOpen) return
    this.#retiring.delete(lane)
    lane.stop()
    this.#owner.releaseLane(lane.session)
    this.#gate.restore()
  }

  // --- what lanes tell -------------------------------------------------------------------------------------------------------

  onCost (cost: Cost, ms: number): void {
    this.#owner.onCost(cost, ms)
  }

  onSilent (calls: readonly LaneCall[]): void {
    this.#owner.onSilent(calls)
  }

  onTick (lane: Lane): void {
    if (this.#retiring.has(lane)) this.#releaseIfDone(lane)
    else if (lane === this.#first) this.#tickFirst(lane)
    else if (lane === this.#second && !lane.session.isOpen) this.#retireSecond()
  }

  #tickFirst (lane: Lane): void {
    if (this.#owner.isOld(lane.session)) return this.#retireFirst()
    this.#deepTicks = lane.queuedMs > DEEP_MS ? Math.max(this.#deepTicks, 0) + 1 : Math.min(this.#deepTicks, 0) - 1
    if (this.#second === undefined && this.#deepTicks >= DEEP_TICKS) this.#openSecond()
    else if (this.#second !== undefined && this.#deepTicks <= -SHALLOW_TICKS) this.#retireSecond()
  }

  // --- the end -----------------------------------------------------------------------------------------------------------------

  /** Ends them without asking; what is not answered gets `Repeatable`. */
  cut (): void {
    this.#isClosed = true
    for (const lane of [this.#first, this.#second, ...this.#retiring]) lane?.session.destroy(new Error('the lane was cut'))
  }

  /** Ends what is answered; what is not gets `Repeatable`. */
  close (): void {
    this.#isClosed = true
    clearTimeout(this.#idleTimer)
    for (const lane of [this.#first, this.#second, ...this.#retiring]) lane?.end()
  }
}

function usable (lane: Lane | undefined): Lane | undefined {
  return lane !== undefined && lane.session.isOpen && !lane.isSilent ? lane : undefined
}
