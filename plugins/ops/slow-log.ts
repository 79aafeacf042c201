/**
 * Statements that took longer than `slowMs`: told in the log, and kept in a list with their plans.
 *
 * What is kept true:
 *  1. A statement that is not slow costs nothing here: the engines compare its duration, which they know anyway, and call only for one that is.
 *  2. One warning for each fingerprint in a period; how often it was slow is counted all the same.
 *  3. The plan is made later and outside of the request, one at a time, each within a second. Without a plan the warning says why.
 *  4. No value of a parameter and no literal is kept. Of statements there are at most 200; what was slow the longest ago goes first.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyInstance } from 'fastify'
import { watchSlow, type StatementEvent } from '../db/events.ts'
import { fingerprintOf, redact } from './fingerprint.ts'
import { explain, type Plan } from './plan.ts'

export interface SlowLogOptions {
  /** In ms. 0: nothing is slow. */
  readonly slowMs: number
  /** In ms, for which a statement is not told of again. Default: ten minutes. */
  readonly periodMs?: number
}

/** One fingerprint. */
export interface SlowStatement {
  readonly fingerprint: string
  readonly sql: string
  /** Times that it was slow. */
  count: number
  /** In ms; those that were stopped are counted with what is known of them. */
  maxMs: number
  sumMs: number
  /** The last time, as ISO 8601. */
  lastAt: string
  lastMs: number | undefined
  outcome: string
  place: StatementEvent['place']
  /** As declared, `GET /jobs/:id`. */
  route: string | undefined
  plan: readonly string[] | undefined
  hints: readonly string[]
  /** Why there is no plan. */
  planProblem: string | undefined
}

const PERIOD_MS = 600_000
const PLAN_MS = 1000
const MOST = 200
/** Plans that are waited for; beyond it the warning goes without. */
const MOST_WAITING = 20
/** What is sent by this file. */
const OURS = /^(?:EXPLAIN|DO \$tandem_|SELECT current_setting\('tandem\.plan)/

export class SlowLog {
  readonly slowMs: number
  readonly #app: FastifyInstance
  readonly #periodMs: number
  readonly #statements = new Map<string, SlowStatement>()
  readonly #toldAt = new Map<string, number>()
  readonly #unwatch: () => void
  /** Runs a function as if no request were there. */
  readonly #outside = AsyncLocalStorage.snapshot()
  #waiting = 0
  #work: Promise<void> = Promise.resolve()

  constructor (app: FastifyInstance, { slowMs, periodMs = PERIOD_MS }: SlowLogOptions) {
    this.slowMs = slowMs
    this.#app = app
    this.#periodMs = periodMs
    this.#unwatch = slowMs > 0 && slowMs < Infinity ? watchSlow(slowMs, event => { this.#note(event) }) : () => {}
  }

  /** What cost the most time first. */
  list (): SlowStatement[] {
    return [...this.#statements.values()].toSorted((a, b) => b.sumMs - a.sumMs)
  }

  /** Resolves when what was slow until now is in the log. */
  async settled (): Promise<void> {
    await this.#work
  }

  async close (): Promise<void> {
    this.#unwatch()
    await this.#work
  }

  #note (event: StatementEvent): void {
    if (event.engine !== this.#app.db.engine || OURS.test(event.sql)) return
    const statement = this.#count(event)
    const { fingerprint } = statement
    const now = performance.now()
    if (now - (this.#toldAt.get(fingerprint) ?? -Infinity) < this.#periodMs) return
    this.#toldAt.set(fingerprint, now)
    const withPlan = this.#waiting < MOST_WAITING
    this.#waiting++
    this.#outside(() => { this.#work = this.#work.then(() => this.#tell(event.sql, statement, { ...statement }, withPlan)) })
  }

  #count (event: StatementEvent): SlowStatement {
    const fingerprint = fingerprintOf(event.sql)
    const statement: SlowStatement = this.#statements.get(fingerprint) ?? {
      fingerprint, sql: redact(event.sql), count: 0, maxMs: 0, sumMs: 0, lastAt: '', lastMs: undefined, outcome: '', place: undefined, route: undefined, plan: undefined, hints: [], planProblem: undefined
    }
    const ms = event.durationMs ?? this.slowMs
    statement.count++
    statement.sumMs += ms
    statement.maxMs = Math.max(statement.maxMs, ms)
    Object.assign(statement, { lastAt: new Date().toISOString(), lastMs: event.durationMs, outcome: event.outcome, place: event.place, route: routeOf(event.request) })
    this.#statements.delete(fingerprint)
    this.#statements.set(fingerprint, statement)
    if (this.#statements.size > MOST) this.#forgetOldest()
    return statement
  }

  #forgetOldest (): void {
    const [oldest = ''] = this.#statements.keys()
    this.#statements.delete(oldest)
    this.#toldAt.delete(oldest)
  }

  /** `seen`: as it was when it was slow. */
  async #tell (sql: string, statement: SlowStatement, seen: SlowStatement, withPlan: boolean): Promise<void> {
    const { plan, problem } = withPlan ? await this.#explain(sql) : { plan: undefined, problem: 'too many plans are waited for' }
    statement.plan = plan?.steps
    statement.hints = plan?.hints ?? []
    statement.planProblem = problem
    this.#waiting--
    const { fingerprint, lastMs, outcome, place, route } = seen
    this.#app.log.warn({ durationMs: lastMs, outcome, place, route, fingerprint, sql: seen.sql, plan: statement.plan, hints: statement.hints, planProblem: problem }, 'slow statement')
  }

  async #explain (sql: string): Promise<{ plan?: Plan | undefined, problem?: string | undefined }> {
    const { db } = this.#app
    try {
      const plan = await db.outsideTx(async () => await db.deadline(PLAN_MS, async () => await explain(db, sql)))
      return plan === undefined ? { problem: 'it has none, or the server is older than PostgreSQL 16' } : { plan }
    } catch (error) {
      return { problem: error instanceof Error && 'code' in error ? String(error.code) : 'it failed' }
    }
  }
}

/** Watches until the app is closed. */
export function startSlowLog (app: FastifyInstance, options: SlowLogOptions): SlowLog {
  const log = new SlowLog(app, options)
  app.addHook('preClose', async () => { await log.close() })
  return log
}

/** `GET /ops/statements/slow`. */
export function slowRoutes (app: FastifyInstance, log: SlowLog): void {
  app.get('/ops/statements/slow', { config: { tx: false } }, async () => ({ slowMs: log.slowMs, statements: log.list() }))
}

/** `request`: a FastifyRequest, or something else. */
function routeOf (request: object | undefined): string | undefined {
  if (request === undefined || !('routeOptions' in request) || !('method' in request)) return undefined
  const { routeOptions, method } = request as { routeOptions: { url?: string }, method: string }
  return routeOptions.url === undefined ? undefined : `${method} ${routeOptions.url}`
}
