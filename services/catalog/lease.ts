/**
 * One refresh at a time, whichever process does it: a row with the time until which it is taken. Taken and given back by one statement each, so that a process that dies
 * keeps it for two minutes at most.
 */
import { randomUUID } from 'node:crypto'
import type { Database } from '../../plugins/db/types.ts'
import { RefreshRunning } from './errors.ts'

type Db = Pick<Database, 'prepare'>

const LEASE_MS = 120_000
const KEY = 'catalog_refresh'

/** Texts compare as numbers here: times have 13 digits until the year 2286. */
const take = `
  INSERT INTO app_meta (key, value) VALUES ('${KEY}', :value)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE app_meta.value < :now RETURNING value`

/** Throws `REFRESH_RUNNING`. */
export async function withLease<T> (db: Db, now: number, work: () => Promise<T>): Promise<T> {
  const value = `${now + LEASE_MS} ${randomUUID()}`
  if (await db.prepare(take).get({ value, now: String(now) }) === undefined) throw new RefreshRunning()
  try {
    return await work()
  } finally {
    await db.prepare(`DELETE FROM app_meta WHERE key = '${KEY}' AND value = ?`).run(value)
  }
}
