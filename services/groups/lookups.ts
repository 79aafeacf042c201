/** Who a request acts for in a group: a member by session, or by the token of a plugin. One look each, outside of the request's transaction. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toNumberOrNull, toText, toTextOrNull } from '../common/columns.ts'
import { sha256 } from '../common/secrets.ts'

type Db = Pick<Database, 'prepare'>

export type Role = 'owner' | 'admin' | 'member'

/** A person in a group. */
export interface Membership {
  readonly groupId: string
  readonly memberId: string
  readonly userId: string
  readonly role: Role
}

/** A plugin in a group: it acts for its member, and for nobody else. */
export interface Device {
  readonly tokenId: string
  readonly groupId: string
  readonly memberId: string
  readonly userId: string
  readonly pluginVersion: string
  readonly lastUsedAt: number | null
  /** Of the member: as others see it. */
  readonly presence: Presence
}

export interface Presence {
  readonly seenAt: number | null
  readonly world: number | null
  readonly activity: string | null
}

const membership = `
  SELECT members.id, members.role FROM members JOIN groups ON groups.id = members.group_id
  WHERE members.group_id = ? AND members.user_id = ? AND members.left_at IS NULL AND groups.deleted_at IS NULL`

export async function findMembership (db: Db, groupId: string, userId: string): Promise<Membership | undefined> {
  const row = await db.prepare(membership).get(groupId, userId)
  return row && { groupId, userId, memberId: toText(row.id), role: toText(row.role) as Role }
}

/** True: everybody may look at it. */
export async function isDemoGroup (db: Db, groupId: string): Promise<boolean> {
  return await db.prepare('SELECT id FROM groups WHERE id = ? AND is_demo = 1 AND deleted_at IS NULL').get(groupId) !== undefined
}

const device = `
  SELECT plugin_tokens.id, plugin_tokens.group_id, plugin_tokens.member_id, plugin_tokens.user_id, plugin_tokens.plugin_version, plugin_tokens.last_used_at,
    members.last_seen_at, members.last_world, members.last_activity
  FROM plugin_tokens JOIN members ON members.id = plugin_tokens.member_id JOIN groups ON groups.id = plugin_tokens.group_id
  WHERE plugin_tokens.token_hash = :hash AND plugin_tokens.revoked_at IS NULL AND (plugin_tokens.expires_at IS NULL OR plugin_tokens.expires_at > :now)
    AND members.left_at IS NULL AND groups.deleted_at IS NULL`

/** Undefined for a token that is wrong, was revoked or has expired, and for one whose member or group is gone. */
export async function findDevice (db: Db, token: string, now: number): Promise<Device | undefined> {
  const row = await db.prepare(device).get({ hash: sha256(token), now })
  return row && toDevice(row)
}

function toDevice (row: Row): Device {
  return {
    tokenId: toText(row.id),
    groupId: toText(row.group_id),
    memberId: toText(row.member_id),
    userId: toText(row.user_id),
    pluginVersion: toText(row.plugin_version),
    lastUsedAt: toNumberOrNull(row.last_used_at),
    presence: { seenAt: toNumberOrNull(row.last_seen_at), world: toNumberOrNull(row.last_world), activity: toTextOrNull(row.last_activity) }
  }
}

/** At most once a minute. */
export async function touchToken (db: Db, tokenId: string, now: number): Promise<void> {
  await db.prepare('UPDATE plugin_tokens SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at <= ?)').run(now, tokenId, now - TOUCH_MS)
}

export const TOUCH_MS = 60_000
