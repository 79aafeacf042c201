/**
 * What it costs to generate and to import jobs, beside the driver alone: SQLite beside a loop of better-sqlite3 that makes or reads the same rows in the same way and inserts them
 * one by one, PostgreSQL beside COPY of bytes that were prepared. Exit code 1 if a bound is missed or anything went wrong.
 *
 *   npm run bench:jobs-write -- [--rows 200000] [--rounds 5] [--only sqlite,postgres] [--ci] [--json file]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatCount } from '../scripts/terminal.ts'
import { measurePostgres } from './jobs-write/postgres.ts'
import type { WriteSettings } from './jobs-write/report.ts'
import { measureSqlite } from './jobs-write/sqlite.ts'
import { isGood, type Effort, type Outcome } from './measure/measurement.ts'
import { sqliteVersion } from './sqlite/raw.ts'
import { describeMachine, formatOutcome } from './measure/report.ts'

const measurements: ReadonlyArray<readonly [name: string, measure: (settings: WriteSettings) => Promise<Outcome>]> = [['sqlite', measureSqlite], ['postgres', measurePostgres]]

const { values } = parseArgs({
  options: {
    rows: { type: 'string' }, rounds: { type: 'string' }, only: { type: 'string', default: '' }, ci: { type: 'boolean', default: false }, effort: { type: 'string' },
    json: { type: 'string' }, help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log(`npm run bench:jobs-write -- [options]

  --rows N       jobs of each turn (200000, with --ci 50000)
  --rounds N     rounds in which each has its turn (5, with --ci 3)
  --only A,B     only these: ${measurements.map(([name]) => name).join(', ')}
  --ci           shorter, and with generous bounds
  --effort NAME  full, short (as --ci) or tiny (a few of each, no bounds)
  --json FILE    the figures

Exit code 1 if a bound is missed or anything went wrong.`)
  process.exit(0)
}

const effort = (values.effort ?? (values.ci ? 'short' : 'full')) as Effort
if (!['full', 'short', 'tiny'].includes(effort)) throw new Error(`--effort: full, short or tiny, not ${effort}`)
const rows = Number(values.rows ?? { full: 200_000, short: 50_000, tiny: 2000 }[effort])
const rounds = Number(values.rounds ?? { full: 5, short: 3, tiny: 1 }[effort])
if (!Number.isSafeInteger(rows) || rows < 1000) throw new Error('--rows: a whole number from 1000 up')
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error('--rounds: a whole number from 1 up')
const chosen = values.only.split(',').filter(name => name !== '')

const scratch = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
process.once('exit', () => { rmSync(scratch, { recursive: true, force: true }) })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(130) })

const machine = describeMachine({ sqlite: sqliteVersion() })
console.log(`${formatCount(rows)} jobs with small meta data a turn, ${rounds} rounds, ${Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(', ')}`)
const results: Array<Outcome & { readonly name: string }> = []
for (const [name, measure] of measurements) {
  if (chosen.length > 0 && !chosen.includes(name)) continue
  const outcome = await measure({ rows, rounds, effort, scratch }).catch(failed)
  console.log(`\n${name}\n\n${formatOutcome(outcome)}`)
  results.push({ name, ...outcome })
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, rows, rounds, effort, results }, null, 2)}\n`)
const bad = results.filter(result => !isGood(result)).map(({ name }) => name)
console.log(bad.length === 0 ? '\neverything is within its bounds' : `\nnot within bounds: ${bad.join(', ')}`)
process.exitCode = bad.length === 0 ? 0 : 1

/** A measurement that cannot be made is not one that is passed. */
function failed (error: unknown): Outcome {
  return { figures: [], notes: [], problems: [error instanceof Error ? error.stack ?? error.message : String(error)] }
}
