/** The plans: what a group may have. Nothing else decides that. */

export interface PlanLimits {
  readonly maxMembers: number
  readonly webhooks: number
  readonly historyDays: number
  /** Live events; without them pages ask every 15 s. */
  readonly live: boolean
}

export interface Plan {
  readonly id: PlanId
  /** In the smallest unit of the currency, for one interval; 0: nothing. */
  readonly price: { readonly amount: number, readonly currency: 'eur' }
  readonly interval: 'month'
  readonly limits: PlanLimits
  readonly features: readonly string[]
}

export const planIds = ['free', 'premium'] as const
export type PlanId = typeof planIds[number]

export const plans: Readonly<Record<PlanId, Plan>> = {
  free: {
    id: 'free',
    price: { amount: 0, currency: 'eur' },
    interval: 'month',
    limits: { maxMembers: 5, webhooks: 1, historyDays: 30, live: true },
    features: ['vault', 'live', 'webhooks']
  },
  premium: {
    id: 'premium',
    price: { amount: 300, currency: 'eur' },
    interval: 'month',
    limits: { maxMembers: 50, webhooks: 10, historyDays: 365, live: true },
    features: ['vault', 'live', 'webhooks', 'history']
  }
}

export function planOf (plan: string): Plan {
  return plan === 'premium' ? plans.premium : plans.free
}
