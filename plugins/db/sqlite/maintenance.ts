/**
 * What has to be done between the statements: the WAL is put back into the database file, memory is given back to the operating system, threads that nobody needs end,
 * the planner's statistics are kept up to date. All of it in threads.
 *
 * A checkpoint copies first, while others write (unless they write faster than that), and then takes the writer's place for the little that is left, since only between
 * two transactions, and with no older snapshot read any more, the WAL can begin anew. It never waits for a reader: it comes again.
 */
import type { Limits, Log } from '../types.ts'
import type { SqliteSettings } from './open.ts'
import type { Readers } from './readers.ts'
import { unlimited, type Thread } from './thread.ts'

/** What it needs of the engine. */
export interface Maintained {
  readonly readers: Readers
  walBytes: () => number
  withWriterThread: <T>(limits: Limits, task: (thread: Thread) => Promise<T>) => Promise<T>
  idleWriterThread: () => Promise<Thread | undefined>
}

const EVERY_MS = 100
const LONGEST_PAUSE_MS = 60_000
/** A thread that has worked so long holds memory worth giving back. */
const WORTH_TRIMMING_MS = 20
/** After a checkpoint that a reader has kept from its end. */
const AGAIN_MS = 1000
const ROUNDS_AHEAD = 2
const OPTIMIZE_EVERY_MS = 24 * 60 * 60 * 1000
const OPTIMIZE_MS = 5000

export class Maintenance {
  readonly #engine: Maintained
  readonly #settings: SqliteSettings
  readonly #log: Log
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isStopped = false
  #dueAt = Infinity
  #checkpointAt = 0
  /** As it was when it was looked at last. */
  #walBytes = 0
  #optimizeAt: number

  constructor (engine: Maintained, settings: SqliteSettings, log: Log) {
    this.#engine = engine
    this.#settings = settings
    this.#log = log
    this.#optimizeAt = performance.now() + settings.optimizeAfterMs
  }

  /** Something was done that may have left something to do. */
  wake (): void {
    if (this.#dueAt > performance.now() + EVERY_MS) this.#schedule(EVERY_MS)
  }

  #schedule (ms: number): void {
    clearTimeout(this.#timer)
    if (this.#isStopped || ms === Infinity) return
    this.#dueAt = performance.now() + ms
    this.#timer = setTimeout(() => { this.#running = this.#run() }, ms)
    this.#timer.unref()
  }

  async stop (): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#running
  }

  async #run (): Promise<void> {
    try {
      await this.#trim()
      await this.#checkpoint()
      await this.#optimize()
      await this.#endIdle()
    } catch (error) {
      if (!this.#isStopped) this.#log.warn({ err: error }, 'maintenance of the SQLite database failed; it will be tried again')
    }
    this.#dueAt = Infinity
    this.#schedule(this.#pauseMs())
  }

  /** Until there is something to do without anybody's doing. */
  #pauseMs (): number {
    if (this.#engine.walBytes() >= this.#settings.walBytes) return AGAIN_MS
    return this.#engine.readers.count > 0 ? Math.min(this.#settings.idleTimeoutMs, LONGEST_PAUSE_MS) : Infinity
  }

  async #trim (): Promise<void> {
    const isWorth = (thread: Thread): boolean => thread.workedSinceTrimMs > WORTH_TRIMMING_MS
    await this.#engine.readers.whileIdle(isWorth, async thread => { await thread.trim() })
    const writer = await this.#engine.idleWriterThread()
    if (writer !== undefined && isWorth(writer)) await writer.trim()
  }

  async #checkpoint (): Promise<void> {
    const bytes = this.#engine.walBytes()
    const growth = bytes - this.#walBytes
    this.#walBytes = bytes
    if (bytes < this.#settings.walBytes || performance.now() < this.#checkpointAt || this.#isStopped) return
    if (growth < this.#settings.walBytes / 4) for (let i = 0; i < ROUNDS_AHEAD; i++) await this.#copyAhead() // else more would be written than copied meanwhile
    const limits = { ...unlimited, deadline: performance.now() + this.#settings.acquireTimeoutMs }
    const isKept = await this.#engine.withWriterThread(limits, async thread => await thread.run({ kind: 'checkpoint', mode: 'TRUNCATE' }, limits, 'checkpoint')) !== 0
    if (isKept) this.#checkpointAt = performance.now() + AGAIN_MS
    this.#walBytes = this.#engine.walBytes()
  }

  /** While others write. Each round leaves what was written during it, so the next one is shorter, and so is the time that writers wait for the last of it. */
  async #copyAhead (): Promise<void> {
    const writer = await this.#engine.idleWriterThread()
    await writer?.run({ kind: 'checkpoint', mode: 'PASSIVE' }, unlimited, 'checkpoint').catch(() => {})
  }

  async #optimize (): Promise<void> {
    if (performance.now() < this.#optimizeAt || this.#settings.readonly || this.#isStopped) return
    this.#optimizeAt = performance.now() + OPTIMIZE_EVERY_MS
    const limits = { ...unlimited, deadline: performance.now() + OPTIMIZE_MS }
    await this.#engine.withWriterThread(limits, async thread => { await thread.run({ kind: 'optimize' }, limits, 'PRAGMA optimize') }).catch(() => {})
  }

  async #endIdle (): Promise<void> {
    await this.#engine.readers.endIdle(performance.now() - this.#settings.idleTimeoutMs)
  }
}
