/** What the routes of activity and webhooks take and answer. */
import { Type, type TSchema } from 'typebox'
import { closed, idOf } from '../common/route.ts'
import { NextCursor, PageQuery } from '../common/paging.ts'
import { eventTypes } from './append.ts'
import { deliveryStatuses } from './feed.ts'
import { webhookKinds } from './payload.ts'

const Time = Type.String({ format: 'date-time' })
const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

const EventName = Type.Enum([...eventTypes])
/** A test goes to its webhook, whatever that listens to. */
const EventNames = Type.Array(Type.Enum(eventTypes.filter(type => type !== 'webhook.test')), { minItems: 1, maxItems: eventTypes.length, description: 'which events are told' })
const Label = Type.String({ minLength: 1, maxLength: 60, pattern: '^[^\\u0000-\\u001f\\u007f]*$' })

export const InGroup = Type.Object({ groupId: Type.String() })
export const OfWebhook = Type.Object({ groupId: Type.String(), webhookId: idOf('webhook') })

export const ActivityQuery = closed({ ...PageQuery, type: Type.Optional(EventName), member: Type.Optional(idOf('member')) })
export const ActivityAnswer = Type.Object({
  events: Type.Array(Type.Object({
    id: Type.String(),
    groupSeq: Type.Integer({ description: 'grows with each event of the group' }),
    type: EventName,
    memberId: orNull(Type.String()),
    memberName: orNull(Type.String()),
    data: Type.Record(Type.String(), Type.Unknown()),
    source: Type.Enum(['app', 'plugin']),
    occurredAt: Time,
    createdAt: Time
  })),
  nextCursor: NextCursor
})

export const Webhook = Type.Object({
  id: Type.String(),
  kind: Type.Enum([...webhookKinds]),
  label: Type.String(),
  url: Type.String({ description: 'its host and its last four characters' }),
  events: Type.Array(EventName),
  enabled: Type.Boolean(),
  disabledReason: orNull(Type.String()),
  failures: Type.Integer({ description: 'deliveries that were given up, in a row' }),
  pausedUntil: orNull(Time),
  createdAt: Time,
  updatedAt: Time
})

const Secret = orNull(Type.String({ description: 'this once: what deliveries are signed with, as Standard Webhooks has it' }))

export const NewWebhook = closed({ kind: Type.Enum([...webhookKinds]), url: Type.String({ minLength: 1, maxLength: 2000 }), events: EventNames, label: Type.Optional(Label) })
export const WebhookChange = Type.Object({
  label: Type.Optional(Label),
  events: Type.Optional(EventNames),
  enabled: Type.Optional(Type.Boolean()),
  rotateSecret: Type.Optional(Type.Boolean({ description: 'the one before signs, too, for 24 hours' }))
}, { additionalProperties: false, minProperties: 1 })
export const WebhookAnswer = Type.Object({ webhook: Webhook, secret: Secret })
export const WebhooksAnswer = Type.Object({ webhooks: Type.Array(Webhook) })
export const TestAnswer = Type.Object({ deliveryId: Type.String() })

const Status = Type.Enum([...deliveryStatuses])
export const DeliveriesQuery = closed({ ...PageQuery, status: Type.Optional(Status) })
export const DeliveriesAnswer = Type.Object({
  deliveries: Type.Array(Type.Object({
    id: Type.String(),
    eventType: Type.String(),
    status: Status,
    attempts: Type.Integer(),
    lastStatus: orNull(Type.Integer()),
    lastError: orNull(Type.String()),
    createdAt: Time,
    nextAttemptAt: orNull(Time),
    deliveredAt: orNull(Time)
  })),
  nextCursor: NextCursor
})
