/** Databases with jobs in them, on either engine. */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import type { Test } from 'tap'
import type { Database, EngineName } from '../../../plugins/db/types.ts'
import { importJobs } from '../../../services/jobs/import.ts'
import { jobMigrations } from '../../../services/jobs/migrations/index.ts'
import { writeJobDb, type JobData } from '../../data/jobs.ts'
import { freshFolder, openUrl } from '../../helper/db.ts'
import { migratedUrl } from '../../helper/migrated.ts'

/** What the service needs, and nothing else. */
export const tables = [jobMigrations]

/** An empty database with the tables of the service. */
export async function openEmpty (t: Test, engine: EngineName): Promise<Database> {
  return await openUrl(t, await migratedUrl(t, engine, tables))
}

/** The jobs of a cc-backend file: SQLite opens it as it is, PostgreSQL imports it. */
export async function openJobs (t: Test, engine: EngineName, path: string): Promise<Database> {
  if (engine === 'sqlite') return await openUrl(t, `sqlite:${path}`)
  const db = await openEmpty(t, engine)
  await importJobs(db, path)
  return db
}

/** Jobs that were made up, on either engine. `statements`: what to change about them. */
export async function openMade (t: Test, engine: EngineName, data: JobData, statements: readonly string[] = []): Promise<Database> {
  const path = join(freshFolder(t), 'job.db')
  writeJobDb(path, data, { statements })
  return await openJobs(t, engine, path)
}

/** The rows of one statement of a file, by better-sqlite3 alone: what our answers are compared with. */
export function readRows<R> (path: string, sql: string): R[] {
  const db = new Sqlite(path, { readonly: true })
  try {
    return db.prepare(sql).all() as R[]
  } finally {
    db.close()
  }
}
