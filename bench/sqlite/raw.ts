/** better-sqlite3 as one uses it without a layer: what everything is compared with. */
import Sqlite from 'better-sqlite3'

export function openRaw (path: string, options: Sqlite.Options = {}): Sqlite.Database {
  const db = new Sqlite(path, options)
  if (options.readonly !== true) db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  db.pragma('foreign_keys = ON')
  return db
}

export function sqliteVersion (): string {
  const db = new Sqlite(':memory:')
  const { version } = db.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  db.close()
  return version
}

/** The answers of statements, by their SQL. */
export function answersOf (path: string, statements: readonly string[]): Map<string, unknown> {
  const db = openRaw(path, { readonly: true })
  try {
    return new Map(statements.map(sql => [sql, db.prepare(sql).get()]))
  } finally {
    db.close()
  }
}
