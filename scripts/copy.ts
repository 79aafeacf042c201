/**
 * `npm run copy -- <from> <to>`: copies all rows of one database of this app into another one, on either engine, and compares them; or only compares.
 *
 * What is kept true: exit code 0 means that everything is there, and the same. After any other the target is as it was (only its schema may have been brought up to date),
 * or is marked as incomplete, and it is said how to go on. Ctrl-C ends with 130; a second one, at once. Progress and errors go to stderr, the summary to stdout; no
 * password to either.
 */
import { parseArgs } from 'node:util'
import { loadDotEnv } from '../plugins/config/environment.ts'
import { readConfig, type Config } from '../plugins/config/index.ts'
import { compareDatabases, copyDatabase, type CopyOptions, type CopyProgress, type CopySummary } from '../plugins/db/copy/index.ts'
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
<from> is only read. Stop the app first: what is written to <from> meanwhile is not copied.

Rows are committed in steps. After Ctrl-C, a crash or a lost connection the same command goes on where
it stopped; until it has ended, no app starts on <to>. At the end both sides are read again, and compared
by numbers of rows and checksums. A password need not be written here: PGPASSWORD is read where there is none.

  --tables a,b   only these tables
  --force        empty the tables of <to> first; without it they have to be empty
  --restart      take away what an unfinished copy has left in <to>, and begin anew
  --verify-only  copy nothing, only compare the rows of <from> with those of <to>
  --help         this text

Exit code: 0 when everything is there and the same, 1 on an error, 130 after Ctrl-C.`

const interrupted = watchInterrupt()
/** Of a checksum of 32 digits so many are shown. */
const DIGITS = 16

let progress = new Progress({ unit: 'rows' })
let doing: CopyProgress['doing'] = 'copy'
/** What can be said of the target after an error. */
let left = 'nothing was copied'

try {
  await main()
} catch (error) {
  progress.clear()
  const isInterrupted = interrupted.aborted && !(isOurs(error) && error.code === 'TDM_ERR_TX_OUTCOME_UNKNOWN')
  console.error(isInterrupted ? `copy: interrupted; ${left}` : `copy: ${explain(error)}`)
  if (!isInterrupted && !saysItself(error)) console.error(`copy: ${left}`)
  process.exitCode = isInterrupted ? 130 : 1
}

async function main (): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tables: { type: 'string' }, force: { type: 'boolean' }, restart: { type: 'boolean' }, 'verify-only': { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' }
    }
  })
  if (values.help === true) {
    console.log(usage)
    return
  }
  const [from, to] = positionals
  if (from === undefined || to === undefined || positionals.length > 2) throw new Error(`expected two databases, got ${positionals.length}.\n\n${usage}`)
  const { force = false, restart = false, 'verify-only': isVerifying } = values
  if (isVerifying && (force || restart)) throw new Error('--verify-only copies nothing, so there is nothing to --force or to --restart.')
  loadDotEnv(process.cwd())
  const options = { tables: values.tables?.split(',').map(name => name.trim()), force, restart, onProgress: show, onBegin }
  const summary = await run(readOnly(configFor(from, 'off')), isVerifying ? readOnly(configFor(to, 'off')) : configFor(to, 'on'), isVerifying ? compareDatabases : copy, options)
  progress.clear()
  if (summary.leftOut.length > 0) console.error(`copy: left out, since they hold no rows of their own: ${summary.leftOut.join(', ')}`)
  console.log(report(summary))
}

/** The other variables hold for both databases; those that choose one do not. */
function configFor (url: string, migrate: 'on' | 'off'): Config {
  const { DB_DRIVER: _driver, DATABASE_REPLICA_URL: _replica, ...env } = process.env
  const config = readConfig({ ...env, DATABASE_URL: url, DB_MIGRATE: migrate })
  // beside the transaction that reads, a comparison asks for the form of values
  return { ...config, pool: { ...config.pool, max: Math.max(config.pool.max, 2) } }
}

type Work = (source: Database, target: Database, options: CopyOptions) => Promise<CopySummary>

async function run (from: Config, to: Config, work: Work, options: CopyOptions): Promise<CopySummary> {
  const source = await openDatabase(from, quietLog)
  try {
    const target = await openDatabase(to, quietLog)
    try {
      return await source.signal(interrupted, async () => await work(source, target, options))
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
  await migrate(target, migrations, { mode: 'on', log: quietLog, isCopied: true })
  return await copyDatabase(source, target, options)
}

function onBegin (): void {
  left = 'what was copied is kept, and the target is marked as incomplete. The same command goes on from there; with --restart it begins anew'
}

/** Each part has a bar of its own. */
function show ({ doing: now, table, rows, total }: CopyProgress): void {
  if (now !== doing) {
    progress.clear()
    progress = new Progress({ unit: 'rows' })
    doing = now
  }
  progress.update(rows, total, now === 'copy' ? table : `comparing ${table}`)
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
  const table = formatTable([['table', 'rows', 'checksum'], ...tables.map(({ table, rows, checksum }) => [table, formatCount(rows), checksum.slice(0, DIGITS)])])
  return `${table}\n\n${formatCount(total)} rows in ${formatSeconds(process.uptime())}, the same in both`
}

/** True if its message tells what to do about an unfinished copy, or none has begun. */
function saysItself (error: unknown): boolean {
  return left.startsWith('nothing') || (isOurs(error) && error.code.startsWith('TDM_ERR_COPY_'))
}

/** An error of ours says what to do; what the database said is for whoever owns the rows, as here. */
function explain (error: unknown): string {
  if (!isOurs(error)) return error instanceof Error ? error.message : String(error)
  let cause: unknown = error
  while (cause instanceof Error && isOurs(cause)) cause = cause.cause
  return `${error.message} (${error.code})${cause instanceof Error ? `\n  ${cause.message}` : ''}`
}
