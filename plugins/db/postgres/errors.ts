/** PostgreSQL's errors as ours: the same mistake has the same kind as on SQLite. */
import { databaseError, DbClosed, errorKind, isOurs, PoolDeadlock, PoolTimeout, type ErrorKind } from '../../errors.ts'

/** By SQLSTATE (https://www.postgresql.org/docs/18/errcodes-appendix.html). */
const kinds: Readonly<Record<string, ErrorKind>> = {
  23505: 'unique',
  '23P01': 'unique',
  23503: 'foreignKey',
  23001: 'foreignKey',
  23502: 'notNull',
  23514: 'check',
  40001: 'serialization',
  '40P01': 'deadlock',
  '55P03': 'busy',
  25006: 'readonly',
  57014: 'timeout',
  '25P04': 'timeout',
  53100: 'memory',
  53200: 'memory',
  54000: 'memory',
  53300: 'connection',
  '57P01': 'connection',
  '57P02': 'connection',
  '57P03': 'connection',
  '57P05': 'connection',
  '25P03': 'connection'
}

/** By the first two characters of the SQLSTATE. */
const classes: Readonly<Record<string, ErrorKind>> = {
  '08': 'connection',
  42: 'syntax'
}

/** The SQLSTATE, or '' for an error that the server did not send. */
export function sqlState (error: unknown): string {
  const isFromServer = error instanceof Error && 'severity' in error && 'code' in error && typeof error.code === 'string'
  return isFromServer ? error.code as string : ''
}

export function toOurError (error: unknown, sql: string): Error {
  if (isOurs(error)) return error
  const constraint = error instanceof Error && 'constraint' in error && typeof error.constraint === 'string' ? error.constraint : undefined
  return databaseError(kindOf(error), sql, { cause: error, constraint })
}

/** The server has forgotten the prepared statement (DISCARD ALL, another server behind a pooler), or its rows are no longer what they were (ALTER TABLE). */
export function isStale (error: unknown): boolean {
  const state = sqlState(error)
  return isUnknown(error) || (state === '0A000' && (error as { routine?: string }).routine === 'RevalidateCachedQuery')
}

/** The server does not know the prepared statement any more. */
export function isUnknown (error: unknown): boolean {
  return sqlState(error) === '26000'
}

/** Of a connection that could not be made: the server is on its way down or up, has no room now, or is not to be seen. */
export function mayPass (error: unknown): boolean {
  const state = sqlState(error)
  return state === '' || state === '53300' || state.startsWith('57P') || state.startsWith('08')
}

/** The server has said no, or could not be asked: another one may do it. Not so for limits that have passed, values that cannot be bound, and results that are too large. */
export function isOfServer (error: unknown): boolean {
  if (error instanceof DbClosed || error instanceof PoolTimeout || error instanceof PoolDeadlock) return true
  return errorKind(error) === 'connection' || (error instanceof Error && sqlState(error.cause) !== '')
}

function kindOf (error: unknown): ErrorKind {
  const state = sqlState(error)
  if (state === '') return 'connection'
  if (isStale(error)) return 'serialization' // prepared anew, it works
  if ((error as { routine?: string }).routine === 'CopyGetData') return 'other' // the session has refused COPY FROM STDIN: 57014, but no time-out
  return kinds[state] ?? classes[state.slice(0, 2)] ?? 'other'
}
