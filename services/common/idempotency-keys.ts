/**
 * The keys with which something is done once, however often it is sent. Store: no Fastify. What is made of them for requests: idempotency.ts.
 *
 * What is kept true: of one scope and key there is one request; another one under the same key is refused. A key that was claimed and not completed, since the process died, can be
 * claimed again after a minute. All are forgotten after a day, or when their claim says so.
 */
import type { Database } from '../../plugins/db/types.ts'
import { toNumber, toText } from './columns.ts'
import { IdempotencyInProgress, IdempotencyMismatch } from './errors.ts'

type Db = Pick<Database, 'prepare'>

export const KEPT_MS = 86_400_000
export const ABANDONED_MS = 60_000

export interface Key {
  /** Who asks, and for what. */
  readonly scope: string
  readonly key: string
  readonly requestHash: string
}

export interface StoredAnswer {
  readonly status: number
  /** JSON. */
  readonly response: string
}

const insert = `
  INSERT INTO idempotency_keys (scope, key, request_hash, state, status, response, created_at, expires_at)
  VALUES (:scope, :key, :requestHash, :state, :status, :response, :now, :expiresAt)
  ON CONFLICT (scope, key) DO UPDATE SET
    request_hash = excluded.request_hash, state = excluded.state, status = excluded.status, response = excluded.response, created_at = excluded.created_at, expires_at = excluded.expires_at
  WHERE idempotency_keys.expires_at <= excluded.created_at
    OR (idempotency_keys.state = 'started' AND idempotency_keys.created_at <= :abandonedAt AND idempotency_keys.request_hash = excluded.request_hash)
  RETURNING key`

/** True if it is to be done now; it is under way until `completeKey`. With `answer` it is done in the transaction of the claim. `keptMs`: default a day. */
export async function claimKey (db: Db, { scope, key, requestHash }: Key, now: number, { answer, keptMs = KEPT_MS }: { answer?: StoredAnswer, keptMs?: number } = {}): Promise<boolean> {
  const state = answer === undefined ? 'started' : 'done'
  const row = { scope, key, requestHash, state, status: answer?.status ?? null, response: answer?.response ?? null, now, expiresAt: now + keptMs, abandonedAt: now - ABANDONED_MS }
  return await db.prepare(insert).get(row) !== undefined
}

/** What was answered for a key that could not be claimed. Throws `IDEMPOTENCY_MISMATCH`, `IDEMPOTENCY_IN_PROGRESS`. */
export async function getAnswer (db: Db, { scope, key, requestHash }: Key): Promise<StoredAnswer> {
  const row = await db.prepare('SELECT request_hash, state, status, response FROM idempotency_keys WHERE scope = ? AND key = ?').get(scope, key)
  if (row !== undefined && row.request_hash !== requestHash) throw new IdempotencyMismatch()
  if (row?.state !== 'done') throw new IdempotencyInProgress() // or it has just failed
  return { status: toNumber(row.status), response: toText(row.response) }
}

/** Throws `IDEMPOTENCY_IN_PROGRESS` if the claim of `claimedAt` was taken over. */
export async function completeKey (db: Db, { scope, key }: Key, claimedAt: number, { status, response }: StoredAnswer): Promise<void> {
  const { changes } = await db.prepare(`UPDATE idempotency_keys SET state = 'done', status = ?, response = ? WHERE scope = ? AND key = ? AND state = 'started' AND created_at = ?`)
    .run(status, response, scope, key, claimedAt)
  if (changes === 0) throw new IdempotencyInProgress()
}

/** Gives back the claim of `claimedAt`. */
export async function releaseKey (db: Db, { scope, key }: Key, claimedAt: number): Promise<void> {
  await db.prepare(`DELETE FROM idempotency_keys WHERE scope = ? AND key = ? AND state = 'started' AND created_at = ?`).run(scope, key, claimedAt)
}

/** Inside a transaction: false if it was done before. Throws `IDEMPOTENCY_MISMATCH` if that was something else. */
export async function recordOnce (db: Db, key: Key, now: number, done: { answer: StoredAnswer, keptMs?: number }): Promise<boolean> {
  await db.prepare('DELETE FROM idempotency_keys WHERE scope = ? AND expires_at <= ?').run(key.scope, now)
  if (await claimKey(db, key, now, done)) return true
  await getAnswer(db, key)
  return false
}
