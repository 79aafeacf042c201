/** Databases for tests: a fresh one on either engine, closed and removed with the test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap, { type Test } from 'tap'
import { readConfig, type Config } from '../../plugins/config/index.ts'
import { openDatabase } from '../../plugins/db/open.ts'
import type { Database, EngineName, Log } from '../../plugins/db/types.ts'
import { isNotice } from './native.ts'
import { freshDatabase } from './pg.ts'

export const engines: readonly EngineName[] = ['sqlite', 'postgres']

export interface LogLine { level: 'info' | 'warn' | 'error', details: object, message: string }

/** A log that keeps what it is given. */
export function collectLog (): Log & { lines: LogLine[] } {
  const lines: LogLine[] = []
  const at = (level: LogLine['level']) => (details: object, message: string): void => { if (!isNotice(message)) lines.push({ level, details, message }) }
  return { lines, info: at('info'), warn: at('warn'), error: at('error') }
}

/** A folder of its own, removed with the test. (t.testdir() would remove what the same test put there before.) */
export function freshFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-test-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}

/** The address of a fresh, empty database: a file in the test's folder, or a database on the PostgreSQL of this run, there also a copy of `template`. */
export async function freshUrl (t: Test, engine: EngineName, template?: string): Promise<string> {
  if (engine === 'sqlite') return `sqlite:${join(freshFolder(t), 'test.db')}`
  const url = await freshDatabase(t, template)
  if (url === undefined) throw new Error('there is no PostgreSQL for this run: unset TEST_POSTGRES, or set TEST_DATABASE_URL')
  return url
}

/** The configuration for `url`, with other variables on top. */
export function configFor (url: string, variables: Record<string, string> = {}): Config {
  return readConfig({ DATABASE_URL: url, ...variables })
}

/** Opens `url`; closed with the test. */
export async function openUrl (t: Test, url: string, variables: Record<string, string> = {}, log: Log = collectLog()): Promise<Database> {
  const db = await openDatabase(configFor(url, variables), log)
  t.teardown(async () => { await db.close({ graceMs: 200 }) })
  return db
}

/** A fresh, empty database of the given engine. */
export async function openTestDatabase (t: Test, engine: EngineName, variables: Record<string, string> = {}, log: Log = collectLog()): Promise<Database> {
  return await openUrl(t, await freshUrl(t, engine), variables, log)
}

/** A test on both engines, each on a fresh database. */
export function onEachEngine (name: string, run: (t: Test, db: Database) => Promise<void>, variables: Record<string, string> = {}): void {
  for (const engine of engines) {
    void tap.test(`${engine}: ${name}`, async t => { await run(t, await openTestDatabase(t, engine, variables)) })
  }
}

/** SQL that the engines spell differently. */
export const bigintKey = 'BIGINT PRIMARY KEY'
export const blobType = (db: Database): string => db.engine === 'postgres' ? 'BYTEA' : 'BLOB'

/** A promise and the functions that settle it. */
export function deferred<T = void> (): PromiseWithResolvers<T> {
  return Promise.withResolvers<T>()
}
