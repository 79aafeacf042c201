/**
 * What the database layer promises, on both engines alike. Types only; imports nothing.
 *
 * First part: what an app sees (`Database`, `Statement`, `Transaction`). Each promise has its test in `test/db/conformance`.
 * Second part: what an engine provides (`Engine`, `Connection`), and what is asked of it (`Query`, `Limits`).
 * Nothing in here knows Fastify, a driver, or SQL that only one engine understands.
 */

/**
 * What may be bound to a placeholder.
 * - `number`: an integral one is bound as an integer, any other as floating point; `NaN` is refused.
 * - `boolean`: bound as 1 or 0. `Date`: as ISO-8601 text in UTC with milliseconds. `bigint`: up to 64 bits.
 */
export type Value = number | bigint | string | boolean | null | Uint8Array | Date

/**
 * What comes out of a column.
 * - Integers of any width: `number`, beyond ±(2^53−1) `bigint`; never rounded. Booleans: 1 or 0.
 * - PostgreSQL's `numeric`: `number` when that prints the same digits, `bigint` when it is an integer beyond that, else text.
 * - Timestamps: ISO-8601 text in UTC (`2026-03-01T12:00:00.000Z`; six digits where microseconds are set). Dates: `YYYY-MM-DD`. JSON and all else: text.
 * - Blobs: `Buffer`.
 */
export type Column = number | bigint | string | null | Uint8Array

/** A row, by column name. Of two columns with one name the last is kept. */
export type Row = Record<string, Column>

/** Values by position for `?` (and `$1`), or one object by name for `:name`. */
export type Params = readonly Value[] | readonly [Readonly<Record<string, Value>>]

/** What a statement that returns no rows has done. */
export interface RunResult {
  /** Rows inserted, updated or deleted; 0 for anything else. */
  changes: number
  /** Always null: an engine-independent app asks with `RETURNING`. */
  lastInsertRowid: null
}

/**
 * A statement, to be run any number of times, inside or outside of transactions. Where it runs is decided at each call: in the
 * transaction that is current for the calling code, otherwise on its own.
 *
 * Each call throws `TDM_ERR_DB_BIND` for a value that cannot be bound, an error with a `kind` when the database refuses, `TDM_ERR_DB_TIMEOUT` when
 * the deadline passes, `TDM_ERR_DB_ABORTED` when the signal is aborted, `TDM_ERR_DB_CLOSED` after `close()`.
 */
export interface Statement<R = Row> {
  readonly sql: string
  /** The first row, or undefined. */
  get: (...params: Params) => Promise<R | undefined>
  /** All rows; `[]` when there are none. The whole result is held in memory: for many rows use `iterate`. */
  all: (...params: Params) => Promise<R[]>
  /** Runs the statement and forgets its rows. */
  run: (...params: Params) => Promise<RunResult>
  /**
   * The rows one by one, read from a cursor as fast as the loop takes them. Never the whole result in memory. Leaving the loop closes the cursor. It holds a
   * connection while it is open; inside a transaction no other statement can run meanwhile (`TDM_ERR_TX_CURSOR_OPEN`). `DB_STATEMENT_TIMEOUT` does not
   * hold for it, since its time is the reader's; the deadlines and signals of the scope do.
   */
  iterate: (...params: Params) => AsyncIterableIterator<R>
}

/** What statements can be prepared on: the database, or one transaction. */
export interface Queryable {
  /**
   * Captures the SQL and touches nothing. Placeholders: `?` by position, `:name` by name; `??` is a literal `?` operator (PostgreSQL).
   * Throws `TDM_ERR_DB_PLACEHOLDER` for a mix of styles, `TDM_ERR_DB_TRANSACTION_CONTROL` for BEGIN, COMMIT and their like.
   */
  prepare: <R = Row>(sql: string) => Statement<R>
  /**
   * Runs one or more statements without parameters. Outside of a transaction several statements are one transaction: all or none. `input`: what `COPY … FROM STDIN` reads
   * (PostgreSQL), all of it; many rows go in as several COPYs of some 100 KB each.
   */
  exec: (sql: string, input?: Uint8Array) => Promise<void>
  /** Runs `fn` in a transaction: resolved means committed, rejected means rolled back (rules: docs/transactions.md). */
  tx: <T>(fn: (tx: Transaction) => T | Promise<T>, options?: TxOptions) => Promise<T>
  /**
   * Tells everybody who listens on `channel`, never before the call returns. In a transaction: when the outermost is committed; dropped with what is rolled back, a nested transaction too;
   * of those with the same channel and payload only the first. `payload`: text, default ''.
   *
   * Throws `TDM_ERR_EVENTS_CHANNEL` for a channel that is not 1 to 63 bytes of text, `TDM_ERR_EVENTS_PAYLOAD` for a payload beyond 7999 bytes; otherwise as a statement.
   */
  notify: (channel: string, payload?: string) => Promise<void>
}

/** One database, over either engine. */
export interface Database extends Queryable {
  readonly engine: EngineName
  /** Everything in `fn` has to be done within `ms` milliseconds, or sooner if a stricter deadline holds already. */
  deadline: <T>(ms: number, fn: () => T) => T
  /** Statements in `fn` are given up when `signal` is aborted (in addition to signals that hold already). */
  signal: <T>(signal: AbortSignal, fn: () => T) => T
  /** Statements in `fn` run outside of the current transaction, on their own. */
  outsideTx: <T>(fn: () => T) => T
  /**
   * Calls `fn` for each notification on `channel`, in the order they were sent, at the latest from when the promise resolves, until `close()`. It is called outside of every transaction and is not
   * awaited; what it throws is logged. (rules: docs/events.md)
   *
   * PostgreSQL: all listeners share one connection of their own, beside those of `DB_POOL_MAX`, while there is one. After it was lost and LISTEN is in force again, `fn` is told of
   * the gap once. SQLite: hears what is sent through this `Database`.
   *
   * Throws `TDM_ERR_EVENTS_CHANNEL`, `TDM_ERR_EVENTS_LISTENER` if `fn` is no function, `TDM_ERR_EVENTS_POOLED` behind a pooler that gives sessions to others, `TDM_ERR_DB_CONNECTION`
   * when there is no connection within `DB_ACQUIRE_TIMEOUT`.
   */
  listen: (channel: string, fn: (event: ChannelEvent) => unknown) => Promise<Listener>
  /**
   * A copy of the database as it is now, in a file of its own, while everybody goes on. SQLite only; throws `TDM_ERR_DB_BACKUP` on PostgreSQL, or when `path` is there
   * already.
   */
  backup: (path: string, options?: BackupOptions) => Promise<BackupResult>
  /** What it does now, and where each statement runs and why. */
  status: () => DatabaseStatus
  /** What is under way, and can be stopped. */
  activity: () => Activity
  /** Ends what is running after `graceMs` (default 5000) and closes all connections. Later statements get `TDM_ERR_DB_CLOSED`. Idempotent. */
  close: (options?: { graceMs?: number }) => Promise<void>
}

/** A notification; or a gap: something may have been missed, so look again. `fn: ({ payload, gap }) => …` works for both. */
export type ChannelEvent =
  | { readonly payload: string, readonly gap?: undefined }
  | { readonly gap: true, readonly payload?: undefined }

export interface Listener {
  /** Its function is not called any more. Idempotent; `db.close()` does it, too. */
  close: () => Promise<void>
}

export interface BackupOptions {
  /** Replace a file that is there. Default: false. */
  overwrite?: boolean
  /** Called a few times a second. `totalBytes` is the size of the database; the copy may be smaller. */
  onProgress?: (done: { bytes: number, totalBytes: number }) => void
}

export interface BackupResult { bytes: number, durationMs: number }

export interface DatabaseStatus extends EngineStatus { readonly engine: EngineName }

export interface EngineStatus {
  /** The statements met last, the slowest first. [] where an engine does not choose. */
  readonly statements: readonly StatementStatus[]
  readonly meters: Meters
  /** Places that are taken, and how many wait for one. PostgreSQL: a lane is one of DB_POOL_MAX, and counted among `lanes` alone. */
  readonly queues: Readonly<Record<string, { readonly used: number, readonly waiting: number }>>
  /** Undefined: there is none. PostgreSQL. */
  readonly replica?: {
    /** Reads go there only when it is ready. 'down': it cannot be reached, or is no standby. */
    readonly state: 'ready' | 'lagging' | 'down'
    /** As of the last look at it, of which there are some in a second while it is used. */
    readonly lagMs: number
  }
  readonly sqlite?: {
    /** 'on', or why not. */
    readonly watchdog: string
    /** Reader threads that run. */
    readonly threads: number
    readonly idleThreads: number
    /** Statements that kept the event loop longer than the budget, because they could not run elsewhere. */
    readonly stalls: { readonly count: number, readonly longestMs: number }
    readonly walBytes: number
    /** Of the process; undefined where it cannot be known. */
    readonly anonymousBytes: number | undefined
  }
  readonly postgres?: {
    /** As the server gives it: 180004 is 18.4. */
    readonly version: number
    /** 'none', or a pooler in transaction mode: no lanes there, and prepared statements only if it keeps them. */
    readonly pooler: 'none' | 'keeps statements' | 'forgets statements'
    /** Connections that are open and not in use. */
    readonly idle: number
    /** By `DB_COMPATIBILITY`. */
    readonly can: { readonly savepoints: boolean, readonly advisoryLocks: boolean, readonly listen: boolean }
  }
}

/** What is under way. */
export interface Activity {
  /** Statements that run, or wait for a place; the oldest first. What runs on the main thread is never among them, since nobody can look while it does. */
  readonly statements: readonly RunningStatement[]
  /** Transactions and statements that hold a place among the connections, the oldest first. */
  readonly transactions: readonly OpenTransaction[]
}

export interface RunningStatement {
  /** The same for the same statement, whenever it is looked at. */
  readonly key: object
  readonly sql: string
  readonly place: 'reader' | 'writer' | 'lane' | 'connection' | 'queue'
  /** On the clock of `performance.now()`, in ms; `deadline`: Infinity for none. */
  readonly since: number
  readonly deadline: number
  /** The request that it belongs to, a `FastifyRequest` if the tx plugin is there. */
  readonly request: object | undefined
  /** Stops it: its caller gets the error. */
  readonly stop: (error: Error) => void
}

export interface OpenTransaction {
  readonly key: object
  /** Its statement, or the last one. */
  readonly sql: string
  /** On the clock of `performance.now()`, in ms; `idleSince`: undefined while a statement runs. */
  readonly since: number
  readonly idleSince: number | undefined
  readonly request: object | undefined
  /** Rolls it back. Undefined: it is one statement, and ends with that. */
  readonly stop: ((error: Error) => void) | undefined
}

/** Counts since the start. */
export interface Meters {
  /** Runs that came to their end, by where. The bounds of the histogram are `DURATION_BOUNDS_MS`. */
  readonly runs: Readonly<Record<'inline' | 'lane' | 'apart', Histogram>>
  /** Statements that failed, by kind. */
  readonly failures: Readonly<Record<string, number>>
  /** What statements and transactions waited for a place. */
  readonly waits: Histogram
}

export interface Histogram {
  readonly count: number
  readonly sumMs: number
  readonly maxMs: number
  /** How many were at most so long, and longer than the bound before; the last: longer than all. */
  readonly buckets: readonly number[]
}

/** Where a statement runs, and why. */
export interface StatementStatus {
  readonly sql: string
  /** All runs that came to their end, wherever. */
  readonly total: Histogram
  readonly failures: number
  /** 'inline': on the main thread, under the budget. 'lane': pipelined with others. 'apart': in a thread, or on a connection of its own. */
  readonly runs: 'inline' | 'lane' | 'apart'
  readonly why: string
  /** Its runs apart, and what they took on average. */
  readonly apart: { readonly runs: number, readonly meanMs: number }
  /** Times that it took longer than it may where it delays others. */
  readonly overruns: number
}

export type EngineName = 'sqlite' | 'postgres'

/** `closing` is entered synchronously, before COMMIT or ROLLBACK is queued; from then on no statement is accepted. */
export type TxState = 'open' | 'closing' | 'closed'

/** How a transaction ended. 'none': it had no statement, so nothing was sent. 'unknown': COMMIT was not answered. */
export type TxOutcome = 'committed' | 'rolledback' | 'unknown' | 'none'

/** A transaction that is under way: the argument of the function given to `db.tx`. */
export interface Transaction extends Queryable {
  readonly state: TxState
  readonly mode: 'write' | 'read'
  /**
   * The same statement as the last one of the transaction: COMMIT travels with it, which on PostgreSQL saves a round trip. Its call resolves when the transaction is
   * committed; nothing is accepted after it (`TDM_ERR_TX_CLOSED`), and what fails after it undoes nothing. In a transaction that was joined, is nested, or belongs to a
   * request it is a statement like any other, since the end is not up to it.
   */
  last: <R>(statement: Statement<R>) => Statement<R>
  /**
   * Runs `fn` after the outermost transaction is committed and its connection released, in order of registration, awaited before `db.tx` resolves. Dropped with a
   * nested transaction that is rolled back. An error in `fn` is logged and changes nothing. Throws `TDM_ERR_TX_CLOSED` when the transaction has ended.
   */
  afterCommit: (fn: () => unknown) => void
  /** Runs `fn` with the error after the outermost transaction has ended, if this one was rolled back. Otherwise as `afterCommit`. */
  afterRollback: (fn: (error: unknown) => unknown) => void
}

/** The options of `db.tx`. */
export interface TxOptions {
  /** 'read': statements that write fail, on SQLite other writers are not waited for. Default: 'write'. */
  mode?: 'write' | 'read'
  /**
   * What to do inside another transaction. Default: 'required'.
   * - 'required': join it. If `fn` throws, the whole transaction is rolled back, even if the error is caught further out.
   * - 'nested': a savepoint. If `fn` throws, what it did is undone and the outer transaction goes on.
   * - 'new': a transaction of its own on another connection.
   * - 'mandatory': throw if there is none. 'never': throw if there is one.
   */
  propagation?: 'required' | 'nested' | 'new' | 'mandatory' | 'never'
  /** Default: the server's on PostgreSQL; SQLite is always serializable. */
  isolation?: 'read committed' | 'repeatable read' | 'serializable'
  /** Milliseconds that the whole transaction may take, waiting included; Infinity for no limit. Default: `DB_TX_TIMEOUT`. */
  timeout?: number
  /** Milliseconds that each statement in it may take. Default: `DB_STATEMENT_TIMEOUT`. */
  statementTimeout?: number
  /**
   * How many times `fn` is run again, in a new transaction, when it fails for a reason that may pass (serialization, deadlock, busy, a connection that was lost
   * before COMMIT counted). Of the outermost transaction only. The last error then has `attempts`. Default: 0.
   */
  retry?: number
}

// --- what an engine provides ---------------------------------------------------------------------------------------------

/** A statement as the engine needs it: `plugins/db/sql.ts` makes it once per SQL text. */
export interface Query {
  /** As written by the app. */
  readonly sql: string
  /** With the engine's own placeholders. */
  readonly text: string
  readonly style: 'none' | 'positional' | 'numbered' | 'named'
  /** How many values; for 'named' the names in the order of the values. */
  readonly count: number
  readonly names: readonly string[]
  /** The first word in upper case. */
  readonly keyword: string
}

/** One or more statements without parameters. */
export interface Script {
  readonly sql: string
  readonly statements: number
  /** What COPY reads. */
  readonly input?: Uint8Array | undefined
}

/** Reads SQL as one engine does. */
export interface Parser {
  /** Remembered per text. Throws `TDM_ERR_DB_PLACEHOLDER`, `TDM_ERR_DB_TRANSACTION_CONTROL`. */
  parseQuery: (sql: string) => Query
  /** Throws `TDM_ERR_DB_TRANSACTION_CONTROL`. */
  parseScript: (sql: string) => Script
}

/** What holds for the code that asks for a statement. */
export interface Limits {
  /** On the clock of `performance.now()`, in ms; Infinity for none. */
  readonly deadline: number
  /** Who may stop it. */
  readonly signal: AbortSignal | undefined
  /** The leases that it has already, so that a wait for another one that can never end is found. */
  readonly held: readonly Lease[]
  /** The request that it belongs to, if any; only its identity matters. What it has written it reads, also where that may take a while to arrive. */
  readonly request?: object | undefined
}

export type Method = 'get' | 'all' | 'run'

/** Runs statements, one way for autocommit (an `Engine`) and for one connection (a `Connection`). Errors are ours. */
export interface Executor {
  execute: (method: Method, query: Query, params: Params, limits: Limits) => Promise<unknown>
  /** All rows, some at a time, from a cursor that is closed when the generator ends. */
  batches: (query: Query, params: Params, limits: Limits) => AsyncGenerator<Row[], undefined>
  exec: (script: Script, limits: Limits) => Promise<void>
  /** Delivered after COMMIT of the connection's transaction, unless a savepoint around it is rolled back; on an engine at once. Channel and payload can be used. */
  notify: (channel: string, payload: string, limits: Limits) => Promise<void>
}

/** One engine over one database. */
export interface Engine extends Executor {
  readonly name: EngineName
  readonly parser: Parser
  /**
   * A connection for one transaction; BEGIN was sent, or travels with the first statement. Waits in order of asking. Throws `TDM_ERR_POOL_TIMEOUT`, and `TDM_ERR_POOL_DEADLOCK` for a wait that
   * can never end. `first`: the statement that it is begun for.
   */
  begin: (options: BeginOptions, limits: Limits, first: string) => Promise<Connection>
  /** Resolves when it listens; the limits are those of the wait for that. `channel` can be used. */
  listen: (channel: string, fn: (event: ChannelEvent) => unknown, limits: Limits) => Promise<Listener>
  backup: (path: string, options: BackupOptions, limits: Limits) => Promise<BackupResult>
  status: () => EngineStatus
  activity: () => Activity
  close: (graceMs: number) => Promise<void>
}

export interface BeginOptions {
  readonly mode: 'write' | 'read'
  readonly isolation: TxOptions['isolation']
  /** What its statements, and the whole, may take. Undefined: what holds for all. The engine may use them for limits of the server's own. */
  readonly statementTimeoutMs?: number
  readonly timeoutMs?: number
  /** Called when the transaction has been idle for too long while others wait: it is to be rolled back. */
  readonly expire?: (error: Error) => void
}

/** A place among the connections that somebody holds; only its identity matters. */
export interface Lease { readonly since: number }

/** A connection that belongs to one transaction, from BEGIN to `release`. */
export interface Connection extends Executor {
  readonly lease: Lease
  /** True if a statement may be handed over before the one before it is answered: it is run behind that, and refused if that fails. */
  readonly isPipelined?: boolean
  /** False when the database has ended the transaction by itself, or the connection is gone. */
  readonly inTransaction: boolean
  /** A statement and COMMIT, together. Throws what either throws. Undefined: one follows the other. */
  executeLast?: (method: Method, query: Query, params: Params, limits: Limits) => Promise<unknown>
  /** Throws `TDM_ERR_TX_ROLLED_BACK`, `TDM_ERR_TX_OUTCOME_UNKNOWN`, or the statement's error. */
  commit: (limits: Limits) => Promise<void>
  /** Undoes everything. Never throws: a connection that cannot is thrown away by `release`. */
  rollback: () => Promise<void>
  /** Asks the database to stop the running statement, if it can; that statement then fails. */
  cancel: () => void
  savepoint: (name: string, limits: Limits) => Promise<void>
  releaseSavepoint: (name: string) => Promise<void>
  rollbackToSavepoint: (name: string) => Promise<void>
  /** Throws what COMMIT would throw for a deferred constraint, and changes nothing. */
  checkDeferred: (limits: Limits) => Promise<void>
  /** Refuses writes until it is called again, or the savepoint is left. */
  setReadonly: (isReadonly: boolean) => Promise<void>
  /** Gives the connection back; one that is not clean is destroyed. Exactly once. */
  release: () => void
}

/** Where the layer reports what nobody awaits. A Fastify logger fits. */
export interface Log {
  info: (details: object, message: string) => void
  warn: (details: object, message: string) => void
  error: (details: object, message: string) => void
}
