/** What a group calls a member, and the member's role. Store: no Fastify. What is kept true: a character belongs to one member; only the owner gives roles, and keeps their own. */
import type { Database } from '../../plugins/db/types.ts'
import { Forbidden } from '../common/errors.ts'
import { normalizeName } from '../common/names.ts'
import { audit } from '../ops/audit.ts'
import { CharacterTaken, OwnerMustTransfer, SharedMember } from './errors.ts'
import { anyone, lockGroupAs, type Actor } from './lock-as.ts'
import { bumpGroupVersion } from './lock.ts'
import type { Membership } from './lookups.ts'
import { getMember } from './roster.ts'
import type { Member } from './schema.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export interface MemberUpdate {
  readonly memberId: string
  readonly displayName?: string
  /** Null: none. */
  readonly characterName?: string | null
  readonly role?: 'admin' | 'member'
}

/** By the member, or an admin. What is as it was makes no new version. Throws `FORBIDDEN`, `NOT_FOUND`, `SHARED_MEMBER`, `CHARACTER_TAKEN`, `OWNER_MUST_TRANSFER`. */
export async function updateMember (db: Db, actor: Actor, update: MemberUpdate, now: number): Promise<Member> {
  return await db.tx(async () => {
    const { groupId } = actor
    const { memberId, displayName, characterName, role } = update
    const { membership } = await lockGroupAs(db, actor, anyone, now)
    const before = await getMember(db, { groupId, memberId }, now)
    checkMay(membership, before, update)
    const after = { ...before, ...(displayName !== undefined && { displayName }), ...(characterName !== undefined && { characterName }), ...(role !== undefined && { role }) }
    if (isSame(before, after)) return before
    if (after.characterName !== before.characterName) await checkCharacter(db, { groupId, memberId, characterName: after.characterName })
    await writeMember(db, after)
    if (after.role !== before.role) await audit(db, { actorUserId: actor.userId, groupId, action: 'member.role', detail: { memberId, from: before.role, to: after.role } }, now)
    await bumpGroupVersion(db, groupId, [{ kind: 'roster', memberId }], now)
    return after
  })
}

function checkMay (membership: Membership, { id, kind, role: before }: Member, { role }: MemberUpdate): void {
  if (membership.role === 'member' && membership.memberId !== id) throw new Forbidden('the role owner or admin in this group')
  if (kind === 'shared') throw new SharedMember()
  if (role === undefined) return
  if (membership.role !== 'owner') throw new Forbidden('the role owner in this group')
  if (before === 'owner') throw new OwnerMustTransfer()
}

function isSame (a: Member, b: Member): boolean {
  return a.displayName === b.displayName && a.characterName === b.characterName && a.role === b.role
}

/** An UPDATE has no ON CONFLICT; but whoever names a character has the lock of the group. */
async function checkCharacter (db: Db, { groupId, memberId, characterName }: { groupId: string, memberId: string, characterName: string | null }): Promise<void> {
  if (characterName === null) return
  const taken = await db.prepare('SELECT id FROM members WHERE group_id = ? AND character_norm = ? AND left_at IS NULL AND id <> ?').get(groupId, normalizeName(characterName), memberId)
  if (taken !== undefined) throw new CharacterTaken()
}

async function writeMember (db: Db, { id, displayName, characterName, role }: Member): Promise<void> {
  await db.prepare('UPDATE members SET display_name = ?, character_name = ?, character_norm = ?, role = ? WHERE id = ?')
    .run(displayName, characterName, characterName === null ? null : normalizeName(characterName), role, id)
}
