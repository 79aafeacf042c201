/**
 * How often something was done and how long it took: counts in fixed bounds. Cheap enough for each statement: a comparison or some, three additions, nothing allocated.
 *
 * What is kept true: `count` is the sum of the buckets. Counts only grow.
 */
import type { ErrorKind } from '../errors.ts'
import type { Histogram, Meters } from './types.ts'

/** The last bucket has no bound. */
export const DURATION_BOUNDS_MS: readonly number[] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

/** Of `ms`: the first bucket whose bound it does not exceed. */
export class Meter implements Histogram {
  count = 0
  sumMs = 0
  maxMs = 0
  readonly buckets: number[] = new Array<number>(DURATION_BOUNDS_MS.length + 1).fill(0)

  note (ms: number): void {
    let i = 0
    while (i < DURATION_BOUNDS_MS.length && ms > (DURATION_BOUNDS_MS[i] ?? Infinity)) i++
    this.buckets[i] = (this.buckets[i] ?? 0) + 1
    this.count++
    this.sumMs += ms
    if (ms > this.maxMs) this.maxMs = ms
  }
}

/** Of one engine. */
export class EngineMeters implements Meters {
  readonly runs = { inline: new Meter(), lane: new Meter(), apart: new Meter() }
  readonly waits = new Meter()
  readonly failures: Record<string, number> = {}

  noteFailure (kind: ErrorKind): void {
    this.failures[kind] = (this.failures[kind] ?? 0) + 1
  }
}

/** Of several servers that are one engine. */
export function sumMeters (all: readonly Meters[]): Meters {
  const failures: Record<string, number> = {}
  for (const [kind, count] of all.flatMap(meters => Object.entries(meters.failures))) failures[kind] = (failures[kind] ?? 0) + count
  const sum = (of: (meters: Meters) => Histogram): Histogram => sumHistograms(all.map(of))
  return { runs: { inline: sum(({ runs }) => runs.inline), lane: sum(({ runs }) => runs.lane), apart: sum(({ runs }) => runs.apart) }, waits: sum(({ waits }) => waits), failures }
}

function sumHistograms (all: readonly Histogram[]): Histogram {
  return {
    count: all.reduce((sum, { count }) => sum + count, 0),
    sumMs: all.reduce((sum, { sumMs }) => sum + sumMs, 0),
    maxMs: Math.max(0, ...all.map(({ maxMs }) => maxMs)),
    buckets: Array.from({ length: DURATION_BOUNDS_MS.length + 1 }, (_, i) => all.reduce((sum, { buckets }) => sum + (buckets[i] ?? 0), 0))
  }
}
