/** What a soak run has to keep, and whether it did. Nothing in here sends or measures. */
import type { Held } from './app.ts'
import type { Answer } from './client.ts'

export interface Bounds {
  /** When clients have left, their places are free within so many ms. */
  readonly freedMs: number
  /** By so much the memory may grow in a minute, by a line through the second half of the run. */
  readonly slopeBytes: number
}

export interface MemorySample { readonly ms: number, readonly bytes: number }

/** Clients left in the middle of requests of one kind, while nobody else was there. `freedMs`: undefined if the places were not free at the end. */
export interface Probe { readonly kind: string, readonly isMeasured: boolean, readonly freedMs: number | undefined, readonly load: string }

/** The only 5xx that there may be: try again, with a word when. And 429. */
const declared = /^TDM_ERR_(?:JOBS_(?:TIME_LIMIT|MEMORY_LIMIT|BUSY|RATE_LIMIT)|DB_(?:TIMEOUT|ABORTED|MEMORY|BUSY|SERIALIZATION|DEADLOCK)|POOL_TIMEOUT)$/

export function isDeclared (code: string): boolean {
  return declared.test(code)
}

/** What is wrong with an answer; undefined if nothing is. */
export function judgeAnswer ({ kind, status, code = '', hasRetryAfter, isComplete, hasLeft, problem, fate }: Answer): string | undefined {
  if (problem !== undefined) return problem
  if (!isComplete) return hasLeft || fate.deadlineMs !== undefined ? undefined : 'the answer was cut off'
  if (status === 200 || kind.statuses?.includes(status ?? 0) === true) return undefined
  if (status !== 503 && status !== 429) return `status ${status} ${code}`
  if (!isDeclared(code)) return `${status} with the code ${code}, which is none of those that say "try again"`
  return hasRetryAfter ? undefined : `${status} ${code} without Retry-After`
}

export function judgeProbes (probes: readonly Probe[], { freedMs: bound }: Bounds): string[] {
  const late = probes.filter(({ freedMs }) => freedMs === undefined || freedMs > bound)
  const wrong = late.map(({ kind, freedMs, load }) => `${kind}: when its clients had left, ${freedMs === undefined ? `places stayed taken: ${load}` : `the last place was free after ${freedMs.toFixed(0)} ms, which is more than ${bound}`}`)
  return probes.some(({ isMeasured }) => isMeasured) ? wrong : [...wrong, 'no client has left in the middle of a statement while that could be measured']
}

/** How long handlers and streams went on whose client had left, beside everybody else. */
export function judgeHeld (held: readonly Held[], { freedMs: bound }: Bounds): string[] {
  const late = held.filter(({ ms }) => ms > bound).toSorted((a, b) => b.ms - a.ms)
  const longest = late.slice(0, 5).map(({ route, ms }) => `${route} ${ms.toFixed(0)} ms`)
  return late.length === 0 ? [] : [`${late.length} of ${held.length} requests whose client had left went on for more than ${bound} ms: ${longest.join(', ')}`]
}

export function judgeMemory (samples: readonly MemorySample[], { slopeBytes }: Bounds): string[] {
  const slope = slopeOf(samples)
  return slope > slopeBytes ? [`the memory grows by ${(slope / 1e6).toFixed(1)} MB a minute, which is more than ${(slopeBytes / 1e6).toFixed(1)}`] : []
}

/** Bytes a minute, of the straight line through the second half (least squares). */
export function slopeOf (samples: readonly MemorySample[]): number {
  const half = secondHalf(samples)
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const ms = mean(half.map(sample => sample.ms))
  const bytes = mean(half.map(sample => sample.bytes))
  const across = half.reduce((sum, sample) => sum + (sample.ms - ms) * (sample.bytes - bytes), 0)
  const along = half.reduce((sum, sample) => sum + (sample.ms - ms) ** 2, 0)
  return along === 0 ? 0 : across / along * 60_000
}

export function secondHalf (samples: readonly MemorySample[]): MemorySample[] {
  const [first, last] = [samples[0]?.ms ?? 0, samples.at(-1)?.ms ?? 0]
  return samples.filter(({ ms }) => ms >= (first + last) / 2)
}

/** A run in which nothing happened shows nothing. */
export function judgeEffort ({ requests, complete, left }: { readonly requests: number, readonly complete: number, readonly left: number }): string[] {
  return [
    ...complete < requests / 4 ? [`only ${complete} of ${requests} requests succeeded`] : [],
    ...left === 0 ? ['no client has left'] : []
  ]
}
