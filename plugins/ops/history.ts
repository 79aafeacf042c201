/**
 * The last five minutes, second by second: what the charts of the page are drawn from.
 *
 * A sample holds the difference of two looks at the counters, which only grow. The first look after a pause has nothing to be compared with, so it makes no sample: a gap in the chart, never
 * the work of the pause shown as that of one second.
 */
import { DURATION_BOUNDS_MS } from '../db/meter.ts'
import type { EngineStatus, Histogram } from '../db/types.ts'
import type { Latency, Place, Sample } from './page/snapshot.ts'

export const HISTORY_SAMPLES = 300

export interface Look {
  /** By the wall clock, in ms. */
  readonly at: number
  /** On the clock of `performance.now()`. */
  readonly now: number
  readonly status: Pick<EngineStatus, 'meters' | 'queues' | 'sqlite'>
  readonly loop: Sample['loop']
  readonly memory: number | null
}

interface Counters { readonly now: number, readonly runs: Readonly<Record<Place, Histogram>>, readonly waits: Histogram, readonly failures: number }

export class History {
  readonly #samples: Sample[] = []
  #before: Counters | undefined

  note ({ at, now, status, loop, memory }: Look): void {
    const before = this.#before
    const after = this.#before = readCounters(now, status.meters)
    if (before === undefined) return
    const queues = Object.values(status.queues)
    this.#samples.push({
      at,
      spanMs: now - before.now,
      runs: { inline: between(before.runs.inline, after.runs.inline), lane: between(before.runs.lane, after.runs.lane), apart: between(before.runs.apart, after.runs.apart) },
      failures: after.failures - before.failures,
      waits: between(before.waits, after.waits),
      loop,
      memory,
      wal: status.sqlite?.walBytes ?? null,
      used: queues.reduce((sum, { used }) => sum + used, 0),
      waiting: queues.reduce((sum, { waiting }) => sum + waiting, 0)
    })
    if (this.#samples.length > HISTORY_SAMPLES) this.#samples.shift()
  }

  /** The next look starts anew. */
  pause (): void {
    this.#before = undefined
  }

  /** Those that are younger than `at`, the oldest first. */
  since (at: number): Sample[] {
    return this.#samples.filter(sample => sample.at > at)
  }
}

/** The time that `share` of them took at most: between the bounds of its bucket in proportion. The last bucket has no bound but the longest run. */
export function quantile ({ count, buckets, maxMs }: Histogram, share: number): number {
  const rank = share * count
  let below = 0
  for (const [i, size] of buckets.entries()) {
    if (size > 0 && below + size >= rank) {
      const low = DURATION_BOUNDS_MS[i - 1] ?? 0
      const high = Math.max(low, Math.min(DURATION_BOUNDS_MS[i] ?? Infinity, maxMs))
      return low + (high - low) * (rank - below) / size
    }
    below += size
  }
  return maxMs
}

function readCounters (now: number, { runs, waits, failures }: EngineStatus['meters']): Counters {
  return {
    now,
    runs: { inline: copy(runs.inline), lane: copy(runs.lane), apart: copy(runs.apart) },
    waits: copy(waits),
    failures: Object.values(failures).reduce((sum, count) => sum + count, 0)
  }
}

/** The meters go on counting. */
function copy ({ count, sumMs, maxMs, buckets }: Histogram): Histogram {
  return { count, sumMs, maxMs, buckets: [...buckets] }
}

function between (before: Histogram, after: Histogram): Latency | null {
  const count = after.count - before.count
  if (count === 0) return null
  const part = { count, sumMs: after.sumMs - before.sumMs, maxMs: after.maxMs, buckets: after.buckets.map((size, i) => size - (before.buckets[i] ?? 0)) }
  return { count, p50: quantile(part, 0.5), p99: quantile(part, 0.99) }
}
