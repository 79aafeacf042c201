/** What the answer of a receiver means. */
import type { Outcome } from './outcome.ts'
import type { Reply } from './send.ts'

/** It will not change: the receiver is gone, or does not want us. */
const FINAL = new Set([401, 403, 404, 410])
const LEAST_PAUSE_MS = 1000
const MOST_PAUSE_MS = 24 * 3_600_000
/** Where nothing says how long. */
const USUAL_PAUSE_MS = 60_000

export function toOutcome ({ status, headers, text }: Reply, now: number): Outcome {
  if (status >= 200 && status < 300) return { kind: 'delivered', status, ...pauseOf(headers) }
  if (status === 429) return { kind: 'throttled', status, retryAfterMs: bounded(retryAfterOf(headers, text, now)) }
  return FINAL.has(status) ? { kind: 'gone', status } : { kind: 'failed', status, error: `answered ${status}` }
}

/** The next request would be one too many. */
function pauseOf (headers: Reply['headers']): { pauseMs?: number } {
  if (headers['x-ratelimit-remaining'] !== '0') return {}
  const seconds = Number(headers['x-ratelimit-reset-after'])
  return seconds > 0 ? { pauseMs: bounded(seconds * 1000) } : {}
}

/** By the body (which Discord gives with fractions), or the header: seconds, or a date. */
function retryAfterOf (headers: Reply['headers'], text: string, now: number): number {
  const inBody = secondsIn(text)
  if (inBody !== undefined) return inBody * 1000
  const header = headers['retry-after'] ?? ''
  if (/^\d+(?:\.\d+)?$/.test(header)) return Number(header) * 1000
  const until = Date.parse(header)
  return Number.isNaN(until) ? USUAL_PAUSE_MS : until - now
}

function secondsIn (text: string): number | undefined {
  try {
    const { retry_after: seconds } = JSON.parse(text) as { retry_after?: unknown }
    return typeof seconds === 'number' && seconds >= 0 ? seconds : undefined
  } catch {
    return undefined
  }
}

function bounded (ms: number): number {
  return Math.round(Math.min(Math.max(ms, LEAST_PAUSE_MS), MOST_PAUSE_MS))
}
