/**
 * The items of a container, brought from what is there to what is reported by the rows that differ: a tick of the game changes one or two of a bank of 800.
 * Store: no Fastify.
 */
import type { Value } from '../../../plugins/db/types.ts'
import { toNumber } from '../../common/columns.ts'
import type { Slot } from '../content.ts'
import type { Db } from './place.ts'

export interface Owned {
  readonly groupId: string
  readonly ownerId: string
  readonly container: string
}

/** In ascending order. */
export async function listSlots (db: Db, ownerId: string, container: string): Promise<Slot[]> {
  const rows = await db.prepare('SELECT slot, item_id, quantity FROM container_items WHERE member_id = ? AND container = ? ORDER BY slot').all(ownerId, container)
  return rows.map(row => ({ slot: toNumber(row.slot), itemId: toNumber(row.item_id), quantity: toNumber(row.quantity) }))
}

/** Inside a transaction that has the lock of the container. */
export async function replaceSlots (db: Db, owned: Owned, before: readonly Slot[], after: readonly Slot[]): Promise<void> {
  const old = new Map(before.map(slot => [slot.slot, slot]))
  const kept = new Set(after.map(({ slot }) => slot))
  const gone = before.filter(({ slot }) => !kept.has(slot))
  const changed = after.filter(({ slot, itemId, quantity }) => old.get(slot)?.itemId !== itemId || old.get(slot)?.quantity !== quantity)
  await Promise.all([...inChunks(gone).map(async chunk => { await deleteSlots(db, owned, chunk) }), ...inChunks(changed).map(async chunk => { await putSlots(db, owned, chunk) })])
}

async function deleteSlots (db: Db, { ownerId, container }: Owned, slots: readonly Slot[]): Promise<void> {
  await db.prepare(deleteSql(slots.length)).run(ownerId, container, ...slots.map(({ slot }) => slot))
}

async function putSlots (db: Db, { groupId, ownerId, container }: Owned, slots: readonly Slot[]): Promise<void> {
  await db.prepare(putSql(slots.length)).run(...slots.flatMap(({ slot, itemId, quantity }): Value[] => [ownerId, container, slot, groupId, itemId, quantity]))
}

/** Few sizes, so that few statements are prepared; each within what the engines take as parameters (32,766). */
const CHUNKS = [512, 64, 8, 1]

function inChunks<T> (list: readonly T[]): T[][] {
  const chunks: T[][] = []
  for (let at = 0; at < list.length;) {
    const size = CHUNKS.find(size => size <= list.length - at) ?? 1
    chunks.push(list.slice(at, at += size))
  }
  return chunks
}

const deleteSql = once(rows => `DELETE FROM container_items WHERE member_id = ? AND container = ? AND slot IN (${repeat('?', rows)})`)

const putSql = once(rows => `
  INSERT INTO container_items (member_id, container, slot, group_id, item_id, quantity) VALUES ${repeat('(?, ?, ?, ?, ?, ?)', rows)}
  ON CONFLICT (member_id, container, slot) DO UPDATE SET item_id = excluded.item_id, quantity = excluded.quantity`)

export function repeat (text: string, times: number): string {
  return Array.from({ length: times }, () => text).join(', ')
}

/** The text for each number of rows is made once. */
export function once (make: (rows: number) => string): (rows: number) => string {
  const made = new Map<number, string>()
  return rows => {
    const text = made.get(rows) ?? make(rows)
    made.set(rows, text)
    return text
  }
}
