/**
 * The memory of an incident, and what became of it: an HPC job database was asked for a list of jobs filtered by several states, newest first; SQLite took a bad index, the clients gave
 * up, the process held gigabytes until it was restarted.
 *
 * The same statement with the same plan, one process after the other: better-sqlite3 with the settings of then, and the service with its defaults, which is given the bad plan by
 * force, and asked for the same list in its own way. This process is the client, and reads what the others hold from /proc (Linux only). Without the plan of the incident there is no
 * proof: it says so, and ends with 1.
 *
 *   npm run jobs:memory-proof -- [--rows 2000000] [--file job.db] [--out folder]
 */
import { createReadStream, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Sqlite from 'better-sqlite3'
import { formatCount, formatSeconds, Progress } from '../scripts/terminal.ts'
import { makeJobsDatabase } from './jobs/database.ts'
import { draw, formatRuns, problemsOf, subjects, toJson, type Facts } from './jobs-memory/report.ts'
import { watch, type Run, type Times } from './jobs-memory/watch.ts'
import { sqliteVersion } from './sqlite/raw.ts'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '2000000' },
    file: { type: 'string' },
    out: { type: 'string', default: join('data', 'jobs-memory') },
    timeout: { type: 'string', default: '1000' },
    rest: { type: 'string', default: '4000' },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log(`npm run jobs:memory-proof -- [options]

  --rows N      jobs to generate; 2,000,000 with their 78 indices are 6.3 GB and take a quarter of an hour (2000000)
  --file PATH   the database: used if it is there, else made and kept (default: made in a temporary folder)
  --out FOLDER  where jobs-memory.svg and jobs-memory.json go (${values.out})
  --timeout MS  when the client gives up (1000)
  --rest MS     how long the processes are watched before the query, and after its end (4000)

Exit code 1 if the statement does not have the plan of the incident, or an answer is wrong.`)
  process.exit(0)
}
if (process.platform !== 'linux') throw new Error('This measurement reads /proc/<pid>/status and needs Linux.')
const [rows, timeoutMs, restMs] = [values.rows, values.timeout, values.rest].map(Number) as [number, number, number]
if (!Number.isSafeInteger(rows) || rows < 1000) throw new Error('--rows: a whole number from 1000 up')
if (!(timeoutMs >= 1) || !(restMs >= 1)) throw new Error('--timeout and --rest: milliseconds from 1 up')
const times: Times = { timeoutMs, restMs, sampleMs: 20, pointMs: 50 }

const scratch = mkdtempSync(join(tmpdir(), 'jobs-memory-'))
process.once('exit', () => { rmSync(scratch, { recursive: true, force: true }) })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(130) })

const path = values.file ?? join(scratch, 'job.db')
if (!existsSync(path)) await makeJobsDatabase(`sqlite:${path}`, { rows, seed: 1, indices: '2026-03' })
const { facts, ids } = lookAt(path)
await warm(path)
const runs = await watchAll()
report(runs)

async function watchAll (): Promise<Run[]> {
  const progress = new Progress({ unit: 'processes' })
  const done: Run[] = []
  for (const subject of subjects) {
    progress.update(done.length, subjects.length, subject.name)
    done.push(await watch(subject, { path, ids }, times))
  }
  progress.clear()
  return done
}

function report (runs: readonly Run[]): void {
  mkdirSync(values.out, { recursive: true })
  const command = `npm run jobs:memory-proof -- --rows ${facts.rows} --timeout ${timeoutMs}`
  writeFileSync(join(values.out, 'jobs-memory.svg'), draw(runs, facts, command))
  writeFileSync(join(values.out, 'jobs-memory.json'), toJson(runs, facts))
  console.log(`${formatCount(facts.rows)} jobs, ${facts.indices} indices on job, ${(facts.fileBytes / 1e9).toFixed(2)} GB; SQLite ${facts.sqlite}, Node.js ${facts.node}, ${facts.processors} processors\n`)
  for (const { subject, settings, plan } of runs) console.log(`${subject.name}\n  ${settings}\n  ${plan}`)
  console.log(`\n${formatRuns(runs, facts)}\n`)
  const problems = problemsOf(runs)
  for (const problem of problems) console.log(`PROBLEM: ${problem}`)
  console.log(`${join(values.out, 'jobs-memory.svg')} and jobs-memory.json are written`)
  if (problems.length > 0) process.exitCode = 1
}

/** What is in the file, and some jobs to be asked for. */
function lookAt (file: string): { facts: Facts, ids: number[] } {
  const db = new Sqlite(file, { readonly: true })
  try {
    const number = (sql: string): number => db.prepare(sql).pluck().get() as number
    const ids = db.prepare('SELECT id FROM job ORDER BY id LIMIT 1000').pluck().all() as number[]
    const facts = {
      rows: number('SELECT count(*) FROM job'),
      indices: number("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'job' AND sql IS NOT NULL"),
      fileBytes: statSync(file).size,
      timeoutMs,
      node: process.version,
      sqlite: sqliteVersion(),
      processors: availableParallelism(),
      memoryBytes: totalmem()
    }
    return { facts, ids }
  } finally {
    db.close()
  }
}

/** Reads the file once, so that every process finds it in the operating system's cache. */
async function warm (file: string): Promise<void> {
  const startedAt = performance.now()
  let bytes = 0
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) bytes += (chunk as Buffer).length
  console.error(`${formatCount(Math.round(bytes / 1e6))} MB read in ${formatSeconds((performance.now() - startedAt) / 1000)}`)
}
