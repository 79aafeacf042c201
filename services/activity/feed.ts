/** What happened in a group, and what became of telling it: lists in pages, newest first. Stores: no Fastify. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toNumber, toNumberOrNull, toText, toTextOrNull, toTime, toTimeOrNull } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'
import { readCursor, toPage } from '../common/paging.ts'
import type { EventType } from './append.ts'

type Db = Pick<Database, 'prepare'>

export interface ActivityEvent {
  readonly id: string
  readonly groupSeq: number
  readonly type: EventType
  readonly memberId: string | null
  readonly memberName: string | null
  readonly data: Record<string, unknown>
  readonly source: string
  readonly occurredAt: string
  readonly createdAt: string
}

export interface ActivityQuery {
  readonly groupId: string
  readonly type?: EventType
  readonly member?: string
  readonly limit: number
  readonly cursor?: string
}

/** Throws `BAD_CURSOR`. */
export async function listActivity (db: Db, { groupId, type, member, limit, cursor }: ActivityQuery): Promise<{ events: ActivityEvent[], nextCursor: string | null }> {
  const [before] = cursor === undefined ? [Number.MAX_SAFE_INTEGER] : readCursor(cursor, 'n')
  const filter = `${type === undefined ? '' : 'AND activity_events.type = :type'} ${member === undefined ? '' : 'AND activity_events.member_id = :member'}`
  const rows = await db.prepare(`
    SELECT activity_events.id, group_seq, type, member_id, display_name, data, source, occurred_at, created_at
    FROM activity_events LEFT JOIN members ON members.id = activity_events.member_id
    WHERE activity_events.group_id = :group AND group_seq < :before ${filter} ORDER BY group_seq DESC LIMIT :limit`)
    .all({ group: groupId, before: before ?? 0, limit: limit + 1, ...(type !== undefined && { type }), ...(member !== undefined && { member }) })
  const { page, nextCursor } = toPage(rows.map(toEvent), limit, event => [event.groupSeq])
  return { events: page, nextCursor }
}

function toEvent (row: Row): ActivityEvent {
  return {
    id: toText(row.id),
    groupSeq: toNumber(row.group_seq),
    type: toText(row.type) as EventType,
    memberId: toTextOrNull(row.member_id),
    memberName: toTextOrNull(row.display_name),
    data: JSON.parse(toText(row.data)) as Record<string, unknown>,
    source: toText(row.source),
    occurredAt: toTime(row.occurred_at),
    createdAt: toTime(row.created_at)
  }
}

export const deliveryStatuses = ['pending', 'sending', 'delivered', 'dead', 'cancelled'] as const
export type DeliveryStatus = typeof deliveryStatuses[number]

export interface Delivery {
  readonly id: string
  readonly eventType: string
  readonly status: DeliveryStatus
  readonly attempts: number
  readonly lastStatus: number | null
  readonly lastError: string | null
  readonly createdAt: string
  readonly nextAttemptAt: string | null
  readonly deliveredAt: string | null
}

export interface DeliveriesQuery {
  readonly groupId: string
  readonly webhookId: string
  readonly status?: DeliveryStatus
  readonly limit: number
  readonly cursor?: string
}

/** Throws `NOT_FOUND`, `BAD_CURSOR`. */
export async function listDeliveries (db: Db, { groupId, webhookId, status, limit, cursor }: DeliveriesQuery): Promise<{ deliveries: Delivery[], nextCursor: string | null }> {
  if (await db.prepare('SELECT id FROM webhooks WHERE id = ? AND group_id = ?').get(webhookId, groupId) === undefined) throw new NotFound('webhook')
  const [createdAt, id] = cursor === undefined ? [Number.MAX_SAFE_INTEGER, ''] : readCursor(cursor, 'ns')
  const rows = await db.prepare(`
    SELECT id, event_type, status, attempts, last_status, last_error, created_at, next_attempt_at, delivered_at FROM outbox
    WHERE webhook_id = :webhook AND (created_at, id) < (:createdAt, :id) ${status === undefined ? '' : 'AND status = :status'} ORDER BY created_at DESC, id DESC LIMIT :limit`)
    .all({ webhook: webhookId, createdAt: createdAt ?? 0, id: id ?? '', limit: limit + 1, ...(status !== undefined && { status }) })
  const { page, nextCursor } = toPage(rows, limit, row => [toNumber(row.created_at), toText(row.id)])
  return { deliveries: page.map(toDelivery), nextCursor }
}

function toDelivery (row: Row): Delivery {
  const status = toText(row.status) as DeliveryStatus
  return {
    id: toText(row.id),
    eventType: toText(row.event_type),
    status,
    attempts: toNumber(row.attempts),
    lastStatus: toNumberOrNull(row.last_status),
    lastError: toTextOrNull(row.last_error),
    createdAt: toTime(row.created_at),
    nextAttemptAt: status === 'pending' ? toTime(row.next_attempt_at) : null,
    deliveredAt: toTimeOrNull(row.delivered_at)
  }
}
