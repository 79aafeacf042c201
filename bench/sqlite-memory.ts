/**
 * What a large page cache, temp_store and PRAGMA soft_heap_limit do for SQLite under better-sqlite3: the figures of docs/sqlite-memory.md.
 *
 *   node bench/sqlite-memory.ts [--rows 800000] [--rounds 5] [--svg docs/images/sqlite-memory.svg] [--json] [--help]
 *
 * How it measures: one generated database in a temporary folder, warm in the operating system's cache. Each configuration runs in a process of its own, so that
 * what one leaves in memory is not counted for the next; rounds are interleaved. This process samples RssAnon of the child from /proc (Linux only), and
 * the child tells on its standard output which phase it is in.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import Sqlite from 'better-sqlite3'

interface Setup {
  name: string
  kind: 'cache' | 'sort'
  /** As in PRAGMA cache_size. */
  cacheSize: number
  tempStore: 'file' | 'memory'
  softHeapBytes?: number
}

/** What one process measured. Times in ms, memory in bytes of RssAnon. */
interface Result {
  ms: Record<string, number>
  /** The largest RssAnon while the phase went on. */
  peak: Record<string, number>
  /** RssAnon at a moment. */
  at: Record<string, number>
  text: Record<string, string>
}

const setups: Setup[] = [
  { name: '16 MB', kind: 'cache', cacheSize: -15_625, tempStore: 'file' },
  { name: '200 MB', kind: 'cache', cacheSize: -195_313, tempStore: 'file' },
  { name: '2 GiB', kind: 'cache', cacheSize: -2_097_152, tempStore: 'file' },
  { name: '1e9 pages', kind: 'cache', cacheSize: 1_000_000_000, tempStore: 'file' },
  { name: '2 GiB + soft_heap_limit 64 MiB', kind: 'cache', cacheSize: -2_097_152, tempStore: 'file', softHeapBytes: 64 * 2 ** 20 },
  { name: 'sort, temp_store=file', kind: 'sort', cacheSize: -15_625, tempStore: 'file' },
  { name: 'sort, temp_store=memory', kind: 'sort', cacheSize: -15_625, tempStore: 'memory' }
]

const badSql = "SELECT * FROM job WHERE state IN ('completed', 'running', 'failed') ORDER BY start_time DESC LIMIT 1 OFFSET 10"
/** The same question; the plus keeps SQLite from the index on (state, energy). */
const goodSql = badSql.replace('state IN', '+state IN')
/** Only the length, so that the rows are no garbage of JavaScript and the memory is SQLite's. */
const pointSql = 'SELECT length(payload) AS bytes FROM job WHERE id = ?'
const sortSql = 'SELECT id, length(payload) AS bytes FROM job ORDER BY energy, payload'

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '800000' },
    rounds: { type: 'string', default: '5' },
    svg: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    child: { type: 'string' },
    file: { type: 'string', default: '' }
  }
})

if (options.help) console.log(readFileSync(import.meta.filename, 'utf8').split('\n').slice(1, 9).map(line => line.slice(3)).join('\n'))
else if (options.child !== undefined) runChild(JSON.parse(options.child) as Setup, options.file)
else await runAll(Number(options.rows), Number(options.rounds))

// --- the parent ------------------------------------------------------------------------------------------------------------

async function runAll (rows: number, rounds: number): Promise<void> {
  if (process.platform !== 'linux') throw new Error('This benchmark reads /proc/<pid>/status and needs Linux.')
  if (!Number.isSafeInteger(rows) || rows < 1000) throw new Error('--rows: a whole number from 1000 up')
  if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error('--rounds: a whole number from 1 up')
  const folder = mkdtempSync(join(tmpdir(), 'sqlite-memory-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  process.once('SIGINT', () => process.exit(130))
  const file = join(folder, 'jobs.db')
  const started = performance.now()
  generate(file, rows)
  const fileBytes = statSync(file).size
  progress(`${rows} rows, ${(fileBytes / 1e6).toFixed(0)} MB, made in ${seconds(started)} s`)

  const results = new Map<string, Result[]>(setups.map(({ name }) => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    // every other round backwards, so that no configuration is always the first
    for (const setup of round % 2 === 1 ? setups : setups.toReversed()) {
      results.get(setup.name)?.push(await measure(setup, file, folder))
      progress(`round ${round}/${rounds}, ${setup.name}: ${seconds(started)} s`)
    }
  }
  const table = setups.map(setup => summarize(setup, results.get(setup.name) ?? []))
  const facts = { rows, rounds, fileBytes, processors: availableParallelism(), memoryBytes: totalmem(), node: process.version, seconds: Number(seconds(started)) }
  console.log(options.json ? JSON.stringify({ facts, table }, null, 2) : report(facts, table))
  if (options.svg !== undefined) writeSvg(options.svg, table)
}

function progress (text: string): void {
  process.stderr.write(`${text}\n`)
}

function seconds (since: number): string {
  return ((performance.now() - since) / 1000).toFixed(0)
}

/** Jobs in the order of their start; state and energy say nothing about where a row is, as in a real job database. */
function generate (file: string, rows: number): void {
  const db = new Sqlite(file)
  db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000')
  db.exec('CREATE TABLE job (id INTEGER PRIMARY KEY, state TEXT NOT NULL, energy REAL NOT NULL, start_time INTEGER NOT NULL, payload TEXT NOT NULL)')
  const insert = db.prepare('INSERT INTO job VALUES (?, ?, ?, ?, ?)')
  const random = randomFrom(42)
  db.exec('BEGIN')
  for (let id = 1; id <= rows; id++) {
    const draw = random()
    const state = draw < 0.815 ? 'completed' : draw < 0.9 ? 'failed' : draw < 0.9001 ? 'running' : 'cancelled'
    insert.run(id, state, random() * 1000, 1_500_000_000 + id * 60, payload(random))
  }
  db.exec('COMMIT; CREATE INDEX job_state_energy ON job (state, energy); CREATE INDEX job_start ON job (start_time)')
  checkPlans(db)
  db.close()
}

/** Seeded (mulberry32), so that every run has the same rows. */
function randomFrom (seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6D2B79F5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** About 600 characters that begin differently, as a row of jobs with its JSON has. */
function payload (random: () => number): string {
  return `${random().toString(36).slice(2)} ${'{"hostname":"node0001","cpu_load_avg":0.5} '.repeat(14)}`
}

function checkPlans (db: Sqlite.Database): void {
  const plan = (sql: string) => db.prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all().map(row => row.detail).join('; ')
  if (!plan(badSql).includes('job_state_energy')) throw new Error(`The bad plan is not bad: ${plan(badSql)}`)
  if (!plan(goodSql).includes('job_start')) throw new Error(`The good plan is not good: ${plan(goodSql)}`)
}

async function measure (setup: Setup, file: string, folder: string): Promise<Result> {
  const args = [fileURLToPath(import.meta.url), '--child', JSON.stringify(setup), '--file', file]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, SQLITE_TMPDIR: folder } })
  const exited = new Promise<number | null>(resolve => child.once('exit', resolve))
  const peak: Record<string, number> = {}
  let phase = 'start'
  let result: Result | undefined
  const timer = setInterval(() => {
    peak[phase] = Math.max(peak[phase] ?? 0, rssAnon(child.pid ?? 0))
  }, 5)
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) result = JSON.parse(line) as Result
    else phase = line
  }
  clearInterval(timer)
  const code = await exited
  if (code !== 0 || result === undefined) throw new Error(`${setup.name}: the child ended with ${String(code)}`)
  return { ...result, peak }
}

/** Memory of a process that is not backed by a file, in bytes; 0 when it has ended. */
function rssAnon (pid: number | 'self'): number {
  try {
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

// --- the child: one configuration -------------------------------------------------------------------------------------------

function runChild (setup: Setup, file: string): void {
  const db = new Sqlite(file, { readonly: true })
  db.pragma(`cache_size = ${setup.cacheSize}`)
  db.pragma(`temp_store = ${setup.tempStore}`)
  const result: Result = { ms: {}, peak: {}, at: {}, text: {} }
  if (setup.softHeapBytes !== undefined) setSoftHeap(db, setup.softHeapBytes, result)
  result.at.opened = rssAnon('self')
  if (setup.kind === 'cache') runCache(db, result)
  else runSort(db, result)
  result.at.after = rssAnon('self')
  phase('shrink')
  result.ms.shrink = timed(() => db.pragma('shrink_memory'))
  result.at.shrunk = rssAnon('self')
  db.close()
  result.at.closed = rssAnon('self')
  writeSync(1, `${JSON.stringify(result)}\n`)
}

function setSoftHeap (db: Sqlite.Database, bytes: number, result: Result): void {
  db.pragma(`soft_heap_limit = ${bytes}`)
  result.text.readBack = String(db.pragma('soft_heap_limit', { simple: true }))
  const compiled = db.pragma('compile_options') as { compile_options: string }[]
  result.text.memstatus = compiled.map(row => row.compile_options).find(option => option.includes('MEMSTATUS')) ?? 'default'
}

function runCache (db: Sqlite.Database, result: Result): void {
  const good = db.prepare(goodSql)
  const bad = db.prepare(badSql)
  const point = db.prepare(pointSql)
  const rows = db.prepare<[], { n: number }>('SELECT max(id) AS n FROM job').get()?.n ?? 0
  phase('good')
  result.ms.good = median(repeat(200, () => timed(() => good.get())))
  phase('bad')
  result.ms.bad = timed(() => bad.get())
  phase('bad again')
  result.ms.badAgain = timed(() => bad.get())
  result.at.afterBad = rssAnon('self')
  phase('good after')
  result.ms.goodAfter = median(repeat(200, () => timed(() => good.get())))
  const random = randomFrom(7)
  phase('points')
  // µs each: reads of rows that lie anywhere, with whatever the cache holds by now
  result.ms.pointsAfter = timed(() => repeat(20_000, () => point.get(1 + Math.floor(random() * rows)))) / 20
}

function runSort (db: Sqlite.Database, result: Result): void {
  const sort = db.prepare(sortSql)
  phase('sort')
  let rows = 0
  result.ms.sort = timed(() => {
    for (const row of sort.iterate()) if (row !== undefined) rows++
  })
  result.text.rows = String(rows)
}

function phase (name: string): void {
  writeSync(1, `${name}\n`)
}

function repeat<T> (times: number, fn: () => T): T[] {
  return Array.from({ length: times }, fn)
}

function timed (fn: () => unknown): number {
  const started = performance.now()
  fn()
  return performance.now() - started
}

// --- what came out ------------------------------------------------------------------------------------------------------------

interface Summary extends Result { name: string, kind: Setup['kind'], rounds: { bad: number[], sort: number[] } }

/** The median of each figure over the rounds. */
function summarize ({ name, kind }: Setup, results: readonly Result[]): Summary {
  const each = (part: 'ms' | 'peak' | 'at') => {
    const keys = [...new Set(results.flatMap(result => Object.keys(result[part])))]
    return Object.fromEntries(keys.map(key => [key, median(results.map(result => result[part][key] ?? 0))]))
  }
  const rounds = { bad: results.map(({ ms }) => ms.bad ?? 0), sort: results.map(({ ms }) => ms.sort ?? 0) }
  return { name, kind, ms: each('ms'), peak: each('peak'), at: each('at'), text: results[0]?.text ?? {}, rounds }
}

function median (numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] ?? 0 : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

interface Facts { rows: number, rounds: number, fileBytes: number, processors: number, memoryBytes: number, node: string, seconds: number }

function report (facts: Facts, table: readonly Summary[]): string {
  const caches = table.filter(row => row.kind === 'cache')
  const base = caches[0]
  const soft = caches.at(-1)
  return [
    `${facts.rows} rows, ${megabytes(facts.fileBytes)} MB, ${facts.rounds} rounds, medians; Node ${facts.node}, ${facts.processors} processors, ` +
      `${megabytes(facts.memoryBytes)} MB memory; ${facts.seconds} s`,
    '',
    '| cache_size | bad query s (rounds) | × 16 MB | again s | good query µs before / after | point read µs | peak RssAnon MB | after | after shrink_memory (ms) | closed |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...caches.map(row => cacheLine(row, base)),
    '',
    '| temp_store | sort s (rounds) | peak RssAnon MB | after | after shrink_memory | closed |',
    '|---|---|---|---|---|---|',
    ...table.filter(row => row.kind === 'sort').map(sortLine),
    '',
    `PRAGMA soft_heap_limit set to 67108864, read back ${soft?.text.readBack}, ${soft?.text.memstatus}; peak all the same ${megabytes(badPeak(soft))} MB`
  ].join('\n')
}

function cacheLine (row: Summary, base: Summary | undefined): string {
  const { ms, at } = row
  const ratio = (ms.bad ?? 0) / (base?.ms.bad ?? 1)
  return `| ${row.name} | ${secs(ms.bad)} (${row.rounds.bad.map(secs).join(', ')}) | ${ratio.toFixed(2)} | ${secs(ms.badAgain)} | ` +
    `${micros(ms.good)} / ${micros(ms.goodAfter)} | ${(ms.pointsAfter ?? 0).toFixed(1)} | ${megabytes(badPeak(row))} | ` +
    `${megabytes(at.after)} | ${megabytes(at.shrunk)} (${(ms.shrink ?? 0).toFixed(0)}) | ${megabytes(at.closed)} |`
}

function sortLine ({ name, ms, peak, at, rounds }: Summary): string {
  const memory = [peak.sort, at.after, at.shrunk, at.closed].map(megabytes).join(' | ')
  return `| ${name} | ${secs(ms.sort)} (${rounds.sort.map(secs).join(', ')}) | ${memory} |`
}

function badPeak (row: Summary | undefined): number {
  return Math.max(row?.peak.bad ?? 0, row?.peak['bad again'] ?? 0, row?.at.afterBad ?? 0)
}

function secs (ms = 0): string {
  return (ms / 1000).toFixed(2)
}

function micros (ms = 0): string {
  return (ms * 1000).toFixed(0)
}

function megabytes (bytes = 0): string {
  return (bytes / 1e6).toFixed(0)
}

/** Two rows of bars, one a cache size: what the bad query takes, and what the process holds. */
function writeSvg (file: string, table: readonly Summary[]): void {
  const rows = table.filter(row => row.kind === 'cache')
  const panels = [
    { title: 'the same bad query, seconds', of: (row: Summary) => (row.ms.bad ?? 0) / 1000, digits: 2, x: 250 },
    { title: 'memory held at the peak, MB', of: (row: Summary) => badPeak(row) / 1e6, digits: 0, x: 520 }
  ]
  const labels = rows.map((row, i) => `<text x="235" y="${75 + i * 34}" text-anchor="end">${row.name}</text>`)
  const bars = panels.flatMap(({ title, of, digits, x }) => {
    const largest = Math.max(...rows.map(of))
    const bar = (row: Summary, i: number) => {
      const width = Math.max(1, Math.round(of(row) / largest * 180))
      return `<rect x="${x}" y="${60 + i * 34}" width="${width}" height="22" fill="#${i === 0 ? '2a7f62' : 'b3563a'}"/>` +
        `<text x="${x + width + 6}" y="${75 + i * 34}">${of(row).toFixed(digits)}</text>`
    }
    return [`<text x="${x}" y="40" font-weight="bold">${title}</text>`, ...rows.map(bar)]
  })
  const height = 60 + rows.length * 34 + 10
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 ${height}" width="780" height="${height}" font-family="sans-serif" font-size="13" role="img" ` +
      'aria-label="Time of a bad query and memory held, by cache_size">',
    `<desc>made by: node bench/sqlite-memory.ts --rows ${options.rows} --rounds ${options.rounds} --svg ${file}</desc>`,
    `<rect width="780" height="${height}" fill="#fff"/>`,
    '<text x="235" y="40" text-anchor="end" font-weight="bold">cache_size</text>',
    ...labels, ...bars, '</svg>', ''
  ].join('\n'))
}
