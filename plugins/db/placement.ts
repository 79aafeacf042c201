/**
 * Where a statement runs: decided by its plan when it is new, and by what it has cost before.
 *
 * A statement that is short runs where it delays others if it is not: on SQLite on the main thread, under a budget. One that was interrupted there, or whose plan reads
 * a large table, runs apart (a reader's or the writer's thread) and is measured. If it was short there it was the machine that was busy, and it comes back at once; if not,
 * it comes back when it was short often enough, and each time that turns out wrong it stays away twice as long. One that has been short many times is given a second chance on
 * the spot: apart it might have to wait for others. The table is bounded: a statement that is forgotten is new again.
 */
import { errorKind } from '../errors.ts'
import { Cache } from './cache.ts'
import { isStatementHeard, publishStatement } from './events.ts'
import { EngineMeters, Meter } from './meter.ts'
import type { EngineName } from './types.ts'

/** What is known of one statement. */
export interface Cost {
  readonly sql: string
  isShort: boolean
  /** Runs where it delays others, to their end; counted by who runs it. */
  shortRuns: number
  /** What these took on average, where that is known. */
  shortMeanMs: number
  why: 'new' | 'new: a short plan' | 'new: the plan reads a large table' | 'took longer than the budget' | 'was short often enough' | 'writes'
  /** What the server has said, where it does: PostgreSQL. */
  isRead: boolean | undefined
  /** Runs apart, and what they took on average. */
  runs: number
  meanMs: number
  /** Times that it took longer than the budget although it was taken for short. */
  overruns: number
  /** Runs apart that are due before it is taken for short again. */
  due: number
  /** Times that it was long apart, too, after it was taken for short. */
  mistakes: number
  /** All runs that came to their end, waiting included. */
  readonly total: Meter
  failures: number
}

const FIRST_DUE = 3
const MOST_DUE = 1000
/** Of so many runs one may be long without being called so. */
const UNUSUAL = 50
/** Of the mean, in percent, that the last run counts for. */
const WEIGHT = 0.25

export class Placement {
  readonly #costs = new Cache<string, Cost>(1000)
  readonly #recent: Cost[] = []
  readonly #engine: EngineName
  /** What counts as short; 0 for nothing. */
  readonly budgetMs: number
  readonly meters = new EngineMeters()

  constructor (budgetMs: number, engine: EngineName = 'sqlite') {
    this.#engine = engine
    this.budgetMs = budgetMs
  }

  /** It came to its end, `ms` after it was asked for. */
  noteRun (cost: Cost, place: 'inline' | 'lane' | 'apart', ms: number, request: object | undefined): void {
    cost.total.note(ms)
    this.meters.runs[place].note(ms)
    if (isStatementHeard(ms)) publishStatement({ engine: this.#engine, sql: cost.sql, place, outcome: 'ok', durationMs: ms, request }, ms)
  }

  /** It failed, and its caller is told so. */
  noteFailure (sql: string, error: unknown, request: object | undefined): void {
    const kind = errorKind(error) ?? 'other'
    this.meters.noteFailure(kind)
    const cost = this.find(sql)
    if (cost !== undefined) cost.failures++
    const ms = kind === 'timeout' ? Infinity : 0
    if (isStatementHeard(ms)) publishStatement({ engine: this.#engine, sql, place: undefined, outcome: kind, durationMs: undefined, request }, ms)
  }

  /** `looksShort` is asked of a new statement. */
  costOf (sql: string, looksShort: () => boolean): Cost {
    const known = this.#costs.get(sql)
    if (known !== undefined) return known
    const isShort = this.budgetMs > 0 && looksShort()
    const cost: Cost = { sql, isShort, shortRuns: 0, shortMeanMs: 0, isRead: undefined, why: isShort ? 'new: a short plan' : 'new: the plan reads a large table', runs: 0, meanMs: 0, overruns: 0, due: 1, mistakes: 0, total: new Meter(), failures: 0 }
    this.#costs.set(sql, cost)
    if (this.#recent.push(cost) > 1000) this.#recent.shift()
    return cost
  }

  find (sql: string): Cost | undefined {
    return this.#costs.get(sql)
  }

  /** It was taken for short, and was not: true if that is so unusual that it is worth another try. */
  mayTryAgain (cost: Cost): boolean {
    if (cost.shortRuns <= UNUSUAL * (cost.overruns + 1)) return false
    cost.overruns++
    return true
  }

  /** It was taken for short, and was not. */
  overran (cost: Cost): void {
    cost.overruns++
    cost.isShort = false
    cost.why = 'took longer than the budget'
    cost.due = 1
  }

  /** It ran apart, to its end. */
  ranApart (cost: Cost, ms: number): void {
    this.measure(cost, ms)
    if (cost.isShort) return
    if (ms > this.budgetMs) this.#stayApart(cost)
    else if (--cost.due <= 0 && ms < this.budgetMs / 2) this.#comeBack(cost)
  }

  measure (cost: Cost, ms: number): void {
    cost.meanMs = cost.runs === 0 ? ms : cost.meanMs + WEIGHT * (ms - cost.meanMs)
    cost.runs++
  }

  #stayApart (cost: Cost): void {
    if (cost.due === 1 && cost.overruns > 0) cost.mistakes++
    cost.due = Math.max(cost.due, Math.min(MOST_DUE, FIRST_DUE * 2 ** cost.mistakes))
  }

  #comeBack (cost: Cost): void {
    cost.isShort = true
    cost.why = 'was short often enough'
  }

  /** What is known of the statements met last, the slowest first. */
  list (): readonly Readonly<Cost>[] {
    return this.#recent.toSorted((a, b) => b.meanMs - a.meanMs)
  }
}
