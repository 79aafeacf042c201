/**
 * 6. Two processes that write to one file: nothing may be lost, nobody may get an error, and neither's event loop may wait for the other.
 *
 * How it measures: each process writes its transactions, some at a time, and tells the longest delay of its event loop, from when both have opened the file. The same
 * with better-sqlite3, which waits for the lock on the thread that asks (its `timeout`).
 */
import { join } from 'node:path'
import { Child } from '../measure/child.ts'
import { auditLedger, makeLedger, readLedger } from './ledger.ts'
import { boundFor, type Figure, type Measurement, type Outcome, type Settings } from '../measure/measurement.ts'
import type { Job, Told } from './processes-writer.ts'
import { median, percentile } from '../measure/statistics.ts'

const PROCESSES = 2
const sizes = { full: 1000, short: 200, tiny: 20 }

export const processes: Measurement = { name: 'processes', title: 'Two processes that write to one file', measure }

async function measure (settings: Settings): Promise<Outcome> {
  const tandem = await run('db', settings)
  const raw = await run('better-sqlite3', settings)
  return {
    figures: [...figuresOf('db', tandem.told, boundFor(settings, { atMost: 50 }, { atMost: 250 })), ...figuresOf('better-sqlite3', raw.told)],
    problems: [...tandem.problems, ...raw.problems],
    notes: [`${sizes[settings.effort]} transactions of each process: a read, an update from what was read, an insert`]
  }
}

function figuresOf (who: string, told: readonly Told[], bound?: Figure['bound']): Figure[] {
  const latencies = told.flatMap(({ latencies }) => latencies)
  const rate = told.reduce((sum, { latencies, ms }) => sum + latencies.length / ms * 1000, 0)
  return [
    ...told.map(({ longestDelayMs }, i) => ({ name: `${who}: process ${i + 1}, the longest delay of its event loop`, value: longestDelayMs, unit: 'ms', bound })),
    { name: `${who}: transaction, median`, value: median(latencies), unit: 'ms' },
    { name: `${who}: transaction, p99`, value: percentile(latencies, 0.99), unit: 'ms' },
    { name: `${who}: transactions of both`, value: rate, unit: '/s' }
  ]
}

async function run (who: Job['who'], { scratch, effort }: Settings): Promise<{ told: Told[], problems: string[] }> {
  const path = join(scratch, `${who}.db`)
  makeLedger(path)
  const transactions = sizes[effort]
  const children = Array.from({ length: PROCESSES }, (_, i) => new Child<Told>(new URL('processes-writer.ts', import.meta.url), { who, path, prefix: `${i}`, transactions } satisfies Job))
  await Promise.all(children.map(child => child.next())) // both are ready
  const telling = children.map(child => child.next())
  for (const child of children) child.tell('go')
  const told = await Promise.all(telling)
  await Promise.all(children.map(child => child.ended))
  const expected = new Set(told.flatMap(({ keys }) => keys))
  const problems = [...told.flatMap(({ errors }) => errors), ...auditLedger(readLedger(path), expected)]
  return { told, problems: problems.map(problem => `${who}: ${problem}`) }
}
