/** SQLite's errors as ours: the same mistake has the same kind as on PostgreSQL. */
import { databaseError, DbClosed, isOurs, type ErrorKind } from '../../errors.ts'

/** By extended result code (https://sqlite.org/rescode.html); a code that is not here is looked up by its primary code. */
const kinds: Readonly<Record<string, ErrorKind>> = {
  SQLITE_CONSTRAINT_UNIQUE: 'unique',
  SQLITE_CONSTRAINT_PRIMARYKEY: 'unique',
  SQLITE_CONSTRAINT_ROWID: 'unique',
  SQLITE_CONSTRAINT_FOREIGNKEY: 'foreignKey',
  SQLITE_CONSTRAINT_NOTNULL: 'notNull',
  SQLITE_CONSTRAINT_CHECK: 'check',
  SQLITE_CONSTRAINT_DATATYPE: 'check',
  SQLITE_BUSY_SNAPSHOT: 'serialization',
  SQLITE_BUSY: 'busy',
  SQLITE_LOCKED: 'busy',
  SQLITE_READONLY: 'readonly',
  SQLITE_INTERRUPT: 'timeout',
  SQLITE_NOMEM: 'memory',
  SQLITE_FULL: 'memory',
  SQLITE_TOOBIG: 'memory',
  SQLITE_ERROR: 'syntax'
}

export function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** True for a lock that another process holds: the statement has done nothing and can be sent again. */
export function isBusy (error: unknown): boolean {
  const code = codeOf(isOurs(error) ? error.cause : error)
  return code.startsWith('SQLITE_BUSY') && code !== 'SQLITE_BUSY_SNAPSHOT'
}

/** Ours, with the stack of whoever calls. */
export function toOurError (error: unknown, sql: string): Error {
  return withCaller(isOurs(error) ? error : translate(error, sql))
}

function translate (error: unknown, sql: string): Error {
  if (error instanceof TypeError && error.message === 'The database connection is not open') return new DbClosed({ cause: error })
  return databaseError(kindOf(error), sql, { cause: error })
}

/** The stack of an error from a thread ends where its answer came in, and another one is cut before it leaves the engine. */
function withCaller (error: Error): Error {
  const caller: { stack?: string } = {}
  Error.captureStackTrace(caller, toOurError)
  const stack = error.stack ?? ''
  const missing = (caller.stack ?? '').split('\n').slice(1).filter(line => !stack.includes(line.trim()))
  error.stack = [stack, ...missing].join('\n')
  return error
}

function kindOf (error: unknown): ErrorKind {
  const code = codeOf(error)
  const known = kinds[code] ?? kinds[code.split('_', 2).join('_')]
  // better-sqlite3 refuses some things with errors of its own: what is too long to be bound; more than one statement, or none
  if (error instanceof RangeError && error.message.endsWith('too big')) return 'memory'
  return known ?? (error instanceof RangeError ? 'syntax' : 'other')
}
