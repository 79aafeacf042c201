/**
 * What an event changes: in one commit (T14) the event is closed, and the subscription, the plan and limits of its group, and the activity are what it says.
 *
 * What is kept true, for a subscription of a group, under the lock of the group:
 *  1. An event is applied once.
 *  2. An older event never overwrites what a newer one said. The provider counts seconds; of two events of one second nobody knows which is the newer one, so the provider is asked
 *     for the subscription as it is now ('ask'). The answer counts only if no other event was applied since the question.
 *  3. Another subscription of the same group takes the place of one that is paid for only when that has ended; whether it does is asked, too, since its events may come late.
 *  4. Nobody is removed from a group that has more members than its plan: it is over its limit, and nobody can join.
 */
import type { Database } from '../../../plugins/db/types.ts'
import { appendActivity } from '../../activity/append.ts'
import { toText } from '../../common/columns.ts'
import { lockGroup, tellGroup } from '../../groups/lock.ts'
import { graceOf, isOver, isPremium, planFor } from '../entitlement.ts'
import { planOf } from '../plans.ts'
import type { ProviderSubscription } from '../provider.ts'
import type { BillingEvent } from '../provider-objects.ts'
import { closeBillingEvent } from './events.ts'
import { findGroupOf, getSubscription, saveSubscription, type Subscription } from './subscriptions.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

/** An event whose subscription is known. */
export type SubscriptionEvent = BillingEvent & { readonly subscription: ProviderSubscription }

/** What the provider said when it was asked; `seen`: the event that had been applied last before that. */
export interface Current {
  readonly subscription: ProviderSubscription | undefined
  readonly seen: string | undefined
}

export type Outcome =
  | { readonly kind: 'applied' | 'duplicate' | 'older' | 'other' | 'no group' }
  /** Nothing was done: ask the provider, and come again. */
  | { readonly kind: 'ask', readonly seen: string | undefined }
  /** Nothing was done: somebody pays for a group that is gone. */
  | { readonly kind: 'orphan' }

interface Applying {
  readonly event: SubscriptionEvent
  readonly provider: string
  readonly current?: Current | undefined
}

export async function applySubscriptionEvent (db: Db, applying: Applying, now: number): Promise<Outcome> {
  return await db.tx(async () => {
    const { event } = applying
    const groupId = await findGroupOf(db, event.subscription.id) ?? event.subscription.groupId
    const state = groupId === undefined ? 'none' : await stateOf(db, groupId)
    if (groupId === undefined || state === 'none') return await close(db, event, 'no group', now)
    if (state === 'deleted') return await applyToDeleted(db, groupId, applying, now)
    await lockGroup(db, groupId, now)
    return await applyToGroup(db, groupId, applying, now)
  }, { retry: 3 })
}

async function stateOf (db: Db, groupId: string): Promise<'none' | 'live' | 'deleted'> {
  const row = await db.prepare('SELECT deleted_at FROM groups WHERE id = ?').get(groupId)
  if (row === undefined) return 'none'
  return row.deleted_at === null ? 'live' : 'deleted'
}

async function applyToGroup (db: Db, groupId: string, { event, provider, current }: Applying, now: number): Promise<Outcome> {
  if (await isClosed(db, event.id)) return { kind: 'duplicate' }
  const held = await getSubscription(db, groupId)
  const decided = decide(held, event, now)
  if (decided !== 'apply' && decided !== 'ask') return await close(db, event, decided, now)
  const isCurrent = current !== undefined && current.seen === held?.lastEventId
  if (decided === 'ask' && !isCurrent) return { kind: 'ask', seen: held?.lastEventId }
  const said = decided === 'ask' ? current?.subscription ?? event.subscription : event.subscription
  const next = toHeld(said, { groupId, provider, lastEventAt: event.createdAt, lastEventId: event.id })
  if (held !== undefined && held.subscriptionId !== next.subscriptionId && !isPremium(next, now) && !isOver(held)) return await close(db, event, 'other', now)
  await become(db, held, next, now)
  return await close(db, event, 'applied', now)
}

function decide (held: Subscription | undefined, { subscription, createdAt }: SubscriptionEvent, now: number): 'apply' | 'older' | 'other' | 'ask' {
  if (held === undefined) return 'apply'
  if (held.subscriptionId !== subscription.id) return isPremium(held, now) ? 'other' : 'ask'
  if (createdAt === held.lastEventAt) return 'ask'
  return createdAt > held.lastEventAt ? 'apply' : 'older'
}

/** The books are kept; nothing else is left to change. */
async function applyToDeleted (db: Db, groupId: string, { event, provider }: Applying, now: number): Promise<Outcome> {
  const held = await getSubscription(db, groupId)
  if (held?.subscriptionId === event.subscription.id && held.lastEventAt >= event.createdAt) return await close(db, event, 'older', now)
  if (!isOver(event.subscription)) return await isClosed(db, event.id) ? { kind: 'duplicate' } : { kind: 'orphan' }
  await saveSubscription(db, toHeld(event.subscription, { groupId, provider, lastEventAt: event.createdAt, lastEventId: event.id }), now)
  return await close(db, event, 'applied', now)
}

/** What the provider answered to a change that was asked for, if no event came in between (which says as much). */
export async function applyAnswer (db: Db, { groupId, said, seen }: { groupId: string, said: ProviderSubscription, seen: string }, now: number): Promise<void> {
  await db.tx(async () => {
    await lockGroup(db, groupId, now)
    const held = await getSubscription(db, groupId)
    if (held?.lastEventId === seen && held.subscriptionId === said.id) await become(db, held, toHeld(said, held), now)
  }, { retry: 3 })
}

/** A group whose grace is over loses the plan. False: it is not over. */
export async function endGrace (db: Db, groupId: string, now: number): Promise<boolean> {
  return await db.tx(async () => {
    const group = await lockGroup(db, groupId, now)
    const held = await getSubscription(db, groupId)
    if (held === undefined || isPremium(held, now) || toText(group.plan) === 'free') return false
    await setPlan(db, held, now)
    await tellChange(db, held, now)
    return true
  }, { retry: 3 })
}

function toHeld (said: ProviderSubscription, { groupId, provider, lastEventAt, lastEventId }: Pick<Subscription, 'groupId' | 'provider' | 'lastEventAt' | 'lastEventId'>): Subscription {
  const { id: subscriptionId, customerId, status, periodEnd, cancelAtPeriodEnd } = said
  return { groupId, provider, customerId, subscriptionId, status, periodEnd, cancelAtPeriodEnd, graceUntil: graceOf(said, lastEventAt), lastEventAt, lastEventId }
}

async function become (db: Db, held: Subscription | undefined, next: Subscription, now: number): Promise<void> {
  await saveSubscription(db, next, now)
  const hasNewPlan = await setPlan(db, next, now)
  const isOther = held?.status !== next.status || held.cancelAtPeriodEnd !== next.cancelAtPeriodEnd
  if (hasNewPlan || isOther) await tellChange(db, next, now)
  else if (held.periodEnd !== next.periodEnd) await tellGroup(db, { groupId: next.groupId, kind: 'billing' })
}

/** True if it is another one than before. */
async function setPlan (db: Db, subscription: Subscription, now: number): Promise<boolean> {
  const plan = planFor(subscription, now)
  const { changes } = await db.prepare('UPDATE groups SET plan = ?, max_members = ? WHERE id = ? AND (plan <> ? OR max_members <> ?)')
    .run(plan, planOf(plan).limits.maxMembers, subscription.groupId, plan, planOf(plan).limits.maxMembers)
  return changes === 1
}

async function tellChange (db: Db, subscription: Subscription, now: number): Promise<void> {
  const { groupId, status, cancelAtPeriodEnd } = subscription
  await appendActivity(db, { groupId, type: 'billing.changed', data: { plan: planFor(subscription, now), status, cancelAtPeriodEnd } }, now)
  await tellGroup(db, { groupId, kind: 'billing' })
}

async function isClosed (db: Db, eventId: string): Promise<boolean> {
  return (await db.prepare('SELECT processed_at FROM billing_events WHERE event_id = ?').get(eventId))?.processed_at !== null
}

async function close (db: Db, { id }: BillingEvent, kind: 'applied' | 'older' | 'other' | 'no group', now: number): Promise<Outcome> {
  return { kind: await closeBillingEvent(db, id, kind === 'applied' ? null : kind, now) ? kind : 'duplicate' }
}
