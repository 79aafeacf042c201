/**
 * A connection in a thread of its own, as the main thread sees it.
 *
 * Kept true:
 *  1. It does one task at a time, in the order in which they are asked for.
 *  2. A task whose limits pass is stopped by the watchdog; what that cannot stop (one long function, a sort in memory; anything, without a watchdog) is left to itself: its
 *     caller is told in time, and the next task waits for its end, but no longer than its own limits.
 *  3. Success is reported if the task succeeded, also if it was told to stop meanwhile: a COMMIT counts.
 *  4. Threads do not keep the process alive, unless they work.
 *  5. What closes a cursor, or the connection, is never stopped: whoever is next on this connection would fail, and who waits for its end would wait for ever.
 */
import { Worker } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import { databaseError, DbClosed } from '../../errors.ts'
import { publishMemory, publishPool } from '../events.ts'
import { Result, type ResultLimits } from '../result.ts'
import { checkLimits, watchLimits } from '../scope.ts'
import type { Limits, Method, Row } from '../types.ts'
import { toOurError } from './errors.ts'
import type { Batch } from './handle.ts'
import type { Answer, Failure, Ready, Request, Task, ThreadData } from './messages.ts'
import { withBuffers } from './values.ts'
import type { Watchdog } from './watchdog.ts'

/** How long a task that was told to stop may go on before its caller is told anyway. */
const STOP_GRACE_MS = 25
/** How long it is counted on after that. */
const PATIENCE_MS = 1500
/** The young generation of a thread's heap would keep 50 MB for rows that have crossed long ago. */
const YOUNG_GENERATION_MB = 4

export const unlimited: Limits = { deadline: Infinity, signal: undefined, held: [] }

const workerFile = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/** Starts a thread and opens its connection. `watchdog`: one of the main thread, to stop tasks by. Throws `TDM_ERR_DB_OPEN`. */
export async function startThread (data: ThreadData, watchdog: Watchdog | undefined, result: ResultLimits): Promise<Thread> {
  const worker = new Worker(workerFile, {
    name: `tandem-sqlite-${data.readonly ? 'reader' : 'writer'}`,
    workerData: data,
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB }
  })
  const { promise, resolve, reject } = Promise.withResolvers<Ready>()
  const fail = (cause: Error): void => { reject(databaseError('connection', data.path, { cause })) }
  worker.once('message', resolve).once('error', fail)
  const ready = await promise
  if ('failure' in ready) throw errorOf(ready.failure)
  worker.removeListener('error', fail)
  return new Thread(worker, ready.slot, watchdog, result)
}

export class Thread {
  readonly #worker: Worker
  readonly #slot: number
  #watchdog: Watchdog | undefined
  readonly #result: ResultLimits
  readonly #exited: Promise<void>
  #operation = 0
  #tail: Promise<void> = Promise.resolve()
  #onAnswer: ((answer: Answer) => void) | undefined
  /** Stops the running task. */
  #stop: ((error: Error) => void) | undefined
  #isDead = false
  #isEnding = false
  /** Tasks that were asked for and have not ended. */
  #pending = 0
  /** It was told to stop what it does, its caller was told, and it has not stopped. */
  isStuck = false
  inTransaction = false
  /** What it has worked since it was started. */
  workedMs = 0
  /** The statement that runs. */
  current: { readonly sql: string, readonly since: number, readonly limits: Limits, readonly stop: (error: Error) => void } | undefined
  /** What its longest task took, of those since somebody set this to 0. */
  longestMs = 0
  /** What it has worked since its memory was given back; Infinity after a task that was stopped. */
  workedSinceTrimMs = 0
  /** On the clock of `performance.now()`. */
  idleSince = performance.now()

  constructor (worker: Worker, slot: number, watchdog: Watchdog | undefined, result: ResultLimits) {
    this.#worker = worker
    this.#slot = slot
    this.#watchdog = watchdog
    this.#result = result
    worker.on('message', (answer: Answer) => { this.#onAnswer?.(answer) })
    publishPool({ engine: 'sqlite', what: 'opened' })
    worker.on('error', (error: Error) => { this.#die(error) })
    this.#exited = new Promise(resolve => {
      worker.once('exit', () => {
        publishPool({ engine: 'sqlite', what: this.#isEnding ? 'closed' : 'lost' })
        this.#die(new Error('the thread has ended'))
        resolve()
      })
    })
    worker.unref()
  }

  /** For a thread that was there first: the watchdog of the main thread, to stop tasks by. */
  watch (watchdog: Watchdog | undefined): void {
    this.#watchdog = watchdog
  }

  /** Resolves when it has done all that it was asked for until now. */
  get settled (): Promise<void> {
    return this.#tail
  }

  /** False once it has ended, or was ended by an error. */
  get isAlive (): boolean {
    return !this.#isDead
  }

  get isIdle (): boolean {
    return this.#pending === 0
  }

  /** For how long its end can be counted on when it still works, in ms: a sort that is stopped has to write its buffer first. Without a watchdog it may just be done. */
  get patienceMs (): number {
    return this.#watchdog === undefined ? STOP_GRACE_MS : PATIENCE_MS
  }

  // --- statements ------------------------------------------------------------------------------------------------------------

  async execute (method: Method, text: string, values: readonly unknown[], limits: Limits, sql: string): Promise<unknown> {
    if (method === 'all') return await this.#all(text, values, limits, sql)
    const value = await this.run({ kind: 'execute', method, text, values }, limits, sql)
    return method === 'get' && value !== undefined ? withBuffers(value as Row) : value
  }

  async exec (script: string, limits: Limits, sql = script): Promise<void> {
    await this.run({ kind: 'exec', sql: script }, limits, sql)
  }

  /** The rows of a cursor; the next are fetched while these are looked at. */
  async * batches (text: string, values: readonly unknown[], limits: Limits, sql: string): AsyncGenerator<Row[], undefined> {
    for await (const { rows } of this.#chunks(text, values, limits, sql)) if (rows.length > 0) yield rows
  }

  async #all (text: string, values: readonly unknown[], limits: Limits, sql: string): Promise<Row[]> {
    const result = new Result(this.#result)
    for await (const batch of this.#chunks(text, values, limits, sql)) result.add(batch)
    return result.rows
  }

  async * #chunks (text: string, values: readonly unknown[], limits: Limits, sql: string): AsyncGenerator<Batch, undefined> {
    const fetch = async (task: Task): Promise<Batch> => {
      const batch = await this.run(task, limits, sql) as Batch
      if (batch.hasBlobs) batch.rows.forEach(withBuffers)
      return batch
    }
    let chunk: Batch | undefined
    try {
      chunk = await fetch({ kind: 'open', text, values })
      while (!chunk.done) {
        const next = fetch({ kind: 'fetch' })
        next.catch(noop)
        yield chunk
        chunk = await next
      }
      yield chunk
    } finally {
      if (chunk?.done !== true) await this.#closeRows(chunk, sql)
    }
  }

  /** Also if a task was refused or given up: what is open keeps its snapshot. What is fetched ahead may take long, so reads are stopped; a write takes effect when it is closed. */
  async #closeRows (chunk: Batch | undefined, sql: string): Promise<void> {
    if (chunk?.reads === true) this.cancel()
    const closed = this.run({ kind: 'close' }, unlimited, sql).catch(noop)
    if (chunk?.reads === false) await closed
  }

  /** Stops the statement that runs, if one does. */
  cancel (): void {
    this.#stop?.(databaseError('aborted', ''))
  }

  // --- tasks ---------------------------------------------------------------------------------------------------------------------

  async run (task: Task, limits: Limits, sql: string): Promise<unknown> {
    const refusal = this.#refusal(task, limits, sql)
    if (refusal !== undefined) throw refusal
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    let isGivenUp = false
    const unwatch = this.#pending++ === 0 ? noop : watchLimits(limits, sql, error => {
      isGivenUp = true
      reject(error)
    })
    this.#tail = this.#tail.then(async () => {
      unwatch()
      if (!isGivenUp) await this.#exchange(task, limits, sql, resolve, reject)
      this.#pending--
    })
    return await promise
  }

  /** Gives its memory back to the operating system. */
  async trim (): Promise<void> {
    const { idleSince } = this
    await this.run({ kind: 'trim' }, unlimited, 'trim')
    publishMemory({ what: 'released', sql: undefined })
    this.workedSinceTrimMs = 0
    this.idleSince = idleSince
  }

  /** Ends when the thread has answered, whatever its caller was told before. */
  async #exchange (task: Task, limits: Limits, sql: string, resolve: (value: unknown) => void, reject: (error: Error) => void): Promise<void> {
    const refusal = this.#refusal(task, limits, sql)
    if (refusal !== undefined) {
      reject(refusal)
      return
    }
    const operation = ++this.#operation
    let reason: Error | undefined
    let giveUp: NodeJS.Timeout | undefined
    const stop = (error: Error): void => {
      if (reason !== undefined) return
      reason = error
      this.#watchdog?.cancel(this.#slot, operation)
      giveUp = setTimeout(() => {
        this.isStuck = true
        reject(error)
      }, STOP_GRACE_MS)
    }
    this.current = { sql, since: performance.now(), limits, stop }
    this.#stop = task.kind === 'close' || task.kind === 'end' ? undefined : stop
    const unwatch = watchLimits(limits, sql, stop)
    const answer = await this.#ask({ operation, remainingMs: limits.deadline === Infinity ? undefined : Math.max(0.01, limits.deadline - performance.now()), task })
    unwatch()
    clearTimeout(giveUp)
    this.#stop = undefined
    this.current = undefined
    this.isStuck = false
    this.#note(answer)
    if (answer.failure === undefined) resolve(answer.value)
    else reject(reason ?? (this.#isDead ? this.#lostError(answer.failure, sql) : stoppedError(answer, sql)))
  }

  /** The thread has ended in the middle of it. */
  #lostError (failure: Failure, sql: string): Error {
    const cause = errorOf(failure)
    return this.#isEnding ? new DbClosed({ cause }) : databaseError('connection', sql, { cause })
  }

  #refusal (task: Task, limits: Limits, sql: string): Error | undefined {
    if (this.#isEnding && (this.#isDead || task.kind !== 'end')) return new DbClosed()
    if (this.#isDead) return databaseError('connection', sql)
    try {
      checkLimits(limits, sql)
      return undefined
    } catch (error) {
      return error as Error
    }
  }

  async #ask (request: Request): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>()
    this.#onAnswer = resolve
    this.#worker.ref()
    this.#worker.postMessage(request)
    const answer = await promise
    this.#onAnswer = undefined
    if (!this.#isEnding) this.#worker.unref() // its end is waited for
    return answer
  }

  #note ({ inTransaction, ms, stopped }: Answer): void {
    this.inTransaction = inTransaction
    this.idleSince = performance.now()
    this.workedMs += ms
    if (ms > this.longestMs) this.longestMs = ms
    this.workedSinceTrimMs += stopped === undefined ? ms : Infinity
  }

  #die (error: Error): void {
    this.#isDead = true
    this.inTransaction = false
    this.#onAnswer?.({ failure: { name: error.name, message: error.message, code: 'code' in error ? String(error.code) : '', stack: error.stack }, inTransaction: false, ms: 0 })
  }

  // --- the end -------------------------------------------------------------------------------------------------------------------

  /** Stops what it does, as long as the watchdog of the main thread is there, and accepts nothing more but its end. */
  stop (): void {
    this.#isEnding = true
    this.#stop?.(new DbClosed())
  }

  /** Closes its connection and ends it. What it cannot stop within `graceMs` is abandoned. */
  async end (graceMs: number): Promise<void> {
    const { promise, resolve: setStuck } = Promise.withResolvers<boolean>()
    this.stop()
    void this.#tail.then(() => { setStuck(false) })
    this.run({ kind: 'end' }, unlimited, 'close').catch(noop)
    const timer = setTimeout(() => { setStuck(true) }, graceMs)
    const isStuck = await promise
    clearTimeout(timer)
    if (!isStuck) return await this.#exited // to put the WAL away takes what it takes
    this.#worker.unref()
    void this.#worker.terminate() // when it comes back from what cannot be stopped
  }
}

const noop = (): void => {}

/** Those of the driver's own by which errors.ts tells what is wrong. */
const classes: Readonly<Record<string, ErrorConstructor>> = { RangeError, TypeError }

/** The driver's error in this thread, with the stack of the other. */
function errorOf ({ name, message, code, stack }: Failure): Error {
  const Class = classes[name] ?? Error
  const error = code.startsWith('SQLITE_') ? new Sqlite.SqliteError(message, code) : Object.assign(new Class(message), code === '' ? {} : { code, statusCode: 503 })
  if (stack !== undefined) error.stack = stack
  return error
}

function stoppedError ({ failure, stopped }: Answer, sql: string): Error {
  const cause = errorOf(failure ?? { name: '', message: '', code: '', stack: undefined })
  if (stopped === 'memory') {
    publishMemory({ what: 'ended', sql })
    return databaseError('memory', sql, { cause })
  }
  if (stopped !== undefined) return databaseError(stopped === 'time' ? 'timeout' : 'aborted', sql, { cause })
  return toOurError(cause, sql)
}
