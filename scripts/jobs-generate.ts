/**
 * `npm run jobs:generate`: fills the database of the configuration with jobs that are made up.
 *
 * What is kept true: exit code 0 means that all rows and all indices are there. After Ctrl-C (130) and after an error (1) it is said how much is; the same command goes on
 * from there. A second Ctrl-C ends at once, which loses no more than the transaction under way. Progress and errors go to stderr, the summary to stdout.
 */
import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { loadDotEnv } from '../plugins/config/environment.ts'
import { readConfig, type Config } from '../plugins/config/index.ts'
import { migrate } from '../plugins/db/migrate.ts'
import { openDatabase } from '../plugins/db/open.ts'
import { bulkConfig } from '../services/jobs/bulk.ts'
import { JobsGenerate } from '../services/jobs/errors.ts'
import { generateJobs, type GenerateSummary } from '../services/jobs/generate/generate.ts'
import { metaSizes, type MetaSize } from '../services/jobs/generate/meta-data.ts'
import { bytesOf, profiles, type Profile } from '../services/jobs/generate/profiles.ts'
import { indexSets, type IndexSet } from '../services/jobs/indices.ts'
import { migrations } from '../services/migrations.ts'
import { explain, quietLog, watchInterrupt } from './command.ts'
import { formatCount, formatSeconds, Progress } from './terminal.ts'

const usage = `Usage: npm run jobs:generate -- [options]

Fills the database in DATABASE_URL, SQLite or PostgreSQL, with jobs that are made up. It has to be
fresh: one with jobs in it is refused. The same options make the same rows. Reads the same variables
as the app (see .env.example).

  --profile P   200k, 2M or 20M: rows, meta data and indices that belong together (200k)
  --rows N      how many jobs
  --seed N      another number makes other jobs (1)
  --meta M      meta data of a job: small (60 bytes), real (800) or large (1.5 to 4 KB)
  --indices I   ours, or those that cc-backend had: 2026-03 (78 of them) or v11 (54)
  --bad-rows    one job in 10,000 has a NULL or invalid JSON where none should be
  --until T     when the last job starts (2026-01-01T00:00:00Z)
  --help        this text

Ctrl-C keeps the rows that are there, without indices; the same command goes on from there.

Exit code: 0 when all rows and indices are there, 1 on an error, 130 after Ctrl-C.`

const interrupted = watchInterrupt()
const progress = new Progress({ unit: 'rows' })
let done = 0

try {
  await main()
} catch (error) {
  progress.clear()
  const left = done === 0 ? '' : `; ${formatCount(done)} rows are there, and the same command goes on from there`
  console.error(interrupted.aborted ? `jobs:generate: interrupted${left}` : `jobs:generate: ${explain(error)}${left}`)
  process.exitCode = interrupted.aborted ? 130 : 1
}

async function main (): Promise<void> {
  const { values } = parseArgs({
    options: {
      profile: { type: 'string', default: '200k' }, rows: { type: 'string' }, seed: { type: 'string', default: '1' }, meta: { type: 'string' }, indices: { type: 'string' },
      'bad-rows': { type: 'boolean', default: false }, until: { type: 'string', default: '2026-01-01T00:00:00Z' }, help: { type: 'boolean', short: 'h' }
    }
  })
  if (values.help === true) {
    console.log(usage)
    return
  }
  const profile = profiles[oneOf('--profile', values.profile, Object.keys(profiles) as Array<keyof typeof profiles>)]
  const chosen: Profile = {
    rows: values.rows === undefined ? profile.rows : readNumber('--rows', values.rows, 1),
    meta: values.meta === undefined ? profile.meta : oneOf<MetaSize>('--meta', values.meta, metaSizes),
    indices: values.indices === undefined ? profile.indices : oneOf('--indices', values.indices, Object.keys(indexSets) as IndexSet[])
  }
  loadDotEnv(process.cwd())
  const summary = await run(readConfig(), { ...chosen, seed: readNumber('--seed', values.seed, 0), badRows: values['bad-rows'], until: readTime('--until', values.until) })
  progress.clear()
  console.log(report(summary, chosen))
}

async function run (config: Config, options: Profile & { seed: number, badRows: boolean, until: number }): Promise<GenerateSummary> {
  const db = await openDatabase(bulkConfig(config), quietLog)
  try {
    await db.signal(interrupted, async () => await migrate(db, migrations, { mode: config.migrate, log: quietLog }))
    checkDisk(config, options)
    return await generateJobs(db, {
      ...options,
      signal: interrupted,
      onProgress: ({ rows, total }) => { progress.update(done = rows, total) },
      onStep: step => { progress.update(options.rows, options.rows, step) }
    })
  } finally {
    await db.close()
  }
}

/** Says what it will take. Throws if that is not there; of PostgreSQL nobody knows where it keeps its files. */
function checkDisk ({ database: { engine, path } }: Config, chosen: Profile): void {
  const needed = bytesOf(chosen)
  console.error(`${formatCount(chosen.rows)} jobs will take some ${formatBytes(needed)}`)
  if (engine === 'postgres' || path === ':memory:') return
  const { bavail, bsize } = statfsSync(dirname(path))
  const free = bavail * bsize + (statSync(path, { throwIfNoEntry: false })?.size ?? 0)
  if (free < needed * 1.2) throw new JobsGenerate(`${formatBytes(needed)} and some room for sorting are needed, and there are ${formatBytes(free)} in ${dirname(path)}.`)
}

function formatBytes (bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}

function report ({ resumedAt, rowSeconds, indexSeconds }: GenerateSummary, { rows, indices }: Profile): string {
  const written = rows - resumedAt
  const rate = (seconds: number): string => `${formatCount(Math.round(written / seconds))} rows/s`
  return [
    `${formatCount(written)} rows in ${formatSeconds(rowSeconds)}, ${rate(rowSeconds)}`,
    `${indexSets[indices].length} indices in ${formatSeconds(indexSeconds)}`,
    `together ${formatSeconds(rowSeconds + indexSeconds)}, ${rate(rowSeconds + indexSeconds)}`
  ].join('\n')
}

function oneOf<Word extends string> (option: string, text: string, words: readonly Word[]): Word {
  const word = words.find(candidate => candidate === text)
  if (word === undefined) throw new Error(`${option}: one of ${words.join(', ')}, not ${text}`)
  return word
}

function readNumber (option: string, text: string, least: number): number {
  const number = Number(text.replaceAll(/[,_]/g, ''))
  if (!Number.isSafeInteger(number) || number < least) throw new Error(`${option}: a whole number from ${least} up, not ${text}`)
  return number
}

function readTime (option: string, text: string): number {
  const seconds = Math.floor(Date.parse(text) / 1000)
  if (Number.isNaN(seconds)) throw new Error(`${option}: a time such as 2026-01-01T00:00:00Z, not ${text}`)
  return seconds
}
