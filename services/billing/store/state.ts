/** How a group stands with its plan, as people are shown it. What it may is decided by the clock: a grace ends without an event. */
import type { Database } from '../../../plugins/db/types.ts'
import { toNumber, toText } from '../../common/columns.ts'
import { NotFound } from '../../common/errors.ts'
import { isPremium, planFor } from '../entitlement.ts'
import { planOf, type PlanId, type PlanLimits } from '../plans.ts'
import { getSubscription } from './subscriptions.ts'

type Db = Pick<Database, 'prepare'>

export interface BillingState {
  readonly plan: PlanId
  /** `none`, or as the provider says. */
  readonly status: string
  readonly premium: boolean
  readonly currentPeriodEnd: string | null
  readonly cancelAtPeriodEnd: boolean
  readonly graceUntil: string | null
  readonly limits: PlanLimits
  /** Of what the group has more than its plan allows: all of it stays, and there can be no more. */
  readonly overLimit: ReadonlyArray<{ readonly limit: 'maxMembers' | 'webhooks', readonly used: number, readonly max: number }>
}

interface Use { readonly plan: string, readonly members: number, readonly webhooks: number }

/** Throws `NOT_FOUND`. */
export async function getBillingState (db: Db, groupId: string, now: number): Promise<BillingState> {
  const use = await countUse(db, groupId)
  const held = await getSubscription(db, groupId)
  const plan = planOf(held === undefined ? use.plan : planFor(held, now))
  return {
    plan: plan.id,
    status: held?.status ?? 'none',
    premium: held === undefined ? plan.id === 'premium' : isPremium(held, now),
    currentPeriodEnd: toTime(held?.periodEnd),
    cancelAtPeriodEnd: held?.cancelAtPeriodEnd ?? false,
    graceUntil: toTime(held?.graceUntil),
    limits: plan.limits,
    overLimit: listExcess(use, plan.limits)
  }
}

const countOf = `
  SELECT plan, member_count, (SELECT COUNT(*) FROM webhooks WHERE webhooks.group_id = groups.id) AS webhooks FROM groups WHERE id = ? AND deleted_at IS NULL`

async function countUse (db: Db, groupId: string): Promise<Use> {
  const row = await db.prepare(countOf).get(groupId)
  if (row === undefined) throw new NotFound('group')
  return { plan: toText(row.plan), members: toNumber(row.member_count), webhooks: toNumber(row.webhooks) }
}

function listExcess ({ members, webhooks }: Use, limits: PlanLimits): BillingState['overLimit'] {
  const all = [{ limit: 'maxMembers', used: members, max: limits.maxMembers }, { limit: 'webhooks', used: webhooks, max: limits.webhooks }] as const
  return all.filter(({ used, max }) => used > max)
}

function toTime (ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString()
}
