/**
 * What became of deliveries (T15): the attempt, the state of the row, and what it means for the webhook, in one commit.
 *
 * What is kept true: a result counts only for who holds the lease; what was cancelled or taken over meanwhile stays as it is. Rows are locked in one order: the group (if
 * the webhook may be disabled, so that no event is put into the outbox beside it), the webhook, its deliveries.
 */
import type { Database } from '../../plugins/db/types.ts'
import { toFlag, toNumber } from '../common/columns.ts'
import { tellGroup } from '../groups/lock.ts'
import { cancelDeliveries, type ClaimedDelivery } from './claims.ts'
import { nothing, type OutboxCounts, type Outcome } from './outcome.ts'
import { MOST_ATTEMPTS, MOST_DEAD, MOST_THROTTLES, retryDelayMs } from './schedule.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export interface Attempt {
  /** The claim. */
  readonly owner: string
  /** Those that were in the request, all of one webhook. */
  readonly deliveries: readonly ClaimedDelivery[]
  readonly outcome: Outcome
  readonly startedAt: number
  readonly durationMs: number
}

/** How a row goes on. */
interface Next {
  readonly status: 'pending' | 'delivered' | 'dead'
  readonly attempts: number
  readonly throttles: number
  readonly at: number
}

export async function recordDeliveryResult (db: Db, attempt: Attempt, now: number): Promise<OutboxCounts> {
  const [{ groupId, webhookId } = { groupId: '', webhookId: '' }] = attempt.deliveries
  const steps = attempt.deliveries.map(delivery => ({ delivery, next: goOn(delivery, attempt.outcome, now) }))
  const mayDisable = attempt.outcome.kind === 'gone' || steps.some(({ next }) => next.status === 'dead')
  return await db.tx(async () => {
    if (mayDisable) await db.prepare('UPDATE groups SET updated_at = updated_at WHERE id = ?').run(groupId) // its lock; also of one that was deleted
    const webhook = await db.prepare('UPDATE webhooks SET failures = failures WHERE id = ? RETURNING failures, enabled').get(webhookId)
    const counts = { ...nothing }
    for (const { delivery, next } of steps) {
      if (await settle(db, { attempt, delivery, next }, now)) counts[next.status === 'pending' ? 'retried' : next.status]++
    }
    if (webhook !== undefined && toFlag(webhook.enabled)) await judge(db, { groupId, webhookId, failures: toNumber(webhook.failures), outcome: attempt.outcome, counts }, now)
    return counts
  }, { retry: 3 })
}

function goOn ({ attempts, throttles }: ClaimedDelivery, outcome: Outcome, now: number): Next {
  if (outcome.kind === 'delivered') return { status: 'delivered', attempts: attempts + 1, throttles, at: now }
  if (outcome.kind === 'gone') return { status: 'dead', attempts: attempts + 1, throttles, at: now }
  if (outcome.kind === 'throttled' && throttles < MOST_THROTTLES) return { status: 'pending', attempts, throttles: throttles + 1, at: now + outcome.retryAfterMs }
  const failures = attempts + 1
  return failures < MOST_ATTEMPTS ? { status: 'pending', attempts: failures, throttles, at: now + retryDelayMs(failures) } : { status: 'dead', attempts: failures, throttles, at: now }
}

const finish = `
  UPDATE outbox SET status = :status, attempts = :attempts, throttles = :throttles, next_attempt_at = :at, last_status = :httpStatus, last_error = :error,
    delivered_at = :deliveredAt, lease_owner = NULL, lease_until = NULL
  WHERE id = :id AND status = 'sending' AND lease_owner = :owner`

const note = `
  INSERT INTO outbox_attempts (outbox_id, n, started_at, duration_ms, http_status, error, retry_after_ms)
  VALUES (:id, (SELECT COALESCE(MAX(n), 0) + 1 FROM outbox_attempts WHERE outbox_id = :id), :startedAt, :durationMs, :httpStatus, :error, :retryAfter)`

/** False: it is somebody else's by now, or was cancelled. */
async function settle (db: Db, { attempt, delivery, next }: { attempt: Attempt, delivery: ClaimedDelivery, next: Next }, now: number): Promise<boolean> {
  const { outcome, owner, startedAt, durationMs } = attempt
  const said = { httpStatus: outcome.status ?? null, error: errorOf(outcome) }
  const { status, attempts, throttles, at } = next
  const deliveredAt = status === 'delivered' ? now : null
  const { changes } = await db.prepare(finish).run({ id: delivery.id, owner, status, attempts, throttles, at, deliveredAt, ...said })
  if (changes === 0) return false
  await db.prepare(note).run({ id: delivery.id, startedAt, durationMs: Math.round(durationMs), retryAfter: outcome.kind === 'throttled' ? outcome.retryAfterMs : null, ...said })
  return true
}

function errorOf (outcome: Outcome): string | null {
  if (outcome.kind === 'failed') return outcome.error
  return outcome.kind === 'delivered' ? null : `answered ${outcome.status}`
}

interface Verdict {
  readonly groupId: string
  readonly webhookId: string
  readonly failures: number
  readonly outcome: Outcome
  readonly counts: OutboxCounts
}

/** What it means for the webhook. */
async function judge (db: Db, { groupId, webhookId, failures, outcome, counts }: Verdict, now: number): Promise<void> {
  const pausedUntil = now + (outcome.kind === 'throttled' ? outcome.retryAfterMs : outcome.kind === 'delivered' ? outcome.pauseMs ?? 0 : 0)
  if (pausedUntil > now) await db.prepare('UPDATE webhooks SET paused_until = ? WHERE id = ? AND paused_until < ?').run(pausedUntil, webhookId, pausedUntil)
  const inRow = counts.delivered > 0 ? 0 : failures + counts.dead
  if (inRow !== failures) await db.prepare('UPDATE webhooks SET failures = ? WHERE id = ?').run(inRow, webhookId)
  if (outcome.kind === 'gone') await disableWebhook(db, { groupId, webhookId, reason: `The receiver answered ${outcome.status}.` }, now)
  else if (inRow >= MOST_DEAD) await disableWebhook(db, { groupId, webhookId, reason: `${inRow} deliveries in a row have failed.` }, now)
}

/** With what it was to deliver. The lock of the group is held. */
export async function disableWebhook (db: Db, { groupId, webhookId, reason }: { groupId: string, webhookId: string, reason: string | null }, now: number): Promise<void> {
  await db.tx(async () => {
    await db.prepare('UPDATE webhooks SET enabled = 0, disabled_reason = ?, updated_at = ? WHERE id = ?').run(reason, now, webhookId)
    await cancelDeliveries(db, { webhookId }, now)
    await tellGroup(db, { groupId, kind: 'settings' })
  }, { propagation: 'mandatory' })
}
