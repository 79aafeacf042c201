/**
 * What the interface adds to a point read on SQLite: `await db.prepare(sql).get(id)` against better-sqlite3's `.get(id)`, in one process, on one file, in
 * interleaved rounds. Prints ratios; exit code 1 if the ratio of the medians is above the bound.
 *
 * Then the same for a join of two tables: better-sqlite3 compiles that anew for each new value, because it is built with STAT4 (native/watchdog.c, ENABLE_QPSG).
 *
 *   npm run bench:point-read -- [--rows 100000] [--reads 20000] [--rounds 15] [--bound 2]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import Sqlite from 'better-sqlite3'
import { readConfig } from '../plugins/config/index.ts'
import { openDatabase } from '../plugins/db/open.ts'
import type { Database } from '../plugins/db/types.ts'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    reads: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '15' },
    bound: { type: 'string', default: '2' },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log('npm run bench:point-read -- [--rows 100000] [--reads 20000 a round] [--rounds 15] [--bound 2, 0 for none]')
  process.exit(0)
}
const [rows, reads, rounds, bound] = [values.rows, values.reads, values.rounds, values.bound].map(Number) as [number, number, number, number]

const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
try {
  process.exitCode = await compare(join(folder, 'bench.db'))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function compare (path: string): Promise<number> {
  const raw = new Sqlite(path)
  raw.pragma('journal_mode = WAL')
  raw.exec(`CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, price REAL NOT NULL);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) INSERT INTO item SELECT i, 'item number ' || i, i * 7, i * 0.25 FROM n`)
  const db = await openDatabase(readConfig({ DATABASE_URL: `sqlite:${path}` }), { info () {}, warn () {}, error () {} })
  raw.exec('CREATE TABLE shelf (item INTEGER PRIMARY KEY, place TEXT NOT NULL); INSERT INTO shelf SELECT id, \'shelf \' || id % 100 FROM item')
  const isMet = await compareOne(raw, db, { what: 'a point read', sql: 'SELECT id, name, size, price FROM item WHERE id = ?', bound })
  const isMetJoin = await compareOne(raw, db, { what: 'a join of two tables', sql: 'SELECT item.id, name, size, place FROM item JOIN shelf ON shelf.item = item.id WHERE item.id = ?', bound: bound === 0 ? 0 : 1 })
  await db.close()
  raw.close()
  return isMet && isMetJoin ? 0 : 1
}

interface Comparison { readonly what: string, readonly sql: string, readonly bound: number }

async function compareOne (raw: Sqlite.Database, db: Database, { what, sql, bound }: Comparison): Promise<boolean> {
  const rawStatement = raw.prepare(sql)
  const statement = db.prepare(sql)

  const contenders: Record<string, (id: number) => unknown> = {
    'better-sqlite3 .get(id)': id => rawStatement.get(id),
    'better-sqlite3 .get(id), awaited': async id => rawStatement.get(id),
    'db.prepare(sql), once; await .get(id)': id => statement.get(id),
    'await db.prepare(sql).get(id)': id => db.prepare(sql).get(id)
  }
  const expected = rawStatement.get(77)
  for (const [name, read] of Object.entries(contenders)) {
    if (!isDeepStrictEqual(await read(77), expected)) throw new Error(`${name} answers something else`)
  }

  const times = new Map(Object.keys(contenders).map((name): [string, number[]] => [name, []]))
  for (let round = -2; round < rounds; round++) {
    for (const [name, read] of Object.entries(contenders)) {
      const ns = name.includes('await') ? await timeAwaited(read) : timeSync(read)
      if (round >= 0) times.get(name)?.push(ns)
    }
  }
  return report(what, times, bound)
}

function timeSync (read: (id: number) => unknown): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < reads; i++) read(idOf(i))
  return Number(process.hrtime.bigint() - start) / reads
}

async function timeAwaited (read: (id: number) => unknown): Promise<number> {
  const start = process.hrtime.bigint()
  for (let i = 0; i < reads; i++) await read(idOf(i))
  return Number(process.hrtime.bigint() - start) / reads
}

/** Spread over the table, the same for every contender. */
function idOf (i: number): number {
  return 1 + (i * 7919) % rows
}

function report (what: string, times: Map<string, number[]>, bound: number): boolean {
  const [base = NaN] = [...times.values()].map(median)
  let last = NaN
  console.log(`${what}: ${rows} rows, ${rounds} interleaved rounds of ${reads} reads, Node.js ${process.version}\n`)
  for (const [name, list] of times) {
    const ratios = list.map((ns, round) => ns / (times.values().next().value?.[round] ?? NaN)).toSorted((a, b) => a - b)
    last = median(list) / base
    console.log(`${name.padEnd(40)} ${(median(list) / 1000).toFixed(2)} µs   ${last.toFixed(2)} ×   (${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)} by round)`)
  }
  const isMet = bound === 0 || last <= bound
  console.log(`\nbound: ${bound} × raw: ${isMet ? 'met' : 'NOT met'}\n`)
  return isMet
}

function median (list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[list.length >> 1] ?? NaN
}
