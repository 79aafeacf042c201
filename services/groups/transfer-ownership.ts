/** Giving a group to another member (T5). Store: no Fastify. What is kept true: there is one owner, who is a member; the one before stays as an admin. */
import type { Database } from '../../plugins/db/types.ts'
import { toText } from '../common/columns.ts'
import { audit } from '../ops/audit.ts'
import { NotAMember } from './errors.ts'
import { lockGroupAs, ownerOnly, type Actor } from './lock-as.ts'
import { bumpGroupVersion } from './lock.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

const player = `SELECT user_id FROM members WHERE id = ? AND group_id = ? AND kind = 'player' AND left_at IS NULL`

/** For the owner; to themselves changes nothing. Throws `NOT_A_MEMBER`. */
export async function transferOwnership (db: Db, actor: Actor, memberId: string, now: number): Promise<void> {
  await db.tx(async () => {
    const { groupId, userId } = actor
    const { membership: { memberId: ownerId } } = await lockGroupAs(db, actor, ownerOnly, now)
    const next = await db.prepare(player).get(memberId, groupId)
    if (next === undefined) throw new NotAMember()
    if (memberId === ownerId) return
    await db.prepare(`UPDATE members SET role = 'admin' WHERE id = ?`).run(ownerId)
    await db.prepare(`UPDATE members SET role = 'owner' WHERE id = ?`).run(memberId)
    await db.prepare('UPDATE groups SET owner_user_id = ? WHERE id = ?').run(toText(next.user_id), groupId)
    await audit(db, { actorUserId: userId, groupId, action: 'group.transferred', detail: { from: ownerId, to: memberId } }, now)
    await bumpGroupVersion(db, groupId, [{ kind: 'roster', memberId: ownerId }, { kind: 'roster', memberId }], now)
  })
}
