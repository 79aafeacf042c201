/**
 * What to set the memory of SQLite to, from what is observed: `GET /ops/memory/advice`.
 *
 * What is kept true:
 *  1. Nothing is advised that was not measured to help (docs/sqlite-memory.md): no larger cache than the default's 16 MB, no memory of the machine for its own sake.
 *  2. Each figure says where it comes from. better-sqlite3's connections do not tell the hit rate of their caches, so what the operating system read from the disk stands for it: what
 *     a cache misses and the disk was not asked for came from the operating system's memory, at the price of a copy. That is called derived.
 *  3. The settings are those of `npm run config`, and fit together.
 *
 * On PostgreSQL the memory is the server's, which tells its hit rate itself; then there is nothing to set here.
 */
import { statSync, readFileSync } from 'node:fs'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import { budgetOf, recommend } from '../config/budget.ts'
import type { Config } from '../config/index.ts'
import { formatBytes } from '../config/limits.ts'
import { readMachine, type Machine } from '../config/machine.ts'
import type { MemoryEvent } from '../db/events.ts'
import type { Database } from '../db/types.ts'

export interface Observed {
  readonly databaseBytes: number | undefined
  readonly walBytes: number | undefined
  readonly memoryBytes: number
  readonly memoryOf: Machine['memoryOf']
  /** Anonymous memory of the process. */
  readonly processBytes: number | undefined
  /** All page caches, if they were full. */
  readonly cachesBytes: number
  /** From the disk since this process started, by whatever part of it; Linux. */
  readonly diskReadBytes: number | undefined
  /** Of page reads that a cache could answer, 0 to 1. PostgreSQL: of the server's. SQLite: undefined, see `hitRateIs`. */
  readonly hitRate: number | undefined
  readonly hitRateIs: 'measured' | 'derived from what was read from the disk' | 'not known'
  /** To temporary files. PostgreSQL: of this database, by all. SQLite: by the main thread's connection. */
  readonly spilledBytes: number | undefined
  /** Since the plugin is there. */
  readonly releases: number
  readonly endedForMemory: number
}

/** A variable that should have another value. */
export interface Change { readonly variable: string, readonly now: string, readonly to: string, readonly why: string }

export interface MemoryAdvice {
  readonly engine: Database['engine']
  readonly observed: Observed
  readonly changes: readonly Change[]
  /** As `npm run config` recommends them. {} on PostgreSQL. */
  readonly settings: Readonly<Record<string, string>>
  readonly reasons: readonly string[]
}

/** What was counted. */
export type Counts = Pick<Observed, 'releases' | 'endedForMemory'>

/** Less than that of the database: the disk was hardly asked. */
const HARDLY = 0.05
/** Of PostgreSQL's page reads; below it its cache is worth a look. */
const GOOD_HIT_RATE = 0.99

/** `GET /ops/memory/advice`. */
export function adviceRoutes (app: FastifyInstance): void {
  const counts = { releases: 0, endedForMemory: 0 }
  const count = (event: unknown): void => { counts[(event as MemoryEvent).what === 'ended' ? 'endedForMemory' : 'releases']++ }
  subscribe('tandem:memory', count)
  app.addHook('onClose', async () => { unsubscribe('tandem:memory', count) })
  app.get('/ops/memory/advice', { config: { tx: false } }, async () => await adviseOn(app.db, app.config, counts))
}

export async function adviseOn (db: Database, config: Config, counts: Counts): Promise<MemoryAdvice> {
  const machine = readMachine()
  return db.engine === 'sqlite' ? adviseSqlite(config, machine, await observeSqlite(db, config, machine, counts)) : advisePostgres(await observePostgres(db, machine, counts))
}

// --- SQLite ------------------------------------------------------------------------------------------------------------------

async function observeSqlite (db: Database, { database, sqlite }: Config, machine: Machine, counts: Counts): Promise<Observed> {
  const { walBytes, anonymousBytes } = db.status().sqlite ?? {}
  const diskReadBytes = readFromDisk()
  return {
    databaseBytes: sizeOf(database.path),
    walBytes,
    memoryBytes: machine.memoryBytes,
    memoryOf: machine.memoryOf,
    processBytes: anonymousBytes,
    cachesBytes: budgetOf(sqlite).cachesBytes,
    diskReadBytes,
    hitRate: undefined,
    hitRateIs: diskReadBytes === undefined ? 'not known' : 'derived from what was read from the disk',
    spilledBytes: await spilledBytes(db),
    ...counts
  }
}

/** What follows from what was observed. */
export function adviseSqlite ({ sqlite }: Pick<Config, 'sqlite'>, machine: Machine, observed: Observed): MemoryAdvice {
  const { settings, reasons } = recommend(sqlite, machine, observed.databaseBytes)
  const now: Record<string, number | string> = {
    SQLITE_CACHE_SIZE: sqlite.cacheBytes, SQLITE_SOFT_HEAP_LIMIT: sqlite.softHeapBytes, SQLITE_HARD_HEAP_LIMIT: sqlite.hardHeapBytes, SQLITE_TEMP_STORE: sqlite.tempStore
  }
  const changes = Object.entries(settings).map(([variable, to]): Change => {
    const value = now[variable] ?? ''
    return { variable, now: typeof value === 'number' ? formatBytes(value, 'down') : value, to, why: whyChange(variable, value, sqlite, observed) }
  }).filter(({ now, to, why }) => now !== to && why !== '')
  return { engine: 'sqlite', observed, changes, settings, reasons: [...reasons, ...aboutDisk(observed), ...aboutEnded(observed, sqlite)] }
}

/** '': what is set does as well. */
function whyChange (variable: string, value: number | string, sqlite: Config['sqlite'], { memoryBytes, databaseBytes = Infinity }: Observed): string {
  if (variable === 'SQLITE_TEMP_STORE') return 'In memory a sort of all rows was no faster, and the process kept the memory: 580 MB instead of 58 MB (docs/sqlite-memory.md).'
  if (variable === 'SQLITE_CACHE_SIZE') return whyCache(Number(value), databaseBytes)
  const caches = budgetOf(sqlite).cachesBytes
  if (variable === 'SQLITE_SOFT_HEAP_LIMIT') return Number(value) > memoryBytes / 2 ? `All caches may have ${formatBytes(caches)}, and the operating system keeps the file in what is left of ${formatBytes(memoryBytes)}.` : ''
  return Number(value) > memoryBytes * 0.9 ? `With ${formatBytes(memoryBytes)} of memory the system would end the process before a statement is ended for it.` : ''
}

function whyCache (cacheBytes: number, databaseBytes: number): string {
  if (cacheBytes < 16e6) return '16 MB for each connection is what the measurements were made with, if all of them fit into the soft limit; a smaller one was not measured.'
  if (cacheBytes === 16e6) return ''
  const scans = cacheBytes >= databaseBytes ? ' The whole database fits into it: the same large scan, run again at once, takes half the time. If that is what the app does, keep it.' : ''
  return `A larger cache made no query faster that meets new rows, and took 15 to 71 times the memory (docs/sqlite-memory.md).${scans}`
}

function aboutDisk ({ diskReadBytes, databaseBytes }: Observed): string[] {
  if (diskReadBytes === undefined || databaseBytes === undefined) return ['How often a cache was hit is not known here.']
  const read = `Since the start ${formatBytes(diskReadBytes)} were read from the disk, by all of the process`
  if (diskReadBytes <= databaseBytes * HARDLY) return [`${read}: what the caches miss comes from the operating system's memory (derived), so larger caches would save a copy and nothing else.`]
  if (diskReadBytes <= databaseBytes) return [`${read}, less than the database has: it was read for the first time (derived), which no cache is faster at.`]
  return [`${read}, more than the database has: parts are read again and again (derived). More memory for the operating system helps, or statements that read less: see the slow log.`]
}

function aboutEnded ({ endedForMemory, spilledBytes = 0 }: Observed, { hardHeapBytes }: Config['sqlite']): string[] {
  const reasons = []
  if (endedForMemory > 0) {
    reasons.push(`${endedForMemory} ${endedForMemory === 1 ? 'statement was' : 'statements were'} ended because the process had more than SQLITE_HARD_HEAP_LIMIT (${formatBytes(hardHeapBytes)}): all() of many rows is the usual cause, and iterate() what helps; a higher limit puts it off.`)
  }
  if (spilledBytes > 0) reasons.push(`${formatBytes(spilledBytes)} were written to temporary files by sorts on the main thread: an index in the order of the sort would do without. A larger cache was not measured to help.`)
  return reasons
}

function sizeOf (path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size
}

/** https://docs.kernel.org/filesystems/proc.html#proc-pid-io-display-the-io-accounting-fields */
function readFromDisk (): number | undefined {
  try {
    const [, bytes] = /^read_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1')) ?? []
    return bytes === undefined ? undefined : Number(bytes)
  } catch {
    return undefined
  }
}

/** Undefined without the native part, whose function it is: to ask for it then would be a failed statement. */
async function spilledBytes (db: Database): Promise<number | undefined> {
  if (db.status().sqlite?.watchdog !== 'on') return undefined
  const row = await db.prepare<{ memory: string }>('SELECT tandem_memory() AS memory').get()
  return (JSON.parse(row?.memory ?? '{}') as { spilledBytes?: number }).spilledBytes
}

// --- PostgreSQL ----------------------------------------------------------------------------------------------------------------

interface Server { readonly size: number, readonly hits: number, readonly reads: number, readonly spilled: number }

async function observePostgres (db: Database, machine: Machine, counts: Counts): Promise<Observed> {
  const row = await db.prepare<Server>(
    'SELECT pg_database_size(datname) AS size, blks_hit AS hits, blks_read AS reads, temp_bytes AS spilled FROM pg_stat_database WHERE datname = current_database()').get()
  const pages = (row?.hits ?? 0) + (row?.reads ?? 0)
  return {
    databaseBytes: row?.size,
    walBytes: undefined,
    memoryBytes: machine.memoryBytes,
    memoryOf: machine.memoryOf,
    processBytes: undefined,
    cachesBytes: 0,
    diskReadBytes: undefined,
    hitRate: row === undefined || pages === 0 ? undefined : row.hits / pages,
    hitRateIs: pages === 0 ? 'not known' : 'measured',
    spilledBytes: row?.spilled,
    ...counts
  }
}

/** What follows from what was observed. */
export function advisePostgres (observed: Observed): MemoryAdvice {
  const { hitRate, spilledBytes = 0 } = observed
  const reasons = ['The memory is the server\'s: there is nothing to set here.']
  if (hitRate !== undefined) {
    const rate = `${(hitRate * 100).toFixed(1)} % of the pages were in shared_buffers`
    reasons.push(hitRate >= GOOD_HIT_RATE ? `${rate}.` : `${rate}; the others came from the operating system's memory or the disk. If statements that should be short wait for the disk, a larger shared_buffers may help.`)
  }
  if (spilledBytes > 0) reasons.push(`${formatBytes(spilledBytes)} were written to temporary files since the statistics began: a larger work_mem, or an index in the order of the sort, would do without; the slow log says which.`)
  return { engine: 'postgres', observed, changes: [], settings: {}, reasons }
}
