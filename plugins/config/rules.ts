/**
 * How the values fit together: defaults that depend on the machine or on other values, and the rules across fields.
 *
 * What is kept true:
 *  1. cache × connections ≤ soft limit ≤ hard limit ≤ memory. PRAGMA soft_heap_limit is inert in better-sqlite3's build, so this sum is the soft limit.
 *  2. A default gives way to what is set, and the defaults alone keep rule 1 on every machine with at least 32 MB.
 * It refuses to know how a value was written.
 */
import { formatBytes } from './limits.ts'
import { getVariable, type Name } from './schema.ts'
import type { Machine } from './machine.ts'
import type { Problem } from './problem.ts'

/** The sizes that rule 1 is about. `cacheBytes` is for each connection that is not a small one. */
export interface Sizes { cacheBytes: number, softHeapBytes: number, hardHeapBytes: number, readers: number }

/** How many connections for short read transactions there are at most. Each has a sixteenth of a cache, so together they count as one. */
export const smallConnections = 16

/**
 * How many times SQLITE_CACHE_SIZE there is: each reader's thread, the writer's, on the main thread one for single reads and one for short writes,
 * and the small ones as one.
 */
export function countConnections (readers: number): number {
  return readers + 4
}

/** Each part of `countConnections`, in words. */
export function describeConnections (readers: number): string {
  return `${readers} ${readers === 1 ? 'reader' : 'readers'}, the writer, one for single reads, one for short writes, ${smallConnections} small ones as one`
}

export function defaultReaders (processors: number): number {
  return Math.min(4, Math.max(2, processors - 1))
}

/** The sizes that are given, and defaults for the others. */
export function completeSizes (given: Partial<Sizes>, machine: Machine): Sizes {
  const memory = machine.memoryBytes
  const readers = given.readers ?? defaultReaders(machine.processors)
  const softHeapBytes = given.softHeapBytes ?? Math.min(2e9, Math.floor(memory / 4), given.hardHeapBytes ?? Infinity)
  const hardHeapBytes = given.hardHeapBytes ?? Math.min(2 * softHeapBytes, memory)
  const fitting = Math.floor(softHeapBytes / countConnections(readers))
  const cacheBytes = given.cacheBytes ?? Math.max(getVariable('SQLITE_CACHE_SIZE').minimum ?? 0, Math.min(16e6, fitting))
  return { cacheBytes, softHeapBytes, hardHeapBytes, readers }
}

/** Rule 1. `written` has the text of each variable that is set. */
export function checkSizes (sizes: Sizes, machine: Machine, written: ReadonlyMap<Name, string>): Problem[] {
  return [checkCaches(sizes, machine, written), checkSoft(sizes, machine, written), checkHard(sizes, machine, written)].filter(problem => problem !== undefined)
}

function checkCaches ({ cacheBytes, softHeapBytes, readers }: Sizes, { memoryBytes }: Machine, written: ReadonlyMap<Name, string>): Problem | undefined {
  const connections = countConnections(readers)
  const sum = cacheBytes * connections
  if (sum <= softHeapBytes) return undefined
  const raise = sum <= memoryBytes ? `SQLITE_SOFT_HEAP_LIMIT=${formatBytes(sum, 'up')} or more, ` : ''
  const fewer = readers > 1 ? ', or fewer SQLITE_READERS' : ''
  return {
    variable: 'SQLITE_CACHE_SIZE',
    value: written.get('SQLITE_CACHE_SIZE') ?? `${formatBytes(cacheBytes)} (the default)`,
    expected: `at most SQLITE_SOFT_HEAP_LIMIT (${formatBytes(softHeapBytes)}) for all connections together; ${connections} times ${formatBytes(cacheBytes)} ` +
      `(${describeConnections(readers)}) are ${formatBytes(sum)}`,
    instead: `${raise}SQLITE_CACHE_SIZE=${formatBytes(softHeapBytes / connections, 'down')} or less${fewer}`
  }
}

function checkSoft ({ softHeapBytes, hardHeapBytes }: Sizes, { memoryBytes }: Machine, written: ReadonlyMap<Name, string>): Problem | undefined {
  if (softHeapBytes <= hardHeapBytes) return undefined
  const bound = written.has('SQLITE_HARD_HEAP_LIMIT') ? 'SQLITE_HARD_HEAP_LIMIT' : 'the memory'
  const canRaise = written.has('SQLITE_HARD_HEAP_LIMIT') && softHeapBytes <= memoryBytes
  const raise = canRaise ? `, or SQLITE_HARD_HEAP_LIMIT=${formatBytes(softHeapBytes, 'up')} or more` : ''
  return {
    variable: 'SQLITE_SOFT_HEAP_LIMIT',
    value: written.get('SQLITE_SOFT_HEAP_LIMIT'),
    expected: `at most ${bound} (${formatBytes(hardHeapBytes)}); it is ${formatBytes(softHeapBytes)}`,
    instead: `SQLITE_SOFT_HEAP_LIMIT=${formatBytes(hardHeapBytes, 'down')} or less${raise}`
  }
}

function checkHard ({ hardHeapBytes }: Sizes, machine: Machine, written: ReadonlyMap<Name, string>): Problem | undefined {
  if (hardHeapBytes <= machine.memoryBytes) return undefined
  return {
    variable: 'SQLITE_HARD_HEAP_LIMIT',
    value: written.get('SQLITE_HARD_HEAP_LIMIT'),
    expected: `at most the memory of this ${machine.memoryOf} (${formatBytes(machine.memoryBytes)}); it is ${formatBytes(hardHeapBytes)}`,
    instead: 'SQLITE_HARD_HEAP_LIMIT=50%, or leave it out'
  }
}
