/**
 * What the page shows, once a second for everybody who looks: `GET /ops/live`, server-sent events, each with a `Snapshot`.
 *
 *  1. A timer runs while somebody looks, and for a minute after the last one has left, so that who comes back finds no gap. Otherwise nothing runs and nothing is measured.
 *  2. The snapshot is made once for all. Who reads slowly misses snapshots, never samples: the next one brings all that were not sent.
 *  3. The streams end when the server closes: they would hold it open.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Readable } from 'node:stream'
import type { Config } from '../config/index.ts'
import type { Database, DatabaseStatus, StatementStatus } from '../db/types.ts'
import { fingerprintOf, redact } from './fingerprint.ts'
import { History, quantile } from './history.ts'
import type { FingerprintView, Sample, Snapshot } from './page/snapshot.ts'
import { showStatement, showTransaction } from './statements.ts'

const INTERVAL_MS = 1000
const LINGER_MS = 60_000
/** A tick of the event loop's clock. It is part of each of its delays, and is taken off again. */
const LOOP_RESOLUTION_MS = 10
const SHOWN_FINGERPRINTS = 50
const SHOWN_RUNNING = 100

type IntervalHistogram = ReturnType<typeof monitorEventLoopDelay>

export interface LiveSource {
  readonly db: Pick<Database, 'engine' | 'status' | 'activity'>
  readonly config: Pick<Config, 'sqlite'>
}

export class Live {
  readonly #source: LiveSource
  readonly #history = new History()
  readonly #viewers = new Set<Viewer>()
  #loop: IntervalHistogram | undefined
  #timer: NodeJS.Timeout | undefined
  #leftAt = -Infinity

  constructor (source: LiveSource) {
    this.#source = source
  }

  /** True while anything is measured. */
  get isMeasuring (): boolean {
    return this.#timer !== undefined
  }

  /** The text of the events, the first one at once; destroyed by who stops to look. */
  watch (): Readable {
    const viewer = new Viewer(() => {
      this.#viewers.delete(viewer)
      this.#leftAt = performance.now()
    })
    this.#viewers.add(viewer)
    if (this.#timer === undefined) this.#start()
    viewer.send(this.#describe(), this.#history)
    return viewer.stream
  }

  close (): void {
    for (const viewer of this.#viewers) viewer.end()
    this.#viewers.clear()
    this.#stop()
  }

  #start (): void {
    this.#loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
    this.#loop.enable()
    this.#look(this.#source.db.status())
    this.#timer = setInterval(() => { this.#tick() }, INTERVAL_MS).unref()
  }

  #stop (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#loop?.disable()
    this.#loop = undefined
    this.#history.pause()
  }

  #tick (): void {
    if (this.#viewers.size === 0 && performance.now() - this.#leftAt > LINGER_MS) {
      this.#stop()
      return
    }
    const status = this.#source.db.status()
    this.#look(status)
    if (this.#viewers.size === 0) return
    const snapshot = this.#describe(status)
    for (const viewer of this.#viewers) viewer.send(snapshot, this.#history)
  }

  #look (status: DatabaseStatus): void {
    const memory = status.sqlite?.anonymousBytes ?? process.memoryUsage.rss()
    this.#history.note({ at: Date.now(), now: performance.now(), status, loop: readLoop(this.#loop), memory })
    this.#loop?.reset()
  }

  #describe (status = this.#source.db.status()): Omit<Snapshot, 'samples'> {
    const { config: { sqlite: { softHeapBytes, hardHeapBytes } }, db } = this.#source
    const { statements, transactions } = db.activity()
    const now = performance.now()
    const all = sumUp(status.statements)
    const { meters: { runs, failures }, queues, replica = null, sqlite = null, postgres = null } = status
    return {
      at: Date.now(),
      engine: status.engine,
      uptimeMs: process.uptime() * 1000,
      node: process.version,
      statements: statements.slice(0, SHOWN_RUNNING).map(statement => showStatement(statement, now)),
      transactions: transactions.slice(0, SHOWN_RUNNING).map(transaction => showTransaction(transaction, now)),
      running: statements.length,
      totals: { runs: { inline: runs.inline.count, lane: runs.lane.count, apart: runs.apart.count }, failures },
      queues, replica, sqlite, postgres,
      limits: { softBytes: sqlite === null ? null : softHeapBytes, hardBytes: sqlite === null ? null : hardHeapBytes },
      fingerprints: all.slice(0, SHOWN_FINGERPRINTS).map(view => ({ ...view, fingerprint: fingerprintOf(view.sql) })),
      known: all.filter(({ count }) => count > 0).length
    }
  }
}

/** One who looks. */
class Viewer {
  readonly stream: Readable
  #sentUntil = -Infinity
  #isReady = true

  constructor (left: () => void) {
    this.stream = new Readable({
      read: () => { this.#isReady = true },
      destroy: (error, done) => { left(); done(error) }
    })
  }

  send (snapshot: Omit<Snapshot, 'samples'>, history: History): void {
    if (!this.#isReady) return
    const samples: readonly Sample[] = history.since(this.#sentUntil)
    this.#sentUntil = samples.at(-1)?.at ?? this.#sentUntil
    const full: Snapshot = { ...snapshot, samples }
    this.#isReady = this.stream.push(`data: ${JSON.stringify(full)}\n\n`)
  }

  end (): void {
    this.stream.push(null)
  }
}

function readLoop (loop: IntervalHistogram | undefined): Sample['loop'] {
  if (loop === undefined || loop.count === 0) return null
  const delay = (ns: number): number => Math.max(0, ns / 1e6 - LOOP_RESOLUTION_MS)
  return { p50: delay(loop.percentile(50)), p99: delay(loop.percentile(99)), max: delay(loop.max) }
}

/** Texts that differ in their literals only are shown as one: its figures are their sums, where it runs is said of the one with the most time. */
function sumUp (statements: readonly StatementStatus[]): FingerprintView[] {
  const views = new Map<string, FingerprintView>()
  for (const statement of [...statements].sort((a, b) => b.total.sumMs - a.total.sumMs)) {
    const sql = redact(statement.sql)
    const before = views.get(sql)
    const view = describeStatement(statement, sql)
    views.set(sql, before === undefined ? view : add(before, view))
  }
  return [...views.values()].sort((a, b) => b.totalMs - a.totalMs)
}

function describeStatement ({ total, failures, runs, why, overruns, apart }: StatementStatus, sql: string): FingerprintView {
  const { count, sumMs, maxMs } = total
  return { fingerprint: '', sql, count, failures, totalMs: sumMs, meanMs: count === 0 ? 0 : sumMs / count, p99Ms: quantile(total, 0.99), maxMs, runs, why, overruns, apart }
}

function add (a: FingerprintView, b: FingerprintView): FingerprintView {
  const count = a.count + b.count
  const totalMs = a.totalMs + b.totalMs
  const runs = a.apart.runs + b.apart.runs
  return {
    ...a,
    count,
    failures: a.failures + b.failures,
    totalMs,
    meanMs: count === 0 ? 0 : totalMs / count,
    p99Ms: Math.max(a.p99Ms, b.p99Ms),
    maxMs: Math.max(a.maxMs, b.maxMs),
    overruns: a.overruns + b.overruns,
    apart: { runs, meanMs: runs === 0 ? 0 : (a.apart.meanMs * a.apart.runs + b.apart.meanMs * b.apart.runs) / runs }
  }
}
