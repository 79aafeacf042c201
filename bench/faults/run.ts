/** One run on one engine: requests from many clients, faults between them, and the comparison at the end. */
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Progress } from '../../scripts/terminal.ts'
import { send, type Plan } from './client.ts'
import { judgeRequest, judgeRun, type Outcome } from './judge.ts'
import { kinds, type KindName, type Report } from './kinds.ts'
import { AppProcess } from './process.ts'
import { Random } from './random.ts'
import { startPostgres, startSqlite, type Target } from './targets.ts'

export interface RunOptions {
  readonly engine: 'postgres' | 'sqlite'
  readonly requests: number
  readonly concurrency: number
  readonly seed: number
  /** Which requests are sent; all if it is empty. */
  readonly kinds: readonly KindName[]
}

export interface Result {
  readonly options: RunOptions
  readonly seconds: number
  readonly outcomes: readonly Outcome[]
  /** How often each. */
  readonly faults: Readonly<Record<string, number>>
  readonly report: Report
  readonly violations: readonly string[]
}

/** One fault for so many requests. */
const REQUESTS_PER_FAULT = 20

export async function run (options: RunOptions): Promise<Result> {
  const startedAt = performance.now()
  const target = await (options.engine === 'postgres' ? startPostgres() : startSqlite())
  const app = new AppProcess(target.env)
  try {
    await app.start()
    const { outcomes, faults } = await attack(options, target, app)
    target.calm()
    const violations = [...await holdAll(target, app)]
    const report = await settle(app)
    violations.push(...await target.leftovers())
    const truth = await target.truth()
    for (const outcome of outcomes) {
      const wrong = judgeRequest(outcome, truth)
      if (wrong !== undefined) violations.push(`request ${describe(outcome)} ${wrong}`)
    }
    violations.push(...judgeRun(outcomes, truth, report, app.life), ...judgeFaults(outcomes, faults))
    if (!await app.close()) violations.push('app.close() had not ended after 10 s')
    if (app.errors !== '') violations.push(`the app wrote to stderr:\n${app.errors.slice(0, 8000)}`)
    return { options, seconds: (performance.now() - startedAt) / 1000, outcomes, faults: { ...faults, ...target.counts() }, report, violations }
  } finally {
    await app.kill()
    await target.stop()
  }
}

/** The same for the same seed, whatever happens in the run. */
function planRequest ({ seed, kinds: chosen }: RunOptions, index: number): Plan {
  const random = new Random(seed * 1_000_003 + index)
  random.next()
  const names = (Object.keys(kinds) as KindName[]).filter(name => chosen.length === 0 || chosen.includes(name))
  const kind = random.weighted(Object.fromEntries(names.map(name => [name, kinds[name].weight])) as Record<KindName, number>)
  const rows = kind === 'read' ? 0 : random.between(1, 3)
  const waitMs = random.between(0, 60)
  const abort = random.chance(0.08) ? random.between(0, 40) : random.chance(0.01) ? 'body' : undefined
  return { id: `${seed}-${index}`, kind, rows, waitMs, abort }
}

interface PlannedFault { readonly at: number, readonly name: string, readonly waitMs: number }

/** Two lists, since a lock may be waited for, and the rare ones are not to wait with it. */
function planFaults ({ seed, requests }: RunOptions, { faults, rareFaults }: Target): PlannedFault[][] {
  const random = new Random(seed)
  const often: PlannedFault[] = []
  for (let at = REQUESTS_PER_FAULT; at < requests; at += random.between(REQUESTS_PER_FAULT >> 1, REQUESTS_PER_FAULT * 3 >> 1)) {
    often.push({ at, name: random.weighted(faults), waitMs: random.between(0, 20) })
  }
  const many = Math.min(6, Math.max(2, Math.round(requests / 1500)))
  const rarely = Array.from({ length: many }, (_, i): PlannedFault => ({
    at: Math.round(requests * (i + 1) / (many + 1)), name: rareFaults[i % rareFaults.length] ?? '', waitMs: random.between(0, 20)
  }))
  return [often, rarely]
}

/** Does what is due, one fault after the other. */
class Attacker {
  readonly #plan: PlannedFault[]
  readonly #hurt: (fault: PlannedFault) => Promise<void>
  #running: Promise<void> | undefined

  constructor (plan: PlannedFault[], hurt: (fault: PlannedFault) => Promise<void>) {
    this.#plan = plan
    this.#hurt = hurt
  }

  get isHurting (): boolean {
    return this.#running !== undefined
  }

  /** `started`: how many requests have begun. The answer is for the end of the run. */
  advance (started: number): Promise<void> {
    return this.#running ??= this.#run(started).finally(() => { this.#running = undefined })
  }

  async #run (started: number): Promise<void> {
    for (let fault = this.#plan[0]; fault !== undefined && fault.at <= started; fault = this.#plan[0]) {
      this.#plan.shift()
      await sleep(fault.waitMs)
      await this.#hurt(fault)
    }
  }
}

async function attack (options: RunOptions, target: Target, app: AppProcess): Promise<Pick<Result, 'faults'> & { outcomes: Outcome[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.concurrency * 2 })
  const progress = new Progress({ unit: 'requests' })
  const outcomes: Outcome[] = []
  const faults: Record<string, number> = {}
  const random = new Random(options.seed + 1)
  const attackers = planFaults(options, target).map(plan => new Attacker(plan, async ({ name }) => {
    await target.hurt(name, app, random)
    faults[name] = (faults[name] ?? 0) + 1
  }))
  const failed = Promise.withResolvers<never>()
  const advance = (): void => { for (const attacker of attackers) attacker.advance(next).catch(failed.reject) }
  let next = 0

  async function work (): Promise<void> {
    while (next < options.requests) {
      const plan = planRequest(options, next++)
      advance()
      const { life, port, isUp } = app
      const answer = await send(agent, port, plan)
      const isKilled = !isUp || !app.isUp || app.life !== life
      outcomes.push({ plan, answer, life, isKilled })
      progress.update(outcomes.length, options.requests, options.engine)
      // a server that is away would use up all requests
      if (answer.status === 503) await sleep(attackers[1]?.isHurting === true ? 150 : 5)
      while (!app.isUp && isKilled) await sleep(20)
    }
  }
  // an app that does not start again fails the run
  await Promise.race([failed.promise, Promise.all(Array.from({ length: options.concurrency }, work))])
  for (const attacker of attackers) await attacker.advance(next)
  progress.clear()
  agent.destroy()
  return { outcomes, faults }
}

/** Each connection there may be is held by a request at the same time: none was lost. */
async function holdAll ({ capacity }: Target, { port }: AppProcess): Promise<string[]> {
  const wrong: string[] = []
  for (const [method, many] of [['POST', capacity.write], ['GET', capacity.read]] as const) {
    // connections that were cut are noticed at their next use
    let answers: string[] = []
    for (let i = 0; i < 5; i++) {
      const signal = AbortSignal.timeout(8000)
      answers = await Promise.all(Array.from({ length: many }, async () => {
        const response = await fetch(`http://127.0.0.1:${port}/hold/${method}-${i}/${many}`, { method, signal }).catch(() => undefined)
        const text = await response?.text().catch(() => 'cut')
        return response?.ok === true ? 'ok' : `${response?.status ?? 'none'} ${text ?? ''}`
      }))
      if (answers.every(answer => answer === 'ok') || signal.aborted) break
    }
    if (!answers.every(answer => answer === 'ok')) wrong.push(`of ${many} ${method} requests that hold a connection at the same time: ${answers.join(', ')}`)
  }
  return wrong
}

/** The report when nothing changes any more. */
async function settle (app: AppProcess): Promise<Report> {
  const until = performance.now() + 12_000
  for (;;) {
    const report = await app.report()
    const requests = Object.values(report.requests).reduce((a, b) => a + b, 0)
    const events = Object.values(report.events).flatMap(counts => Object.values(counts)).reduce((a, b) => a + b, 0)
    if ((report.active === 0 && events >= requests) || performance.now() > until) return report
    await sleep(50)
  }
}

/** A run in which nothing happened shows nothing. */
function judgeFaults (outcomes: readonly Outcome[], faults: Record<string, number>): string[] {
  const wrong: string[] = []
  if (Object.keys(faults).length === 0) wrong.push('there was no fault in this run')
  const good = outcomes.filter(({ plan, answer }) => answer.isComplete && answer.status === kinds[plan.kind].success).length
  if (good < outcomes.length / 4) wrong.push(`only ${good} of ${outcomes.length} requests succeeded`)
  return wrong
}

function describe ({ plan: { id, kind, rows, waitMs, abort }, answer }: Outcome): string {
  return `${id} (${kind}, ${rows} rows, ${waitMs} ms${abort === undefined ? '' : `, abort ${abort}`}; ${answer.isComplete ? answer.status : `incomplete: ${answer.reason}`})`
}
