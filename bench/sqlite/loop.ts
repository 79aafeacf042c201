/**
 * 2. The event loop while one statement in a hundred reads the whole table: 50 in flight, the others are point reads.
 *
 * How it measures:
 *  - each of 50 clients sends a statement, awaits it, lets the event loop turn, and sends the next. A closed loop sends nothing while it waits, so a stall hides the
 *    requests that would have come; therefore another point read is due each millisecond, and its latency counts from when it was due, not from when it was sent;
 *  - the delay of the event loop is Node's own histogram with a resolution of 1 ms. A stall of a second is one entry in it, as a delay of a millisecond is; therefore
 *    the longest is printed, and the share of the time that went by in stalls;
 *  - the same on better-sqlite3. What is not answered when the time is over is given up, where that is possible.
 */
import { isDeepStrictEqual } from 'node:util'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { errorKind } from '../../plugins/errors.ts'
import { formatCount } from '../../scripts/terminal.ts'
import { heavySql, pointSql, type HeavyName, type Item } from './data.ts'
import { spreadId } from '../measure/ids.ts'
import { boundFor, type Figure, type Measurement, type Outcome, type Settings } from '../measure/measurement.ts'
import { answersOf, openRaw } from './raw.ts'
import { percentile } from '../measure/statistics.ts'
import { openTandem, patient } from './tandem.ts'

const CLIENTS = 50
/** One in so many statements reads the whole table. */
const HEAVY_EVERY = 100
/** Most are scans, as in life; a sort or a GROUP BY of the table takes many times longer. */
const HEAVY: readonly HeavyName[] = ['scan', 'scan', 'scan', 'group', 'scan', 'scan', 'scan', 'sort']
const STALL_MS = 8

/** Who is measured. */
interface Subject {
  readonly point: (id: number) => Promise<unknown>
  readonly heavy: (sql: string) => Promise<unknown>
  /** Gives up what is under way. */
  readonly giveUp: () => void
}

export const loop: Measurement = { name: 'loop', title: 'The event loop, and point reads, while others read the whole table', measure }

async function measure (settings: Settings): Promise<Outcome> {
  const { path, rows, effort } = settings
  // at 20,000,000 rows few statements end within seconds
  const seconds = { full: Math.min(30, Math.max(6, rows / 700_000)), short: 3, tiny: 0.3 }[effort]
  const atLeast = effort === 'tiny' ? 0 : 2_000_000
  const statements = HEAVY.map(name => heavySql(name, rows, atLeast))
  const answers = answersOf(path, [...new Set(statements)])

  const idle = await measureIdle()
  const db = await openTandem(path, patient)
  const ending = new AbortController()
  const point = db.prepare(pointSql)
  const tandem = await new Mix(statements, answers, rows, {
    point: id => point.get(id),
    heavy: sql => db.signal(ending.signal, () => db.prepare(sql).get()),
    giveUp: () => { ending.abort() }
  }).run(seconds)
  const placed = db.status().statements.find(({ sql }) => sql === pointSql)
  await db.close()

  const raw = openRaw(path)
  const rawPoint = raw.prepare(pointSql)
  const sync = await new Mix(statements, answers, rows, {
    point: async id => rawPoint.get(id),
    heavy: async sql => raw.prepare(sql).get(),
    giveUp: () => {}
  }).run(seconds)
  raw.close()

  const bounds = {
    delay: boundFor(settings, { atMost: 8 }, { atMost: 25 }),
    latency: boundFor(settings, { atMost: 20 }, { atMost: 60 }),
    heavy: boundFor(settings, { atLeast: 1 }, { atLeast: 1 })
  }
  return {
    figures: [...figuresOf('db', tandem, bounds), ...figuresOf('better-sqlite3', sync, {})],
    problems: [...tandem.problems, ...sync.problems],
    notes: [
      `${seconds.toFixed(1)} s each; with nothing to do, p99 of the delay is ${idle.toFixed(2)} ms, 1 of which is its resolution`,
      `answers: ${tandem.describe()} by db, ${sync.describe()} by better-sqlite3`,
      `db: the point read was too long for the main thread ${placed?.overruns ?? 0} times, and ran in a thread ${placed?.apart.runs ?? 0} times`
    ]
  }
}

function figuresOf (who: string, mix: Mix, bounds: { delay?: Figure['bound'], latency?: Figure['bound'], heavy?: Figure['bound'] }): Figure[] {
  return [
    { name: `${who}: delay of the event loop, p99`, value: mix.delay.percentile(99) / 1e6, unit: 'ms', bound: bounds.delay },
    { name: `${who}: … the longest`, value: mix.delay.max / 1e6, unit: 'ms' },
    { name: `${who}: … time in stalls over ${STALL_MS} ms`, value: mix.stalledShare * 100, unit: '%' },
    { name: `${who}: point read, from when it was due, median`, value: percentile(mix.due, 0.5), unit: 'ms' },
    { name: `${who}: … p99`, value: percentile(mix.due, 0.99), unit: 'ms', bound: bounds.latency },
    { name: `${who}: … the longest`, value: percentile(mix.due, 1), unit: 'ms' },
    { name: `${who}: point read of the ${CLIENTS} clients, p99`, value: percentile(mix.latencies, 0.99), unit: 'ms', bound: bounds.latency },
    { name: `${who}: whole tables read`, value: mix.heavyDone, unit: '', bound: bounds.heavy }
  ]
}

async function measureIdle (): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await pause(500)
  delay.disable()
  return delay.percentile(99) / 1e6
}

/** One run, and what it showed. */
class Mix {
  readonly delay = monitorEventLoopDelay({ resolution: 1 })
  readonly latencies: number[] = []
  readonly due: number[] = []
  readonly problems: string[] = []
  heavyDone = 0
  stalledShare = 0
  readonly #statements: readonly string[]
  readonly #answers: ReadonlyMap<string, unknown>
  readonly #rows: number
  readonly #subject: Subject
  #sent = 0
  #isOver = false

  constructor (statements: readonly string[], answers: ReadonlyMap<string, unknown>, rows: number, subject: Subject) {
    this.#statements = statements
    this.#answers = answers
    this.#rows = rows
    this.#subject = subject
  }

  async run (seconds: number): Promise<this> {
    for (let i = 0; i < 500; i++) await this.#subject.point(spreadId(i, this.#rows))
    const end = performance.now() + seconds * 1000
    this.delay.enable()
    const clients = Array.from({ length: CLIENTS }, () => this.#client(end))
    await this.#dueReads(end)
    this.delay.disable()
    this.#isOver = true
    this.#subject.giveUp()
    await Promise.all(clients)
    return this
  }

  describe (): string {
    return `${formatCount(this.latencies.length + this.due.length)} rows by id, ${this.heavyDone} whole tables`
  }

  async #client (end: number): Promise<void> {
    while (performance.now() < end) {
      const i = this.#sent++
      if (i % HEAVY_EVERY === 0) await this.#heavy(this.#statements[(i / HEAVY_EVERY) % this.#statements.length] ?? '')
      else this.latencies.push(await this.#point(i, performance.now()))
      await nextTurn()
    }
  }

  /** One read for each millisecond that has passed, whatever the event loop did meanwhile. */
  async #dueReads (end: number): Promise<void> {
    const start = performance.now()
    const reads: Array<Promise<void>> = []
    let stalled = 0
    let last = start
    for (let due = start; last < end;) {
      await pause(1)
      const now = performance.now()
      if (now - last > STALL_MS) stalled += now - last
      last = now
      for (; due <= now; due++) reads.push(this.#point(reads.length, due).then(ms => { this.due.push(ms) }))
    }
    this.stalledShare = stalled / (last - start)
    await Promise.all(reads)
  }

  /** Milliseconds since `from`. */
  async #point (i: number, from: number): Promise<number> {
    const id = spreadId(i, this.#rows)
    const row = await this.#subject.point(id) as Item | undefined
    const ms = performance.now() - from
    if (row?.id !== id) this.problems.push(`the row with id ${id} is ${JSON.stringify(row)}`)
    return ms
  }

  async #heavy (sql: string): Promise<void> {
    try {
      const row = await this.#subject.heavy(sql)
      if (!this.#isOver) this.heavyDone++
      if (!isDeepStrictEqual(row, this.#answers.get(sql))) this.problems.push(`${sql} is answered by ${JSON.stringify(row)}, not by ${JSON.stringify(this.#answers.get(sql))}`)
    } catch (error) {
      if (!this.#isOver || errorKind(error) !== 'aborted') this.problems.push(`${sql}: ${String(error)}`)
    }
  }
}
