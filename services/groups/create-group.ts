/** A new group, all of it or nothing (T2): group, owner, shared storage, join code, activity. */
import type { Database } from '../../plugins/db/types.ts'
import { appendActivity } from '../activity/append.ts'
import { plans } from '../billing/plans.ts'
import { newId } from '../common/ids.ts'
import { normalizeName } from '../common/names.ts'
import { newCode } from '../common/secrets.ts'
import { GroupLimit } from './errors.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export interface NewGroup {
  readonly name: string
  readonly ownerUserId: string
  readonly ownerName: string
  readonly characterName?: string
  readonly isDemo?: boolean
}

/** What one person can own. */
export const MOST_OWNED = 10
const CODE_TRIES = 5

const insertGroup = `
  INSERT INTO groups (id, name, name_norm, owner_user_id, join_code, member_count, max_members, version, plan, settings, is_demo, created_at, updated_at)
  VALUES (:id, :name, :norm, :owner, :code, 1, :maxMembers, 1, 'free', :settings, :isDemo, :now, :now)
  ON CONFLICT (join_code) DO NOTHING RETURNING id`

const insertMember = `
  INSERT INTO members (id, group_id, user_id, kind, role, display_name, character_name, character_norm, color, sync_epoch, joined_at)
  VALUES (:id, :group, :user, :kind, :role, :name, :character, :characterNorm, :color, 0, :now)`

export const defaultSettings = { showPotionStorage: true, staleAfterMinutes: 1440 }

/** Throws `GROUP_LIMIT`. */
export async function createGroup (db: Db, { name, ownerUserId, ownerName, characterName, isDemo = false }: NewGroup, now: number): Promise<{ groupId: string, memberId: string, joinCode: string }> {
  return await db.tx(async () => {
    // the owner's row is the lock of this count
    await db.prepare('UPDATE users SET display_name = display_name WHERE id = ?').run(ownerUserId)
    const owned = await db.prepare('SELECT COUNT(*) AS count FROM groups WHERE owner_user_id = ? AND deleted_at IS NULL').get(ownerUserId)
    if (Number(owned?.count) >= MOST_OWNED) throw new GroupLimit(MOST_OWNED)
    const groupId = newId('group')
    const joinCode = await insertWithCode(db, { id: groupId, name, norm: normalizeName(name), owner: ownerUserId, maxMembers: plans.free.limits.maxMembers, settings: JSON.stringify(defaultSettings), isDemo, now })
    const memberId = newId('member')
    const character = { character: characterName ?? null, characterNorm: characterName === undefined ? null : normalizeName(characterName) }
    await db.prepare(insertMember).run({ id: memberId, group: groupId, user: ownerUserId, kind: 'player', role: 'owner', name: ownerName, ...character, color: 0, now })
    await db.prepare(insertMember).run({ id: newId('member'), group: groupId, user: null, kind: 'shared', role: 'member', name: 'Shared storage', character: null, characterNorm: null, color: 4, now })
    await db.prepare('INSERT INTO group_changes (group_id, version, kind, member_id, container, at) VALUES (?, 1, ?, ?, ?, ?)').run(groupId, 'roster', memberId, '', now)
    await appendActivity(db, { groupId, type: 'member.joined', memberId, data: { name: ownerName } }, now)
    return { groupId, memberId, joinCode }
  })
}

/** Two groups never have one code: if it is taken, another one is tried. (A failed statement would end the transaction on PostgreSQL, hence no catch.) */
async function insertWithCode (db: Db, values: Readonly<Record<string, string | number | boolean>>): Promise<string> {
  for (let i = 0; i < CODE_TRIES; i++) {
    const code = newCode()
    if (await db.prepare(insertGroup).get({ ...values, code }) !== undefined) return code
  }
  throw new Error(`no join code was free in ${CODE_TRIES} tries`)
}
