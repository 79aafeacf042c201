/** The key that secrets are sealed with, where none is configured: made once, by whichever process comes first, and kept in the database. */
import type { Database } from '../../plugins/db/types.ts'
import { errorKind } from '../../plugins/errors.ts'
import { toText } from '../common/columns.ts'
import { newSecret } from '../common/secrets.ts'

/** None in a database that can only be read. */
export async function findKeys (db: Pick<Database, 'prepare'>): Promise<string[]> {
  const find = db.prepare(`SELECT value FROM app_meta WHERE key = 'sealing_key'`)
  try {
    if (await find.get() === undefined) await db.prepare(`INSERT INTO app_meta (key, value) VALUES ('sealing_key', ?) ON CONFLICT (key) DO NOTHING`).run(newSecret())
  } catch (error) {
    if (errorKind(error) !== 'readonly') throw error
  }
  const row = await find.get()
  return row === undefined ? [] : [toText(row.value)]
}
