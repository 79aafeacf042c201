/**
 * What differs where there is no native binary: on a platform that none was built for, and in `npm run test:without-native`. With a binary nothing here skips a test
 * or keeps a line from it, also not if that binary cannot be loaded.
 */
import Sqlite from 'better-sqlite3'
import { loadWatchdog, watchdogProblem } from '../../plugins/db/sqlite/watchdog.ts'

let known: boolean | undefined

export function hasNative (): boolean {
  return known ??= look()
}

function look (): boolean {
  const db = new Sqlite(':memory:')
  try {
    return loadWatchdog(db) !== undefined || !/ is not there| was not built /.test(watchdogProblem() ?? '')
  } finally {
    db.close()
  }
}

/** For `{ skip }`: false with a native binary, and without one the reason. `what`: that only the native part does, as in 'ends statements'. */
export function skipWithoutNative (what: string): string | false {
  return hasNative() ? false : `without a native binary nothing ${what}`
}

/** True for what the engine then says once, on its own or in a line of JSON. */
export function isNotice (line: string): boolean {
  return line.includes('SQLite runs without its watchdog') && !hasNative()
}

/** What a process has written, without that line. */
export function withoutNotice (text: string): string {
  return text.split('\n').filter(line => !isNotice(line)).join('\n')
}
