/**
 * Everything that is compared, in one run: it makes its own data, starts its own PostgreSQL, checks that all answer equally, and measures in interleaved rounds.
 *
 * What is kept true: one part after the other, and nothing beside them. What could not be measured is told, and what went wrong ends with exit code 1. The figures go to
 * bench.json, from which docs/benchmarks.md is made (docs.ts), and which compare.ts sets against those of another run.
 *
 *   npm run bench -- [--only sqlite,postgres,http,rtt,mixed,memory,bridge,growth] [--ci] [--out data/bench]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatSeconds } from '../scripts/terminal.ts'
import { growth } from './growth.ts'
import { bridge } from './http/bridge.ts'
import { httpOn } from './http/index.ts'
import type { Effort, Measurement, Outcome } from './measure/measurement.ts'
import { describeMachine, formatOutcome } from './measure/report.ts'
import { operationsOn } from './operations/index.ts'
import type { ServerMeasurement, Settings } from './measure/settings.ts'
import { mixed } from './postgres/mixed.ts'
import { rtt } from './postgres/rtt.ts'
import { Servers } from './postgres/servers.ts'
import { drawCharts } from './report/charts.ts'
import type { Part, Run } from './report/run.ts'
import { findTable, warmTable } from './sqlite/data.ts'
import { loop } from './sqlite/loop.ts'
import { memory } from './sqlite/memory.ts'
import { sqliteVersion } from './sqlite/raw.ts'

const ROWS = { full: 100_000, short: 20_000, tiny: 2_000 }
/** Of the table for what takes long, or wants much memory. */
const TABLE_ROWS = { full: 2_000_000, short: 200_000, tiny: 5_000 }

/** By the names of `--only`, in the order in which they are measured. */
const parts: Readonly<Record<string, readonly ServerMeasurement[]>> = {
  sqlite: [operationsOn('sqlite')],
  postgres: [operationsOn('postgres')],
  http: [httpOn('sqlite', 'http-sqlite'), httpOn('postgres', 'http-postgres')],
  rtt: [rtt],
  mixed: [onTable(loop, 'mixed-sqlite'), { ...mixed, name: 'mixed-postgres' }],
  memory: [onTable(memory, 'memory')],
  bridge: [bridge],
  growth: [growth]
}

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string' },
    ci: { type: 'boolean', default: false },
    effort: { type: 'string' },
    out: { type: 'string', default: join('data', 'bench') },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log(`npm run bench -- [options]

  --only A,B     only these: ${Object.keys(parts).join(', ')}
  --rounds N     rounds of each comparison (each has its own number)
  --ci           shorter, and with generous bounds
  --effort NAME  full, short (as --ci) or tiny (a few of each, no bounds)
  --out FOLDER   where bench.json and the pictures go (${values.out})

npm run bench:setup installs the other libraries; without them they are left out. Of wrk and autocannon one is needed.
npm run bench:docs makes docs/benchmarks.md from bench.json; npm run bench:compare sets two runs side by side.
Exit code 1 if a bound is missed or anything went wrong.`)
  process.exit(0)
}

const effort = (values.effort ?? (values.ci ? 'short' : 'full')) as Effort
if (!['full', 'short', 'tiny'].includes(effort)) throw new Error(`--effort: full, short or tiny, not ${effort}`)
const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
if (rounds !== undefined && !(Number.isSafeInteger(rounds) && rounds > 0)) throw new Error(`--rounds: a whole number above 0, not ${values.rounds}`)
const chosen = values.only === '' ? Object.keys(parts) : values.only.split(',')
for (const name of chosen) if (!(name in parts)) throw new Error(`--only: there is no ${name}; there are ${Object.keys(parts).join(', ')}`)

const scratch = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
process.once('exit', () => { rmSync(scratch, { recursive: true, force: true }) })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void leave() })
const servers = new Servers(ROWS[effort])
try {
  await main()
} finally {
  await servers.stop()
}

async function main (): Promise<void> {
  const startedAt = performance.now()
  const machine = describeMachine({ sqlite: sqliteVersion(), postgres: await servers.version() })
  console.log(Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(', '))
  const done: Part[] = []
  for (const measurement of Object.keys(parts).filter(name => chosen.includes(name)).flatMap(name => parts[name] ?? [])) done.push(await measurePart(measurement))
  const seconds = (performance.now() - startedAt) / 1000
  await write({ machine, date: new Date().toISOString().slice(0, 10), effort, seconds: Math.round(seconds), parts: done })
  const wrong = done.filter(({ problems }) => problems.length > 0).map(({ name }) => name)
  console.log(`\n${wrong.length === 0 ? 'nothing went wrong' : `something went wrong: ${wrong.join(', ')}`} (${formatSeconds(seconds)})`)
  if (wrong.length > 0) process.exitCode = 1
}

async function measurePart ({ name, title, measure }: ServerMeasurement): Promise<Part> {
  console.log(`\n${name}: ${title}\n`)
  const startedAt = performance.now()
  const folder = mkdtempSync(join(scratch, `${name}-`))
  const outcome = await measure({ effort, rounds, seconds: undefined, servers, scratch: folder }).catch(failed)
  rmSync(folder, { recursive: true, force: true })
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  console.log(formatOutcome(forReaders(outcome), 'spread'))
  console.log(`  ${name} took ${formatSeconds(seconds)}`)
  return { name, title, seconds, ...outcome }
}

/** Ratios that stand in a table as well are in bench.json only. */
function forReaders (outcome: Outcome): Outcome {
  return outcome.tables === undefined ? outcome : { ...outcome, figures: outcome.figures.filter(({ bound }) => bound !== undefined) }
}

/** A measurement that cannot be made is not one that is passed. */
function failed (error: unknown): Outcome {
  return { figures: [], notes: [], problems: [error instanceof Error ? error.stack ?? error.message : String(error)] }
}

async function write (run: Run): Promise<void> {
  mkdirSync(values.out, { recursive: true })
  const file = join(values.out, 'bench.json')
  const withoutPictures = { ...run, parts: run.parts.map(part => ({ ...part, svg: undefined })) }
  writeFileSync(file, `${JSON.stringify(withoutPictures, null, 1)}\n`)
  const pictures = await drawCharts(run, values.out)
  console.log(`\n${file}${pictures.length === 0 ? ' is' : `, ${pictures.join(', ')} are`} written`)
}

/** Measured on the large table, which is made once and kept. */
function onTable (measurement: Measurement, name: string): ServerMeasurement {
  return {
    name,
    title: measurement.title,
    async measure (settings: Settings) {
      const rows = TABLE_ROWS[settings.effort]
      const path = findTable(join(tmpdir(), 'tandem-bench-sqlite'), rows)
      warmTable(path)
      return await measurement.measure({ rows, effort: settings.effort, path, scratch: settings.scratch })
    }
  }
}

/** Before its time: nothing of it stays. */
async function leave (): Promise<void> {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, () => {}) // of those who lose their connections now
  await servers.stop()
  process.exit(130)
}
