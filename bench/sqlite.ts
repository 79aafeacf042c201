/**
 * What the SQLite engine promises, measured: each figure beside better-sqlite3 in the same run, or against its bound.
 *
 * One measurement after the other, on a table that is generated once for each number of rows and kept. Exit code 1 if a bound is missed or anything went wrong.
 *
 *   npm run bench:sqlite -- [--rows 20000000] [--only point,loop] [--ci] [--json file] [--svg file] [--keep folder]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatCount } from '../scripts/terminal.ts'
import { cancel } from './sqlite/cancel.ts'
import { crash } from './sqlite/crash.ts'
import { findTable, warmTable } from './sqlite/data.ts'
import { loop } from './sqlite/loop.ts'
import { isGood, type Effort, type Measurement, type Outcome, type Settings } from './measure/measurement.ts'
import { memory } from './sqlite/memory.ts'
import { point } from './sqlite/point.ts'
import { processes } from './sqlite/processes.ts'
import { describeMachine, formatOutcome } from './measure/report.ts'
import { sqliteVersion } from './sqlite/raw.ts'
import { writes } from './sqlite/writes.ts'

const measurements: readonly Measurement[] = [point, loop, cancel, memory, writes, processes, crash]

const { values } = parseArgs({
  options: {
    rows: { type: 'string' },
    only: { type: 'string', default: '' },
    ci: { type: 'boolean', default: false },
    effort: { type: 'string' },
    json: { type: 'string' },
    svg: { type: 'string' },
    keep: { type: 'string', default: join(tmpdir(), 'tandem-bench-sqlite') },
    help: { type: 'boolean', default: false }
  }
})
const names = measurements.map(({ name }) => name)
if (values.help) {
  console.log(`npm run bench:sqlite -- [options]

  --rows N       rows of the table; 20,000,000 are 1.7 GB (20000000, with --ci 200000)
  --only A,B     only these: ${names.join(', ')}
  --ci           shorter, and with generous bounds
  --effort NAME  full, short (as --ci) or tiny (a few of each, no bounds)
  --json FILE    the figures
  --svg FILE     a drawing of the memory over time
  --keep FOLDER  where the table is, or will be (${values.keep})

Exit code 1 if a bound is missed or anything went wrong.`)
  process.exit(0)
}

const effort = (values.effort ?? (values.ci ? 'short' : 'full')) as Effort
if (!['full', 'short', 'tiny'].includes(effort)) throw new Error(`--effort: full, short or tiny, not ${effort}`)
const rows = Number(values.rows ?? (values.ci ? 200_000 : 20_000_000))
if (!Number.isSafeInteger(rows) || rows < 1000) throw new Error('--rows: a whole number from 1000 up')
const chosen = values.only.split(',').filter(name => name !== '')
for (const name of chosen) if (!names.includes(name)) throw new Error(`--only: there is no ${name}`)

const scratch = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
process.once('exit', () => { rmSync(scratch, { recursive: true, force: true }) })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(130) })
const path = findTable(values.keep, rows)
warmTable(path)
await main({ rows, effort, path, scratch })

async function main (settings: Settings): Promise<void> {
  const machine = describeMachine({ sqlite: sqliteVersion() })
  console.log(`${formatCount(rows)} rows, ${Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(', ')}`)
  const results: Array<Outcome & { readonly name: string }> = []
  for (const { name, title, measure } of measurements) {
    if (chosen.length > 0 && !chosen.includes(name)) continue
    console.log(`\n${name}: ${title}\n`)
    const outcome = await measure({ ...settings, scratch: mkdtempSync(join(scratch, `${name}-`)) }).catch(failed)
    console.log(formatOutcome(outcome))
    if (outcome.svg !== undefined && values.svg !== undefined) writeFileSync(values.svg, outcome.svg)
    results.push({ name, ...outcome, svg: undefined })
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, rows, effort, results: results }, null, 2)}\n`)
  const bad = results.filter(result => !isGood(result)).map(({ name }) => name)
  console.log(bad.length === 0 ? '\neverything is within its bounds' : `\nnot within bounds: ${bad.join(', ')}`)
  process.exitCode = bad.length === 0 ? 0 : 1
}

/** A measurement that cannot be made is not one that is passed. */
function failed (error: unknown): Outcome {
  return { figures: [], notes: [], problems: [error instanceof Error ? error.stack ?? error.message : String(error)] }
}
