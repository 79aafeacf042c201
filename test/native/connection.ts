/** What tests of the native part and the threads that they start have in common. */
import Sqlite from 'better-sqlite3'
import { loadWatchdog, Watchdog, watchdogProblem } from '../../plugins/db/sqlite/watchdog.ts'

/** The file of the native part; undefined: the one that `loadWatchdog` finds. */
export type Binary = string | undefined

export function load (db: Sqlite.Database, binary: Binary): Watchdog {
  if (binary !== undefined) return new Watchdog(db.loadExtension(binary))
  const watchdog = loadWatchdog(db)
  if (watchdog === undefined) throw new Error(watchdogProblem())
  return watchdog
}

/** SQLite's code for the error that the function throws; 'none' if it throws none. */
export function codeOf (fn: () => unknown): string {
  try {
    fn()
    return 'none'
  } catch (error) {
    return error instanceof Sqlite.SqliteError ? error.code : String(error)
  }
}

/** Ends only if it is stopped. */
export const endless = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n'

/** Takes about that long, at the speed of this machine. */
export function sqlOf (ms: number): string {
  return `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${Math.ceil(ms * stepsPerMs())}) SELECT count(*) FROM n`
}

let speed: number | undefined

function stepsPerMs (): number {
  if (speed !== undefined) return speed
  const db = new Sqlite(':memory:')
  const ms = msOf(() => db.prepare('WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT count(*) FROM n').get())
  db.close()
  return speed = 200_000 / ms
}

export function msOf (fn: () => unknown): number {
  const start = performance.now()
  fn()
  return performance.now() - start
}
