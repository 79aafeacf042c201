/**
 * 5. Writes: what a transaction costs, who is first, and what a long reader and the write-ahead log do to them.
 *
 * How it measures: db and better-sqlite3 each on a file of its own of the same content, in interleaved rounds in one process. better-sqlite3 has its own way of
 * checkpoints (at a commit, each 1000 pages), the db its own; both are in the times. `fs.stat` looks at the log, and nothing but SQLite opens it.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Database } from '../../plugins/db/types.ts'
import { Progress } from '../../scripts/terminal.ts'
import { Random } from '../faults/random.ts'
import { makeTable } from './data.ts'
import { addEntry, auditLedger, makeLedger, prepareRawEntry, readLedger } from './ledger.ts'
import { boundFor, type Figure, type Measurement, type Outcome, type Settings } from '../measure/measurement.ts'
import { openRaw } from './raw.ts'
import { median, percentile, ratios, spread } from '../measure/statistics.ts'
import { openTandem } from './tandem.ts'

const sizes = {
  full: { rounds: 21, transactions: 300, blocks: 6, commits: 1000, seconds: 30, tableRows: 1_000_000 },
  short: { rounds: 7, transactions: 100, blocks: 4, commits: 200, seconds: 3, tableRows: 200_000 },
  tiny: { rounds: 1, transactions: 5, blocks: 2, commits: 10, seconds: 0.2, tableRows: 5_000 }
}

const QUEUED = 200
/** Rows that a transaction changes, all over the table: each is a page in the log. */
const UPDATES = 20

export const writes: Measurement = { name: 'writes', title: 'Transactions that write', measure }

async function measure (settings: Settings): Promise<Outcome> {
  const cost = await measureCost(settings)
  const order = await measureOrder(settings)
  const table = join(settings.scratch, 'table.db')
  makeTable(table, sizes[settings.effort].tableRows)
  const reader = await measureReader(table, settings)
  const log = await measureLog(table, settings)
  return {
    figures: [...cost.figures, ...order.figures, ...reader.figures, ...log.figures],
    problems: [...cost.problems, ...order.problems],
    notes: [`a transaction: ${UPDATES} rows all over ${sizes[settings.effort].tableRows.toLocaleString('en-US')} where a reader or the log is in question, else three statements`, ...log.notes]
  }
}

type Part = Omit<Outcome, 'notes'>

// --- what a transaction costs ----------------------------------------------------------------------------------------------------

async function measureCost (settings: Settings): Promise<Part> {
  const { rounds, transactions } = sizes[settings.effort]
  const [tandemPath, rawPath] = [join(settings.scratch, 'tandem.db'), join(settings.scratch, 'raw.db')]
  for (const path of [tandemPath, rawPath]) makeLedger(path)
  const db = await openTandem(tandemPath)
  const raw = openRaw(rawPath)
  const addRaw = prepareRawEntry(raw)
  const subjects = [new Writer(key => addEntry(db, key)), new Writer(addRaw)] as const
  for (let round = -2; round < rounds; round++) {
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) await subject.round(transactions, round >= 0)
  }
  await db.close()
  raw.close()
  const [ours, theirs] = subjects
  const against = ratios(ours.means, theirs.means)
  return {
    figures: [
      { name: 'transaction of three statements, against better-sqlite3', value: median(against), unit: '×', spread: spread(against), bound: boundFor(settings, { atMost: 3 }, { atMost: 6 }) },
      ...figuresOfLatency('db: transaction', ours.latencies),
      ...figuresOfLatency('better-sqlite3: transaction', theirs.latencies)
    ],
    problems: [...auditLedger(readLedger(tandemPath), ours.keys), ...auditLedger(readLedger(rawPath), theirs.keys)]
  }
}

function figuresOfLatency (name: string, latencies: readonly number[]): Figure[] {
  return [
    { name: `${name}, median`, value: median(latencies) * 1000, unit: 'µs' },
    { name: `${name}, p99`, value: percentile(latencies, 0.99) * 1000, unit: 'µs' }
  ]
}

/** Writes one transaction after the other, and keeps the times. */
class Writer {
  readonly keys = new Set<string>()
  /** In ms. */
  readonly latencies: number[] = []
  /** Of each round. */
  readonly means: number[] = []
  readonly #add: (key: string) => unknown

  constructor (add: (key: string) => unknown) {
    this.#add = add
  }

  async round (transactions: number, counts: boolean): Promise<void> {
    const start = performance.now()
    for (let i = 0; i < transactions; i++) {
      const key = String(this.keys.size)
      const began = performance.now()
      await this.#add(key)
      if (counts) this.latencies.push(performance.now() - began)
      this.keys.add(key)
    }
    if (counts) this.means.push((performance.now() - start) / transactions)
    await nextTurn()
  }
}

// --- who is first ------------------------------------------------------------------------------------------------------------------

async function measureOrder ({ scratch }: Settings): Promise<Part> {
  const path = join(scratch, 'order.db')
  makeLedger(path)
  const db = await openTandem(path)
  const finished: number[] = []
  const keys = Array.from({ length: QUEUED }, (_, i) => String(i))
  const start = performance.now()
  await Promise.all(keys.map(async (key, i) => {
    await addEntry(db, key)
    finished.push(i)
  }))
  const ms = performance.now() - start
  await db.close()
  const overtaken = finished.filter((writer, i) => writer !== i).length
  return {
    figures: [{ name: `${QUEUED} transactions at once: out of order`, value: overtaken, unit: `in ${ms.toFixed(0)} ms`, bound: { atMost: 0 } }],
    problems: auditLedger(readLedger(path), new Set(keys))
  }
}

// --- a long reader -----------------------------------------------------------------------------------------------------------------

async function measureReader (path: string, settings: Settings): Promise<Part> {
  const { blocks, commits } = sizes[settings.effort]
  const db = await openTandem(path)
  const update = updater(db, sizes[settings.effort].tableRows)
  const [alone, beside]: [number[], number[]] = [[], []]
  await timeCommits(update, Math.ceil(commits / 4))
  for (let block = 0; block < blocks; block++) {
    alone.push(...await timeCommits(update, commits))
    const rows = db.prepare('SELECT id, b FROM item').iterate()
    await rows.next()
    beside.push(...await timeCommits(update, commits))
    await rows.return?.()
  }
  await db.close()
  return {
    figures: [
      { name: 'commit p99 beside a reader that goes on, against without', value: percentile(beside, 0.99) / percentile(alone, 0.99), unit: '×', bound: boundFor(settings, { atMost: 3 }, { atMost: 10 }) },
      ...figuresOfLatency('transaction without a reader', alone),
      ...figuresOfLatency('transaction beside a reader', beside)
    ],
    problems: []
  }
}

function updater (db: Database, rows: number): () => Promise<void> {
  const random = new Random(3)
  return () => db.tx(async tx => {
    const update = tx.prepare('UPDATE item SET c = c + 1 WHERE id = ?')
    for (let i = 0; i < UPDATES; i++) await update.run(random.between(1, rows))
  })
}

async function timeCommits (update: () => Promise<void>, commits: number): Promise<number[]> {
  const latencies: number[] = []
  for (let i = 0; i < commits; i++) {
    const start = performance.now()
    await update()
    latencies.push(performance.now() - start)
    await nextTurn()
  }
  return latencies
}

// --- the log -----------------------------------------------------------------------------------------------------------------------

const SAMPLE_MS = 10

async function measureLog (path: string, settings: Settings): Promise<Omit<Outcome, 'problems'>> {
  const { seconds, tableRows } = sizes[settings.effort]
  const db = await openTandem(path)
  const update = updater(db, tableRows)
  const progress = new Progress({ unit: 's' })
  let highest = 0
  const timer = setInterval(() => { highest = Math.max(highest, sizeOf(`${path}-wal`)) }, SAMPLE_MS)
  const latencies: number[] = []
  const start = performance.now()
  for (let passed = 0; passed < seconds; passed = (performance.now() - start) / 1000) {
    latencies.push(...await timeCommits(update, 10))
    progress.update(Math.floor(passed), seconds, 'continuous writes')
  }
  progress.clear()
  clearInterval(timer)
  await db.close()
  return {
    figures: [
      { name: 'write-ahead log while writes go on, the largest', value: highest / 1e6, unit: 'MB', bound: boundFor(settings, { atMost: 64 }, { atMost: 64 }) },
      ...figuresOfLatency('transaction meanwhile', latencies)
    ],
    notes: [`log: ${latencies.length.toLocaleString('en-US')} transactions in ${seconds} s; after close() ${sizeOf(`${path}-wal`)} bytes`]
  }
}

function sizeOf (path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
