/**
 * `npm run jobs:import -- <job.db>`: copies a cc-backend database into the database of the configuration.
 *
 * What is kept true: exit code 0 means that everything is there, any other that nothing of it is. Ctrl-C rolls back and ends with 130; a second Ctrl-C ends at once,
 * and the database rolls back by itself. Progress and errors go to stderr, the summary to stdout.
 */
import { parseArgs } from 'node:util'
import { loadDotEnv } from '../plugins/config/environment.ts'
import { readConfig } from '../plugins/config/index.ts'
import { migrate } from '../plugins/db/migrate.ts'
import { openDatabase } from '../plugins/db/open.ts'
import { isOurs } from '../plugins/errors.ts'
import { bulkConfig } from '../services/jobs/bulk.ts'
import { importJobs, type TableSummary } from '../services/jobs/import.ts'
import { jobMigrations } from '../services/jobs/migrations/index.ts'
import { explain, quietLog, watchInterrupt } from './command.ts'
import { formatCount, formatSeconds, formatTable, Progress } from './terminal.ts'

const usage = `Usage: npm run jobs:import -- <job.db>

Copies the jobs, tags, users and nodes of a cc-backend database (schema version 9 to 11) into the
database in DATABASE_URL, SQLite or PostgreSQL. Reads the same variables as the app (see .env.example).

The source is only read; next to one in WAL mode, SQLite leaves its files job.db-wal and job.db-shm.
All or nothing is imported. Running it again brings the rows up to date; ids are kept, and rows that
only the target has stay.

  --help  this text

Exit code: 0 when everything is imported, 1 on an error, 130 after Ctrl-C.`

const interrupted = watchInterrupt()
const progress = new Progress({ unit: 'rows' })

try {
  await main()
} catch (error) {
  progress.clear()
  const isInterrupted = interrupted.aborted && !(isOurs(error) && error.code === 'TDM_ERR_TX_OUTCOME_UNKNOWN')
  console.error(isInterrupted ? 'jobs:import: interrupted; nothing was imported' : `jobs:import: ${explain(error)}`)
  process.exitCode = isInterrupted ? 130 : 1
}

async function main (): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    console.log(usage)
    return
  }
  const [path] = positionals
  if (path === undefined || positionals.length > 1) throw new Error(`expected the path of one job.db, got ${positionals.length}.\n\n${usage}`)
  loadDotEnv(process.cwd())
  const summaries = await run(path)
  progress.clear()
  console.log(report(summaries))
}

async function run (path: string): Promise<TableSummary[]> {
  const config = readConfig()
  const db = await openDatabase(bulkConfig(config), quietLog)
  try {
    await db.signal(interrupted, async () => await migrate(db, [jobMigrations], { mode: config.migrate, log: quietLog }))
    return await importJobs(db, path, { signal: interrupted, onProgress: ({ table, rows, total }) => { progress.update(rows, total, table) } })
  } finally {
    await db.close()
  }
}

function report (summaries: readonly TableSummary[]): string {
  const rows = summaries.map(({ table, rows, repaired, orphans }) => [table, formatCount(rows), formatCount(repaired), formatCount(orphans)])
  const total = summaries.reduce((sum, { rows }) => sum + rows, 0)
  const rate = formatCount(Math.round(total / progress.seconds))
  const lines = [formatTable([['table', 'rows', 'repaired values', 'orphans left out'], ...rows]), '']
  return [...lines, `${formatCount(total)} rows in ${formatSeconds(progress.seconds)}, ${rate} rows/s`].join('\n')
}
