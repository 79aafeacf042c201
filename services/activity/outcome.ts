/** What became of an attempt to deliver. */
export type Outcome =
  /** `pauseMs`: the receiver takes nothing more for so long. */
  | { readonly kind: 'delivered', readonly status: number, readonly pauseMs?: number }
  /** It has too many, and says until when. */
  | { readonly kind: 'throttled', readonly status: number, readonly retryAfterMs: number }
  /** It is not there any more, or wants nothing of us. */
  | { readonly kind: 'gone', readonly status: number }
  | { readonly kind: 'failed', readonly status?: number, readonly error: string }

export interface OutboxCounts { readonly claimed: number, readonly delivered: number, readonly retried: number, readonly dead: number }

export const nothing: OutboxCounts = { claimed: 0, delivered: 0, retried: 0, dead: 0 }

export function addCounts (a: OutboxCounts, b: OutboxCounts): OutboxCounts {
  return { claimed: a.claimed + b.claimed, delivered: a.delivered + b.delivered, retried: a.retried + b.retried, dead: a.dead + b.dead }
}
