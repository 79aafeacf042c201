/**
 * Opens database files: the options and PRAGMAs that every connection has, and clear errors for files that cannot be used.
 * Nothing but SQLite ever opens the file, since closing any other descriptor of it would drop SQLite's locks (https://sqlite.org/howtocorrupt.html, 2.2).
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { DbOpen } from '../../errors.ts'
import type { ResultLimits } from '../result.ts'
import type { Log } from '../types.ts'
import { codeOf } from './errors.ts'
import { networkFileSystem, otherLibraries } from './file.ts'

export interface SqliteSettings {
  /** A file, or ':memory:' for a database that lives as long as it is open (a file in a private temporary folder, so that several connections can share it). */
  readonly path: string
  /** Open an existing file for reads only. */
  readonly readonly: boolean
  /** Page cache of each connection, in bytes. */
  readonly cacheBytes: number
  readonly tempStore: 'file' | 'memory'
  readonly synchronous: 'normal' | 'full'
  /** Threads that read, at most. */
  readonly readers: number
  /** Connections for short read transactions on the main thread, at most; with a cache that is so much smaller. */
  readonly smallConnections: number
  readonly acquireTimeoutMs: number
  /** After how long without work a thread ends. */
  readonly idleTimeoutMs: number
  /** After how long without a statement a transaction is rolled back when others wait. */
  readonly txIdleTimeoutMs: number
  /** How long a cursor outside of transactions may keep its snapshot. */
  readonly cursorTimeoutMs: number
  /** How long one statement may keep the event loop. */
  readonly eventLoopBudgetMs: number
  readonly result: ResultLimits
  readonly hardHeapBytes: number
  /** The longest text, blob or row. */
  readonly maxLengthBytes: number
  /** From this size of the WAL on there are checkpoints. */
  readonly walBytes: number
  readonly watchdog: 'on' | 'off'
  /** When the planner's statistics are looked after first; then daily. */
  readonly optimizeAfterMs: number
}

export interface SqliteFile {
  readonly path: string
  /** To be called after the last connection is closed. */
  readonly dispose: () => void
}

const noop = (): void => {}

/** The file to open; makes its folder, if it is not there yet. */
export function resolveFile ({ path, readonly }: SqliteSettings): SqliteFile {
  if (path === ':memory:') {
    const folder = mkdtempSync(join(tmpdir(), 'tandem-'))
    return { path: join(folder, 'memory.db'), dispose: () => { rmSync(folder, { recursive: true, force: true }) } }
  }
  if (readonly && !existsSync(path)) throw new DbOpen(path, 'there is no such file, and with mode=ro none is made.')
  if (existsSync(path) && statSync(path).isDirectory()) throw new DbOpen(path, 'it is a folder. Give the path of a file in it.')
  makeFolder(path)
  return { path, dispose: noop }
}

function makeFolder (path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true })
  } catch (cause) {
    throw new DbOpen(path, 'its folder is not there and cannot be made. Check the path and the permissions.', { cause })
  }
}

/** A connection, ready to use. Busy timeout 0: the event loop never waits for a lock. Throws `TDM_ERR_DB_OPEN`. */
export function openConnection (path: string, settings: SqliteSettings, readonly: boolean): Sqlite.Database {
  refuseOldNode(path)
  let db: Sqlite.Database | undefined
  try {
    db = new Sqlite(path, { readonly, timeout: 0 })
    configure(db, settings, readonly)
    refuseOldSqlite(db)
    return db
  } catch (error) {
    db?.close()
    throw error instanceof DbOpen ? error : new DbOpen(path, explain(error), { cause: error })
  }
}

function configure (db: Sqlite.Database, settings: SqliteSettings, readonly: boolean): void {
  db.pragma(`cache_size = -${Math.max(1, Math.round(settings.cacheBytes / 1024))}`)
  db.pragma(`temp_store = ${settings.tempStore}`)
  db.pragma('foreign_keys = ON')
  if (!readonly && db.pragma('journal_mode', { simple: true }) !== 'wal') db.pragma('journal_mode = WAL')
  db.pragma(`synchronous = ${settings.synchronous}`)
  if (!settings.readonly) db.pragma('wal_autocheckpoint = 0') // see maintenance.ts
  db.prepare('SELECT count(*) FROM sqlite_schema').get() // reads the header: a file that is no database is found now
}

/** better-sqlite3 13 loads on Node.js 20, and then crashes the process when a database is opened. */
function refuseOldNode (path: string): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 22 || (major === 22 && minor < 18)) throw new DbOpen(path, `Node.js 22.18 or newer is needed, this is ${process.version}.`)
}

/** Before 3.51.3 a checkpoint next to a writer could lose data (https://sqlite.org/wal.html#walresetbug). */
function refuseOldSqlite (db: Sqlite.Database): void {
  const { version } = db.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  if (major * 1e6 + minor * 1e3 + patch < 3_051_003) throw new DbOpen(db.name, `SQLite 3.51.3 or newer is needed, this is ${version}.`)
}

function explain (error: unknown): string {
  const code = codeOf(error)
  if (code === 'SQLITE_NOTADB') return 'the file is not an SQLite database (or it is encrypted).'
  if (code.startsWith('SQLITE_CORRUPT')) return 'the file is damaged. Restore it from a backup.'
  if (code.startsWith('SQLITE_READONLY')) return 'it can only be read. Give the process write permission for the file and its folder, or open it with "?mode=ro".'
  if (code.startsWith('SQLITE_CANTOPEN')) return 'the file cannot be opened. Check that it and its folder exist and may be read and written (WAL needs both).'
  if (code.startsWith('SQLITE_BUSY')) return 'another process holds it exclusively. End that process, or wait until it is done.'
  if (code === 'SQLITE_FULL') return 'the disk is full.'
  return 'SQLite refused it; its error is the cause of this one.'
}

/** Says what can be known of a file that is in danger. To be called when it is open. */
export function warnOfFile (path: string, log: Log): void {
  const system = networkFileSystem(path)
  if (system !== undefined) log.warn({ path, system }, 'the SQLite database is on a network file system, whose locks and shared memory cannot be relied on: it may be damaged. Use a local disk, or PostgreSQL')
  const libraries = otherLibraries(path)
  if (libraries.length > 0) log.warn({ path, libraries }, 'another SQLite library of this process has the same database open: closing it drops our locks, and the database may be damaged. Use one library for one file')
}
