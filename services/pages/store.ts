/** What only the pages begin with, one look each: a group with the state of its subscription, an invitation, a theme. All else is the services' own. Stores: no Fastify. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toNumber, toText, toTextOrNull } from '../common/columns.ts'

type Db = Pick<Database, 'prepare'>

export interface PageGroup {
  readonly id: string
  readonly name: string
  readonly joinCode: string | null
  readonly memberCount: number
  readonly maxMembers: number
  readonly plan: string
  /** Of its subscription; null: it has none. */
  readonly billing: string | null
}

const group = `
  SELECT groups.id, groups.name, groups.join_code, groups.member_count, groups.max_members, groups.plan, subscriptions.status
  FROM groups LEFT JOIN subscriptions ON subscriptions.group_id = groups.id`

export async function findPageGroup (db: Db, groupId: string): Promise<PageGroup | undefined> {
  const row = await db.prepare(`${group} WHERE groups.id = ? AND groups.deleted_at IS NULL`).get(groupId)
  return row && toPageGroup(row)
}

/** The oldest one that is marked as a demo. */
export async function findDemoGroup (db: Db): Promise<PageGroup | undefined> {
  const row = await db.prepare(`${group} WHERE groups.is_demo = 1 AND groups.deleted_at IS NULL ORDER BY groups.id LIMIT 1`).get()
  return row && toPageGroup(row)
}

function toPageGroup (row: Row): PageGroup {
  return {
    id: toText(row.id),
    name: toText(row.name),
    joinCode: toTextOrNull(row.join_code),
    memberCount: toNumber(row.member_count),
    maxMembers: toNumber(row.max_members),
    plan: toText(row.plan),
    billing: toTextOrNull(row.status)
  }
}

const invitation = `
  SELECT groups.id, groups.name, groups.member_count, groups.max_members,
    (SELECT COUNT(*) FROM members WHERE members.group_id = groups.id AND members.user_id = :user AND members.left_at IS NULL) AS mine
  FROM groups WHERE groups.join_code = :code AND groups.deleted_at IS NULL`

/** `userId`: who looks at it, '' for nobody. */
export async function findInvitation (db: Db, code: string, userId: string) {
  const row = await db.prepare(invitation).get({ code, user: userId })
  return row && { groupId: toText(row.id), name: toText(row.name), memberCount: toNumber(row.member_count), maxMembers: toNumber(row.max_members), isMember: toNumber(row.mine) > 0 }
}

/** As it is set for all of a person's browsers. */
export async function findTheme (db: Db, userId: string): Promise<string | undefined> {
  const row = await db.prepare('SELECT theme FROM users WHERE id = ?').get(userId)
  return row && toText(row.theme)
}
