/**
 * What a database is for, decided once: `dev` if it was empty when it was first used, and with what is there for trying; otherwise `live`, and that it stays.
 */
import type { Database } from '../../../plugins/db/types.ts'

type Db = Pick<Database, 'prepare'>

const find = `SELECT value FROM app_meta WHERE key = 'environment'`

const mark = `
  INSERT INTO app_meta (key, value)
  SELECT 'environment', CASE WHEN EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM groups) THEN 'live' ELSE CAST(? AS TEXT) END
  WHERE 1 = 1 ON CONFLICT (key) DO NOTHING`

/** At each start; only the first one counts. */
export async function markEnvironment (db: Db, devTools: boolean): Promise<void> {
  if (await db.prepare(find).get() === undefined) await db.prepare(mark).run(devTools ? 'dev' : 'live')
}

export async function isDev (db: Db): Promise<boolean> {
  return (await db.prepare(find).get())?.value === 'dev'
}
