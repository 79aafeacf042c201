/**
 * What the instrumentation that is always on costs a point read: `await db.prepare(sql).get(id)`, some at a time, in processes of their own and interleaved rounds, on SQLite and on PostgreSQL.
 * Prints the ratios by round and what two processes of the same code differ by, which is the noise. Exit code 1 if a ratio is worse than the bound: that of reads in a second of the processor, which is
 * what both come to on a machine that does nothing else, and what other work on it disturbs least.
 *
 *   npm run bench:ops -- --against ../before      another checkout, of the commit before the instrumentation
 *   npm run bench:ops                             what the slow log costs, and a listener on tandem:statement, against neither
 *
 * Each round has every contender for a while, in an order that turns; the ratio is that of neighbours, so that what else the machine does hits both.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type * as configModule from '../plugins/config/index.ts'
import type * as openModule from '../plugins/db/open.ts'
import type { Database, EngineName } from '../plugins/db/types.ts'
import type * as eventsModule from '../plugins/db/events.ts'
import { PostgresServer } from '../test/helper/postgres-server.ts'

const { values } = parseArgs({
  options: {
    against: { type: 'string' },
    engine: { type: 'string', default: 'sqlite,postgres' },
    rounds: { type: 'string', default: '80' },
    sets: { type: 'string', default: '8' },
    ms: { type: 'string', default: '150' },
    bound: { type: 'string', default: '3' },
    serve: { type: 'string' },
    checkout: { type: 'string', default: '' },
    url: { type: 'string', default: '' },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log(`npm run bench:ops -- [options]

  --against DIR  a checkout of the commit before, with its node_modules; otherwise the slow log and a listener are measured
  --engine NAME  sqlite, postgres, or both (sqlite,postgres)
  --rounds N     rounds, each with every contender (80)
  --sets N       how often all processes are started anew (8)
  --ms N         how long each reads in a round (150)
  --bound N      how many percent fewer reads there may be, 0 for no bound (3)
  --url URL      a PostgreSQL; otherwise one is started`)
  process.exit(0)
}

const ROWS = 10_000
/** At a time, as requests would be. */
const CONCURRENT: Readonly<Record<EngineName, number>> = { sqlite: 1, postgres: 32 }
const WARM_UP = 6

/** `checkout`: '' is this one. */
interface Contender { readonly name: string, readonly checkout: string, readonly mode: 'plain' | 'slow log' | 'listener' }

const here = resolve(import.meta.dirname, '..')

if (values.serve === undefined) process.exitCode = await compareAll()
else await serve(values.serve)

// --- a contender -------------------------------------------------------------------------------------------------------------------

interface Sample { readonly perSecond: number, readonly perCpuSecond: number }

/** Reads for as many ms as it is told, and answers how many reads a second that were. */
async function serve (mode: string): Promise<void> {
  const from = async <M>(path: string): Promise<M> => await import(pathToFileURL(join(values.checkout, path)).href) as M
  const { readConfig } = await from<typeof configModule>('plugins/config/index.ts')
  const { openDatabase } = await from<typeof openModule>('plugins/db/open.ts')
  const db = await openDatabase(readConfig({ DATABASE_URL: values.url }), { info () {}, warn () {}, error () {} })
  if (mode === 'listener') subscribe('tandem:statement', () => {})
  if (mode === 'slow log') (await from<typeof eventsModule>('plugins/db/events.ts')).watchSlow(500, () => {})
  const concurrent = CONCURRENT[db.engine]
  process.on('disconnect', () => { process.exit(0) })
  process.on('message', (ms: number) => {
    void readFor(db, ms, concurrent).then(sample => process.send?.(sample))
  })
  process.send?.('ready')
}

async function readFor (db: Database, ms: number, concurrent: number): Promise<Sample> {
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const until = startedAt + ms
  const read = async (): Promise<number> => {
    let count = 0
    for (; performance.now() < until; count += 20) {
      for (let i = 0; i < 20; i++) await db.prepare('SELECT id, name, size FROM ops_item WHERE id = ?').get((count * 7919 + i) % ROWS + 1)
    }
    return count
  }
  const counts = await Promise.all(Array.from({ length: concurrent }, read))
  const { user, system } = process.cpuUsage(cpu)
  const reads = counts.reduce((a, b) => a + b, 0)
  return { perSecond: reads / (performance.now() - startedAt) * 1000, perCpuSecond: reads / (user + system) * 1e6 }
}

// --- the comparison ------------------------------------------------------------------------------------------------------------------

async function compareAll (): Promise<number> {
  const { against } = values
  if (against !== undefined && !existsSync(join(against, 'plugins/db/open.ts'))) throw new Error(`--against: expected a checkout, and ${against} has no plugins/db/open.ts`)
  const contenders: Contender[] = against !== undefined
    ? [{ name: 'before', checkout: resolve(against), mode: 'plain' }, { name: 'before, again', checkout: resolve(against), mode: 'plain' }, { name: 'now', checkout: here, mode: 'plain' }, { name: 'now, with the slow log', checkout: here, mode: 'slow log' }]
    : [{ name: 'alone', checkout: here, mode: 'plain' }, { name: 'alone, again', checkout: here, mode: 'plain' }, { name: 'with the slow log', checkout: here, mode: 'slow log' }, { name: 'with a listener', checkout: here, mode: 'listener' }]
  const bounded = against === undefined ? ['with the slow log'] : ['now', 'now, with the slow log']
  let isMet = true
  for (const engine of values.engine.split(',')) {
    const ratios = engine === 'sqlite' ? await onSqlite(contenders) : await onPostgres(contenders)
    const worst = Math.min(...bounded.map(name => ratios.get(name) ?? NaN))
    const isEngineMet = values.bound === '0' || worst >= 1 - Number(values.bound) / 100
    console.log(`  bound: at most ${values.bound} % fewer reads: ${isEngineMet ? 'met' : 'NOT met'}\n`)
    isMet &&= isEngineMet
  }
  return isMet ? 0 : 1
}

async function onSqlite (contenders: readonly Contender[]): Promise<Map<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
  try {
    return await compare('SQLite', `sqlite:${join(folder, 'bench.db')}`, contenders)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function onPostgres (contenders: readonly Contender[]): Promise<Map<string, number>> {
  const server = values.url === '' ? await PostgresServer.start() : undefined
  try {
    return await compare('PostgreSQL', server?.url ?? values.url, contenders)
  } finally {
    await server?.stop()
  }
}

/** The median ratio of each contender to the first. */
async function compare (title: string, url: string, contenders: readonly Contender[]): Promise<Map<string, number>> {
  await fill(url)
  const samples = contenders.map((): Sample[] => [])
  const sets = Number(values.sets)
  for (let set = 0; set < sets; set++) await runSet(url, contenders, samples, Math.ceil(Number(values.rounds) / sets))
  return report(title, contenders, samples)
}

/** With processes of its own, since one that was compiled otherwise stays faster or slower until its end. */
async function runSet (url: string, contenders: readonly Contender[], samples: readonly Sample[][], rounds: number): Promise<void> {
  const children = await Promise.all(contenders.map(async contender => await start(contender, url)))
  const ms = Number(values.ms)
  try {
    for (let round = -WARM_UP; round < rounds; round++) {
      for (let turn = 0; turn < children.length; turn++) { // none is always the first, or after the same one
        const i = (turn * (round % 2 === 0 ? 1 : children.length - 1) + Math.abs(round)) % children.length
        const sample = await measure(children[i], ms)
        if (round >= 0) samples[i]?.push(sample)
      }
    }
  } finally {
    await Promise.all(children.map(stop))
  }
}

async function fill (url: string): Promise<void> {
  const { readConfig } = await import('../plugins/config/index.ts')
  const { openDatabase } = await import('../plugins/db/open.ts')
  const db = await openDatabase(readConfig({ DATABASE_URL: url }), { info () {}, warn () {}, error () {} })
  await db.exec('DROP TABLE IF EXISTS ops_item; CREATE TABLE ops_item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL)')
  await db.prepare(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS}) INSERT INTO ops_item SELECT i, 'item number ' || i, i * 7 FROM n`).run()
  if (db.engine === 'postgres') await db.exec('VACUUM ANALYZE ops_item')
  await db.close()
}

async function start ({ checkout, mode }: Contender, url: string): Promise<ChildProcess> {
  const child = fork(import.meta.filename, ['--serve', mode, '--checkout', checkout, '--url', url], { execArgv: [] })
  await once(child, 'message')
  return child
}

async function stop (child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}

async function measure (child: ChildProcess | undefined, ms: number): Promise<Sample> {
  child?.send(ms)
  const [sample] = child === undefined ? [{ perSecond: NaN, perCpuSecond: NaN }] : await once(child, 'message') as [Sample]
  return sample
}

/** Answers the ratios of reads in a second of the processor. */
function report (title: string, contenders: readonly Contender[], samples: ReadonlyArray<readonly Sample[]>): Map<string, number> {
  console.log(`${title}: ${values.rounds} interleaved rounds of ${values.ms} ms, Node.js ${process.version}`)
  return new Map(contenders.map(({ name }, i) => {
    const ofCpu = compareSamples(samples[0] ?? [], samples[i] ?? [], ({ perCpuSecond }) => perCpuSecond)
    const ofTime = compareSamples(samples[0] ?? [], samples[i] ?? [], ({ perSecond }) => perSecond)
    console.log(`  ${name.padEnd(23)} ${ofTime.median.toFixed(0).padStart(7)} reads/s ${ofTime.text}`)
    console.log(`  ${''.padEnd(23)} ${ofCpu.median.toFixed(0).padStart(7)} in a second of the processor ${ofCpu.text}`)
    return [name, ofCpu.ratio]
  }))
}

function compareSamples (base: readonly Sample[], own: readonly Sample[], of: (sample: Sample) => number): { median: number, ratio: number, text: string } {
  const ratios = own.map((sample, round) => of(sample) / of(base[round] ?? sample)).toSorted((a, b) => a - b)
  const at = (share: number): number => ratios[Math.floor((ratios.length - 1) * share)] ?? NaN
  const best = bestOf(own.map(of)) / bestOf(base.map(of))
  const text = own === base ? '' : `: ratio ${at(0.5).toFixed(3)} (quartiles ${at(0.25).toFixed(3)} and ${at(0.75).toFixed(3)}; of the best eighths ${best.toFixed(3)})`
  return { median: medianOf(own.map(of)), ratio: at(0.5), text }
}

function medianOf (list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[list.length >> 1] ?? NaN
}

/** What the machine can do when nothing else disturbs it. */
function bestOf (list: readonly number[]): number {
  return list.toSorted((a, b) => b - a)[list.length >> 3] ?? NaN
}
