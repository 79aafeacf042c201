/** Groups as their members see them. Stores: no Fastify. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toNumber, toText, toTextOrNull, toTime, toTimeOrNull } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'
import { formatCode } from '../common/secrets.ts'
import { defaultSettings } from './create-group.ts'
import type { Actor } from './lock-as.ts'
import type { Role } from './lookups.ts'
import type { Group, GroupSettings, OwnGroup } from './schema.ts'

type Db = Pick<Database, 'prepare'>

const byMember = `
  SELECT groups.id, groups.name, groups.version, groups.member_count, groups.max_members, groups.plan, groups.join_code, groups.compat_name_norm, groups.settings, groups.created_at,
    members.id AS member_id, members.role
  FROM groups JOIN members ON members.group_id = groups.id
  WHERE groups.id = ? AND members.user_id = ? AND members.left_at IS NULL AND groups.deleted_at IS NULL`

/** Throws `NOT_FOUND`, also for who is no member. */
export async function getGroup (db: Db, { groupId, userId }: Actor): Promise<Group> {
  const row = await db.prepare(byMember).get(groupId, userId)
  if (row === undefined) throw new NotFound('group')
  return toGroup(row)
}

const ofUser = `
  SELECT groups.id, groups.name, groups.member_count, groups.max_members, groups.plan, members.id AS member_id, members.role,
    (SELECT MAX(others.last_sync_at) FROM members AS others WHERE others.group_id = groups.id AND others.left_at IS NULL) AS last_sync_at
  FROM members JOIN groups ON groups.id = members.group_id
  WHERE members.user_id = ? AND members.left_at IS NULL AND groups.deleted_at IS NULL ORDER BY members.joined_at, groups.id`

/** In the order in which they were joined. */
export async function listGroupsOfUser (db: Db, userId: string): Promise<OwnGroup[]> {
  return (await db.prepare(ofUser).all(userId)).map(row => ({
    id: toText(row.id),
    name: toText(row.name),
    role: toText(row.role) as Role,
    memberId: toText(row.member_id),
    memberCount: toNumber(row.member_count),
    maxMembers: toNumber(row.max_members),
    plan: toText(row.plan),
    lastSyncAt: toTimeOrNull(row.last_sync_at)
  }))
}

/** As the column holds them; what was not set yet is as for new groups. */
export function toSettings (settings: Row[string] | undefined): GroupSettings {
  return { ...defaultSettings, ...JSON.parse(toText(settings)) as Partial<GroupSettings> }
}

function toGroup (row: Row): Group {
  const [memberCount, maxMembers] = [toNumber(row.member_count), toNumber(row.max_members)]
  return {
    id: toText(row.id),
    name: toText(row.name),
    version: toNumber(row.version),
    memberCount,
    maxMembers,
    overLimit: memberCount > maxMembers,
    plan: toText(row.plan),
    role: toText(row.role) as Role,
    memberId: toText(row.member_id),
    settings: toSettings(row.settings),
    ...(row.role !== 'member' && { joinCode: showCode(row.join_code), compatName: toTextOrNull(row.compat_name_norm) }),
    createdAt: toTime(row.created_at)
  }
}

/** As people write it. Null: there is none. */
export function showCode (code: Row[string] | undefined): string | null {
  return code === null ? null : formatCode(toText(code))
}
