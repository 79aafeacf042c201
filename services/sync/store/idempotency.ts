/**
 * Keys with which a request is done once, however often it is sent. Store: no Fastify.
 *
 * What is kept true: of one scope and key there is one request; another one under the same key is refused. A key that was claimed and not completed, since the process died,
 * can be claimed again after a minute. All are forgotten after a day.
 */
import type { Database } from '../../../plugins/db/types.ts'
import { toNumber, toText } from '../../common/columns.ts'
import { IdempotencyInProgress, IdempotencyMismatch } from '../../common/errors.ts'

type Db = Pick<Database, 'prepare'>

export const KEPT_MS = 24 * 60 * 60_000
export const ABANDONED_MS = 60_000

export interface StoredAnswer {
  readonly status: number
  /** JSON. */
  readonly response: string
}

export interface Claim {
  /** The user or token, and the route. */
  readonly scope: string
  readonly key: string
  readonly requestHash: string
  /** Where the request is done in the transaction of the claim. Default: it is under way until `completeIdempotencyKey`. */
  readonly done?: StoredAnswer
  /** Milliseconds. Default: a day. */
  readonly keptMs?: number
}

const insert = `
  INSERT INTO idempotency_keys (scope, key, request_hash, state, status, response, created_at, expires_at) VALUES (:scope, :key, :requestHash, :state, :status, :response, :now, :expiresAt)
  ON CONFLICT (scope, key) DO UPDATE SET request_hash = excluded.request_hash, state = excluded.state, status = excluded.status, response = excluded.response,
    created_at = excluded.created_at, expires_at = excluded.expires_at
  WHERE idempotency_keys.expires_at <= :now OR (idempotency_keys.state = 'started' AND idempotency_keys.created_at <= :abandonedAt AND idempotency_keys.request_hash = :requestHash)
  RETURNING key`

const find = 'SELECT request_hash, state, status, response FROM idempotency_keys WHERE scope = ? AND key = ?'

/** Undefined: it is claimed, go on. Otherwise what was answered before. Throws `IDEMPOTENCY_MISMATCH`, `IDEMPOTENCY_IN_PROGRESS`. */
export async function claimIdempotencyKey (db: Db, { scope, key, requestHash, done, keptMs = KEPT_MS }: Claim, now: number): Promise<StoredAnswer | undefined> {
  await db.prepare('DELETE FROM idempotency_keys WHERE scope = ? AND expires_at <= ?').run(scope, now)
  const claimed = await db.prepare(insert).get({
    scope, key, requestHash, state: done === undefined ? 'started' : 'done', status: done?.status ?? null, response: done?.response ?? null, now, expiresAt: now + keptMs, abandonedAt: now - ABANDONED_MS
  })
  if (claimed !== undefined) return undefined
  const row = await db.prepare(find).get(scope, key)
  if (row?.request_hash !== requestHash) throw new IdempotencyMismatch()
  if (row.state !== 'done') throw new IdempotencyInProgress()
  return { status: toNumber(row.status), response: toText(row.response) }
}

export async function completeIdempotencyKey (db: Db, { scope, key }: Pick<Claim, 'scope' | 'key'>, { status, response }: StoredAnswer): Promise<void> {
  await db.prepare(`UPDATE idempotency_keys SET state = 'done', status = ?, response = ? WHERE scope = ? AND key = ?`).run(status, response, scope, key)
}
