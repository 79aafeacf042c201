/**
 * `npm run jobs:index`: adds our indices to the database of the configuration, or takes them away again.
 *
 * What is kept true: exit code 0 means that all of them are there (or none, with --drop). Ctrl-C (130) and an error (1) leave whole indices, and the same command goes on. A second
 * Ctrl-C ends at once. Progress and errors go to stderr, the summary to stdout.
 */
import { parseArgs } from 'node:util'
import { loadDotEnv } from '../plugins/config/environment.ts'
import { readConfig } from '../plugins/config/index.ts'
import { openDatabase } from '../plugins/db/open.ts'
import type { Database, Log } from '../plugins/db/types.ts'
import { isOurs } from '../plugins/errors.ts'
import { bulkConfig } from '../services/jobs/bulk.ts'
import { addIndices, dropIndices, findAdded, findMissing } from '../services/jobs/change-indices.ts'
import { createIndex } from '../services/jobs/indices.ts'
import { formatSeconds, Progress } from './terminal.ts'

const usage = `Usage: npm run jobs:index -- [options]

Adds the indices of this service to the database in DATABASE_URL, such as a job.db of cc-backend, so
that lists and statistics are fast there as well. Without them they work, too. The database has to be
one that may be written to. Reads the same variables as the app (see .env.example).

  --dry-run  say what would be done, and do nothing
  --drop     take them away again. An app that runs on the database has to be started anew
  --help     this text

Exit code: 0 when it is done, 1 on an error, 130 after Ctrl-C. What was done by then stays, and the
same command goes on from there.`

/** Only what goes wrong is worth a line next to the progress. */
const log: Log = {
  info: () => {},
  warn: (_, message) => { console.error(message) },
  error: (_, message) => { console.error(message) }
}

const interrupted = new AbortController()
const progress = new Progress({ unit: 'indices' })

process.on('SIGINT', interrupt).on('SIGTERM', interrupt)

try {
  await main()
} catch (error) {
  progress.clear()
  console.error(interrupted.signal.aborted ? 'jobs:index: interrupted; the same command goes on from here' : `jobs:index: ${explain(error)}`)
  process.exitCode = interrupted.signal.aborted ? 130 : 1
}

async function main (): Promise<void> {
  const { values } = parseArgs({ options: { 'dry-run': { type: 'boolean', default: false }, drop: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    console.log(usage)
    return
  }
  loadDotEnv(process.cwd())
  const db = await openDatabase(bulkConfig(readConfig()), log)
  try {
    await db.signal(interrupted.signal, async () => { await run(db, values) })
  } finally {
    await db.close()
  }
}

async function run (db: Database, { drop, 'dry-run': isDry }: { drop: boolean, 'dry-run': boolean }): Promise<void> {
  const indices = await (drop ? findAdded(db) : findMissing(db))
  if (isDry) {
    for (const index of indices) console.log(drop ? `DROP INDEX ${index.name}` : createIndex(index, db.engine))
    return
  }
  const onIndex = (name: string, number: number, of: number): void => { progress.update(number - 1, of, name) }
  await (drop ? dropIndices : addIndices)(db, indices, onIndex)
  progress.clear()
  console.log(`${indices.length} indices ${drop ? 'taken away' : 'added'} in ${formatSeconds(progress.seconds)}`)
}

function interrupt (): void {
  if (interrupted.signal.aborted) process.exit(130)
  interrupted.abort()
}

/** An error of ours says what to do; of any other the message has to do. */
function explain (error: unknown): string {
  if (isOurs(error)) return `${error.message} (${error.code})`
  return error instanceof Error ? error.message : String(error)
}
