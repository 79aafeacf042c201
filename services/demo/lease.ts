/** Which of several processes moves the demo group: whoever has the lease, which ends by itself. */
import type { Database } from '../../plugins/db/types.ts'

export const LEASE_MS = 20_000

/** The value: when it ends, as 15 digits, a space, and whose it is. */
const take = `
  INSERT INTO app_meta (key, value) VALUES ('demo_lease', :value)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE SUBSTR(app_meta.value, 1, 15) <= :now OR SUBSTR(app_meta.value, 17) = :owner
  RETURNING key`

/** Takes it, or keeps it. False: somebody else has it. */
export async function holdLease (db: Pick<Database, 'prepare'>, owner: string, now: number): Promise<boolean> {
  return await db.prepare(take).get({ value: `${digits(now + LEASE_MS)} ${owner}`, now: digits(now), owner }) !== undefined
}

function digits (time: number): string {
  return String(time).padStart(15, '0')
}
