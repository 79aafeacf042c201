/**
 * Events and subscriptions in the provider's JSON (https://docs.stripe.com/api/subscriptions/object), read as far as they are needed.
 *
 * What is kept true: what is not as documented is undefined, null or 'unknown', and never a defect; a subscription without a status is not a paid one.
 */
import { BadRequest } from '../common/errors.ts'
import type { ProviderSubscription } from './provider.ts'

export interface BillingEvent {
  readonly id: string
  readonly type: string
  /** By the provider's clock, in milliseconds since 1970; it counts seconds. */
  readonly createdAt: number
  /** Of `customer.subscription.…`, as it was then. */
  readonly subscription: ProviderSubscription | undefined
}

type Fields = Readonly<Record<string, unknown>>

/** Throws `BAD_REQUEST` for what is no event. */
export function readEvent (text: string): BillingEvent {
  const { id, type, created, data } = fieldsOf(parse(text))
  if (!isId(id) || !isId(type) || !isTime(created)) throw new BadRequest('the body is not an event with id, type and created')
  const isOfSubscription = type.startsWith('customer.subscription.')
  return { id, type, createdAt: created * 1000, subscription: isOfSubscription ? readSubscription(fieldsOf(data).object) : undefined }
}

/** Undefined for what is none. */
export function readSubscription (value: unknown): ProviderSubscription | undefined {
  const fields = fieldsOf(value)
  const { id, customer, status } = fields
  if (!isId(id)) return undefined
  const groupId = fieldsOf(fields.metadata).group_id
  return {
    id,
    groupId: isId(groupId) ? groupId : undefined,
    customerId: idOf(customer),
    status: isId(status) ? status : 'unknown',
    periodEnd: periodEndOf(fields),
    cancelAtPeriodEnd: fields.cancel_at_period_end === true || isTime(fields.cancel_at)
  }
}

/** Since 2025 the items have it, before that the subscription; of several items the last to end counts. */
function periodEndOf (fields: Fields): number | null {
  const items = fieldsOf(fields.items).data
  const ends = [fields, ...(Array.isArray(items) ? items.map(fieldsOf) : [])].map(({ current_period_end: end }) => end).filter(isTime)
  return ends.length === 0 ? null : Math.max(...ends) * 1000
}

/** A field with another object is its id, or the object itself. */
function idOf (value: unknown): string | null {
  const id = isId(value) ? value : fieldsOf(value).id
  return isId(id) ? id : null
}

/** Visible ASCII. */
function isId (value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,255}$/.test(value)
}

/** Seconds since 1970, up to the year 5138. */
function isTime (value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) < 1e11
}

function fieldsOf (value: unknown): Fields {
  return typeof value === 'object' && value !== null ? value as Fields : {}
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new BadRequest('the body is not JSON')
  }
}
