/** An event of a group, and what is to be told of it to others, in the transaction of what has happened: delivered if and only if that is committed. */
import type { Database } from '../../plugins/db/types.ts'
import { toNumber } from '../common/columns.ts'
import { newId } from '../common/ids.ts'
import { tellGroup } from '../groups/lock.ts'
import { enqueueDeliveries, type NewDeliveries } from './enqueue.ts'
import type { WebhookKind } from './payload.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export const eventTypes = [
  'member.joined', 'member.left', 'group.renamed', 'storage.changed', 'item.received', 'loot', 'death', 'level', 'other', 'billing.changed', 'webhook.test'
] as const
export type EventType = typeof eventTypes[number]

export interface NewEvent {
  readonly groupId: string
  readonly type: EventType
  readonly memberId?: string
  readonly data: Readonly<Record<string, unknown>>
  /** From a plugin: its own id of the event, of which there is one at most. */
  readonly sourceEventId?: string
  /** Milliseconds since 1970. Default: now. */
  readonly occurredAt?: number
}

const insert = `
  INSERT INTO activity_events (id, group_id, group_seq, type, member_id, data, source, source_event_id, occurred_at, created_at)
  VALUES (:id, :group, (SELECT COALESCE(MAX(group_seq), 0) + 1 FROM activity_events WHERE group_id = :group), :type, :member, :data, :source, :sourceEventId, :occurredAt, :now)
  ON CONFLICT DO NOTHING RETURNING group_seq`

/** Inside a transaction that has the lock of the group (or has just made it). Undefined: the plugin has reported this event before, and nothing was done. */
export async function appendActivity (db: Db, event: NewEvent, now: number): Promise<{ id: string, groupSeq: number } | undefined> {
  return await db.tx(async () => {
    const appended = await insertEvent(db, event, now)
    if (appended !== undefined) await enqueueDeliveries(db, toDeliveries(event, appended, now), now)
    return appended
  }, { propagation: 'mandatory' })
}

/** An event `webhook.test`, for this webhook alone. Answers the id of the delivery. As `appendActivity`. */
export async function appendTest (db: Db, { groupId, webhook }: { groupId: string, webhook: { id: string, kind: WebhookKind, label: string } }, now: number): Promise<string> {
  const event = { groupId, type: 'webhook.test', data: { webhook: webhook.label } } as const
  const appended = await insertEvent(db, event, now)
  const [deliveryId] = appended === undefined ? [] : await enqueueDeliveries(db, toDeliveries(event, appended, now), now, { only: webhook })
  if (deliveryId === undefined) throw new Error('an event of the app itself is never one that was reported before')
  return deliveryId
}

async function insertEvent (db: Db, { groupId, type, memberId, data, sourceEventId, occurredAt }: NewEvent, now: number): Promise<{ id: string, groupSeq: number } | undefined> {
  const id = newId('event')
  const row = await db.prepare(insert).get({
    id, group: groupId, type, member: memberId ?? null, data: JSON.stringify(data), source: sourceEventId === undefined ? 'app' : 'plugin', sourceEventId: sourceEventId ?? null, occurredAt: occurredAt ?? now, now
  })
  if (row === undefined) return undefined
  await tellGroup(db, { groupId, kind: 'activity' })
  return { id, groupSeq: toNumber(row.group_seq) }
}

function toDeliveries ({ groupId, type, memberId, data, occurredAt }: NewEvent, { id, groupSeq }: { id: string, groupSeq: number }, now: number): NewDeliveries {
  return { groupId, eventId: id, type, groupSeq, memberId: memberId ?? null, occurredAt: occurredAt ?? now, data }
}
