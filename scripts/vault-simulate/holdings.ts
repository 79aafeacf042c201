/** What the tables say that groups hold, to be compared with the ledger. */
import type { Database } from '../../plugins/db/types.ts'

/** `member/container` → what is in it, each as `slot:item:quantity`. */
export async function readHoldings (db: Pick<Database, 'prepare'>, groupId: string): Promise<Map<string, string[]>> {
  const holdings = new Map<string, string[]>()
  for (const row of await db.prepare('SELECT member_id, container FROM containers WHERE group_id = ?').all(groupId)) holdings.set(`${String(row.member_id)}/${String(row.container)}`, [])
  const rows = await db.prepare('SELECT member_id, container, slot, item_id, quantity FROM container_items WHERE group_id = ?').all(groupId)
  for (const row of rows) holdings.get(`${String(row.member_id)}/${String(row.container)}`)?.push(`${String(row.slot)}:${String(row.item_id)}:${String(row.quantity)}`)
  return holdings
}

/** Item → how many, as SQL adds them up. */
export async function readTotals (db: Pick<Database, 'prepare'>, groupId: string): Promise<Map<number, number>> {
  const rows = await db.prepare(`
    SELECT container_items.item_id, CAST(SUM(container_items.quantity) AS BIGINT) AS quantity FROM container_items JOIN members ON members.id = container_items.member_id
    WHERE container_items.group_id = ? AND members.left_at IS NULL GROUP BY container_items.item_id`).all(groupId)
  return new Map(rows.map(row => [Number(row.item_id), Number(row.quantity)]))
}
