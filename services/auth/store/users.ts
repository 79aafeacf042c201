/** Users, what they are called, how they sign in, and where they are members. */
import type { Database, Row } from '../../../plugins/db/types.ts'
import { toFlag, toNumber, toText, toTextOrNull, toTime } from '../../common/columns.ts'
import { NotFound } from '../../common/errors.ts'
import { LastIdentity } from '../errors.ts'
import type { Identity, Membership, User } from '../schema.ts'

type Db = Pick<Database, 'prepare' | 'tx'>

const columns = 'id, display_name, avatar_url, theme, is_operator, created_at'

/** Throws `NOT_FOUND` for one who was deleted. */
export async function getUserById (db: Db, id: string): Promise<User> {
  const row = await db.prepare(`SELECT ${columns} FROM users WHERE id = ? AND deleted_at IS NULL`).get(id)
  if (row === undefined) throw new NotFound('user')
  return toUser(row)
}

export interface ProfileChange { readonly displayName?: string, readonly theme?: User['theme'] }

/** Throws `NOT_FOUND`. */
export async function updateUserProfile (db: Db, id: string, { displayName, theme }: ProfileChange): Promise<User> {
  const sql = `UPDATE users SET display_name = COALESCE(CAST(? AS TEXT), display_name), theme = COALESCE(CAST(? AS TEXT), theme) WHERE id = ? AND deleted_at IS NULL RETURNING ${columns}`
  const row = await db.prepare(sql).get(displayName ?? null, theme ?? null, id)
  if (row === undefined) throw new NotFound('user')
  return toUser(row)
}

function toUser (row: Row): User {
  return {
    id: toText(row.id),
    displayName: toText(row.display_name),
    avatarUrl: toTextOrNull(row.avatar_url),
    theme: toText(row.theme) as User['theme'],
    isOperator: toFlag(row.is_operator),
    createdAt: toTime(row.created_at)
  }
}

export async function listIdentities (db: Db, userId: string): Promise<Identity[]> {
  const rows = await db.prepare('SELECT provider, email, email_verified, created_at, last_login_at FROM identities WHERE user_id = ? ORDER BY created_at, provider').all(userId)
  return rows.map(row => ({ provider: toText(row.provider), email: toTextOrNull(row.email), emailVerified: toFlag(row.email_verified), createdAt: toTime(row.created_at), lastLoginAt: toTime(row.last_login_at) }))
}

/** Throws `LAST_IDENTITY`, `NOT_FOUND`. The row of the user is the lock: of two that are taken away at the same time one stays. */
export async function unlinkIdentity (db: Db, userId: string, provider: string): Promise<void> {
  await db.tx(async () => {
    await lockUser(db, userId)
    const owned = await db.prepare('SELECT COUNT(*) AS count FROM identities WHERE user_id = ?').get(userId)
    const mine = await db.prepare('SELECT COUNT(*) AS count FROM identities WHERE user_id = ? AND provider = ?').get(userId, provider)
    if (toNumber(mine?.count) === 0) throw new NotFound('sign-in with this provider')
    if (toNumber(owned?.count) === toNumber(mine?.count)) throw new LastIdentity()
    await db.prepare('DELETE FROM identities WHERE user_id = ? AND provider = ?').run(userId, provider)
  })
}

/** Until the transaction ends. */
export async function lockUser (db: Db, userId: string): Promise<void> {
  await db.prepare('UPDATE users SET display_name = display_name WHERE id = ?').run(userId)
}

const memberships = `
  SELECT members.group_id, members.id, members.role, groups.name FROM members JOIN groups ON groups.id = members.group_id
  WHERE members.user_id = ? AND members.left_at IS NULL AND groups.deleted_at IS NULL ORDER BY groups.name, groups.id`

export async function listMembershipsOfUser (db: Db, userId: string): Promise<Membership[]> {
  const rows = await db.prepare(memberships).all(userId)
  return rows.map(row => ({ groupId: toText(row.group_id), memberId: toText(row.id), name: toText(row.name), role: toText(row.role) as Membership['role'] }))
}
