/**
 * Where the schema of the jobs comes from: our migrations, or a cc-backend that keeps the database up to date itself.
 *
 * What is kept true: nothing is ever migrated in a real cc-backend database; one whose columns this service does not know is refused, not guessed at.
 */
import type { Database } from '../../../plugins/db/types.ts'
import { JobsSchema } from '../errors.ts'

/** The versions whose columns are those of 11. */
export const oldestVersion = 9
export const newestVersion = 11

/** For `migrate`: see plugins/db/migrate.ts. */
export const jobMigrations = { name: 'jobs', directory: new URL('./', import.meta.url), isForeign }

/** True for a database of cc-backend. Throws `TDM_ERR_JOBS_SCHEMA` if its version is not one of 9 to 11, or a migration of it was left half done. */
export async function isForeign (db: Pick<Database, 'engine' | 'prepare'>): Promise<boolean> {
  if (db.engine !== 'sqlite') return false
  const tables = await db.prepare(`SELECT COUNT(*) AS count FROM sqlite_master WHERE type = 'table' AND name IN ('schema_migrations', 'job')`).get()
  if (tables?.count !== 2 || !await isCcBackendRecord(db)) return false
  const row = await db.prepare('SELECT version, dirty FROM schema_migrations').get()
  const problem = problemOf(row?.version, row?.dirty)
  if (problem !== undefined) throw new JobsSchema(problem)
  return true
}

async function isCcBackendRecord (db: Pick<Database, 'prepare'>): Promise<boolean> {
  const columns = await db.prepare(`SELECT name FROM pragma_table_info('schema_migrations') ORDER BY name`).all()
  return columns.map(column => column.name).join() === 'dirty,version'
}

/** What is wrong with a cc-backend database of this record, in words; undefined if nothing is. */
export function problemOf (version: unknown, dirty: unknown): string | undefined {
  if (typeof version !== 'number') return 'its table schema_migrations holds no version. Let cc-backend migrate it first (cc-backend -migrate-db).'
  if (dirty !== 0) return `cc-backend left its migration to version ${version} unfinished. Repair it with cc-backend first.`
  if (version > newestVersion) return `it has schema version ${version}, and this program knows ${oldestVersion} to ${newestVersion}. Use a newer version of it.`
  if (version < oldestVersion) return `it has schema version ${version}, and this program knows ${oldestVersion} to ${newestVersion}. Let cc-backend migrate it first (cc-backend -migrate-db).`
  return undefined
}
