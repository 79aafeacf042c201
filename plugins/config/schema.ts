/**
 * Every variable that configures the plugins, each once, in the order in which people should meet them.
 *
 * What is kept true: `.env.example`, docs/configuration.md and `npm run config` repeat this list in this order (tests compare them).
 * A default that depends on the machine or on another variable has no `default` text but a `defaultRule`; rules.ts computes it.
 * It refuses to know how a text is parsed (limits.ts, url.ts) and which values fit together (rules.ts).
 */

export type Form = 'databaseUrl' | 'postgresUrl' | 'word' | 'duration' | 'integer' | 'size' | 'cacheSize' | 'text' | 'token'

export interface Variable {
  readonly name: string
  /** One or two sentences: what it does. */
  readonly description: string
  readonly form: Form
  /** For form 'word': what it can be. */
  readonly words?: readonly string[]
  /** What the parsed number counts. */
  readonly unit?: 'ms' | 'bytes' | 'rows' | 'threads' | 'connections'
  /** The smallest and the largest parsed number; for form 'token' the fewest characters. */
  readonly minimum?: number
  readonly maximum?: number
  /** True when 0 is allowed and means that there is no limit. */
  readonly zeroIsNone?: boolean
  /** As it would be written. Absent: see `defaultRule`. */
  readonly default?: string
  /** How the default is found, in words. */
  readonly defaultRule?: string
  readonly example: string
  /** What keeps it in this version, in words. */
  readonly keptBy: string
  /** The engine that it is for. Absent: both. */
  readonly engine?: 'sqlite' | 'postgres'
  /** True when the value can hold a password: it is never printed as it is. */
  readonly secret?: boolean
}

/** What a timer of Node can wait; a longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1
/** `PRAGMA cache_size=-N` takes N KiB as a 32-bit integer. */
const largestCacheBytes = (2 ** 31 - 1) * 1024

const duration = { form: 'duration', unit: 'ms', minimum: 1, maximum: longestTimerMs } as const

export const variables = [
  {
    name: 'DATABASE_URL',
    description: 'The database: sqlite:path, sqlite:path?mode=ro (read only), sqlite::memory:, or postgres://user:password@host:port/database.',
    form: 'databaseUrl',
    defaultRule: 'sqlite:data/app.db; with DB_DRIVER=postgres postgres://localhost:5432/tandem',
    example: 'sqlite:data/app.db',
    keptBy: 'read at start',
    secret: true
  },
  {
    name: 'DB_DRIVER',
    description: 'A short cut for trying an engine without a DATABASE_URL. A DATABASE_URL of the other engine is refused.',
    form: 'word',
    words: ['sqlite', 'postgres'],
    defaultRule: 'the engine of DATABASE_URL, else sqlite',
    example: 'sqlite',
    keptBy: 'read at start'
  },
  {
    name: 'DATABASE_REPLICA_URL',
    description: 'A standby of the PostgreSQL database in DATABASE_URL, one server, for read transactions.',
    form: 'postgresUrl',
    defaultRule: 'none',
    example: 'postgres://app:password@replica.example.org:5432/app',
    keptBy: 'the PostgreSQL engine; what the standby cannot do, or not yet, the primary does',
    engine: 'postgres',
    secret: true
  },
  {
    name: 'DB_REPLICA_READS',
    description: 'What goes to DATABASE_REPLICA_URL. transactions: read transactions, such as those of GET routes. all: reads on their own as well.',
    form: 'word',
    words: ['transactions', 'all'],
    default: 'transactions',
    example: 'all',
    engine: 'postgres',
    keptBy: 'the PostgreSQL engine'
  },
  {
    name: 'DB_MIGRATE',
    description: 'on: apply missing migrations at start. off: refuse to start while one is missing.',
    form: 'word',
    words: ['on', 'off'],
    defaultRule: 'on; off for a database that is opened read only',
    example: 'off',
    keptBy: 'the migrations, at start'
  },
  {
    ...duration,
    name: 'DB_STATEMENT_TIMEOUT',
    description: 'How long one statement may take, waiting included. 0: no limit.',
    zeroIsNone: true,
    default: '30s',
    example: '5s',
    keptBy: 'PostgreSQL: the statement is cancelled. SQLite: the watchdog interrupts it; what cannot be interrupted goes on in its thread, and its caller is told in time'
  },
  {
    ...duration,
    name: 'DB_TX_TIMEOUT',
    description: 'How long a whole transaction may take, waiting included. 0: no limit.',
    zeroIsNone: true,
    default: '60s',
    example: '2min',
    keptBy: 'the transaction is given up and rolled back at its deadline, also while its function waits for something else'
  },
  {
    ...duration,
    name: 'DB_TX_IDLE_TIMEOUT',
    description: 'After how long without a statement a transaction is rolled back when others wait for its connection. 0: never.',
    zeroIsNone: true,
    default: '10s',
    example: '2s',
    keptBy: 'the queue in front of the connections'
  },
  {
    ...duration,
    name: 'DB_CURSOR_TIMEOUT',
    description: 'SQLite: how long an iterate() outside of a transaction may hold its snapshot, which keeps the write-ahead log from shrinking. 0: no limit.',
    zeroIsNone: true,
    default: '5min',
    example: '1min',
    engine: 'sqlite',
    keptBy: 'a timer of the engine; the reader gets TDM_ERR_DB_CURSOR_EXPIRED'
  },
  {
    ...duration,
    name: 'DB_ACQUIRE_TIMEOUT',
    description: 'How long to wait for a free connection.',
    default: '10s',
    example: '2s',
    keptBy: 'the queue in front of the connections'
  },
  {
    ...duration,
    name: 'DB_IDLE_TIMEOUT',
    description: 'After how long without work a connection is closed and its memory given back.',
    default: '10min',
    example: '1min',
    keptBy: 'PostgreSQL: the pool. SQLite: reader threads end'
  },
  {
    ...duration,
    name: 'DB_EVENT_LOOP_BUDGET',
    description: 'SQLite: how long one statement on the main thread may hold the event loop.',
    default: '2ms',
    example: '5ms',
    engine: 'sqlite',
    keptBy: 'the watchdog interrupts what takes longer, and it is run again in a thread. Only later statements of a transaction that writes run on, and are counted'
  },
  {
    name: 'DB_MAX_ROWS',
    description: 'How many rows one all() may bring; iterate() has no such limit. 0: no limit.',
    form: 'integer',
    unit: 'rows',
    minimum: 1,
    zeroIsNone: true,
    default: '100000',
    example: '10000',
    keptBy: 'counted while the rows arrive; the statement is stopped. More is TDM_ERR_DB_RESULT_TOO_LARGE'
  },
  {
    name: 'DB_MAX_RESULT',
    description: 'How large the rows of one all() may be together; iterate() has no such limit. 0: no limit.',
    form: 'size',
    unit: 'bytes',
    minimum: 1_000,
    zeroIsNone: true,
    default: '64MB',
    example: '16MB',
    keptBy: 'counted while the rows arrive; the statement is stopped. More is TDM_ERR_DB_RESULT_TOO_LARGE'
  },
  {
    name: 'DB_POOL_MAX',
    description: 'PostgreSQL: how many connections app.db has at most, lanes included (there are some from 4 on). app.pg, if it is used, has as many of its own.',
    form: 'integer',
    unit: 'connections',
    minimum: 1,
    default: '10',
    example: '20',
    engine: 'postgres',
    keptBy: 'the pool'
  },
  {
    ...duration,
    name: 'DB_POOL_LIFETIME',
    description: 'PostgreSQL: after how long a connection is replaced by a new one.',
    default: '30min',
    example: '1h',
    engine: 'postgres',
    keptBy: 'the pool'
  },
  {
    name: 'DB_COMPATIBILITY',
    description: 'PostgreSQL: what the server is, if it only speaks the protocol: what it lacks is not used. docs/postgres.md has what that means.',
    form: 'word',
    words: ['postgres', 'cockroachdb', 'yugabytedb', 'dsql'],
    default: 'postgres',
    example: 'cockroachdb',
    engine: 'postgres',
    keptBy: 'the PostgreSQL engine. Only PostgreSQL itself is tested'
  },
  {
    name: 'SQLITE_CACHE_SIZE',
    description: 'SQLite: page cache of each connection; of the 16 for short read transactions a sixteenth each. -16000 means 16000 KiB, as in SQLite; a count of pages is refused.',
    form: 'cacheSize',
    unit: 'bytes',
    minimum: 512 * 1024,
    maximum: largestCacheBytes,
    defaultRule: '16MB, or less if the connections would exceed SQLITE_SOFT_HEAP_LIMIT',
    example: '16MB',
    engine: 'sqlite',
    keptBy: 'PRAGMA cache_size of each connection, when it is opened'
  },
  {
    name: 'SQLITE_SOFT_HEAP_LIMIT',
    description: 'SQLite: what all caches, SQLITE_CACHE_SIZE × (SQLITE_READERS + 4), may hold together. A bare number counts bytes, as in SQLite.',
    form: 'size',
    unit: 'bytes',
    minimum: 8_000_000,
    defaultRule: '25% of the memory, at most 2GB and at most SQLITE_HARD_HEAP_LIMIT',
    example: '1GB',
    engine: 'sqlite',
    keptBy: 'the start is refused when the caches could exceed it; after heavy statements memory goes back to the operating system. Not by PRAGMA soft_heap_limit, which does nothing in better-sqlite3'
  },
  {
    name: 'SQLITE_HARD_HEAP_LIMIT',
    description: 'SQLite: what the process may hold before the statement that has run longest is ended. A bare number counts bytes, as in SQLite.',
    form: 'size',
    unit: 'bytes',
    minimum: 8_000_000,
    defaultRule: 'twice SQLITE_SOFT_HEAP_LIMIT, at most the memory',
    example: '2GB',
    engine: 'sqlite',
    keptBy: 'Linux: the watchdog samples the anonymous memory of the process every 5 ms while a thread works; the statement gets TDM_ERR_DB_MEMORY'
  },
  {
    name: 'SQLITE_TEMP_STORE',
    description: 'SQLite: where sorts and temporary tables go. In memory a sort holds all of its rows and cannot be interrupted.',
    form: 'word',
    words: ['file', 'memory'],
    default: 'file',
    example: 'file',
    engine: 'sqlite',
    keptBy: 'PRAGMA temp_store of each connection, when it is opened'
  },
  {
    name: 'SQLITE_MAX_LENGTH',
    description: 'SQLite: the longest text, blob or row, and so what group_concat() and its like may build.',
    form: 'size',
    unit: 'bytes',
    minimum: 1_000_000,
    maximum: 512_000_000,
    default: '16MB',
    example: '64MB',
    engine: 'sqlite',
    keptBy: 'sqlite3_limit(SQLITE_LIMIT_LENGTH) of each connection, by the watchdog'
  },
  {
    name: 'SQLITE_WAL_SIZE',
    description: 'SQLite: from which size on the write-ahead log is put back into the database file.',
    form: 'size',
    unit: 'bytes',
    minimum: 1_000_000,
    default: '16MB',
    example: '64MB',
    engine: 'sqlite',
    keptBy: 'checkpoints between two transactions, in the writer\'s thread'
  },
  {
    name: 'SQLITE_READERS',
    description: 'SQLite: how many threads there are at most for reads and read transactions that take longer, and for cursors.',
    form: 'integer',
    unit: 'threads',
    minimum: 1,
    defaultRule: 'processors - 1, at least 2 and at most 4',
    example: '4',
    engine: 'sqlite',
    keptBy: 'the engine starts them on demand, and no more; in place of those that are stuck in what cannot be stopped as many again'
  },
  {
    name: 'SQLITE_SYNCHRONOUS',
    description: 'SQLite: normal survives a crash of the process; full also keeps the last commits through a power failure, each waits for the disk.',
    form: 'word',
    words: ['normal', 'full'],
    default: 'normal',
    example: 'full',
    engine: 'sqlite',
    keptBy: 'PRAGMA synchronous of each connection, when it is opened; with full writes run in the writer\'s thread'
  },
  {
    name: 'SQLITE_WATCHDOG',
    description: 'SQLite: off: do without the native part (native/watchdog.c). Every statement then runs in a thread, and one that has begun cannot be stopped.',
    form: 'word',
    words: ['on', 'off'],
    default: 'on',
    example: 'off',
    engine: 'sqlite',
    keptBy: 'the engine, when it opens its connections'
  },
  {
    name: 'OPS_TOKEN',
    description: 'Opens /ops (metrics, what runs, the page) to those who know it. Without it, and without a hook of the app\'s own, only /ops/health is there.',
    form: 'token',
    minimum: 16,
    defaultRule: 'none',
    example: '0123456789abcdef0123456789abcdef',
    keptBy: 'plugins/ops, at each request',
    secret: true
  },
  {
    name: 'OPS_PORT',
    description: 'A port of its own for /ops, which is then not on the port of the app, except for /ops/health.',
    form: 'integer',
    minimum: 1,
    maximum: 65_535,
    defaultRule: 'none: on the port of the app',
    example: '9464',
    keptBy: 'plugins/ops, at start'
  },
  {
    name: 'OPS_HOST',
    description: 'Where OPS_PORT listens.',
    form: 'text',
    default: '127.0.0.1',
    example: '10.0.0.5',
    keptBy: 'plugins/ops, at start'
  },
  {
    ...duration,
    name: 'OPS_SLOW',
    description: 'From which duration on a statement is in the slow log. 0: there is none.',
    zeroIsNone: true,
    default: '500ms',
    example: '100ms',
    keptBy: 'plugins/ops'
  }
] as const satisfies readonly Variable[]

export type Name = typeof variables[number]['name']

const byName = new Map<string, Variable>(variables.map(variable => [variable.name, variable]))

/** The variable with this name. Throws for a name that is not in the list. */
export function getVariable (name: Name): Variable {
  const variable = byName.get(name)
  if (variable === undefined) throw new Error(`${name} is not in plugins/config/schema.ts`)
  return variable
}

/** What may be written, in words. */
export function formOf (variable: Variable): string {
  switch (variable.form) {
    case 'databaseUrl': return 'sqlite:<path>[?mode=ro], sqlite::memory: or postgres://…'
    case 'postgresUrl': return 'postgres://user:password@host:port/database'
    case 'word': return (variable.words ?? []).join(' or ')
    case 'duration': return 'a duration: 250ms, 30s, 10min, 1h; a bare number counts ms'
    case 'integer': return `a whole number from ${variable.minimum ?? 0} up${variable.zeroIsNone === true ? ', or 0' : ''}`
    case 'size': return 'a size: 200MB, 2GiB, 25% of the memory; a bare number counts bytes'
    case 'text': return 'a name or an address'
    case 'token': return `${variable.minimum ?? 1} characters or more, without blanks`
    case 'cacheSize': return 'a size: 16MB, 2GiB, 1% of the memory, or -16000 for 16000 KiB'
  }
}
