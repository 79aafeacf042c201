/**
 * `npm run migrate`: brings the database of the configuration up to date, without starting the app. For deployments with DB_MIGRATE=off.
 *
 * What is kept true: exit code 0 means that nothing is missing any more (or that --dry-run has listed what is); 1 comes with one line on stderr;
 * Ctrl-C rolls back the set that is being applied and closes the database.
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { loadDotEnv } from '../plugins/config/environment.ts'
import { readConfig, type Config } from '../plugins/config/index.ts'
import { migrate, planMigrations } from '../plugins/db/migrate.ts'
import { openDatabase } from '../plugins/db/open.ts'
import type { Database, Log } from '../plugins/db/types.ts'
import { isOurs } from '../plugins/errors.ts'
import { migrations } from '../services/migrations.ts'

const usage = `Usage: npm run migrate -- [options]

Applies the migrations that the database in DATABASE_URL lacks. Reads the same variables as the app (see .env.example).

  --dry-run  list what would be applied, and touch nothing
  --help     this text

Exit code: 0 when nothing is missing any more, 1 on an error, 130 after Ctrl-C.`

/** What `migrate` reports, as lines on the terminal. */
const log: Log = {
  info: (details, message) => { console.log(line(details, message)) },
  warn: (details, message) => { console.warn(line(details, message)) },
  error: (details, message) => { console.error(line(details, message)) }
}

const interrupted = new AbortController()
process.once('SIGINT', () => { interrupted.abort() }).once('SIGTERM', () => { interrupted.abort() })

try {
  await main()
} catch (error) {
  console.error(interrupted.signal.aborted ? 'migrate: interrupted; the set that was being applied is rolled back' : `migrate: ${explain(error)}`)
  process.exitCode = interrupted.signal.aborted ? 130 : 1
}

async function main (): Promise<void> {
  const { values } = parseArgs({ options: { 'dry-run': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    console.log(usage)
    return
  }
  loadDotEnv(process.cwd())
  const config = readConfig()
  const isDry = values['dry-run'] === true
  const db = await openDatabase(isDry ? withoutWrites(config) : config, log)
  try {
    console.log(`database: ${config.database.displayUrl}`)
    await db.signal(interrupted.signal, async () => { await (isDry ? list(db) : apply(db)) })
  } finally {
    await db.close()
  }
}

async function apply (db: Database): Promise<void> {
  const applied = await migrate(db, migrations, { mode: 'on', log })
  console.log(applied.length === 0 ? 'nothing is missing' : `${applied.length} applied`)
}

async function list (db: Database): Promise<void> {
  const plans = await planMigrations(db, migrations)
  for (const { set, isForeign } of plans) if (isForeign) console.log(`${set.name}: belongs to another application and is not migrated`)
  const missing = plans.flatMap(plan => plan.missing)
  for (const { set, file } of missing) console.log(`${set}/${file} is missing`)
  console.log(missing.length === 0 ? 'nothing is missing' : `${missing.length} would be applied`)
}

/** The same database, opened for reads only. One that does not exist yet is as empty as one in memory, and is not made. */
function withoutWrites (config: Config): Config {
  const { database } = config
  if (database.engine === 'postgres' || database.path === ':memory:') return config
  return { ...config, database: existsSync(database.path) ? { ...database, readonly: true } : { ...database, path: ':memory:' } }
}

/** 'migration ran: set=jobs version=1 file=001.do.create-jobs.sql ms=12' */
function line (details: object, message: string): string {
  return `${message}: ${Object.entries(details).map(([name, value]) => `${name}=${String(value)}`).join(' ')}`
}

/** Our message, and what the database said: unlike in a log, its reader is the one who wrote the migration. */
function explain (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  let cause: unknown = error
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause
  const reason = cause instanceof Error && !isOurs(cause) && cause !== error ? ` (${cause.message})` : ''
  return error.message + reason
}
