/**
 * What a member has reported, taken away when the membership ends. Store: no Fastify.
 *
 * What is kept true: nothing of it can be seen, and no plugin can go on where it was; what the member has put into the shared storage stays there, it is the group's.
 */
import type { Database } from '../../plugins/db/types.ts'

type Db = Pick<Database, 'prepare' | 'tx'>

/** Marks are found by whose container it is. */
const removeMarksInShared = `
  DELETE FROM sync_marks WHERE writer_member_id = :member AND owner_member_id IN (
    SELECT shared.id FROM members JOIN members AS shared ON shared.group_id = members.group_id AND shared.kind = 'shared' WHERE members.id = :member)`

/** Inside a transaction that has the lock of the group. */
export async function removeHoldings (db: Db, memberId: string): Promise<void> {
  await db.tx(async () => {
    await db.prepare('DELETE FROM container_items WHERE member_id = ?').run(memberId)
    await db.prepare('DELETE FROM containers WHERE member_id = ?').run(memberId)
    await db.prepare('DELETE FROM sync_marks WHERE owner_member_id = ?').run(memberId)
    await db.prepare(removeMarksInShared).run({ member: memberId })
    await db.prepare(`UPDATE pairings SET status = 'denied' WHERE member_id = ? AND status IN ('pending', 'approved')`).run(memberId)
  }, { propagation: 'mandatory' })
}

/** Also what is in the shared storage, and who has put it there. Inside a transaction that has the lock of the group. */
export async function removeHoldingsOfGroup (db: Db, groupId: string): Promise<void> {
  await db.tx(async () => {
    const members = 'SELECT id FROM members WHERE group_id = ?'
    await db.prepare('DELETE FROM container_items WHERE group_id = ?').run(groupId)
    await db.prepare('DELETE FROM containers WHERE group_id = ?').run(groupId)
    await db.prepare(`DELETE FROM sync_marks WHERE owner_member_id IN (${members})`).run(groupId)
    await db.prepare(`UPDATE pairings SET status = 'denied' WHERE member_id IN (${members}) AND status IN ('pending', 'approved')`).run(groupId)
  }, { propagation: 'mandatory' })
}
