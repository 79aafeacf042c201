/** What the routes of billing take and answer. */
import { Type } from 'typebox'
import { closed, idOf } from '../common/route.ts'
import { planIds } from './plans.ts'

const time = Type.Union([Type.String({ format: 'date-time' }), Type.Null()])
const planId = Type.Union(planIds.map(id => Type.Literal(id)))

const Limits = closed({
  maxMembers: Type.Integer(),
  webhooks: Type.Integer(),
  historyDays: Type.Integer(),
  live: Type.Boolean({ description: 'live events; without them pages ask every 15 s' })
})

export const Plans = closed({
  plans: Type.Array(closed({
    id: planId,
    price: closed({ amount: Type.Integer({ description: 'in the smallest unit of the currency' }), currency: Type.String() }),
    interval: Type.String(),
    limits: Limits,
    features: Type.Array(Type.String())
  }))
})

export const State = closed({
  plan: planId,
  status: Type.String({ description: 'none, or as the payment provider says: active, trialing, past_due, canceled, …' }),
  premium: Type.Boolean(),
  currentPeriodEnd: time,
  cancelAtPeriodEnd: Type.Boolean(),
  graceUntil: time,
  limits: Limits,
  overLimit: Type.Array(closed({ limit: Type.String(), used: Type.Integer(), max: Type.Integer() }), { description: 'what the group has more of than its plan allows: all of it stays' })
})

export const InGroup = closed({ groupId: idOf('group') })

export const CheckoutBody = closed({ planId: Type.Literal('premium') })
/** Headers that are not listed are let through. */
export const CheckoutHeaders = Type.Object({ 'idempotency-key': Type.String({ minLength: 1, maxLength: 200, description: 'one for each intent to pay: a request that is repeated with it is not a second order' }) })
export const Checkout = closed({ url: Type.String(), expiresAt: Type.String({ format: 'date-time' }) })
export const Portal = closed({ url: Type.String() })
export const CancelBody = closed({ cancel: Type.Boolean({ description: 'false: go on after all' }) })

export const Received = closed({ received: Type.Boolean(), duplicate: Type.Optional(Type.Boolean()) })

export const MockEvent = closed({
  type: Type.Optional(Type.String({ pattern: '^[a-z_.]{1,100}$', default: 'customer.subscription.updated' })),
  groupId: idOf('group'),
  status: Type.Optional(Type.String({ minLength: 1, maxLength: 40 })),
  periodEnd: Type.Optional(Type.String({ format: 'date-time' })),
  cancelAtPeriodEnd: Type.Optional(Type.Boolean())
})
export const MockEventSent = closed({ eventId: Type.String() })
