/**
 * What the PostgreSQL engine promises, measured: each figure beside a peer in the same run, or against its bound.
 *
 * One measurement after the other, on a PostgreSQL that this starts and ends. Client, server and load share the machine, so absolute figures move with what else it
 * does; the ratios hardly do. Exit code 1 if a bound is missed or anything went wrong.
 *
 *   npm run bench:postgres -- [--only point,http] [--rounds 5] [--seconds 1] [--ci] [--json file]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatCount, formatSeconds } from '../scripts/terminal.ts'
import { bridge } from './http/bridge.ts'
import { httpOn } from './http/index.ts'
import type { ServerMeasurement, Settings } from './measure/settings.ts'
import { point } from './postgres/point.ts'
import { mixed } from './postgres/mixed.ts'
import { rtt } from './postgres/rtt.ts'
import { Servers } from './postgres/servers.ts'
import { writes } from './postgres/writes.ts'
import { isGood, type Effort, type Outcome } from './measure/measurement.ts'
import { describeMachine, formatOutcome } from './measure/report.ts'

const measurements: readonly ServerMeasurement[] = [point, httpOn('postgres', 'http'), rtt, mixed, bridge, writes]

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    ci: { type: 'boolean', default: false },
    effort: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false }
  }
})
const names = measurements.map(({ name }) => name)
if (values.help) {
  console.log(`npm run bench:postgres -- [options]

  --only A,B     only these: ${names.join(', ')}
  --rounds N     rounds of each comparison (each measurement has its own number)
  --seconds N    how long each contender has in a round (each measurement has its own)
  --ci           shorter, and with generous bounds; less than a minute
  --effort NAME  full, short (as --ci) or tiny (a few of each, no bounds)
  --json FILE    the figures

Exit code 1 if a bound is missed or anything went wrong.
npm run bench:setup installs the other libraries; without them they are left out. wrk and pgbench are used if they are there.`)
  process.exit(0)
}

const effort = (values.effort ?? (values.ci ? 'short' : 'full')) as Effort
if (!['full', 'short', 'tiny'].includes(effort)) throw new Error(`--effort: full, short or tiny, not ${effort}`)
const rounds = readNumber('--rounds', values.rounds, number => Number.isSafeInteger(number) && number > 0)
const seconds = readNumber('--seconds', values.seconds, number => number > 0)
const chosen = values.only.split(',').filter(name => name !== '')
for (const name of chosen) if (!names.includes(name)) throw new Error(`--only: there is no ${name}`)

const scratch = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
process.once('exit', () => { rmSync(scratch, { recursive: true, force: true }) })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void leave() })
const servers = new Servers({ full: 100_000, short: 20_000, tiny: 2_000 }[effort])
try {
  await main({ effort, rounds, seconds, servers, scratch })
} finally {
  await servers.stop()
}

async function main (settings: Settings): Promise<void> {
  const startedAt = performance.now()
  const machine = describeMachine({ postgres: await servers.version() })
  console.log(`${formatCount(servers.rows)} rows, ${Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(', ')}`)
  const results: Array<Outcome & { readonly name: string }> = []
  for (const { name, title, measure } of measurements) {
    if (chosen.length > 0 && !chosen.includes(name)) continue
    console.log(`\n${name}: ${title}\n`)
    const outcome = await measure({ ...settings, scratch: mkdtempSync(join(scratch, `${name}-`)) }).catch(failed)
    console.log(formatOutcome(outcome, 'spread'))
    results.push({ name, ...outcome })
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, effort, results }, null, 2)}\n`)
  const bad = results.filter(result => !isGood(result)).map(({ name }) => name)
  console.log(`\n${bad.length === 0 ? 'everything is within its bounds' : `not within bounds: ${bad.join(', ')}`} (${formatSeconds((performance.now() - startedAt) / 1000)})`)
  process.exitCode = bad.length === 0 ? 0 : 1
}

/** Before its time: nothing of it stays. */
async function leave (): Promise<void> {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, () => {}) // of those who lose their connections now
  await servers.stop()
  process.exit(130)
}

/** A measurement that cannot be made is not one that is passed. */
function failed (error: unknown): Outcome {
  return { figures: [], notes: [], problems: [error instanceof Error ? error.stack ?? error.message : String(error)] }
}

function readNumber (name: string, text: string | undefined, isRight: (number: number) => boolean): number | undefined {
  if (text === undefined) return undefined
  if (!isRight(Number(text))) throw new Error(`${name}: a number above 0, not ${text}`)
  return Number(text)
}
