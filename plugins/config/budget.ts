/**
 * What the SQLite settings come to in memory, and what is better on this machine with this database.
 *
 * What is kept true: every figure is an upper bound of one thing that is named; what has no bound (sorts with temp_store=memory) is said to have none.
 * The constants are measured: docs/sqlite-memory.md. Nothing is opened.
 */
import type { Config } from './index.ts'
import { formatBytes, parseSize } from './limits.ts'
import type { Machine } from './machine.ts'
import { completeSizes, countConnections, smallConnections, type Sizes } from './rules.ts'

/** A worker thread with better-sqlite3 and a connection. */
const threadBytes = 11e6
/** Node with an app. */
const processBytes = 60e6
/** A sorter's buffer is as large as the cache of its connection, and at most this (vdbesort.c, mxPmaSize). */
const sorterBytes = 512 * 2 ** 20
/** From here on a cache is large: in the benchmark it saved time only in repeated scans of a database that fits into it as a whole. */
const largeCacheBytes = 64e6

export interface Budget {
  /** In cache sizes: the small ones count as one. */
  connections: number
  /** The reader threads among them. */
  readers: number
  /** All page caches, full. */
  cachesBytes: number
  /** One sort in each connection, a small one too. Infinity with temp_store=memory. */
  sortersBytes: number
  /** The writer's thread and the readers', all of them started. */
  threads: number
  threadsBytes: number
  processBytes: number
  totalBytes: number
}

export function budgetOf ({ cacheBytes, readers, tempStore }: Config['sqlite']): Budget {
  const connections = countConnections(readers)
  const cachesBytes = connections * cacheBytes
  const bounded = sortersOf(cacheBytes, connections - 1) + sortersOf(cacheBytes / smallConnections, smallConnections)
  const sortersBytes = tempStore === 'memory' ? Infinity : bounded
  const threads = readers + 1
  const threadsBytes = threads * threadBytes
  const totalBytes = cachesBytes + sortersBytes + threadsBytes + processBytes
  return { connections, readers, cachesBytes, sortersBytes, threads, threadsBytes, processBytes, totalBytes }
}

function sortersOf (cacheBytes: number, connections: number): number {
  return connections * Math.min(cacheBytes, sorterBytes)
}

export interface Recommendation {
  /** Variable and value, ready for `.env`. */
  settings: Record<string, string>
  /** Why, a sentence each. */
  reasons: string[]
}

/** `databaseBytes`: the size of the file, if there is one. */
export function recommend (sqlite: Config['sqlite'], machine: Machine, databaseBytes: number | undefined): Recommendation {
  const { readers } = sqlite
  const best = roundSizes(completeSizes({ readers }, machine), machine)
  const left = machine.memoryBytes - budgetOf({ ...sqlite, ...best, tempStore: 'file' }).totalBytes
  return {
    settings: {
      SQLITE_CACHE_SIZE: formatBytes(best.cacheBytes, 'down'),
      SQLITE_SOFT_HEAP_LIMIT: formatBytes(best.softHeapBytes, 'down'),
      SQLITE_HARD_HEAP_LIMIT: formatBytes(best.hardHeapBytes, 'down'),
      SQLITE_TEMP_STORE: 'file'
    },
    reasons: [aboutDatabase(databaseBytes, Math.max(0, left)), ...aboutSettings(sqlite, machine)]
  }
}

/** The same with a soft limit that can be written in three digits, so that the settings still fit together when they are written. */
function roundSizes (sizes: Sizes, machine: Machine): Sizes {
  const soft = parseSize(formatBytes(sizes.softHeapBytes, 'down'), machine.memoryBytes)
  return completeSizes({ readers: sizes.readers, softHeapBytes: soft.ok ? soft.value : sizes.softHeapBytes }, machine)
}

function aboutDatabase (databaseBytes: number | undefined, left: number): string {
  const room = `about ${formatBytes(roughly(left))} of memory`
  if (databaseBytes === undefined) {
    return `Leave ${room} to the operating system: it keeps the parts of the file that are read, and shares them between all connections.`
  }
  const size = formatBytes(databaseBytes)
  if (databaseBytes <= left) {
    return `The database (${size}) fits into ${room} that the operating system keeps files in. Larger caches would hold copies of what is there.`
  }
  return `The database (${size}) is larger than ${room} that the operating system keeps files in. Larger caches would take from that, once for each connection.`
}

function aboutSettings (sqlite: Config['sqlite'], machine: Machine): string[] {
  const { totalBytes, connections } = budgetOf(sqlite)
  const reasons = []
  if (sqlite.cacheBytes > largeCacheBytes) {
    const cache = formatBytes(sqlite.cacheBytes)
    reasons.push(`A cache of ${cache} is held up to ${connections} times. Measure before you keep it: docs/sqlite-memory.md.`)
  }
  if (sqlite.tempStore === 'memory') reasons.push('With SQLITE_TEMP_STORE=memory a sort takes as much memory as it has rows, and the process keeps it.')
  if (totalBytes !== Infinity && totalBytes > machine.memoryBytes) {
    reasons.push(`All of it at once (${formatBytes(totalBytes)}) is more than the memory. Take a smaller cache or fewer readers.`)
  }
  return reasons
}

/** Two digits: more would claim too much. */
function roughly (bytes: number): number {
  return Number(bytes.toPrecision(2))
}
