/**
 * What the jobs service promises on 20 million jobs (SQLite, default configuration), measured: each figure against its bound. Exit code 1 if one is missed or anything went wrong.
 *
 *   npm run bench:jobs -- [--rows 20000000] [--file jobs.db] [--only lists,pages] [--ci] [--json file] [--keep folder]
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readConfig } from '../plugins/config/index.ts'
import { openDatabase } from '../plugins/db/open.ts'
import { formatCount } from '../scripts/terminal.ts'
import { findJobs, quiet, readValues } from './jobs-queries/data.ts'
import { MemoryWatch } from './jobs-queries/memory.ts'
import { measureBeside, measureLists, measurePages, measureStats, type Setting } from './jobs-queries/measurements.ts'
import { isGood, type Effort, type Outcome } from './measure/measurement.ts'
import { sqliteVersion } from './sqlite/raw.ts'
import { describeMachine, formatOutcome } from './measure/report.ts'

const measurements: ReadonlyArray<readonly [name: string, title: string, measure: (setting: Setting) => Promise<Outcome>]> = [
  ['lists', 'the newest jobs of any user, project, cluster and state', measureLists],
  ['pages', 'the thousandth page by cursor', measurePages],
  ['stats', 'statistics of a cluster over 30 days', measureStats],
  ['beside', 'a job by its id, while the heaviest statements run', measureBeside]
]

const { values } = parseArgs({
  options: {
    rows: { type: 'string' }, file: { type: 'string' }, only: { type: 'string', default: '' }, ci: { type: 'boolean', default: false }, effort: { type: 'string' },
    json: { type: 'string' }, keep: { type: 'string', default: join(tmpdir(), 'tandem-bench-jobs') }, help: { type: 'boolean', default: false }
  }
})
const names = measurements.map(([name]) => name)
if (values.help) {
  console.log(`npm run bench:jobs -- [options]

  --rows N       jobs; 20,000,000 are 13 GB (20000000, with --ci 200000)
  --file FILE    this database instead of one that is made; it is only read
  --only A,B     only these: ${names.join(', ')}
  --ci           shorter, and with generous bounds
  --effort NAME  full, short (as --ci) or tiny (a few of each, no bounds)
  --json FILE    the figures
  --keep FOLDER  where the database is, or will be (${values.keep})

Exit code 1 if a bound is missed or anything went wrong.`)
  process.exit(0)
}

const effort = (values.effort ?? (values.ci ? 'short' : 'full')) as Effort
if (!['full', 'short', 'tiny'].includes(effort)) throw new Error(`--effort: full, short or tiny, not ${effort}`)
const rows = Number(values.rows ?? (values.ci ? 200_000 : 20_000_000))
if (!Number.isSafeInteger(rows) || rows < 1000) throw new Error('--rows: a whole number from 1000 up')
const chosen = values.only.split(',').filter(name => name !== '')
for (const name of chosen) if (!names.includes(name)) throw new Error(`--only: there is no ${name}`)

await main(values.file === undefined ? await findJobs(values.keep, rows) : resolve(values.file))

async function main (path: string): Promise<void> {
  const found = readValues(path)
  const machine = describeMachine({ sqlite: sqliteVersion() })
  console.log(`${formatCount(found.rows)} jobs, ${Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(', ')}`)
  const config = readConfig({ DATABASE_URL: `sqlite:${path}?mode=ro` })
  const db = await openDatabase(config, quiet)
  const results: Array<Outcome & { readonly name: string }> = []
  const memory = new MemoryWatch(config.sqlite.softHeapBytes)
  try {
    for (const [name, title, measure] of measurements) {
      if (chosen.length > 0 && !chosen.includes(name)) continue
      console.log(`\n${name}: ${title}\n`)
      const outcome = await measure({ db, values: found, effort }).catch(failed)
      console.log(formatOutcome(outcome, 'quartiles'))
      results.push({ name, ...outcome })
    }
  } finally {
    await db.close()
  }
  const outcome = memory.end()
  console.log(`\nmemory: of the whole process, all the time\n\n${formatOutcome(outcome)}`)
  results.push({ name: 'memory', ...outcome })
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, rows: found.rows, effort, results }, null, 2)}\n`)
  const bad = results.filter(result => !isGood(result)).map(({ name }) => name)
  console.log(bad.length === 0 ? '\neverything is within its bounds' : `\nnot within bounds: ${bad.join(', ')}`)
  process.exitCode = bad.length === 0 ? 0 : 1
}

/** A measurement that cannot be made is not one that is passed. */
function failed (error: unknown): Outcome {
  return { figures: [], notes: [], problems: [error instanceof Error ? error.stack ?? error.message : String(error)] }
}
