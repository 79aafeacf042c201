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
import type { Database } from '../plugins/db/types.ts'
import { bulkConfig } from '../services/jobs/bulk.ts'
import { addIndices, dropIndices, findAdded, findMissing } from '../services/jobs/change-indices.ts'
import { createIndex } from '../services/jobs/indices.ts'
import { explain, quietLog, watchInterrupt } from './command.ts'
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

const interrupted = watchInterrupt()
const progress = new Progress({ unit: 'indices' })

try {
  await main()
} catch (error) {
  progress.clear()
  console.error(interrupted.aborted ? 'jobs:index: interrupted; the same command goes on from here' : `jobs:index: ${explain(error)}`)
  process.exitCode = interrupted.aborted ? 130 : 1
}

async function main (): Promise<void> {
  const { values } = parseArgs({ options: { 'dry-run': { type: 'boolean', default: false }, drop: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    console.log(usage)
    return
  }
  loadDotEnv(process.cwd())
  const db = await openDatabase(bulkConfig(readConfig()), quietLog)
  try {
    await db.signal(interrupted, async () => { await run(db, values) })
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
