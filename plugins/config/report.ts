/**
 * What `npm run config` prints, and the texts that documentation makes of the schema.
 *
 * What is kept true: passwords are in none of it; the tables have the variables in the schema's order.
 */
import { statSync } from 'node:fs'
import { budgetOf, recommend, type Budget, type Recommendation } from './budget.ts'
import { readText, type Env } from './environment.ts'
import type { Config } from './index.ts'
import { formatBytes, formatDuration } from './limits.ts'
import type { Machine } from './machine.ts'
import type { OwnVariable } from './own.ts'
import { showValue } from './problem.ts'
import { describeConnections } from './rules.ts'
import { formOf, getVariable, variables, type Name, type Variable } from './schema.ts'

export interface Line { variable: string, value: string, from: 'default' | '.env' | 'environment', note: string }

export interface Report {
  variables: Line[]
  machine: Machine
  /** Only with SQLite. */
  budget: Budget | undefined
  /** Size of the database file in bytes, with its write-ahead log. */
  databaseBytes: number | undefined
  recommendation: Recommendation | undefined
}

/** `dotEnv`: the names that came from `.env`, as `loadDotEnv` tells them. `own`: the app's variables. */
export function reportOn (config: Config, machine: Machine, env: Env, dotEnv: ReadonlySet<string>, own: readonly OwnVariable[] = []): Report {
  const { engine, path } = config.database
  const databaseBytes = engine === 'sqlite' ? sizeOf(path) : undefined
  const lines = [...variables.map(({ name }) => lineFor(name, config, env, dotEnv)), ...own.map(variable => ownLine(variable, config, env, dotEnv))]
  if (engine === 'postgres') return { variables: lines, machine, budget: undefined, databaseBytes, recommendation: undefined }
  return { variables: lines, machine, budget: budgetOf(config.sqlite), databaseBytes, recommendation: recommend(config.sqlite, machine, databaseBytes) }
}

/** Only stat: closing a descriptor of the database file would drop the locks that SQLite holds in this process. https://www.sqlite.org/howtocorrupt.html */
function sizeOf (path: string): number | undefined {
  if (path === ':memory:') return undefined
  try {
    return statSync(path).size + (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0)
  } catch {
    return undefined
  }
}

function lineFor (name: Name, config: Config, env: Env, dotEnv: ReadonlySet<string>): Line {
  const value = valueOf(name, config)
  return { variable: name, value, from: sourceOf(name, env, dotEnv), note: noteFor(getVariable(name), config, readText(env, name), value) }
}

function ownLine ({ name, secret, defaultRule }: OwnVariable, { own }: Config, env: Env, dotEnv: ReadonlySet<string>): Line {
  const from = sourceOf(name, env, dotEnv)
  const value = own[name]
  const shown = value === undefined ? 'none' : secret === true ? '***' : showValue(value)
  return { variable: name, value: shown, from, note: from === 'default' && defaultRule !== 'none' ? defaultRule ?? '' : '' }
}

function sourceOf (name: string, env: Env, dotEnv: ReadonlySet<string>): Line['from'] {
  if (readText(env, name) === undefined) return 'default'
  return dotEnv.has(name) ? '.env' : 'environment'
}

function noteFor ({ engine, secret, defaultRule }: Variable, config: Config, text: string | undefined, value: string): string {
  if (engine !== undefined && engine !== config.database.engine) return `not used with ${config.database.engine}`
  if (text === undefined) return defaultRule ?? ''
  return secret === true || text === value ? '' : `written ${showValue(text)}`
}

/** What is in force, as it could be written; URLs without their password. */
function valueOf (name: Name, { database, migrate, result, pool, postgres, sqlite, ops, ...times }: Config): string {
  const values: Record<Name, () => string> = {
    DATABASE_URL: () => database.displayUrl,
    DB_DRIVER: () => database.engine,
    DATABASE_REPLICA_URL: () => database.replicaUrl === undefined ? 'none' : showValue(database.replicaUrl, true),
    DB_REPLICA_READS: () => database.replicaReads,
    DB_MIGRATE: () => migrate,
    DB_STATEMENT_TIMEOUT: () => formatDuration(times.statementTimeoutMs),
    DB_TX_TIMEOUT: () => formatDuration(times.txTimeoutMs),
    DB_TX_IDLE_TIMEOUT: () => formatDuration(times.txIdleTimeoutMs),
    DB_CURSOR_TIMEOUT: () => formatDuration(times.cursorTimeoutMs),
    DB_ACQUIRE_TIMEOUT: () => formatDuration(times.acquireTimeoutMs),
    DB_IDLE_TIMEOUT: () => formatDuration(times.idleTimeoutMs),
    DB_EVENT_LOOP_BUDGET: () => formatDuration(times.eventLoopBudgetMs),
    DB_MAX_ROWS: () => result.maxRows === Infinity ? 'none' : String(result.maxRows),
    DB_MAX_RESULT: () => formatBytes(result.maxBytes),
    DB_POOL_MAX: () => String(pool.max),
    DB_POOL_LIFETIME: () => formatDuration(pool.lifetimeMs),
    DB_COMPATIBILITY: () => postgres.compatibility,
    SQLITE_CACHE_SIZE: () => formatBytes(sqlite.cacheBytes),
    SQLITE_SOFT_HEAP_LIMIT: () => formatBytes(sqlite.softHeapBytes),
    SQLITE_HARD_HEAP_LIMIT: () => formatBytes(sqlite.hardHeapBytes),
    SQLITE_TEMP_STORE: () => sqlite.tempStore,
    SQLITE_MAX_LENGTH: () => formatBytes(sqlite.maxLengthBytes),
    SQLITE_WAL_SIZE: () => formatBytes(sqlite.walBytes),
    SQLITE_READERS: () => String(sqlite.readers),
    SQLITE_SYNCHRONOUS: () => sqlite.synchronous,
    SQLITE_WATCHDOG: () => sqlite.watchdog,
    OPS_TOKEN: () => ops.token === undefined ? 'none' : '***',
    OPS_PORT: () => String(ops.port ?? 'none'),
    OPS_HOST: () => ops.host,
    OPS_SLOW: () => formatDuration(ops.slowMs)
  }
  return values[name]()
}

/** The report for people. */
export function reportText (report: Report): string {
  const { budget, recommendation, machine } = report
  const rows = report.variables.map(({ variable, value, from, note }) => [variable, value, from, note])
  const parts = [columns([['Variable', 'Value', 'From', 'Note'], ...rows])]
  if (budget !== undefined) parts.push(budgetText(budget, machine))
  if (recommendation !== undefined) parts.push(recommendationText(recommendation))
  return parts.join('\n\n')
}

function budgetText (budget: Budget, machine: Machine): string {
  const bounded = budget.totalBytes !== Infinity
  const sorters = bounded ? [formatBytes(budget.sortersBytes), 'one sort in each connection'] : ['no bound', 'sorts stay in memory (SQLITE_TEMP_STORE=memory)']
  const share = (budget.totalBytes / machine.memoryBytes * 100).toFixed(1)
  const total = bounded ? `${formatBytes(budget.totalBytes)} (${share}%)` : 'no bound'
  return `Memory, at most:\n${columns([
    ['  page caches', formatBytes(budget.cachesBytes), `${budget.connections} times SQLITE_CACHE_SIZE: ${describeConnections(budget.readers)}`],
    ['  sorters', ...sorters],
    ['  threads', formatBytes(budget.threadsBytes), `${budget.threads} of about 11MB; readers start on demand`],
    ['  the process', formatBytes(budget.processBytes), 'Node and the app, about'],
    ['  together', total, `of ${formatBytes(machine.memoryBytes)} that the ${machine.memoryOf} has`]
  ])}`
}

function recommendationText ({ settings, reasons }: Recommendation): string {
  const lines = Object.entries(settings).map(([name, value]) => `  ${name}=${value}`)
  return ['Recommended for this machine and this database:', ...lines, ...reasons.map(reason => `  ${reason}`)].join('\n')
}

function columns (rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n')
}

// --- what documentation repeats ----------------------------------------------------------------------------------------------

/** The tables of docs/configuration.md. */
export function markdownTables (): string {
  const list: readonly Variable[] = variables
  return [
    '| Variable | Meaning | Form | Default |',
    '|---|---|---|---|',
    ...list.map(variable => `| \`${variable.name}\` | ${variable.description} | ${formOf(variable)} | ${defaultOf(variable)} |`),
    '',
    '| Variable | What keeps it in this version |',
    '|---|---|',
    ...list.map(({ name, keptBy }) => `| \`${name}\` | ${keptBy} |`)
  ].join('\n')
}

/** The table of the app's own variables. */
export function ownTable (own: readonly OwnVariable[]): string {
  const rows = own.map(variable => `| \`${variable.name}\` | ${variable.description} | ${variable.form} | ${defaultOf(variable)} |`)
  return ['| Variable | Meaning | Form | Default |', '|---|---|---|---|', ...rows].join('\n')
}

function defaultOf ({ default: text, defaultRule }: Pick<OwnVariable, 'default' | 'defaultRule'>): string {
  return text === undefined ? defaultRule ?? 'none' : `\`${text}\``
}

/** The text of `.env.example`: each line without its `#` is a setting that can be used. */
export function envExample (own: readonly OwnVariable[] = []): string {
  const list: readonly Variable[] = variables
  return [
    '# Copy this file to .env and take away the # where you want something else than the default. The environment wins over .env.',
    '# Check it with: npm run config',
    '',
    '# --- read by fastify-cli ---',
    '',
    '# The address to listen on. Default: address in fastify.json. In a container: 0.0.0.0',
    '# FASTIFY_ADDRESS=127.0.0.1',
    '',
    '# The port to listen on. Default: 3000',
    '# PORT=3000',
    '',
    '# fatal, error, warn, info, debug or trace. Default: logLevel in fastify.json',
    '# FASTIFY_LOG_LEVEL=info',
    '',
    '# --- read by plugins/config (docs/configuration.md) ---',
    ...list.flatMap(variable => ['', `# ${variable.description}`, `# Form: ${formOf(variable)}. Default: ${variable.default ?? variable.defaultRule ?? 'none'}`,
      `# ${variable.name}=${variable.default ?? variable.example}`]),
    ...(own.length === 0 ? [] : ['', '# --- read by the application (docs/configuration.md) ---']),
    ...own.flatMap(variable => ['', `# ${variable.description}`, `# Form: ${variable.form}. Default: ${variable.default ?? variable.defaultRule ?? 'none'}`,
      `# ${variable.name}=${variable.default ?? variable.example}`]),
    ''
  ].join('\n')
}
