/**
 * What a database URL says, and how it may be shown.
 *
 * What is kept true:
 *  1. Nothing that leaves `redact` or stands in a refusal holds a password, however wrong the URL is: of a text that is not surely understood at most
 *     the scheme is shown.
 *  2. A URL whose password could be mistaken for another part (`/`, `?` or `#` in it, not percent-encoded) is refused.
 *  3. A PostgreSQL URL with a parameter that the engine does not know, or that does not fit another one, is refused.
 * Nothing is opened and no file is looked at.
 */
import { resolve } from 'node:path'
import { displayPostgresUrl, readPostgresUrl } from '../db/postgres-url.ts'
import { accept, refuse, type Parsed } from './limits.ts'

/** The database as the engines need it: `Config['database']` without the replica. */
export interface DatabaseTarget {
  engine: 'sqlite' | 'postgres'
  url: string
  displayUrl: string
  path: string
  readonly: boolean
}

const forms = 'sqlite:<path>, sqlite:<path>?mode=ro, sqlite::memory: or postgres://user:password@host:port/database'

export function parseDatabaseUrl (text: string): Parsed<DatabaseTarget> {
  if (/^sqlite:/i.test(text)) return parseSqliteUrl(text)
  if (/^postgres(ql)?:/i.test(text)) return parsePostgresUrl(text)
  if (/^(file|sqlite3):/i.test(text)) return refuse(forms, 'sqlite: in place of the scheme, followed by the path')
  return refuse(forms, 'a URL that begins with sqlite: or postgres://, for example sqlite:data/app.db')
}

function parseSqliteUrl (text: string): Parsed<DatabaseTarget> {
  const rest = text.slice('sqlite:'.length)
  const queryAt = rest.lastIndexOf('?')
  const name = queryAt < 0 ? rest : rest.slice(0, queryAt)
  const query = queryAt < 0 ? undefined : rest.slice(queryAt + 1)
  if (query !== undefined && query !== 'mode=ro') return refuse('nothing behind the path but ?mode=ro', `sqlite:<path>?mode=ro or sqlite:<path>`)
  const readonly = query !== undefined
  if (name === ':memory:') {
    if (readonly) return refuse('a file, since a database in memory that is read only stays empty', 'sqlite::memory:')
    return accept({ engine: 'sqlite', url: text, displayUrl: text, path: ':memory:', readonly })
  }
  const problem = refusePath(name)
  return problem ?? accept({ engine: 'sqlite', url: text, displayUrl: text, path: resolve(name.replace(/^\/\/(?=\/)/, '')), readonly })
}

function refusePath (name: string): Parsed<DatabaseTarget> | undefined {
  if (name === '') return refuse('a path behind sqlite:', 'for example sqlite:data/app.db')
  if (name.includes('\0')) return refuse('a path without a NUL character', 'for example sqlite:data/app.db')
  if (/^file:/i.test(name)) return refuse('a path, not a URI, behind sqlite:', 'sqlite:<path>')
  if (/^\/\/[^/]/.test(name)) return refuse('a path, and no host, behind sqlite:', 'sqlite:data/app.db (relative) or sqlite:/data/app.db (absolute)')
  if (/[/\\]$/.test(name)) return refuse('the path of a file, not of a folder', 'for example sqlite:data/app.db')
  return undefined
}

export function parsePostgresUrl (text: string): Parsed<DatabaseTarget> {
  if (!/^postgres(ql)?:/i.test(text)) return refuse('postgres://user:password@host:port/database', 'a URL that begins with postgres://')
  const read = readPostgresUrl(text)
  if (!read.ok) return read
  return accept({ engine: 'postgres', url: text, displayUrl: redact(text), path: '', readonly: false })
}

/** A text that may be a database URL, fit for logs and messages. */
export function redact (text: string): string {
  if (/^sqlite:/i.test(text) && !/^sqlite:\/\/[^/]/i.test(text) && !/[?&](?!mode=)/.test(text)) return text
  if (/^postgres(ql)?:/i.test(text)) return displayPostgresUrl(text) ?? 'postgres://… (not shown, it may hold a password)'
  const scheme = /^(sqlite3?|file|postgres\w{0,4}|mysql|mariadb|mongodb|redis|https?):/i.exec(text)
  return `${scheme?.[0] ?? ''}… (not shown, it may hold a password)`
}
