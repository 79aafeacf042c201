/**
 * The outbox: what has to be told to webhooks, written in the transaction of what happened.
 *
 * What is kept true: a row is there if and only if the event was committed, and one for an event and a webhook at most. The worker is told on COMMIT.
 */
import type { Database } from '../../plugins/db/types.ts'
import { toText } from '../common/columns.ts'
import { newId } from '../common/ids.ts'
import { nameItems } from './item-names.ts'
import { renderPayload, type ToldEvent, type WebhookKind } from './payload.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

/** Workers listen here; there is nothing in it but "look". */
export const OUTBOX_CHANNEL = 'vault_outbox'

export interface NewDeliveries {
  readonly groupId: string
  readonly eventId: string
  readonly type: string
  readonly groupSeq: number
  readonly memberId: string | null
  readonly occurredAt: number
  readonly data: Readonly<Record<string, unknown>>
}

interface Receiver { readonly id: string, readonly kind: WebhookKind }

const insert = `
  INSERT INTO outbox (id, group_id, webhook_id, event_id, event_type, group_seq, payload, status, attempts, throttles, next_attempt_at, created_at)
  VALUES (:id, :group, :webhook, :event, :type, :seq, :payload, 'pending', 0, 0, :now, :now)
  ON CONFLICT (webhook_id, event_id) DO NOTHING`

/** One for each webhook of the group that is enabled and wants such events; to `only` one whatever it wants. Inside a transaction that has the lock of the group. Answers their ids. */
export async function enqueueDeliveries (db: Db, event: NewDeliveries, now: number, { only }: { only?: Receiver } = {}): Promise<string[]> {
  return await db.tx(async () => {
    const receivers = only === undefined ? await findReceivers(db, event) : [only]
    if (receivers.length === 0) return []
    const told = await toTold(db, event)
    const ids: string[] = []
    for (const { id: webhook, kind } of receivers) {
      const id = newId('delivery')
      await db.prepare(insert).run({ id, group: event.groupId, webhook, event: event.eventId, type: event.type, seq: event.groupSeq, payload: renderPayload(kind, told), now })
      ids.push(id)
    }
    await db.notify(OUTBOX_CHANNEL)
    return ids
  }, { propagation: 'mandatory' })
}

async function findReceivers (db: Db, { groupId, type }: NewDeliveries): Promise<Receiver[]> {
  const rows = await db.prepare('SELECT id, kind, events FROM webhooks WHERE group_id = ? AND enabled = 1 ORDER BY id').all(groupId)
  return rows.filter(row => (JSON.parse(toText(row.events)) as string[]).includes(type)).map(row => ({ id: toText(row.id), kind: toText(row.kind) as WebhookKind }))
}

/** With the names of now. */
async function toTold (db: Db, { groupId, eventId, type, groupSeq, memberId, occurredAt, data }: NewDeliveries): Promise<ToldEvent> {
  const group = await db.prepare('SELECT name FROM groups WHERE id = ?').get(groupId)
  const member = memberId === null ? undefined : await db.prepare('SELECT display_name FROM members WHERE id = ?').get(memberId)
  return {
    id: eventId,
    type,
    groupSeq,
    occurredAt,
    data: await nameItems(db, data),
    group: { id: groupId, name: toText(group?.name) },
    member: memberId === null || member === undefined ? null : { id: memberId, name: toText(member.display_name) }
  }
}
