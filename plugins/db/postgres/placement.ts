/**
 * Where a statement runs: on a lane, where it delays others if it is not short, or on a connection of its own; decided by what it costs the server.
 *
 * A new statement runs apart for a few times, and comes to the lane if that was short. There the mean of many runs counts: one slow run can be anybody's fault, and it is the
 * mean that a lane has to carry, so a statement that is slow once in a hundred times does not belong there either. One that was too long stays away for a while, and twice as
 * long the next time. What cannot be seen is the way to the server and back, and how busy the machine is: so the shortest time of late is taken off, and what counts as long is
 * told by what is usual.
 */
import { Placement, type Cost } from '../placement.ts'
import { Typical } from './typical.ts'

/** A lane that carries statements of this cost, in ms, is no slower than connections of their own. */
const BUDGET_MS = 0.3
/** So many times what is usual on the lane is long, whatever it is in ms. */
const UNUSUAL = 8
/** Runs apart before a new statement is trusted. */
const FIRST_RUNS = 3
/** Runs apart before one is trusted again that was long on a lane; doubled with each time. */
const NEXT_RUNS = 30
const MOST_RUNS = 10_000
/** Of the mean on a lane, that the last run counts for. */
const WEIGHT = 1 / 128
/** What one run can count for, so that one alone never decides. */
const MOST_MS = 0.8 * BUDGET_MS / WEIGHT

export class LanePlacement extends Placement {
  /** Of all statements. */
  readonly #apart: Typical
  readonly #onLane = new Typical(BUDGET_MS / UNUSUAL)
  readonly #typical = new WeakMap<Cost, Typical>()

  /** `roundTripMs`: of a statement that costs nothing. */
  constructor (roundTripMs: number) {
    super(BUDGET_MS, 'postgres')
    this.#apart = new Typical(roundTripMs)
  }

  override costOf (sql: string): Cost {
    const known = this.find(sql)
    if (known !== undefined) return known
    return Object.assign(super.costOf(sql, () => false), { why: 'new', due: FIRST_RUNS } as const)
  }

  /** A read ran on a connection of its own; `ms` from being sent to being answered. */
  override ranApart (cost: Cost, ms: number): void {
    this.#apart.add(ms)
    const ownMs = Math.max(0, ms - this.#apart.shortestMs)
    this.measure(cost, ownMs)
    const typicalMs = this.#typicalOf(cost, ownMs)
    cost.due--
    if (!cost.isShort && cost.due <= 0 && typicalMs < Math.max(this.budgetMs / 2, this.#apart.shortestMs)) this.#comeBack(cost)
  }

  /** The first runs of a statement find nothing in any cache: of these the shortest counts. */
  #typicalOf (cost: Cost, ms: number): number {
    let typical = this.#typical.get(cost)
    if (typical === undefined) this.#typical.set(cost, typical = new Typical(ms))
    else typical.add(ms)
    return cost.runs <= FIRST_RUNS ? typical.shortestMs : typical.medianMs
  }

  #comeBack (cost: Cost): void {
    cost.isShort = true
    cost.shortMeanMs = 0
    cost.why = 'was short often enough'
  }

  /** It ran on a lane, and `ms` is its part of what the lane took. */
  ranShort (cost: Cost, ms: number): void {
    this.#onLane.add(ms)
    cost.shortRuns++
    cost.shortMeanMs += WEIGHT * (Math.min(ms, MOST_MS) - cost.shortMeanMs)
    if (cost.isShort && cost.shortMeanMs > Math.max(this.budgetMs, UNUSUAL * this.#onLane.medianMs)) this.overran(cost)
  }

  override overran (cost: Cost): void {
    super.overran(cost)
    cost.due = Math.min(MOST_RUNS, NEXT_RUNS * 2 ** cost.mistakes++)
  }

  /** It wrote, or the server has refused to run it read only. */
  ranWriting (cost: Cost, ms: number): void {
    this.noteWrite(cost)
    this.measure(cost, ms)
  }

  noteWrite (cost: Cost): void {
    Object.assign(cost, { isRead: false, isShort: false, why: 'writes' } as const)
  }
}
