/**
 * Which deliveries are due, and who has them. Several processes share one outbox.
 *
 * pending → sending (leased to a claim) → delivered | dead | cancelled, or pending again for the next attempt. What is kept true:
 *  1. A row belongs to one claim at a time: the condition stands in the outer WHERE as well, where PostgreSQL looks at it again after it has waited for another claim.
 *  2. One request of a webhook is in flight at a time. A claim does not see what another one is about to commit; so it looks again when it is committed itself, and who sees
 *     another one then gives back. The later of two always sees the earlier.
 *  3. Who dies loses its leases after 60 s, and the rows are due again: delivered twice perhaps, but never not at all.
 *  4. First attempts of a webhook are in the order of the events of its group.
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toNumber, toText } from '../common/columns.ts'

type Db = Pick<Database, 'prepare' | 'tx'>

export const LEASE_MS = 60_000
export const MOST_CLAIMED = 20
/** Discord takes them as one message. */
const MOST_TOGETHER = 10
/** Those that are looked at for one claim. */
const CANDIDATES = 500

export interface ClaimedDelivery {
  readonly id: string
  readonly groupId: string
  readonly webhookId: string
  readonly eventType: string
  readonly payload: string
  /** So many failed. */
  readonly attempts: number
  readonly throttles: number
  readonly groupSeq: number
}

const expire = `UPDATE outbox SET status = 'pending', lease_owner = NULL, lease_until = NULL WHERE status = 'sending' AND lease_until <= ?`

/** The outer condition is that of the inner, written so that no index serves it: it is for the few rows that were found. */
const claim = `
  UPDATE outbox SET status = 'sending', lease_owner = :owner, lease_until = :until
  WHERE status NOT IN ('sending', 'delivered', 'dead', 'cancelled') AND id IN (
    SELECT id FROM (
      SELECT id, kind, next_attempt_at, ROW_NUMBER() OVER (PARTITION BY webhook_id ORDER BY group_seq) AS place
      FROM (
        SELECT due.id, due.webhook_id, due.group_seq, due.next_attempt_at, webhooks.kind
        FROM outbox due JOIN webhooks ON webhooks.id = due.webhook_id
        WHERE due.status = 'pending' AND due.next_attempt_at <= :now AND webhooks.enabled = 1 AND webhooks.paused_until <= :now
          AND NOT EXISTS (SELECT 1 FROM outbox busy WHERE busy.webhook_id = due.webhook_id AND busy.status = 'sending')
        ORDER BY due.next_attempt_at, due.group_seq LIMIT ${CANDIDATES}
      ) candidates
    ) places
    WHERE place <= CASE kind WHEN 'discord' THEN ${MOST_TOGETHER} ELSE 1 END
    ORDER BY place, next_attempt_at LIMIT :max
  )
  RETURNING id, group_id, webhook_id, event_type, payload, attempts, throttles, group_seq`

const giveBack = `
  UPDATE outbox SET status = 'pending', lease_owner = NULL, lease_until = NULL
  WHERE status = 'sending' AND lease_owner = :owner
    AND EXISTS (SELECT 1 FROM outbox other WHERE other.webhook_id = outbox.webhook_id AND other.status = 'sending' AND other.lease_owner <> :owner)
  RETURNING id`

/** Up to `max` that are due, in the order of their events. `owner` names this claim, and no other one. Not inside a transaction, which others would not see. */
export async function claimDueDeliveries (db: Db, { owner, max = MOST_CLAIMED }: { owner: string, max?: number }, now: number): Promise<ClaimedDelivery[]> {
  const rows = await db.tx(async () => {
    await db.prepare(expire).run(now)
    return await db.prepare(claim).all({ owner, now, until: now + LEASE_MS, max: Math.min(max, MOST_CLAIMED) })
  }, { retry: 3 }) // two that lock the same rows in another order are a deadlock
  if (rows.length === 0) return []
  const given = new Set((await db.prepare(giveBack).all({ owner })).map(row => row.id))
  return rows.filter(row => !given.has(row.id ?? null)).map(toClaimed).sort((a, b) => a.groupSeq - b.groupSeq)
}

function toClaimed (row: Row): ClaimedDelivery {
  return {
    id: toText(row.id),
    groupId: toText(row.group_id),
    webhookId: toText(row.webhook_id),
    eventType: toText(row.event_type),
    payload: toText(row.payload),
    attempts: toNumber(row.attempts),
    throttles: toNumber(row.throttles),
    groupSeq: toNumber(row.group_seq)
  }
}

/** What a claim still has of these is due again, at once. */
export async function releaseClaim (db: Pick<Database, 'prepare'>, { owner, deliveries }: { owner: string, deliveries: readonly ClaimedDelivery[] }): Promise<void> {
  const release = db.prepare(`UPDATE outbox SET status = 'pending', lease_owner = NULL, lease_until = NULL WHERE id = ? AND status = 'sending' AND lease_owner = ?`)
  for (const { id } of deliveries) await release.run(id, owner)
}

/** Dead ones whose webhook is enabled get all their attempts again. Answers how many. */
export async function requeueDead (db: Pick<Database, 'prepare'>, ids: readonly string[], now: number): Promise<number> {
  const requeue = db.prepare(`
    UPDATE outbox SET status = 'pending', attempts = 0, throttles = 0, next_attempt_at = ?
    WHERE id = ? AND status = 'dead' AND EXISTS (SELECT 1 FROM webhooks WHERE webhooks.id = outbox.webhook_id AND webhooks.enabled = 1)`)
  let requeued = 0
  for (const id of ids) requeued += (await requeue.run(now, id)).changes
  return requeued
}

/** What is not over, of a webhook or of a whole group, never will be delivered. Inside a transaction that has the lock of the group. */
export async function cancelDeliveries (db: Pick<Database, 'prepare'>, of: { webhookId: string } | { groupId: string }, now: number): Promise<void> {
  const [column, id] = 'webhookId' in of ? ['webhook_id', of.webhookId] : ['group_id', of.groupId]
  await db.prepare(`UPDATE outbox SET status = 'cancelled', next_attempt_at = ?, lease_owner = NULL, lease_until = NULL WHERE ${column} = ? AND status IN ('pending', 'sending')`).run(now, id)
}
