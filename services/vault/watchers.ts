/** What a stream of events begins with, and whether it may go on. Stores: no Fastify. */
import type { Database } from '../../plugins/db/types.ts'
import { IDLE_MS } from '../auth/sessions.ts'
import { toNumber, toNumberOrNull, toText } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'
import { isDemoGroup } from '../groups/lookups.ts'

type Db = Pick<Database, 'prepare'>

/** Who watches: a member by session, or somebody who looks at the demo group. */
export interface Viewer {
  readonly groupId: string
  /** Public id. Null, as the other: nobody is signed in, or no member. */
  readonly sessionId: string | null
  readonly userId: string | null
}

const current = `
  SELECT members.id FROM members JOIN groups ON groups.id = members.group_id JOIN sessions ON sessions.user_id = members.user_id
  WHERE members.group_id = :groupId AND members.user_id = :userId AND members.left_at IS NULL AND groups.deleted_at IS NULL
    AND sessions.public_id = :sessionId AND sessions.revoked_at IS NULL AND sessions.expires_at > :now AND sessions.last_seen_at > :idleSince`

export async function mayWatch (db: Db, { groupId, sessionId, userId }: Viewer, now: number): Promise<boolean> {
  if (userId === null || sessionId === null) return await isDemoGroup(db, groupId)
  return await db.prepare(current).get({ groupId, userId, sessionId, now, idleSince: now - IDLE_MS }) !== undefined
}

export interface Beginning { readonly version: number, readonly plan: string, readonly catalogVersion: number }

/** Throws `NOT_FOUND`. */
export async function readBeginning (db: Db, groupId: string): Promise<Beginning> {
  const row = await db.prepare('SELECT version, plan, (SELECT version FROM catalog_active WHERE id = 1) AS catalog_version FROM groups WHERE id = ? AND deleted_at IS NULL').get(groupId)
  if (row === undefined) throw new NotFound('group')
  return { version: toNumber(row.version), plan: toText(row.plan), catalogVersion: toNumberOrNull(row.catalog_version) ?? 0 }
}
