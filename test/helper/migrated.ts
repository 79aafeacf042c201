/**
 * Databases that have their tables already. The migrations run once for each set and engine; a test gets a copy, which takes a tenth of the time.
 *
 * What is kept true:
 *  1. A copy is what migrating an empty database gives: the original is known by a hash of the migrations and of plugins/db, so that a change of either makes another.
 *  2. Nobody gets half of one: SQLite's file is renamed when it is complete, PostgreSQL's database becomes a template then, and is made under a lock.
 *
 * On a PostgreSQL that is not ours (TEST_DATABASE_URL) nothing is left behind: there each test migrates its own.
 */
import { createHash, type Hash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { Test } from 'tap'
import { openDatabase } from '../../plugins/db/open.ts'
import { migrate, type MigrationSet } from '../../plugins/db/migrate.ts'
import type { EngineName } from '../../plugins/db/types.ts'
import { migrations } from '../../services/migrations.ts'
import { collectLog, configFor, freshFolder, freshUrl } from './db.ts'
import { root } from './paths.ts'
import { adminUrl, COPY_FILES, databaseUrl } from './pg.ts'

const folder = new URL('.tap/migrated/', root)
const engineFolder = new URL('plugins/db/', root)
/** Any number that nothing else locks on this server. */
const LOCK = 4_402_611
const keys = new WeakMap<readonly MigrationSet[], string>()
/** The originals on PostgreSQL that this process has seen complete. */
const known = new Set<string>()

/** The address of a fresh database with the tables of `sets`, by default those of the application; removed with the test. */
export async function migratedUrl (t: Test, engine: EngineName, sets: readonly MigrationSet[] = migrations): Promise<string> {
  const name = `migrated_${keyOf(sets)}`
  if (engine === 'sqlite') return `sqlite:${await copySqlite(t, name, sets)}`
  if (process.env.TEST_DATABASE_URL === undefined && await makeTemplate(name, sets)) return await freshUrl(t, engine, name)
  const url = await freshUrl(t, engine)
  await fill(url, sets)
  return url
}

async function copySqlite (t: Test, name: string, sets: readonly MigrationSet[]): Promise<string> {
  const original = fileURLToPath(new URL(`${name}.db`, folder))
  if (!existsSync(original)) {
    const unfinished = join(freshFolder(t), 'unfinished.db')
    await fill(`sqlite:${unfinished}`, sets)
    mkdirSync(folder, { recursive: true })
    copyFileSync(unfinished, `${original}.${process.pid}`)
    renameSync(`${original}.${process.pid}`, original)
  }
  const copy = join(freshFolder(t), 'test.db')
  copyFileSync(original, copy)
  return copy
}

/** False: there is no PostgreSQL. */
async function makeTemplate (name: string, sets: readonly MigrationSet[]): Promise<boolean> {
  const admin = adminUrl()
  if (admin === undefined) return false
  if (known.has(name)) return true
  const client = new pg.Client({ connectionString: admin, application_name: 'templates' })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]) // ends with the connection
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate', [name])
    if (rowCount === 0) {
      await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) // whoever began it has ended before it was complete
      await client.query(`CREATE DATABASE ${name} TEMPLATE template0 ${COPY_FILES}`)
      await fill(databaseUrl(admin, name), sets)
      await client.query(`ALTER DATABASE ${name} IS_TEMPLATE true ALLOW_CONNECTIONS false`)
    }
    known.add(name)
    return true
  } finally {
    await client.end()
  }
}

async function fill (url: string, sets: readonly MigrationSet[]): Promise<void> {
  const log = collectLog()
  const db = await openDatabase(configFor(url), log)
  try {
    await migrate(db, sets, { mode: 'on', log })
  } finally {
    await db.close()
  }
}

function keyOf (sets: readonly MigrationSet[]): string {
  const key = keys.get(sets) ?? makeKey(sets)
  keys.set(sets, key)
  return key
}

function makeKey (sets: readonly MigrationSet[]): string {
  const hash = createHash('sha1')
  for (const { name, directory } of sets) addFolder(hash.update(name), directory)
  addFolder(hash, engineFolder)
  return hash.digest('hex').slice(0, 20)
}

function addFolder (hash: Hash, directory: URL): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }).sort((a, b) => a.parentPath.localeCompare(b.parentPath) || a.name.localeCompare(b.name))) {
    if (entry.isFile()) hash.update(entry.name).update(readFileSync(join(entry.parentPath, entry.name)))
  }
}
