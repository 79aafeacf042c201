/**
 * A copy of a database that is in use, as one file.
 *
 * What is kept true:
 *  1. The copy is one snapshot. Nobody is kept from writing, and no write makes it begin again, as SQLite's backup API does (https://sqlite.org/backup.html).
 *  2. Under its name there is a whole copy, on the disk, or none: it is made beside the target, flushed, and renamed. After an error nothing is left of it, nor when it is
 *     given up and cannot be stopped; a process that is killed leaves `<target>.<letters>.partial`.
 *  3. Who may not read the database may not read the copy.
 *  4. A database that is in use is not replaced: neither the one that is copied nor one with a WAL or journal beside it, which would be applied to the copy.
 *
 * Synchronous, for a thread that has nothing else to do: `VACUUM INTO` works on a connection that may only read, but not in a transaction and not under `query_only`.
 */
import type Sqlite from 'better-sqlite3'
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DbBackup, isOurs } from '../../errors.ts'
import { codeOf } from './errors.ts'

export interface BackupFileOptions {
  /** Replace a file that is there. Default: false. */
  readonly overwrite?: boolean
  /** Where it grows; for `watchBackup`. In the folder of the target. Default: `partialPathOf(target)`. */
  readonly partialPath?: string
}

/** A name of its own for what will be renamed to the target. */
export function partialPathOf (target: string): string {
  return `${target}.${randomBytes(6).toString('hex')}.partial`
}

/** Answers with the size of the copy in bytes. Throws `TDM_ERR_DB_BACKUP` for a target that cannot be written, or SQLite's own error. */
export function backup (db: Sqlite.Database, target: string, { overwrite = false, partialPath = partialPathOf(target) }: BackupFileOptions = {}): number {
  refuseTarget(db, target, overwrite)
  reserve(db, target, partialPath)
  try {
    db.prepare('VACUUM INTO ?').run(partialPath)
    flush(partialPath, 'r+')
    refuseTarget(db, target, overwrite) // it took its time
    renameSync(partialPath, target)
    flushFolder(dirname(target))
    return statSync(target).size
  } catch (error) {
    throw explain(error, target)
  } finally {
    rmSync(partialPath, { force: true })
  }
}

/** About the size that a copy will have: the pages that are in use. `pragma` asks for the value of one. */
export function expectedBytes (pragma: (name: string) => unknown): number {
  return (Number(pragma('page_count')) - Number(pragma('freelist_count'))) * Number(pragma('page_size'))
}

const POLL_MS = 200

/**
 * Tells how large the copy is while it grows, from another thread. Looks at the entry of that file, and never at that of the database. The answer ends the watch.
 */
export function watchBackup (partialPath: string, totalBytes: number, onProgress: (done: { bytes: number, totalBytes: number }) => void): () => void {
  let isOver = false
  const look = async (): Promise<void> => {
    const found = await stat(partialPath).catch(() => undefined) // not there yet, or not any more
    if (found !== undefined && !isOver) onProgress({ bytes: Math.min(found.size, totalBytes), totalBytes })
  }
  const timer = setInterval(() => { void look() }, POLL_MS)
  timer.unref()
  return () => {
    isOver = true
    clearInterval(timer)
  }
}

/** Takes the name from a copy that is still made although nobody waits for it: it fails before it would be renamed. Windows keeps the name of an open file until that end. */
export function abandon (partialPath: string): void {
  for (const path of [partialPath, `${partialPath}-journal`]) {
    try {
      rmSync(path, { force: true })
    } catch {}
  }
}

function refuseTarget (db: Sqlite.Database, target: string, overwrite: boolean): void {
  const found = statSync(target, { throwIfNoEntry: false })
  if (found?.isDirectory() === true) throw new DbBackup(target, 'it is a folder. Give the path of a file in it.')
  if (found !== undefined && isSameFile(db.name, found)) throw new DbBackup(target, 'it is the database itself.')
  if (found !== undefined && !overwrite) throw new DbBackup(target, 'there is a file already. Choose another name, or have it overwritten.')
  const beside = ['-wal', '-journal'].map(suffix => target + suffix).find(path => statSync(path, { throwIfNoEntry: false }) !== undefined)
  if (beside !== undefined) throw new DbBackup(target, `${beside} is there, so it may be a database in use. Choose another name.`)
}

function isSameFile (path: string, { dev, ino }: { dev: number, ino: number }): boolean {
  const other = statSync(path, { throwIfNoEntry: false })
  return other?.ino === ino && other.dev === dev
}

/** An empty file, which SQLite then writes to: made by us, it is never readable for more than the database is. */
function reserve (db: Sqlite.Database, target: string, partialPath: string): void {
  try {
    const mode = statSync(db.name, { throwIfNoEntry: false })?.mode ?? 0
    closeSync(openSync(partialPath, 'wx', (mode & 0o666) | 0o600))
  } catch (error) {
    throw explain(error, target)
  }
}

function flush (path: string, flags: string): void {
  const descriptor = openSync(path, flags)
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** So that the new name outlives a loss of power. Windows has no such thing, and opens no folders. */
function flushFolder (path: string): void {
  if (process.platform !== 'win32') flush(path, 'r')
}

function explain (error: unknown, target: string): Error {
  const code = codeOf(error)
  if (isOurs(error) || code.startsWith('SQLITE_')) return error as Error
  return new DbBackup(target, reasons[code] ?? 'the file cannot be written; the system\'s error is the cause of this one.', { cause: error })
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist.',
  ENOTDIR: 'its folder is a file.',
  EACCES: 'its folder may not be written to.',
  EPERM: 'its folder may not be written to.',
  EROFS: 'it would be on a file system that can only be read.',
  ENOSPC: 'the disk is full.'
}
