/**
 * `npm run copy -- <from> <to>`: copies all rows of one database of this app into another one, on either engine.
 *
 * What is kept true: exit code 0 means that everything is there, any other that the target's rows are as they were (only its schema may have been brought up to date).
 * Ctrl-C rolls back and ends with 130; a second Ctrl-C ends at once, and the database rolls back by itself. Progress and errors go to stderr, the summary to stdout;
 * no password to either.
 */
import { parseArgs } from 'node:util'
import { loadDotEnv } from '../plugins/config/environment.ts'
import { readConfig, type Config } from '../plugins/config/index.ts'
import { copyDatabase, type CopyOptions, type CopySummary } from '../plugins/db/copy.ts'
import { migrate, planMigrations } from '../plugins/db/migrate.ts'
import { openDatabase } from '../plugins/db/open.ts'
import type { Database } from '../plugins/db/types.ts'
import { CopySchema, isOurs } from '../plugins/errors.ts'
import { migrations } from '../services/migrations.ts'
import { quietLog, watchInterrupt } from './command.ts'
import { formatCount, formatSeconds, formatTable, Progress } from './terminal.ts'

const usage = `Usage: npm run copy -- <from> <to> [options]

Copies the rows of all tables of the database <from> into the database <to>, from SQLite to PostgreSQL,
back, or within one of them. Both are given as in DATABASE_URL, such as

  npm run copy -- sqlite:data/app.db postgres://app@localhost:5432/app

The schema of <to> is made, or brought up to date, by this app's migrations; <from> has to be up to date.
<from> is only read. All or nothing is copied, in one transaction. A password need not be written here:
PGPASSWORD is read where there is none.

  --tables a,b  only these tables
  --force       empty the tables of <to> first, in the same transaction; without it they have to be empty
  --help        this text

Exit code: 0 when everything is copied, 1 on an error, 130 after Ctrl-C.`

const interrupted = watchInterrupt()
const progress = new Progress({ unit: 'rows' })

try {
  await main()
} catch (error) {
  progress.clear()
  const isInterrupted = interrupted.aborted && !(isOurs(error) && error.code === 'TDM_ERR_TX_OUTCOME_UNKNOWN')
  console.error(isInterrupted ? 'copy: interrupted; nothing was copied' : `copy: ${explain(error)}`)
  process.exitCode = isInterrupted ? 130 : 1
}

async function main (): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { tables: { type: 'string' }, force: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } }
  })
  if (values.help === true) {
    console.log(usage)
    return
  }
  const [from, to] = positionals
  if (from === undefined || to === undefined || positionals.length > 2) throw new Error(`expected two databases, got ${positionals.length}.\n\n${usage}`)
  loadDotEnv(process.cwd())
  const summary = await run(configFor(from, 'off'), configFor(to, 'on'), { tables: values.tables?.split(',').map(name => name.trim()), force: values.force === true })
  progress.clear()
  if (summary.leftOut.length > 0) console.error(`copy: left out, since they hold no rows of their own: ${summary.leftOut.join(', ')}`)
  console.log(report(summary))
}

/** The other variables hold for both databases; those that choose one do not. */
function configFor (url: string, migrate: 'on' | 'off'): Config {
  const { DB_DRIVER: _driver, DATABASE_REPLICA_URL: _replica, ...env } = process.env
  return readConfig({ ...env, DATABASE_URL: url, DB_MIGRATE: migrate })
}

async function run (from: Config, to: Config, options: CopyOptions): Promise<CopySummary> {
  const source = await openDatabase(readOnly(from), quietLog)
  try {
    const target = await openDatabase(to, quietLog)
    try {
      return await source.signal(interrupted, async () => await copy(source, target, options))
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/** A file that is not there is not made. */
function readOnly (config: Config): Config {
  return config.database.engine === 'postgres' ? config : { ...config, database: { ...config.database, readonly: true } }
}

async function copy (source: Database, target: Database, options: CopyOptions): Promise<CopySummary> {
  await checkVersions(source, target)
  await migrate(target, migrations, { mode: 'on', log: quietLog })
  return await copyDatabase(source, target, { ...options, onProgress: ({ table, rows, total }) => { progress.update(rows, total, table) } })
}

/** Rows of an older schema would miss what the migrations since then have done to the rows that were there. */
async function checkVersions (source: Database, target: Database): Promise<void> {
  const missing = (await planMigrations(source, migrations)).flatMap(plan => plan.missing)
  if (missing.length > 0) {
    throw new CopySchema(`the source lacks ${missing.map(({ set, file }) => `${set}/${file}`).join(', ')}. Bring it up to date first: npm run migrate, with it as DATABASE_URL.`)
  }
  const foreign = (await planMigrations(target, migrations)).find(plan => plan.isForeign)
  if (foreign !== undefined) throw new CopySchema(`the tables of "${foreign.set.name}" in the target belong to another application.`)
}

function report ({ tables }: CopySummary): string {
  const total = tables.reduce((sum, { rows }) => sum + rows, 0)
  const rate = formatCount(Math.round(total / progress.seconds))
  const table = formatTable([['table', 'rows'], ...tables.map(({ table, rows }) => [table, formatCount(rows)])])
  return `${table}\n\n${formatCount(total)} rows in ${formatSeconds(progress.seconds)}, ${rate} rows/s`
}

/** An error of ours says what to do; what the database said is for whoever owns the rows, as here. */
function explain (error: unknown): string {
  if (!isOurs(error)) return error instanceof Error ? error.message : String(error)
  let cause: unknown = error
  while (cause instanceof Error && isOurs(cause)) cause = cause.cause
  return `${error.message} (${error.code})${cause instanceof Error ? `\n  ${cause.message}` : ''}`
}
