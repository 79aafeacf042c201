/**
 * The end of an account, all of it or nothing: memberships with their holdings, sessions, identities; the name is replaced wherever it stands.
 * The rows of the user and of the members stay without a name, since the history of groups points at them.
 */
import type { Database } from '../../../plugins/db/types.ts'
import { toText } from '../../common/columns.ts'
import { NotFound, withDetails } from '../../common/errors.ts'
import { endMembership } from '../../groups/end-membership.ts'
import { OwnsGroups } from '../errors.ts'
import { revokeAllSessions } from '../sessions.ts'
import { listMembershipsOfUser, lockUser } from './users.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export const DELETED_NAME = 'Deleted user'

/** Throws `OWNS_GROUPS` with their ids, `NOT_FOUND`. */
export async function softDeleteUser (db: Db, userId: string, now: number): Promise<void> {
  await db.tx(async () => {
    await lockUser(db, userId)
    const owned = await db.prepare('SELECT id FROM groups WHERE owner_user_id = ? AND deleted_at IS NULL ORDER BY id').all(userId)
    if (owned.length > 0) throw withDetails(new OwnsGroups(), { groupIds: owned.map(({ id }) => toText(id)) })
    const memberships = (await listMembershipsOfUser(db, userId)).toSorted((a, b) => a.groupId < b.groupId ? -1 : 1) // one order of locks for all
    for (const { groupId, memberId } of memberships) await endMembership(db, { groupId, memberId, reason: 'deleted' }, now)
    await forgetName(db, userId)
    await revokeAllSessions(db, userId, now)
    await db.prepare('DELETE FROM identities WHERE user_id = ?').run(userId)
    const { changes } = await db.prepare('UPDATE users SET deleted_at = ?, display_name = ?, avatar_url = NULL, is_operator = 0 WHERE id = ? AND deleted_at IS NULL').run(now, DELETED_NAME, userId)
    if (changes === 0) throw new NotFound('user')
  })
}

async function forgetName (db: Db, userId: string): Promise<void> {
  const members = '(SELECT id FROM members WHERE user_id = ?)'
  await db.prepare(`UPDATE activity_events SET data = ? WHERE type IN ('member.joined', 'member.left') AND member_id IN ${members}`).run(JSON.stringify({ name: DELETED_NAME }), userId)
  await db.prepare('UPDATE members SET display_name = ?, character_name = NULL, character_norm = NULL, account_hash = NULL WHERE user_id = ?').run(DELETED_NAME, userId)
}
