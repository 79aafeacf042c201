/**
 * Sessions: where a user is signed in. Stores: no Fastify.
 *
 * What is kept true: a session ends 14 days after it was last used, 90 days after it began, when it is revoked, and when its user is deleted. The table holds the SHA-256 of
 * its id. Its last use is noted at most once a minute.
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toFlag, toNumber, toText, toTime } from '../common/columns.ts'
import { newId } from '../common/ids.ts'
import { newSecret, sha256, sign } from '../common/secrets.ts'

const DAY_MS = 86_400_000
export const IDLE_MS = 14 * DAY_MS
export const LONGEST_MS = 90 * DAY_MS
const TOUCH_MS = 60_000

type Db = Pick<Database, 'prepare'>
type Revoker = Pick<Database, 'prepare' | 'notify'>

/** Who asks, by session. */
export interface Session {
  readonly publicId: string
  readonly userId: string
  readonly displayName: string
  readonly isOperator: boolean
  /** What the header x-csrf-token has to be. */
  readonly csrfToken: string
  readonly lastSeenAt: number
}

/** Answers the id for the cookie; it cannot be had again. */
export async function createSession (db: Db, { userId, userAgent }: { userId: string, userAgent: string }, now: number): Promise<{ id: string, publicId: string }> {
  const id = newSecret()
  const publicId = newId('session')
  await db.prepare('INSERT INTO sessions (id_hash, public_id, user_id, created_at, last_seen_at, expires_at, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?)')
    .run(sha256(id), publicId, userId, now, now, now + LONGEST_MS, userAgent.slice(0, 200))
  return { id, publicId }
}

const bySessionId = `
  SELECT sessions.public_id, sessions.user_id, sessions.last_seen_at, users.display_name, users.is_operator
  FROM sessions JOIN users ON users.id = sessions.user_id
  WHERE sessions.id_hash = :hash AND sessions.revoked_at IS NULL AND sessions.expires_at > :now AND sessions.last_seen_at > :idleSince AND users.deleted_at IS NULL`

/** Undefined for one that is wrong or over. */
export async function findSession (db: Db, id: string, now: number): Promise<Session | undefined> {
  const row = await db.prepare(bySessionId).get({ hash: sha256(id), now, idleSince: now - IDLE_MS })
  return row && toSession(row, id)
}

function toSession (row: Row, id: string): Session {
  return {
    publicId: toText(row.public_id),
    userId: toText(row.user_id),
    displayName: toText(row.display_name),
    isOperator: toFlag(row.is_operator),
    csrfToken: sign(id, 'csrf'),
    lastSeenAt: toNumber(row.last_seen_at)
  }
}

/** Is its last use to be noted? */
export function isStale ({ lastSeenAt }: Session, now: number): boolean {
  return now - lastSeenAt >= TOUCH_MS
}

export async function touchSession (db: Db, publicId: string, now: number): Promise<void> {
  await db.prepare('UPDATE sessions SET last_seen_at = ? WHERE public_id = ? AND last_seen_at <= ?').run(now, publicId, now - TOUCH_MS)
}

/** Payload: the public id of a session that was revoked. Who watches by it is to be told so. */
export const SESSION_CHANNEL = 'vault_session'

export async function revokeSession (db: Revoker, publicId: string, now: number): Promise<void> {
  await revoke(db, 'public_id = ?', [publicId], now)
}

/** Those that are not over, the one used last first. */
export async function listSessions (db: Db, userId: string, now: number): Promise<Array<{ id: string, createdAt: string, lastSeenAt: string, userAgent: string }>> {
  const sql = `SELECT public_id, created_at, last_seen_at, user_agent FROM sessions
    WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ? AND last_seen_at > ? ORDER BY last_seen_at DESC, public_id DESC`
  const rows = await db.prepare(sql).all(userId, now, now - IDLE_MS)
  return rows.map(row => ({ id: toText(row.public_id), createdAt: toTime(row.created_at), lastSeenAt: toTime(row.last_seen_at), userAgent: toText(row.user_agent) }))
}

/** False if the user has none with this id. */
export async function revokeSessionOf (db: Revoker, userId: string, publicId: string, now: number): Promise<boolean> {
  return await revoke(db, 'user_id = ? AND public_id = ?', [userId, publicId], now) > 0
}

export async function revokeOtherSessions (db: Revoker, { userId, publicId }: Pick<Session, 'userId' | 'publicId'>, now: number): Promise<void> {
  await revoke(db, 'user_id = ? AND public_id <> ?', [userId, publicId], now)
}

export async function revokeAllSessions (db: Revoker, userId: string, now: number): Promise<void> {
  await revoke(db, 'user_id = ?', [userId], now)
}

/** How many. Whoever streams by one of them is told when that is committed. */
async function revoke (db: Revoker, condition: string, values: readonly string[], now: number): Promise<number> {
  const rows = await db.prepare(`UPDATE sessions SET revoked_at = ? WHERE ${condition} AND revoked_at IS NULL RETURNING public_id`).all(now, ...values)
  for (const row of rows) await db.notify(SESSION_CHANNEL, toText(row.public_id))
  return rows.length
}
