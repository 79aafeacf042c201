/**
 * Events of the provider, as they came.
 *
 * What is kept true: an event is stored once, before anything is done for it, and has `processed_at` from the commit of what was done. So one that could not be applied is
 * applied later, and one that was applied is never applied again.
 */
import type { Database } from '../../../plugins/db/types.ts'
import { toText } from '../../common/columns.ts'
import type { BillingEvent } from '../provider-objects.ts'

type Db = Pick<Database, 'prepare'>

/** The provider gives up after three days; it never sends one that is older than that again. */
const KEPT_MS = 90 * 86_400_000

/** False: it is here already. */
export async function recordBillingEvent (db: Db, { id, type, createdAt }: BillingEvent, payload: string, now: number): Promise<boolean> {
  const sql = 'INSERT INTO billing_events (event_id, type, created_at, received_at, payload) VALUES (?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING RETURNING event_id'
  return await db.prepare(sql).get(id, type, createdAt, now, payload) !== undefined
}

/** False: it was closed before. `note`: why nothing was done, if so. */
export async function closeBillingEvent (db: Db, eventId: string, note: string | null, now: number): Promise<boolean> {
  const { changes } = await db.prepare('UPDATE billing_events SET processed_at = ?, error = ? WHERE event_id = ? AND processed_at IS NULL').run(now, note, eventId)
  return changes === 1
}

/** Why it could not be applied yet. */
export async function noteFailure (db: Db, eventId: string, error: string): Promise<void> {
  await db.prepare('UPDATE billing_events SET error = ? WHERE event_id = ? AND processed_at IS NULL').run(error, eventId)
}

/** The oldest that were stored and not applied; those of the last seconds are being applied. */
export async function listPendingEvents (db: Db, receivedBefore: number): Promise<string[]> {
  const rows = await db.prepare('SELECT payload FROM billing_events WHERE processed_at IS NULL AND received_at <= ? ORDER BY created_at, event_id LIMIT 100').all(receivedBefore)
  return rows.map(row => toText(row.payload))
}

export async function forgetOldEvents (db: Db, now: number): Promise<void> {
  await db.prepare('DELETE FROM billing_events WHERE processed_at < ?').run(now - KEPT_MS)
}
