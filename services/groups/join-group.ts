/**
 * Joining a group by its code (T3), and what the code opens, beforehand. Stores: no Fastify.
 *
 * What is kept true: a group never has more players than its plan allows when one joins, however many try at once, since the counter is the guard (F6); who is in it already
 * stays the one member; a code that is unknown, switched off, replaced or of a deleted group is answered alike.
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import { appendActivity } from '../activity/append.ts'
import { toNumber, toText } from '../common/columns.ts'
import { Unauthenticated } from '../common/errors.ts'
import { newId } from '../common/ids.ts'
import { normalizeName } from '../common/names.ts'
import { parseCode } from '../common/secrets.ts'
import { CharacterTaken, GroupFull, JoinCodeInvalid } from './errors.ts'
import { bumpGroupVersion } from './lock.ts'
import { findMembership } from './lookups.ts'
import type { Preview } from './schema.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export interface Joining {
  /** As it was typed. */
  readonly code: string
  readonly userId: string
  readonly displayName: string
  readonly characterName?: string
}

/** Throws `JOIN_CODE_INVALID`. */
export async function previewGroup (db: Pick<Database, 'prepare'>, { code, userId }: { code: string, userId: string }): Promise<Preview> {
  const parsed = parseCode(code)
  const group = parsed === undefined ? undefined : await db.prepare('SELECT id, name, member_count, max_members FROM groups WHERE join_code = ? AND deleted_at IS NULL').get(parsed)
  if (group === undefined) throw new JoinCodeInvalid()
  const [memberCount, maxMembers] = [toNumber(group.member_count), toNumber(group.max_members)]
  const alreadyMember = await findMembership(db, toText(group.id), userId) !== undefined
  return { name: toText(group.name), memberCount, maxMembers, full: memberCount >= maxMembers, alreadyMember }
}

/** Takes the lock of the group. `joined` is false for who is in it already. Throws `JOIN_CODE_INVALID`, `GROUP_FULL`, `CHARACTER_TAKEN`, `UNAUTHENTICATED`. */
export async function joinGroupByCode (db: Db, joining: Joining, now: number): Promise<{ groupId: string, memberId: string, joined: boolean }> {
  return await db.tx(async () => {
    const group = await lockByCode(db, joining.code, now)
    const groupId = toText(group.id)
    const already = await findMembership(db, groupId, joining.userId)
    if (already !== undefined) return { groupId, memberId: already.memberId, joined: false }
    await requireAlive(db, joining.userId)
    const counted = await db.prepare('UPDATE groups SET member_count = member_count + 1 WHERE id = ? AND member_count < max_members RETURNING id').get(groupId)
    if (counted === undefined) throw new GroupFull(toNumber(group.max_members))
    const memberId = await insertPlayer(db, groupId, joining, now)
    await bumpGroupVersion(db, groupId, [{ kind: 'roster', memberId }], now)
    await appendActivity(db, { groupId, type: 'member.joined', memberId, data: { name: joining.displayName } }, now)
    return { groupId, memberId, joined: true }
  })
}

/** An account that is being deleted is waited for, and joins nothing any more. Throws `UNAUTHENTICATED`. */
async function requireAlive (db: Db, userId: string): Promise<void> {
  const { changes } = await db.prepare('UPDATE users SET display_name = display_name WHERE id = ? AND deleted_at IS NULL').run(userId)
  if (changes === 0) throw new Unauthenticated()
}

/** By the code itself: if it was replaced while the lock was waited for, there is no such group any more. */
async function lockByCode (db: Db, code: string, now: number): Promise<Row> {
  const parsed = parseCode(code)
  const group = parsed === undefined ? undefined : await db.prepare('UPDATE groups SET updated_at = ? WHERE join_code = ? AND deleted_at IS NULL RETURNING id, max_members').get(now, parsed)
  if (group === undefined) throw new JoinCodeInvalid()
  return group
}

const insert = `
  INSERT INTO members (id, group_id, user_id, kind, role, display_name, character_name, character_norm, color, sync_epoch, joined_at)
  VALUES (:id, :group, :user, 'player', 'member', :name, :character, :characterNorm, :color, 0, :now)
  ON CONFLICT DO NOTHING RETURNING id`

/** The only thing that it can conflict with is the character: that the person is not in the group is known, under its lock. */
async function insertPlayer (db: Db, groupId: string, { userId, displayName, characterName }: Joining, now: number): Promise<string> {
  const id = newId('member')
  const character = { character: characterName ?? null, characterNorm: characterName === undefined ? null : normalizeName(characterName) }
  const row = await db.prepare(insert).get({ id, group: groupId, user: userId, name: displayName, ...character, color: await findColor(db, groupId), now })
  if (row === undefined) throw new CharacterTaken()
  return id
}

const COLORS = [0, 1, 2, 3, 4]

/** The first of those that the fewest players have. */
async function findColor (db: Db, groupId: string): Promise<number> {
  const rows = await db.prepare(`SELECT color, COUNT(*) AS players FROM members WHERE group_id = ? AND left_at IS NULL AND kind = 'player' GROUP BY color`).all(groupId)
  const players = new Map(rows.map(row => [toNumber(row.color), toNumber(row.players)]))
  const [first = 0] = COLORS.toSorted((a, b) => (players.get(a) ?? 0) - (players.get(b) ?? 0))
  return first
}
