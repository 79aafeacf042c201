/**
 * The end of a membership, all of it or nothing (T4): whoever leaves, is removed or deletes their account takes their holdings with them, and their plugins are refused at once.
 *
 * What is kept true: member_count is the number of players; the version grows by one; the owner stays, since a group has one (I2, I4, I9, I10, I16).
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import { appendActivity } from '../activity/append.ts'
import { toText } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'
import { removeHoldings } from '../sync/remove-holdings.ts'
import { OwnerCannotBeRemoved, OwnerMustTransfer } from './errors.ts'
import { bumpGroupVersion, lockGroup, tellGroup } from './lock.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export interface EndOfMembership {
  readonly groupId: string
  readonly memberId: string
  /** `deleted`: the account of the person. */
  readonly reason: 'left' | 'kicked' | 'deleted'
}

/**
 * Takes the lock of the group. Throws `NOT_FOUND` for a group or a player who is not there (any more), `OWNER_CANNOT_BE_REMOVED` or, when the owner leaves,
 * `OWNER_MUST_TRANSFER`.
 */
export async function endMembership (db: Db, { groupId, memberId, reason }: EndOfMembership, now: number): Promise<void> {
  await db.tx(async () => {
    await lockGroup(db, groupId, now)
    const { user_id: userId, display_name: name } = await endMember(db, { groupId, memberId, reason }, now)
    await db.prepare('UPDATE groups SET member_count = member_count - 1 WHERE id = ?').run(groupId)
    await db.prepare('UPDATE plugin_tokens SET revoked_at = ? WHERE member_id = ? AND revoked_at IS NULL').run(now, memberId)
    await removeHoldings(db, memberId)
    await bumpGroupVersion(db, groupId, [{ kind: 'roster', memberId }], now)
    await appendActivity(db, { groupId, type: 'member.left', memberId, data: { name: toText(name), reason } }, now)
    await tellGroup(db, { groupId, kind: 'removed', memberId, userId: toText(userId) })
  })
}

const current = `SELECT role, user_id, display_name FROM members WHERE id = ? AND group_id = ? AND kind = 'player' AND left_at IS NULL`

async function endMember (db: Db, { groupId, memberId, reason }: EndOfMembership, now: number): Promise<Row> {
  const member = await db.prepare(current).get(memberId, groupId)
  if (member === undefined) throw new NotFound('member')
  if (member.role === 'owner') throw reason === 'left' ? new OwnerMustTransfer() : new OwnerCannotBeRemoved()
  await db.prepare('UPDATE members SET left_at = ? WHERE id = ?').run(now, memberId)
  return member
}
