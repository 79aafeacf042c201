/** Subscriptions: one row for a group, which is what the provider said last. */
import type { Database, Row } from '../../../plugins/db/types.ts'
import { toFlag, toNumber, toNumberOrNull, toText, toTextOrNull } from '../../common/columns.ts'
import { newId } from '../../common/ids.ts'

type Db = Pick<Database, 'prepare'>

export interface Subscription {
  readonly groupId: string
  readonly provider: string
  readonly customerId: string | null
  readonly subscriptionId: string
  readonly status: string
  readonly periodEnd: number | null
  readonly cancelAtPeriodEnd: boolean
  readonly graceUntil: number | null
  /** The event that said so, by the provider's clock. */
  readonly lastEventAt: number
  readonly lastEventId: string
}

const columns = 'group_id, provider, customer_id, subscription_id, status, period_end, cancel_at_period_end, grace_until, last_event_at, last_event_id'

export async function getSubscription (db: Db, groupId: string): Promise<Subscription | undefined> {
  const row = await db.prepare(`SELECT ${columns} FROM subscriptions WHERE group_id = ?`).get(groupId)
  return row && toSubscription(row)
}

export function toSubscription (row: Row): Subscription {
  return {
    groupId: toText(row.group_id),
    provider: toText(row.provider),
    customerId: toTextOrNull(row.customer_id),
    subscriptionId: toText(row.subscription_id),
    status: toText(row.status),
    periodEnd: toNumberOrNull(row.period_end),
    cancelAtPeriodEnd: toFlag(row.cancel_at_period_end),
    graceUntil: toNumberOrNull(row.grace_until),
    lastEventAt: toNumber(row.last_event_at),
    lastEventId: toText(row.last_event_id)
  }
}

/** Which group a subscription was for until now. */
export async function findGroupOf (db: Db, subscriptionId: string): Promise<string | undefined> {
  const row = await db.prepare('SELECT group_id FROM subscriptions WHERE subscription_id = ?').get(subscriptionId)
  return row && toText(row.group_id)
}

const upsert = `
  INSERT INTO subscriptions (id, group_id, provider, customer_id, subscription_id, plan, status, period_end, cancel_at_period_end, grace_until, last_event_at, last_event_id, updated_at)
  VALUES (:id, :group, :provider, :customer, :subscription, 'premium', :status, :periodEnd, :cancel, :grace, :eventAt, :eventId, :now)
  ON CONFLICT (group_id) DO UPDATE SET
    provider = excluded.provider, customer_id = excluded.customer_id, subscription_id = excluded.subscription_id, status = excluded.status, period_end = excluded.period_end,
    cancel_at_period_end = excluded.cancel_at_period_end, grace_until = excluded.grace_until, last_event_at = excluded.last_event_at, last_event_id = excluded.last_event_id, updated_at = excluded.updated_at`

/** Inside of a transaction that has the lock of the group, if there is still one. */
export async function saveSubscription (db: Db, subscription: Subscription, now: number): Promise<void> {
  const { groupId, provider, customerId, subscriptionId, status, periodEnd, cancelAtPeriodEnd, graceUntil, lastEventAt, lastEventId } = subscription
  await db.prepare(upsert).run({
    id: newId('subscription'), group: groupId, provider, customer: customerId, subscription: subscriptionId, status, periodEnd, cancel: cancelAtPeriodEnd, grace: graceUntil, eventAt: lastEventAt, eventId: lastEventId, now
  })
}

const graceEnded = `
  SELECT subscriptions.group_id FROM subscriptions JOIN groups ON groups.id = subscriptions.group_id
  WHERE subscriptions.status = 'past_due' AND subscriptions.grace_until <= ? AND groups.plan <> 'free' AND groups.deleted_at IS NULL
  ORDER BY subscriptions.grace_until LIMIT 100`

/** Groups that still have what they have not paid for. */
export async function listEndedGraces (db: Db, now: number): Promise<string[]> {
  return (await db.prepare(graceEnded).all(now)).map(row => toText(row.group_id))
}
