/**
 * From an event that has arrived to what it changes. The provider is asked between transactions, never in one.
 *
 * What is kept true: an event that is stored is applied in the end: at once, or by `settle`, which runs every minute and with the first start after a crash.
 */
import type { Database, Log } from '../../plugins/db/types.ts'
import type { BillingProvider } from './provider.ts'
import { readEvent, type BillingEvent } from './provider-objects.ts'
import { applySubscriptionEvent, endGrace, type Current, type Outcome, type SubscriptionEvent } from './store/apply.ts'
import { closeBillingEvent, forgetOldEvents, listPendingEvents, noteFailure, recordBillingEvent } from './store/events.ts'
import { listEndedGraces } from './store/subscriptions.ts'

export interface Billing {
  readonly db: Database
  readonly provider: BillingProvider
  readonly log: Log
  readonly now: () => number
}

const TRIES = 5
/** One that came later than this is most likely being applied. */
const SETTLE_AFTER_MS = 30_000

/** Throws only if it could not be stored; then nothing is done, and the provider sends it again. */
export async function receiveEvent (billing: Billing, event: BillingEvent, payload: string): Promise<{ duplicate: boolean }> {
  const { db, now } = billing
  const isNew = await recordBillingEvent(db, event, payload, now())
  if (!isOfSubscription(event)) return { duplicate: !await closeBillingEvent(db, event.id, null, now()) && !isNew }
  return { duplicate: await tryToApply(billing, event) === 'duplicate' }
}

/** What was left over: events that could not be applied, graces that are over, and events that nobody needs any more. */
export async function settle (billing: Billing): Promise<void> {
  const { db, now, log } = billing
  for (const payload of await listPendingEvents(db, now() - SETTLE_AFTER_MS)) {
    const event = readEvent(payload)
    if (isOfSubscription(event)) await tryToApply(billing, event)
    else await closeBillingEvent(db, event.id, null, now())
  }
  for (const groupId of await listEndedGraces(db, now())) {
    if (await endGrace(db, groupId, now())) log.info({ group: groupId }, 'the grace of an unpaid subscription is over')
  }
  await forgetOldEvents(db, now())
}

function isOfSubscription (event: BillingEvent): event is SubscriptionEvent {
  return event.subscription !== undefined
}

async function tryToApply (billing: Billing, event: SubscriptionEvent): Promise<Outcome['kind'] | 'failed'> {
  try {
    return await apply(billing, event)
  } catch (error) {
    const { log, db } = billing
    log.warn({ err: error, event: event.id }, 'an event of the payment provider is stored and could not be applied yet')
    await noteFailure(db, event.id, codeOf(error)).catch(() => { /* the log has it */ })
    return 'failed'
  }
}

async function apply (billing: Billing, event: SubscriptionEvent): Promise<Outcome['kind']> {
  const { db, provider, now } = billing
  let current: Current | undefined
  for (let i = 0; i < TRIES; i++) {
    const outcome = await applySubscriptionEvent(db, { event, provider: provider.name, current }, now())
    if (outcome.kind === 'orphan') return await endOrphan(billing, event)
    if (outcome.kind !== 'ask') return outcome.kind
    current = { seen: outcome.seen, subscription: await provider.findSubscription(event.subscription.id) }
  }
  throw new Error(`the subscription has changed ${TRIES} times while it was asked for`)
}

/** Nobody shall pay for a group that is gone. The provider tells of the end by another event. */
async function endOrphan ({ db, provider, log, now }: Billing, event: SubscriptionEvent): Promise<'applied'> {
  log.warn({ subscription: event.subscription.id, group: event.subscription.groupId }, 'a subscription of a group that was deleted is ended')
  await provider.endSubscription(event.subscription.id)
  await closeBillingEvent(db, event.id, 'the group is gone', now())
  return 'applied'
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'failed'
}
