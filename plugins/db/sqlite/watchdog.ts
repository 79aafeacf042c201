/**
 * The native part (native/watchdog.c) as a class: what ends statements of a connection from outside, and what is known of its memory.
 *
 * Kept true: a binary is loaded only if it is the one that native/SHA256SUMS names for this platform; without one `loadWatchdog` answers undefined, and whoever
 * opened the connection goes on without it. Nothing here decides when a statement is to be ended.
 *
 * Of one connection:
 *  1. `begin` and `end` come in pairs, and whatever runs between them is one operation. Its cursors are closed before its end: an interrupt ends every statement of
 *     the connection that starts before the last active one has ended, `end` too.
 *  2. `cancel` is called on another connection of the same process, on whatever thread; `slot` is what it needs to know of this one.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type Sqlite from 'better-sqlite3'

/** Why an operation was stopped. */
export type StopReason = 'time' | 'cancel' | 'memory'

/** What one connection uses. */
export interface ConnectionMemory {
  readonly cacheBytes: number
  readonly schemaBytes: number
  readonly statementBytes: number
  /** Written to temporary files since the connection was opened. */
  readonly spilledBytes?: number
}

/** Of the process. */
export interface WatchdogStats {
  /** Connections that are watched. */
  readonly slots: number
  /** Threads that were started. */
  readonly tickers: number
  readonly stoppedByTime: number
  readonly stoppedByCancel: number
  readonly stoppedByMemory: number
}

/** More often than the native part repeats an interrupt. */
const END_TRIES = 20

const reasons: readonly (StopReason | undefined)[] = [undefined, 'time', 'cancel', 'memory']

type Value = number | string | null
type Call = Sqlite.Statement<Value[], Value>

export class Watchdog {
  /** This connection's name for `cancel`; a plain number, to be sent to other threads. */
  readonly slot: number
  readonly #db: Sqlite.Database
  readonly #calls = new Map<string, Call>()
  readonly #begin: Call
  readonly #end: Call
  readonly #cancel: Call

  /** Throws if the connection does not have the functions. */
  constructor (db: Sqlite.Database) {
    this.#db = db
    this.#begin = this.#prepare('tandem_begin(?, ?)')
    this.#end = this.#prepare('tandem_end()')
    this.#cancel = this.#prepare('tandem_cancel(?, ?)')
    this.slot = Number(this.#ask('tandem_slot()'))
  }

  // --- ending statements -------------------------------------------------------------------------------------------------------

  /** Each statement of this connection may take that long, from its start to its end. 0: as long as it wants. */
  setBudget (ms: number): void {
    this.#ask('tandem_budget(?)', ms)
  }

  /**
   * Begins an operation: the statements until `end` have `remainingMs` together (undefined: as long as they want), and can be cancelled by this number, which has
   * to be above that of the connection's last one. False if it was cancelled already; then it has not begun and needs no `end`.
   */
  begin (op: number, remainingMs: number | undefined): boolean {
    return this.#begin.get(op, remainingMs ?? null) === 0
  }

  /** Ends the operation, and tells why it was stopped, if it was. Without an operation: why the last statement was stopped, for a connection with a budget. */
  end (): StopReason | undefined {
    for (let again = 0; ; again++) {
      try {
        return reasons[this.#end.get() as number]
      } catch (error) {
        // an interrupt that the native part repeats may fall on the start of this very statement: see statement_ended() in native/watchdog.c
        if (again === END_TRIES || !(error instanceof Error && 'code' in error && error.code === 'SQLITE_INTERRUPT')) throw error
      }
    }
  }

  /** Stops an operation of another connection, or keeps it from beginning. False: it is over, or the connection is closed. */
  cancel (slot: number, op: number): boolean {
    return this.#cancel.get(slot, op) !== 0
  }

  /** From now on this connection waits for the locks of other processes, as long as its operation may go on, and without an operation not at all. */
  useBusyHandler (): void {
    this.#ask('tandem_busy()')
  }

  // --- memory ------------------------------------------------------------------------------------------------------------------

  /** No value and no row of this connection may be longer. Answers the former limit. */
  limitLength (bytes: number): number {
    return Number(this.#ask('tandem_length(?)', bytes))
  }

  memory (): ConnectionMemory {
    return JSON.parse(String(this.#ask('tandem_memory()'))) as ConnectionMemory
  }

  /** Gives the connection's cache to the allocator, and the allocator's free memory to the system. False where the latter cannot be asked for. Takes up to some 40 ms. */
  trim (): boolean {
    return this.#ask('tandem_trim()') === 1
  }

  /** Anonymous memory of the process that is resident: without files that are mapped. Undefined where it is not known. */
  anonBytes (): number | undefined {
    const bytes = this.#ask('tandem_anon()')
    return bytes === null ? undefined : Number(bytes)
  }

  /** For the process: above so many bytes of `anonBytes`, one operation after the other is stopped, the one whose statement runs the longest first. 0: no limit. */
  limitHeap (bytes: number): void {
    this.#ask('tandem_heap_limit(?)', bytes)
  }

  // --- what is not in the driver -----------------------------------------------------------------------------------------------

  /** Pages in the WAL after this connection's last commit; undefined if there was none since the first call. That call ends SQLite's automatic checkpoints here. */
  walPages (): number | undefined {
    const pages = Number(this.#ask('tandem_wal()'))
    return pages < 0 ? undefined : pages
  }

  /** True while COMMIT would fail because of deferred foreign keys. */
  hasDeferred (): boolean {
    return this.#ask('tandem_deferred()') === 1
  }

  stats (): WatchdogStats {
    return JSON.parse(String(this.#ask('tandem_stats()'))) as WatchdogStats
  }

  #ask (call: string, ...values: Value[]): Value {
    let statement = this.#calls.get(call)
    if (statement === undefined) this.#calls.set(call, statement = this.#prepare(call))
    return statement.get(...values) ?? null
  }

  /** `SELECT tandem_` at the start is what exempts these from being ended themselves. */
  #prepare (call: string): Call {
    return this.#db.prepare<Value[], Value>(`SELECT ${call}`).pluck().safeIntegers(false)
  }
}

// --- loading -------------------------------------------------------------------------------------------------------------------

/** The file for this platform and why there is none; looked for once on each thread. */
let found: { path: string } | { problem: string } | undefined
let loadProblem: string | undefined

/** Loads the native part into the connection; undefined where there is none that fits, see `watchdogProblem`. */
export function loadWatchdog (db: Sqlite.Database): Watchdog | undefined {
  found ??= findBinary()
  if ('problem' in found) return undefined
  try {
    db.loadExtension(found.path) // SQLite finds sqlite3_watchdog_init by the name of the file
    return new Watchdog(db)
  } catch (error) {
    loadProblem = `${found.path} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`
    return undefined
  }
}

/** Why `loadWatchdog` answered undefined, for a log. */
export function watchdogProblem (): string | undefined {
  return found !== undefined && 'problem' in found ? found.problem : loadProblem
}

function findBinary (): { path: string } | { problem: string } {
  const folder = nativeFolder()
  if (folder === undefined) return { problem: 'the native part is not there: no native/SHA256SUMS' }
  const name = `prebuilds/${platformName()}/watchdog${process.platform === 'win32' ? '.dll' : process.platform === 'darwin' ? '.dylib' : '.so'}`
  const path = fileURLToPath(new URL(name, folder))
  if (!existsSync(path)) return { problem: `the native part was not built for this platform: no native/${name}` }
  const sum = createHash('sha256').update(readFileSync(path)).digest('hex')
  const sums = readFileSync(new URL('SHA256SUMS', folder), 'utf8').split('\n')
  return sums.includes(`${sum}  ${name}`) ? { path } : { problem: `native/${name} is not the file that native/SHA256SUMS names` }
}

/** From plugins/db/sqlite as well as from dist/plugins/db/sqlite. */
function nativeFolder (): URL | undefined {
  return ['../../../native/', '../../../../native/'].map(path => new URL(path, import.meta.url)).find(folder => existsSync(new URL('SHA256SUMS', folder)))
}

/** 'linux-x64', 'linux-arm64-musl', 'darwin-arm64', … */
function platformName (): string {
  return `${process.platform}-${process.arch}${process.platform === 'linux' && isMusl() ? '-musl' : ''}`
}

/** By the loader that this process was started with, as better-sqlite3 does. */
function isMusl (): boolean {
  try {
    return /\/ld-musl-[^/\s]*\.so/.test(readFileSync('/proc/self/maps', 'latin1'))
  } catch {
    return existsSync(`/lib/ld-musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`)
  }
}
