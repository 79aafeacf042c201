/**
 * The configuration: read from the environment once, checked as a whole, frozen, and given to the app as `app.config`.
 *
 * What is kept true:
 *  1. Only plugins/config reads the environment.
 *  2. Either every value can be used and fits the others, or `TDM_ERR_CONFIG_INVALID` tells every problem at once: variable, value, what was expected,
 *     what to write. Passwords are in neither.
 *  3. Nothing is opened and nothing is changed.
 */
import fastifyPlugin from 'fastify-plugin'
import type { FastifyInstance } from 'fastify'
import { ConfigInvalid } from '../errors.ts'
import { checkNames, readText, type Env } from './environment.ts'
import { accept, formatBytes, formatDuration, parseCacheSize, parseDuration, parseInteger, parseSize, parseToken, parseWord, type Parsed } from './limits.ts'
import { readMachine, type Machine } from './machine.ts'
import { readOwn, type OwnVariable } from './own.ts'
import { problemLine, type Problem } from './problem.ts'
import { checkSizes, completeSizes } from './rules.ts'
import { getVariable, variables, type Name, type Variable } from './schema.ts'
import { parseDatabaseUrl, parsePostgresUrl, type DatabaseTarget } from './url.ts'

export interface Config {
  readonly database: {
    readonly engine: 'sqlite' | 'postgres'
    /** As given. Holds the password: for the driver only. */
    readonly url: string
    /** Fit for logs: `***` for the password. */
    readonly displayUrl: string
    /** SQLite: absolute path of the file, or ':memory:'. PostgreSQL: ''. */
    readonly path: string
    /** SQLite: opened with ?mode=ro. */
    readonly readonly: boolean
    /** PostgreSQL: a read replica. Holds the password. */
    readonly replicaUrl: string | undefined
    /** What goes there. */
    readonly replicaReads: 'transactions' | 'all'
  }
  readonly migrate: 'on' | 'off'
  /** Infinity: no limit. */
  readonly statementTimeoutMs: number
  /** Infinity: no limit. */
  readonly txTimeoutMs: number
  /** Infinity: never rolled back for being idle. */
  readonly txIdleTimeoutMs: number
  /** SQLite, outside of transactions. Infinity: no limit. */
  readonly cursorTimeoutMs: number
  readonly acquireTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly eventLoopBudgetMs: number
  /** What one `all()` may bring. Infinity: no limit. */
  readonly result: { readonly maxRows: number, readonly maxBytes: number }
  readonly pool: { readonly max: number, readonly lifetimeMs: number }
  readonly postgres: { readonly compatibility: 'postgres' | 'cockroachdb' | 'yugabytedb' | 'dsql' }
  readonly sqlite: {
    /** For each connection, a sixteenth for small ones: together `readers` + 4 times (`countConnections`). */
    readonly cacheBytes: number
    readonly softHeapBytes: number
    readonly hardHeapBytes: number
    readonly tempStore: 'file' | 'memory'
    /** The longest text, blob or row. */
    readonly maxLengthBytes: number
    /** From this size of the write-ahead log on there are checkpoints. */
    readonly walBytes: number
    /** Threads, at most. */
    readonly readers: number
    readonly synchronous: 'normal' | 'full'
    /** 'off': nothing native, so nothing that has begun can be stopped. */
    readonly watchdog: 'on' | 'off'
  }
  readonly ops: {
    /** Undefined: nobody is let in by a token. For plugins/ops only. */
    readonly token: string | undefined
    /** Undefined: the app's. */
    readonly port: number | undefined
    readonly host: string
    /** Infinity: no slow log. */
    readonly slowMs: number
  }
  /** The app's own variables by name, as texts. Undefined: not set, and without a default. */
  readonly own: Readonly<Record<string, string | undefined>>
}

/**
 * The configuration that `env` describes. Default: the environment of the process, on this machine. `own`: what the app reads beside it.
 * Throws `TDM_ERR_CONFIG_INVALID` with all problems, one a line.
 */
export function readConfig (env: Env = process.env, machine: Machine = readMachine(), own: readonly OwnVariable[] = []): Config {
  const reader = new Reader(env, machine)
  const target = readDatabase(reader)
  const { values, problems } = readOwn(env, own)
  const config: Config = {
    ...target,
    statementTimeoutMs: reader.number('DB_STATEMENT_TIMEOUT'),
    txTimeoutMs: reader.number('DB_TX_TIMEOUT'),
    txIdleTimeoutMs: reader.number('DB_TX_IDLE_TIMEOUT'),
    cursorTimeoutMs: reader.number('DB_CURSOR_TIMEOUT'),
    acquireTimeoutMs: reader.number('DB_ACQUIRE_TIMEOUT'),
    idleTimeoutMs: reader.number('DB_IDLE_TIMEOUT'),
    eventLoopBudgetMs: reader.number('DB_EVENT_LOOP_BUDGET'),
    result: { maxRows: reader.number('DB_MAX_ROWS'), maxBytes: reader.number('DB_MAX_RESULT') },
    pool: { max: reader.number('DB_POOL_MAX'), lifetimeMs: reader.number('DB_POOL_LIFETIME') },
    postgres: { compatibility: reader.word('DB_COMPATIBILITY', ['postgres', 'cockroachdb', 'yugabytedb', 'dsql']) ?? 'postgres' },
    sqlite: readSqlite(reader, target.database.engine),
    ops: readOps(reader),
    own: values
  }
  reader.problems.push(...problems, ...checkNames(env))
  if (reader.problems.length > 0) throw invalid(reader.problems)
  return deepFreeze(config)
}

function readDatabase (reader: Reader): Pick<Config, 'database' | 'migrate'> {
  const url = reader.value('DATABASE_URL', parseDatabaseUrl)
  const driver = reader.word('DB_DRIVER', ['sqlite', 'postgres'])
  if (url !== undefined && driver !== undefined && url.engine !== driver) {
    reader.refuse('DB_DRIVER', `the engine of DATABASE_URL (${url.engine})`, `DB_DRIVER=${url.engine}, or leave DB_DRIVER out`)
  }
  const database = url ?? defaultDatabase(driver)
  const replicaUrl = reader.value('DATABASE_REPLICA_URL', parsePostgresUrl)?.url
  if (replicaUrl !== undefined && database.engine === 'sqlite' && reader.isGood('DATABASE_URL')) {
    const instead = 'DATABASE_URL=postgres://…, or leave DATABASE_REPLICA_URL out'
    reader.refuse('DATABASE_REPLICA_URL', 'a replica only with PostgreSQL, and the database is SQLite', instead)
  }
  const replicaReads = reader.word('DB_REPLICA_READS', ['transactions', 'all']) ?? 'transactions'
  return { database: { ...database, replicaUrl, replicaReads }, migrate: readMigrate(reader, database) }
}

function defaultDatabase (driver: 'sqlite' | 'postgres' | undefined): DatabaseTarget {
  const parsed = parseDatabaseUrl(driver === 'postgres' ? 'postgres://localhost:5432/tandem' : 'sqlite:data/app.db')
  if (!parsed.ok) throw new Error(parsed.expected)
  return parsed.value
}

function readMigrate (reader: Reader, { readonly }: DatabaseTarget): 'on' | 'off' {
  const given = reader.word('DB_MIGRATE', ['on', 'off'])
  if (given === 'on' && readonly) {
    reader.refuse('DB_MIGRATE', 'off, since DATABASE_URL opens the database read only', 'DB_MIGRATE=off, or DATABASE_URL without ?mode=ro')
  }
  return given ?? (readonly ? 'off' : 'on')
}

function readSqlite (reader: Reader, engine: 'sqlite' | 'postgres'): Config['sqlite'] {
  const given = {
    cacheBytes: reader.optionalNumber('SQLITE_CACHE_SIZE'),
    softHeapBytes: reader.optionalNumber('SQLITE_SOFT_HEAP_LIMIT'),
    hardHeapBytes: reader.optionalNumber('SQLITE_HARD_HEAP_LIMIT'),
    readers: reader.optionalNumber('SQLITE_READERS')
  }
  const sizes = completeSizes(given, reader.machine)
  const names = ['SQLITE_CACHE_SIZE', 'SQLITE_SOFT_HEAP_LIMIT', 'SQLITE_HARD_HEAP_LIMIT', 'SQLITE_READERS'] as const
  // a rule is of use only for the engine that it is about, and between values that could be read
  if (engine === 'sqlite' && names.every(name => reader.isGood(name))) reader.problems.push(...checkSizes(sizes, reader.machine, reader.written))
  return {
    ...sizes,
    tempStore: reader.word('SQLITE_TEMP_STORE', ['file', 'memory']) ?? 'file',
    maxLengthBytes: reader.number('SQLITE_MAX_LENGTH'),
    walBytes: reader.number('SQLITE_WAL_SIZE'),
    synchronous: reader.word('SQLITE_SYNCHRONOUS', ['normal', 'full']) ?? 'normal',
    watchdog: reader.word('SQLITE_WATCHDOG', ['on', 'off']) ?? 'on'
  }
}

function readOps (reader: Reader): Config['ops'] {
  return {
    token: reader.value('OPS_TOKEN', text => parseToken(text, getVariable('OPS_TOKEN').minimum ?? 1)),
    port: reader.optionalNumber('OPS_PORT'),
    host: reader.value('OPS_HOST', accept) ?? getVariable('OPS_HOST').default ?? '',
    slowMs: reader.number('OPS_SLOW')
  }
}

/** Reads variables one by one and collects what is wrong with them. */
class Reader {
  readonly problems: Problem[] = []
  /** The text of each variable that is set. */
  readonly written = new Map<Name, string>()
  readonly machine: Machine
  readonly #env: Env
  readonly #bad = new Set<Name>()

  constructor (env: Env, machine: Machine) {
    this.#env = env
    this.machine = machine
  }

  isGood (name: Name): boolean {
    return !this.#bad.has(name)
  }

  refuse (name: Name, expected: string, instead: string): void {
    this.#bad.add(name)
    this.problems.push({ variable: name, value: this.written.get(name), expected, instead })
  }

  /** Undefined when it is not set or wrong. */
  value<T> (name: Name, parse: (text: string) => Parsed<T>): T | undefined {
    const text = readText(this.#env, name)
    if (text === undefined) return undefined
    this.written.set(name, text)
    const parsed = parse(text)
    if (parsed.ok) return parsed.value
    this.refuse(name, parsed.expected, parsed.instead)
    return undefined
  }

  word<const W extends string> (name: Name, words: readonly W[]): W | undefined {
    return this.value(name, text => parseWord(text, words)) as W | undefined
  }

  optionalNumber (name: Name): number | undefined {
    const variable = getVariable(name)
    const value = this.value(name, text => parseNumber(variable, text, this.machine))
    return value === undefined ? undefined : this.#bounded(name, variable, value)
  }

  /** For variables with a default in the schema. A wrong one reads as its default, since nothing is made of it. */
  number (name: Name): number {
    const { default: text } = getVariable(name)
    const fallback = parseNumber(getVariable(name), text ?? '', this.machine)
    return this.optionalNumber(name) ?? (fallback.ok ? fallback.value : 0)
  }

  #bounded (name: Name, variable: Variable, value: number): number | undefined {
    const { minimum = 0, maximum = Infinity, zeroIsNone = false } = variable
    if (value === 0 && zeroIsNone) return Infinity
    if (value >= minimum && value <= maximum) return value
    const [bound, limit, instead] = value < minimum ? ['at least', minimum, 'or more'] : ['at most', maximum, 'or less']
    const orNone = zeroIsNone ? ', or 0 for no limit' : ''
    this.refuse(name, `${bound} ${show(variable, limit)}${orNone}`, `${name}=${write(variable, limit)} ${instead}${orNone}`)
    return undefined
  }
}

function parseNumber (variable: Variable, text: string, { memoryBytes }: Machine): Parsed<number> {
  if (variable.form === 'duration') return parseDuration(text)
  if (variable.form === 'size') return parseSize(text, memoryBytes)
  if (variable.form === 'cacheSize') return parseCacheSize(text, memoryBytes)
  return parseInteger(text)
}

function show ({ unit }: Variable, value: number): string {
  return unit === 'ms' ? formatDuration(value) : unit === 'bytes' ? formatBytes(value) : String(value)
}

/** A bound as it can be written, exactly. */
function write ({ unit }: Variable, value: number): string {
  return unit === 'ms' ? `${value}ms` : unit === 'bytes' ? `${value}B` : String(value)
}

/** The problems in the schema's order, the app's own and unknown variables last. */
function invalid (problems: readonly Problem[]): Error {
  const list: readonly Variable[] = variables
  const places = new Map(list.map(({ name }, place) => [name, place]))
  const place = ({ variable }: Problem) => places.get(variable) ?? list.length
  const isSecret = ({ variable }: Problem) => list[places.get(variable) ?? -1]?.secret
  const lines = problems.toSorted((a, b) => place(a) - place(b)).map(problem => `  - ${problemLine(problem, isSecret(problem))}`)
  return new ConfigInvalid(lines.join('\n'))
}

function deepFreeze<T> (value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze)
  return value
}

export interface ConfigOptions {
  /** What to read instead of the environment. Default: `process.env`. */
  env?: Env
  /** Variables of the app's own, checked together with those of the plugins; their values are in `app.config.own`. Default: none. */
  own?: readonly OwnVariable[]
}

declare module 'fastify' {
  interface FastifyInstance {
    /** What the environment says, checked and frozen. */
    config: Config
  }
}

/** Decorates `app.config`. A configuration that cannot be used fails the start. */
async function configPlugin (app: FastifyInstance, options: ConfigOptions): Promise<void> {
  app.decorate('config', readConfig(options.env, undefined, options.own))
}

export default fastifyPlugin(configPlugin, { fastify: '5.x', name: 'tandem-config' })
