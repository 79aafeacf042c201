/**
 * Soak: clients that mix all routes of the jobs service for minutes, over sockets, leave in the middle of requests and streams, and have little time. What has to hold:
 *
 *  1. There is no 5xx but the declared 503, which has a code that says "try again" and Retry-After. No answer that is complete is malformed.
 *  2. When clients have left, their places at the database are free within 50 ms, as `db.status()` of the service says. When nobody asks, none is taken.
 *  3. The memory of the service is flat: a line through the second half of the run rises by no more than its bound.
 *  4. No rejection is unhandled, nothing is written to stderr or logged as an error but those 503, and `app.close()` ends.
 *  5. Every route of the service was asked.
 *
 *   npm run jobs:soak -- [--minutes 5] [--clients 20] [--engine both] [--seed N] [--rows 200000]
 */
import { parseArgs } from 'node:util'
import { formatCount, formatTable } from '../scripts/terminal.ts'
import { startTarget } from './jobs-soak/database.ts'
import { secondHalf, slopeOf } from './jobs-soak/judge.ts'
import { run, type Result } from './jobs-soak/run.ts'
import { percentile } from './measure/statistics.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    clients: { type: 'string', default: '20' },
    engine: { type: 'string', default: 'both' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rows: { type: 'string', default: '200000' },
    freed: { type: 'string', default: '50' },
    slope: { type: 'string', default: '5' },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log(`npm run jobs:soak -- [options]

  --minutes N    how long on each engine; parts of a minute are possible (5)
  --clients N    how many at the same time (20)
  --engine NAME  sqlite, postgres or both (both)
  --seed N       what is asked, and who leaves when; printed with the result (the time)
  --rows N       generated jobs (200000)
  --freed MS     when clients have left, how long their places may stay taken (50)
  --slope MB     by how much the memory may grow in a minute; runs of less than four minutes only print it (5)

A PostgreSQL of its own is started. Exit code 1 if anything was not as it has to be.`)
  process.exit(0)
}
if (!['postgres', 'sqlite', 'both'].includes(values.engine)) throw new Error('--engine is postgres, sqlite or both')
const [minutes, clients, seed, rows, freedMs, slope] = [values.minutes, values.clients, values.seed, values.rows, values.freed, values.slope].map(Number) as [number, number, number, number, number, number]
if (!(minutes > 0) || !(clients >= 1 && clients <= 1000) || !Number.isInteger(seed) || !(rows >= 1000) || !(freedMs > 0) || !(slope > 0)) {
  throw new Error('--minutes, --freed and --slope have to be above 0, --clients from 1 to 1000, --seed an integer, --rows at least 1000')
}
// an exit, so that the service and PostgreSQL are ended too
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(1) })

for (const engine of ['sqlite', 'postgres'] as const) {
  if (values.engine !== 'both' && values.engine !== engine) continue
  const target = await startTarget(engine, rows, seed)
  try {
    const result = await run({ engine, seconds: minutes * 60, clients, seed, freedMs, slopeBytes: slope * 1e6 }, target)
    print(result)
    if (result.violations.length > 0) process.exitCode = 1
  } finally {
    await target.stop()
  }
}

function print ({ options: { engine }, tallies, memory, heap, probes, held, violations }: Result): void {
  const all = [...tallies.values()]
  const requests = all.reduce((sum, tally) => sum + tally.requests, 0)
  console.log(`\n${engine}: ${formatCount(requests)} requests of ${clients} clients in ${minutes} min, ${formatCount(rows)} jobs, seed ${seed}, Node.js ${process.version}\n`)
  console.log(formatTable([
    ['', 'requests', 'complete', 'left', 'longest ms', 'refused'],
    ...[...tallies].map(([name, { requests, complete, left, refused, longestMs }]) => [name, formatCount(requests), formatCount(complete), formatCount(left), formatCount(Math.round(longestMs)), list(refused)])
  ]))
  console.log(`\nmemory: ${describeMemory(memory)}; of that the main thread's JavaScript: ${describeMemory(heap)}`)
  const measured = probes.filter(({ isMeasured }) => isMeasured).map(({ freedMs = Infinity }) => freedMs)
  console.log(`places free after all clients had left (${measured.length} of ${probes.length} times, the others were too fast): ${describe(measured)}`)
  console.log(`handlers and streams ended after their client had left, beside all others (${formatCount(held.length)}): ${describe(held.map(({ ms }) => ms))}`)
  if (violations.length === 0) console.log('\nno violations')
  else console.log(`\n${formatCount(violations.length)} VIOLATIONS (seed ${seed})\n${violations.slice(0, 100).map(text => `- ${text}`).join('\n')}`)
}

function describe (ms: readonly number[]): string {
  if (ms.length === 0) return 'none'
  return `median ${percentile(ms, 0.5).toFixed(1)} ms, p99 ${percentile(ms, 0.99).toFixed(1)} ms, longest ${percentile(ms, 1).toFixed(1)} ms`
}

function describeMemory (memory: Result['memory']): string {
  const half = secondHalf(memory).map(({ bytes }) => bytes / 1e6)
  if (half.length === 0) return 'not known'
  return `${percentile(half, 0).toFixed(0)} to ${percentile(half, 1).toFixed(0)} MB in the second half, ${(slopeOf(memory) / 1e6).toFixed(2)} MB a minute`
}

function list (counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).sort(([, a], [, b]) => b - a).map(([name, n]) => `${formatCount(n)} ${name}`).join(', ')
}
