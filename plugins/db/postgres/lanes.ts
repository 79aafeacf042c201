/**
 * The lanes of an engine: one, and a second as long as there is much to do and a connection that nobody else wants. One that is full groups better than two that are half
 * empty. Opened when they are first wanted; who comes before that runs elsewhere.
 */
import type { Gate, GateLease } from '../gate.ts'
import type { Cost } from '../placement.ts'
import type { RunningStatement } from '../types.ts'
import { Lane, type LaneCall, type LaneOwner } from './lane.ts'
import type { Session } from './session.ts'

/** From so much work on that waits for the server a second lane helps, if it stays like that for so many ticks. */
const DEEP_MS = 1
const DEEP_TICKS = 3
/** After so many ticks with little to do it goes. */
const SHALLOW_TICKS = 250
/** Nor is there one if anybody has waited for a connection within this time: it would be closed and opened in turn. */
const CALM_MS = 10_000
/** Before the next attempt to open one. */
const PAUSE_MS = 500

export interface LanesOwner {
  /** A session that is read only. */
  openLane: () => Promise<Session>
  /** A place among the connections was taken for a lane: one that is idle may have to go. */
  makeRoom: () => void
  onCost: (cost: Cost, ms: number) => void
  onSilent: (calls: readonly LaneCall[]) => void
  /** True if the session has reached its age. */
  isOld: (session: Session) => boolean
}

export class Lanes implements LaneOwner {
  readonly #owner: LanesOwner
  readonly #gate: Gate
  #first: Lane | undefined
  #second: Lane | undefined
  #isSecondDue = false
  /** What second ones have of the connections; the first one has its own. */
  readonly #leases = new Map<Lane, GateLease>()
  /** Takes nothing new, and is closed when it is done. */
  readonly #retiring = new Set<Lane>()
  #isOpening = false
  #openAfter = 0
  #deepTicks = 0
  #isClosed = false

  constructor (owner: LanesOwner, gate: Gate) {
    this.#owner = owner
    this.#gate = gate
    gate.onWanted = () => { this.#retireSecond() }
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
      if (this.#first?.session.isOpen !== true) this.#openFirst()
      return usable(this.#second)
    }
    const second = usable(this.#second)
    return second !== undefined && first.queuedMs > DEEP_MS && second.depth < first.depth ? second : first
  }

  // --- opening and closing -------------------------------------------------------------------------------------------------

  #openFirst (): void {
    this.#first = undefined
    void this.#open().then(lane => { this.#first ??= lane }) // whoever asks while it is opened gets none, maybe after the one who did
  }

  #openSecond (): void {
    const isCalm = !this.#isOpening && performance.now() - this.#gate.waitedAt > CALM_MS
    const lease = isCalm ? this.#gate.tryAcquire('a second lane') : undefined
    if (lease === undefined) return
    this.#isSecondDue = true
    this.#owner.makeRoom()
    void this.#open().then(lane => {
      this.#isSecondDue = false
      if (lane === undefined) return this.#gate.release(lease)
      this.#leases.set(lane, lease)
      this.#second = lane
      if (this.#gate.isWanted) this.#retireSecond()
    })
  }

  async #open (): Promise<Lane | undefined> {
    if (this.#isOpening || this.#isClosed || performance.now() < this.#openAfter) return undefined
    this.#isOpening = true
    try {
      const lane = new Lane(await this.#owner.openLane(), this)
      if (!this.#isClosed) return lane
      lane.end()
    } catch {
      this.#openAfter = performance.now() + PAUSE_MS // whoever needs the server meets the same error, and tells it
    } finally {
      this.#isOpening = false
    }
    return undefined
  }

  onCost (cost: Cost, ms: number): void {
    this.#owner.onCost(cost, ms)
  }

  onSilent (calls: readonly LaneCall[]): void {
    this.#owner.onSilent(calls)
  }

  onTick (lane: Lane): void {
    if (this.#retiring.has(lane)) this.#endIfDone(lane)
    else if (lane === this.#first) this.#tickFirst(lane)
    else if (lane === this.#second && !lane.session.isOpen) this.#retireSecond()
  }

  #tickFirst (lane: Lane): void {
    if (this.#owner.isOld(lane.session)) {
      this.#first = undefined
      this.#retire(lane)
      return
    }
    this.#deepTicks = lane.queuedMs > DEEP_MS ? Math.max(this.#deepTicks, 0) + 1 : Math.min(this.#deepTicks, 0) - 1
    if (this.#second === undefined && !this.#isSecondDue && this.#deepTicks >= DEEP_TICKS) this.#openSecond()
    else if (this.#second !== undefined && this.#deepTicks <= -SHALLOW_TICKS) this.#retireSecond()
  }

  #retireSecond (): void {
    const lane = this.#second
    this.#second = undefined
    if (lane !== undefined) this.#retire(lane)
  }

  #retire (lane: Lane): void {
    this.#retiring.add(lane)
    this.#endIfDone(lane)
  }

  #endIfDone (lane: Lane): void {
    if (lane.depth > 0 && lane.session.isOpen) return
    this.#retiring.delete(lane)
    lane.end()
    const lease = this.#leases.get(lane)
    this.#leases.delete(lane)
    if (lease !== undefined) this.#gate.release(lease)
  }

  /** Ends them without asking; what is not answered gets `Repeatable`. */
  cut (): void {
    this.#isClosed = true
    for (const lane of [this.#first, this.#second, ...this.#retiring]) lane?.session.destroy(new Error('the lane was cut'))
  }

  /** Ends what is answered; what is not gets `Repeatable`. */
  close (): void {
    this.#isClosed = true
    for (const lane of [this.#first, this.#second, ...this.#retiring]) lane?.end()
  }
}

function usable (lane: Lane | undefined): Lane | undefined {
  return lane !== undefined && lane.session.isOpen && !lane.isSilent ? lane : undefined
}
