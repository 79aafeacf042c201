/**
 * Every error that the plugins throw on purpose. A service's own errors stand beside its routes.
 *
 * What is kept true:
 *  1. A code (`TDM_ERR_<AREA>_<WHAT>`) never changes its meaning; the message may. `docs/errors.md` lists the same codes (a test compares them).
 *  2. A message says what was expected, what came and what to do. It never holds a driver's text, a parameter or a password.
 *  3. The driver's error, where there is one, is always the `cause`. Its text may hold values, so it is not for answers and logs: see `describeError`.
 *  4. 4xx: the caller can fix it. 503: try again. 500: our fault or the programmer's.
 */
import createError, { type FastifyError } from '@fastify/error'

/** What went wrong in the database, under the same name on both engines. */
export type ErrorKind =
  | 'unique' | 'foreignKey' | 'notNull' | 'check'
  | 'serialization' | 'deadlock' | 'busy' | 'readonly'
  | 'timeout' | 'aborted' | 'memory' | 'connection' | 'syntax' | 'other'

/** The driver's error, or another one, as `{ cause }`. */
export interface Because { cause?: unknown }

/** An error of ours that came out of the database layer. */
export interface DatabaseError extends FastifyError {
  kind: ErrorKind
  /** The statement on one line, cut to 200 characters; without values. */
  sql: string
  /** The name of the violated constraint, where the engine tells it. */
  constraint?: string
}

function define<Args extends unknown[]> (code: `TDM_ERR_${string}`, message: string, statusCode: number) {
  return createError<typeof code, [...args: Args, because?: Because]>(code, message, statusCode)
}

// --- configuration ---------------------------------------------------------------------------------------------------

/** `%s`: every problem, one a line. */
export const ConfigInvalid = define<[problems: string]>('TDM_ERR_CONFIG_INVALID', 'The configuration cannot be used:\n%s', 500)

// --- opening, closing, using the database ------------------------------------------------------------------------------

export const DbOpen = define<[target: string, reason: string]>('TDM_ERR_DB_OPEN', 'The database %s cannot be opened: %s', 503)
export const DbClosed = define<[]>('TDM_ERR_DB_CLOSED', 'The database is closed. Statements are possible until app.close() was called.', 503)
export const DbBind = define<[position: string, expected: string, got: string]>('TDM_ERR_DB_BIND', 'Parameter %s cannot be bound: expected %s, got %s.', 500)
export const DbPlaceholder = define<[what: string]>('TDM_ERR_DB_PLACEHOLDER', 'The placeholders of the statement cannot be used: %s', 500)
export const DbTransactionControl = define<[keyword: string]>('TDM_ERR_DB_TRANSACTION_CONTROL',
  '%s cannot be sent as a statement, because the transaction it would change is not yours alone. Use db.tx(fn).', 500)

export const DbSession = define<[what: string]>('TDM_ERR_DB_SESSION',
  '%s cannot be sent: it would hold for one of the connections, and for whoever uses that next. What can be set is an environment variable: docs/configuration.md.', 500)
export const DbResultTooLarge = define<[limit: string, variable: string]>('TDM_ERR_DB_RESULT_TOO_LARGE',
  'The result has more than %s. Read it row by row with iterate(), ask for less (LIMIT), or raise %s.', 500)
export const DbCursorExpired = define<[ms: number]>('TDM_ERR_DB_CURSOR_EXPIRED',
  'The rows were not read to their end within %d ms, and the snapshot they come from was given up. Read faster, ask again from the last row on, or raise DB_CURSOR_TIMEOUT.', 503)
export const DbBackup = define<[target: string, reason: string]>('TDM_ERR_DB_BACKUP', 'No backup was made to %s: %s', 500)

// --- what a statement can end with: one code a kind ----------------------------------------------------------------------

export const DbUnique = define<[]>('TDM_ERR_DB_UNIQUE', 'A row with this key exists already.', 409)
export const DbForeignKey = define<[]>('TDM_ERR_DB_FOREIGN_KEY', 'A foreign key points at a row that does not exist, or would be left pointing at one.', 409)
export const DbNotNull = define<[]>('TDM_ERR_DB_NOT_NULL', 'A column that must have a value would be NULL.', 400)
export const DbCheck = define<[]>('TDM_ERR_DB_CHECK', 'A value is not one that the column allows.', 400)
export const DbSerialization = define<[]>('TDM_ERR_DB_SERIALIZATION', 'The transaction met a concurrent one and has to be run again from its start.', 503)
export const DbDeadlock = define<[]>('TDM_ERR_DB_DEADLOCK', 'Two transactions waited for each other and this one was ended. Run it again from its start.', 503)
export const DbBusy = define<[]>('TDM_ERR_DB_BUSY', 'Another process holds a lock on the database. Try again.', 503)
export const DbReadonly = define<[]>('TDM_ERR_DB_READONLY', 'A write was tried where only reads are possible (a read transaction, or a database opened read-only).', 500)
export const DbTimeout = define<[]>('TDM_ERR_DB_TIMEOUT', 'The deadline passed before the statement was done.', 503)
export const DbAborted = define<[]>('TDM_ERR_DB_ABORTED', 'The statement was given up because its signal was aborted.', 503)
export const DbMemory = define<[]>('TDM_ERR_DB_MEMORY', 'The statement needs more memory or disk than it may have. Ask for less at a time.', 503)
export const DbConnection = define<[]>('TDM_ERR_DB_CONNECTION', 'The connection to the database was lost or could not be made.', 503)
export const DbSyntax = define<[]>('TDM_ERR_DB_SYNTAX', 'The database does not accept the statement: a mistake in the SQL, or a table, column or function that does not exist.', 500)
export const DbOther = define<[]>('TDM_ERR_DB_OTHER', 'The statement failed. The driver\'s error is the cause of this one.', 500)

// --- transactions --------------------------------------------------------------------------------------------------------

export const TxClosed = define<[how: string, sql: string]>('TDM_ERR_TX_CLOSED',
  'The transaction has ended (%s), so the statement was not sent. Await every statement before the function given to db.tx() returns. Statement: %s', 500)
export const TxDoomed = define<[]>('TDM_ERR_TX_DOOMED',
  'The transaction was rolled back, because a statement in it failed; the cause is the first failure. To go on after a failure, run the statement in a nested transaction: tx.tx(fn, { propagation: \'nested\' }).', 500)
export const TxRolledBack = define<[]>('TDM_ERR_TX_ROLLED_BACK', 'COMMIT was sent, but the database rolled the transaction back.', 500)
export const TxOutcomeUnknown = define<[]>('TDM_ERR_TX_OUTCOME_UNKNOWN',
  'The connection was lost before the answer to COMMIT, or to a statement that is committed by itself: it may have been done or not. Look before you run it again.', 503)
export const TxLost = define<[]>('TDM_ERR_TX_LOST',
  'The connection was lost while COMMIT was on its way, and the transaction was rolled back. It can be run again.', 503)
export const TxReply = define<[problem: string]>('TDM_ERR_TX_REPLY', 'The reply could not have been sent, so its transaction was not committed: %s', 500)
export const TxRoutes = define<[routes: string]>('TDM_ERR_TX_ROUTES',
  'The tx plugin was registered after these routes, which would have no transaction: %s. Register it before them.', 500)
export const TxIdle = define<[ms: number]>('TDM_ERR_TX_IDLE',
  'The transaction was rolled back: it had sent no statement for %d ms, and others waited for its connection. Ask others (fetch, files) before or after a transaction, not in it.', 503)
export const TxPropagation = define<[propagation: string, reason: string]>('TDM_ERR_TX_PROPAGATION', 'propagation \'%s\' is not possible here: %s', 500)
export const TxOptions = define<[what: string]>('TDM_ERR_TX_OPTIONS', 'The transaction cannot have these options: %s', 500)
export const TxParentInUse = define<[sql: string]>('TDM_ERR_TX_PARENT_IN_USE',
  'A transaction was used from inside a transaction nested in it; it would wait for itself. Use the inner transaction, or db. Statement: %s', 500)
export const TxCursorOpen = define<[sql: string]>('TDM_ERR_TX_CURSOR_OPEN',
  'An iterate() of this transaction is still open, and a connection does one thing at a time. Finish the loop first, or collect the rows with all(). Statement: %s', 500)

// --- waiting for a connection ----------------------------------------------------------------------------------------------

export const PoolTimeout = define<[ms: number, holders: string]>('TDM_ERR_POOL_TIMEOUT', 'No connection became free within %d ms. In use: %s', 503)
export const PoolDeadlock = define<[holders: string]>('TDM_ERR_POOL_DEADLOCK',
  'This wait for a connection could never end: every connection is held by a transaction that itself waits for another one. In use: %s', 500)

// --- events ----------------------------------------------------------------------------------------------------------------

export const EventsChannel = define<[got: string]>('TDM_ERR_EVENTS_CHANNEL', 'A channel has a name of 1 to 63 bytes of UTF-8, without the character 0; got %s.', 500)
export const EventsPayload = define<[got: string]>('TDM_ERR_EVENTS_PAYLOAD',
  'A payload is text of at most 7999 bytes of UTF-8, without the character 0; got %s. Store what is larger in a table, and send its key.', 500)
export const EventsListener = define<[got: string]>('TDM_ERR_EVENTS_LISTENER', 'db.listen(channel, fn) expected a function, got %s.', 500)
export const EventsPooled = define<[]>('TDM_ERR_EVENTS_POOLED',
  'Nothing can be listened to: between this process and PostgreSQL is a pooler that gives sessions to others (PgBouncer with pool_mode=transaction). Connect to the server itself, or to a pool with pool_mode=session.', 500)
export const EventsMissing = define<[]>('TDM_ERR_EVENTS_MISSING', 'Nothing can be listened to: by DB_COMPATIBILITY the server is one that has no LISTEN.', 500)

// --- migrations --------------------------------------------------------------------------------------------------------------

export const MigrateMissing = define<[missing: string]>('TDM_ERR_MIGRATE_MISSING',
  'The database lacks migrations and DB_MIGRATE=off: %s. Run "npm run migrate", or set DB_MIGRATE=on.', 500)
export const MigrateChanged = define<[which: string]>('TDM_ERR_MIGRATE_CHANGED',
  'A migration that was applied is no longer the same file: %s. Restore it, and put the change into a new migration.', 500)
export const MigrateTooNew = define<[which: string]>('TDM_ERR_MIGRATE_TOO_NEW',
  'The database has a newer schema than this version knows: %s. Start the version that made it, or a newer one.', 500)
export const MigrateFiles = define<[set: string]>('TDM_ERR_MIGRATE_FILES',
  'The migrations of "%s" cannot be used. A set has a name of its own (lower-case letters, digits, underscores) and a folder for each engine with files such as 001.do.create-jobs.sql.', 500)
export const MigrateFailed = define<[which: string]>('TDM_ERR_MIGRATE_FAILED', 'Migration %s failed and was rolled back; the database is as it was before it.', 500)

// --- copies of a database ---------------------------------------------------------------------------------------------------------

export const CopySame = define<[]>('TDM_ERR_COPY_SAME', 'The source and the target are the same database.', 500)
export const CopySchema = define<[problem: string]>('TDM_ERR_COPY_SCHEMA', 'The source and the target do not fit: %s', 500)
export const CopyNotEmpty = define<[tables: string]>('TDM_ERR_COPY_NOT_EMPTY',
  'The target has rows already, in %s. Copy into an empty database, or have these tables emptied first (--force).', 500)
export const CopyFailed = define<[table: string, reason: string]>('TDM_ERR_COPY_FAILED',
  'Table %s could not be copied: %s The target stays marked as incomplete. Mend the cause and run the same command again, or begin anew (--restart).', 500)
export const CopyDiffers = define<[tables: string]>('TDM_ERR_COPY_DIFFERS',
  'The two databases do not have the same rows, in %s. If this is the end of a copy, the source has changed since it began, or a trigger or a program has written to the target: stop what writes, and begin anew (--restart).', 500)
export const CopyOther = define<[]>('TDM_ERR_COPY_OTHER',
  'The target is an unfinished copy of another database, or of other tables or columns. Go on with that one, or begin anew with this one (--restart).', 500)
export const CopyConcurrent = define<[]>('TDM_ERR_COPY_CONCURRENT', 'Another copy into the same target is under way. Let it end, or stop it; then run this one again.', 500)
export const CopyIncomplete = define<[which: string]>('TDM_ERR_COPY_INCOMPLETE',
  'The %s is an unfinished copy of another database, and rows are missing. Run the same "npm run copy" again, which goes on where it stopped, or begin anew (--restart).', 500)

// --- operators ---------------------------------------------------------------------------------------------------------------------

export const OpsOptions = define<[what: string]>('TDM_ERR_OPS_OPTIONS', 'The ops plugin cannot have these options: %s.', 500)
export const OpsToken = define<[]>('TDM_ERR_OPS_TOKEN', 'This is for operators: send the token of the server (OPS_TOKEN) as "Authorization: Bearer <token>".', 401)
export const OpsForbidden = define<[]>('TDM_ERR_OPS_FORBIDDEN',
  'This is for operators, and a change needs the header "x-ops: 1" and must come from the page of this server, unless it is sent with the token itself.', 403)
export const OpsEnded = define<[id: string]>('TDM_ERR_OPS_ENDED', 'Nothing with the id %s is under way in this process: it has ended.', 404)
export const OpsEndsItself = define<[id: string]>('TDM_ERR_OPS_ENDS_ITSELF', 'What has the id %s is a single statement, which cannot be stopped here: stop it among the statements.', 409)
export const OpsStopped = define<[]>('TDM_ERR_OPS_STOPPED', 'An operator has stopped the statement.', 503)

// --- tests of an app -----------------------------------------------------------------------------------------------------------

export const TestingSandbox = define<[]>('TDM_ERR_TESTING_SANDBOX', 'The database is in a sandbox already. Await the end of one sandbox() before the next, or give each test a database.', 500)

/** Ours by kind; the engines translate a driver's error into one of these with `databaseError`. */
const byKind = {
  unique: DbUnique,
  foreignKey: DbForeignKey,
  notNull: DbNotNull,
  check: DbCheck,
  serialization: DbSerialization,
  deadlock: DbDeadlock,
  busy: DbBusy,
  readonly: DbReadonly,
  timeout: DbTimeout,
  aborted: DbAborted,
  memory: DbMemory,
  connection: DbConnection,
  syntax: DbSyntax,
  other: DbOther
} satisfies Record<ErrorKind, unknown>

/** Of a stack: between the database and who has called it. */
const OUR_FRAMES = 10

/** An error of the given kind about a statement. `sql` is cut to 200 characters; parameters are never part of it. */
export function databaseError (kind: ErrorKind, sql: string, because: Because & { constraint?: string | undefined } = {}): DatabaseError {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = limit + OUR_FRAMES
  const error = ('cause' in because ? new byKind[kind]({ cause: because.cause }) : new byKind[kind]()) as DatabaseError
  Error.stackTraceLimit = limit
  error.kind = kind
  error.sql = abbreviate(sql)
  if (because.constraint !== undefined) error.constraint = because.constraint
  return error
}

/** The statement on one line, cut to `length` characters. */
export function abbreviate (sql: string, length = 200): string {
  const line = sql.replace(/\s+/g, ' ').trim()
  return line.length > length ? `${line.slice(0, length - 1)}…` : line
}

/** True for the errors of this file and of services that follow its rules. */
export function isOurs (error: unknown): error is FastifyError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('TDM_ERR_')
}

/** The kind of a database error, looked for through the chain of causes. */
export function errorKind (error: unknown): ErrorKind | undefined {
  for (let e = error, depth = 0; e instanceof Error && depth < 10; e = e.cause, depth++) {
    if ('kind' in e && typeof e.kind === 'string' && e.kind in byKind) return e.kind as ErrorKind
  }
  return undefined
}

/** An error in a log; the form that pino's serializers have. */
export interface LoggedError { type: string, message: string, stack: string, [name: string]: unknown }

/**
 * What may be written into a log about an error: of ours everything but the causes' texts, of which only class and code are named, since a
 * driver's message can quote the values of a statement. An error that is not ours keeps its message and stack.
 */
export function describeError (error: Error): LoggedError {
  const { kind, constraint, sql } = error as Partial<DatabaseError>
  const own = { type: error.name, code: (error as Partial<FastifyError>).code, kind, constraint, sql, message: error.message, stack: error.stack ?? '' }
  const causes = []
  for (let e = error.cause, depth = 0; e instanceof Error && depth < 10; e = e.cause, depth++) {
    const code = (e as Partial<FastifyError>).code
    causes.push(isOurs(e) ? { code, message: e.message } : { type: e.constructor.name, code })
  }
  return causes.length === 0 ? own : { ...own, causes }
}
