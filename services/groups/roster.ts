/** Who is in a group, the shared storage last, and when what each of them has was as it is. Stores: no Fastify. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toNumber, toNumberOrNull, toText, toTextOrNull, toTime, toTimeOrNull } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'
import type { Role } from './lookups.ts'
import type { Member, RosterMember } from './schema.ts'

type Db = Pick<Database, 'prepare'>

/** Who was seen in this time is online. */
export const ONLINE_MS = 300_000

const columns = 'id, kind, display_name, character_name, role, color, joined_at, last_sync_at, last_world, last_seen_at'
const ofGroup = `SELECT ${columns} FROM members WHERE group_id = ? AND left_at IS NULL ORDER BY CASE kind WHEN 'shared' THEN 1 ELSE 0 END, joined_at, id`

export async function listMembers (db: Db, groupId: string, now: number): Promise<Member[]> {
  return (await db.prepare(ofGroup).all(groupId)).map(row => toMember(row, now))
}

export async function listRoster (db: Db, groupId: string, now: number): Promise<RosterMember[]> {
  const members = await listMembers(db, groupId, now)
  const containers = new Map<string, Record<string, string>>(members.map(({ id }) => [id, {}]))
  for (const row of await db.prepare('SELECT member_id, container, captured_at FROM containers WHERE group_id = ? ORDER BY container').all(groupId)) {
    const ofMember = containers.get(toText(row.member_id))
    if (ofMember !== undefined) ofMember[toText(row.container)] = toTime(row.captured_at)
  }
  return members.map(member => ({ ...member, containers: containers.get(member.id) ?? {} }))
}

/** One who is in the group. Throws `NOT_FOUND`. */
export async function getMember (db: Db, { groupId, memberId }: { groupId: string, memberId: string }, now: number): Promise<Member> {
  const row = await db.prepare(`SELECT ${columns} FROM members WHERE id = ? AND group_id = ? AND left_at IS NULL`).get(memberId, groupId)
  if (row === undefined) throw new NotFound('member')
  return toMember(row, now)
}

function toMember (row: Row, now: number): Member {
  const seenAt = Math.max(toNumberOrNull(row.last_seen_at) ?? 0, toNumberOrNull(row.last_sync_at) ?? 0)
  return {
    id: toText(row.id),
    kind: row.kind === 'shared' ? 'shared' : 'player',
    displayName: toText(row.display_name),
    characterName: toTextOrNull(row.character_name),
    role: toText(row.role) as Role,
    color: toNumber(row.color),
    joinedAt: toTime(row.joined_at),
    lastSyncAt: toTimeOrNull(row.last_sync_at),
    world: toNumberOrNull(row.last_world),
    online: row.kind === 'player' && now - seenAt < ONLINE_MS
  }
}
