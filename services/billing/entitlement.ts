/** What a subscription entitles to. Anything that is not known here entitles to nothing. */
import type { PlanId } from './plans.ts'

/** After the end of the period that could not be charged. */
export const GRACE_MS = 7 * 86_400_000

export interface Standing {
  readonly status: string
  readonly graceUntil: number | null
}

/** Of a subscription that is past due; `since` counts where the provider names no period. Null: it has no grace. */
export function graceOf ({ status, periodEnd }: { status: string, periodEnd: number | null }, since: number): number | null {
  return status === 'past_due' ? (periodEnd ?? since) + GRACE_MS : null
}

export function isPremium ({ status, graceUntil }: Standing, now: number): boolean {
  return status === 'active' || status === 'trialing' || (status === 'past_due' && graceUntil !== null && now < graceUntil)
}

export function planFor (standing: Standing, now: number): PlanId {
  return isPremium(standing, now) ? 'premium' : 'free'
}

/** It will never be paid again, or has never begun. */
export function isOver ({ status }: Pick<Standing, 'status'>): boolean {
  return status === 'canceled' || status === 'incomplete' || status === 'incomplete_expired'
}
