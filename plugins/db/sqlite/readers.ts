/**
 * The threads that read: started on demand, lent one by one.
 *
 * Kept true:
 *  1. At most `size` are lent, in order of asking; a thread is lent only when it is idle.
 *  2. A thread that is given back while it still works is counted on for a while. Then it is lost: its place is given up, and another one may take it, up to a second set of
 *     them; what comes back beyond `size` is ended.
 *  3. Whoever waits, for a place or for a thread that starts, waits no longer than its limits.
 *  4. The last `least` of them do not end before `end`.
 */
import { DbClosed } from '../../errors.ts'
import type { Gate, GateLease } from '../gate.ts'
import { watchLimits } from '../scope.ts'
import type { Limits, RunningStatement } from '../types.ts'
import { toOurError } from './errors.ts'
import { unlimited, type Thread } from './thread.ts'

/** How long a thread that ends may take before it is left to itself. */
export const END_MS = 400

export class Readers {
  readonly #size: number
  readonly #least: number
  readonly #gate: Gate
  readonly #open: () => Promise<Thread>
  /** With the lease of those that are lent. */
  readonly #threads = new Map<Thread, GateLease | undefined>()
  readonly #idle: Thread[] = []
  readonly #lost = new Set<Thread>()
  readonly #waiting: Array<(thread: Thread | undefined) => void> = []
  readonly #starting = new Set<Promise<Thread>>()
  readonly #ending = new Set<Promise<void>>()
  #hasEnded = false

  /** `open` starts a thread. */
  constructor ({ size, least }: { size: number, least: number }, gate: Gate, open: () => Promise<Thread>) {
    this.#size = size
    this.#least = least
    this.#gate = gate
    this.#open = open
  }

  /** Starts those that are always there, for who must not wait for that. */
  async prepare (): Promise<void> {
    while (this.#threads.size < this.#least) this.#putBack(await this.#start(unlimited, 'start'))
  }

  get load (): { readonly used: number, readonly waiting: number } {
    return this.#gate.load
  }

  get count (): number {
    return this.#threads.size
  }

  get idleCount (): number {
    return this.#idle.length
  }

  /** What they run, and who waits for one. */
  listRunning (): RunningStatement[] {
    return [...[...this.#threads.keys()].flatMap(thread => runningOf(thread, 'reader')), ...this.#gate.listWaiting()]
  }

  /** `leader`: the lease that the thread is held with. */
  async borrow (limits: Limits, sql: string, leader?: GateLease): Promise<Thread> {
    if (this.#hasEnded) throw new DbClosed()
    const lease = await this.#gate.acquire(limits, sql)
    lease.leader = leader
    try {
      const thread = await this.#take(limits, sql)
      this.#threads.set(thread, lease)
      return thread
    } catch (error) {
      this.#gate.release(lease)
      throw toOurError(error, sql)
    }
  }

  giveBack (thread: Thread): void {
    const lease = this.#threads.get(thread)
    if (lease === undefined) return
    this.#threads.set(thread, undefined)
    const release = (): void => { this.#gate.release(lease) }
    const lose = (): void => {
      this.#lost.add(thread)
      release()
    }
    const timer = thread.isIdle ? undefined : setTimeout(lose, thread.patienceMs).unref() // others need not wait for what may never end
    const putBack = (): void => {
      clearTimeout(timer)
      this.#lost.delete(thread)
      this.#putBack(thread)
      release()
    }
    if (thread.isIdle) putBack()
    else void thread.settled.then(putBack)
  }

  /** Ends those that have been idle since then, on the clock of `performance.now()`. */
  async endIdle (since: number): Promise<void> {
    await this.whileIdle(({ idleSince }) => idleSince < since, async thread => {
      if (this.#threads.size > this.#least) await thread.end(1000)
    })
  }

  /** Takes idle threads out of use while `task` runs. */
  async whileIdle (wanted: (thread: Thread) => boolean, task: (thread: Thread) => Promise<void>): Promise<void> {
    for (const thread of this.#idle.filter(wanted)) {
      const index = this.#idle.indexOf(thread)
      if (index === -1) continue
      this.#idle.splice(index, 1)
      await task(thread).catch(noop)
      this.#putBack(thread)
    }
  }

  /** Refuses newcomers and those who wait; resolves when all are back, or after `graceMs`. */
  async close (graceMs: number): Promise<void> {
    await this.#gate.close(graceMs)
  }

  /** Ends all threads, whatever they do. */
  async end (): Promise<void> {
    this.#hasEnded = true
    for (const next of this.#waiting.splice(0)) next(undefined)
    await Promise.allSettled(this.#starting)
    await Promise.all([...this.#ending, ...[...this.#threads.keys()].map(async thread => { await thread.end(END_MS) })])
    this.#threads.clear()
    this.#lost.clear()
    this.#idle.length = 0
  }

  // --- threads -----------------------------------------------------------------------------------------------------------------

  async #take (limits: Limits, sql: string): Promise<Thread> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isAlive) return idle
      this.#threads.delete(idle)
    }
    const mayStart = this.#usable + this.#starting.size < this.#size && this.#threads.size + this.#starting.size < 2 * this.#size
    return mayStart ? await this.#start(limits, sql) : await this.#wait(limits, sql) ?? await this.#start(limits, sql)
  }

  /** Undefined: one has ended, and another may be started. */
  async #wait (limits: Limits, sql: string): Promise<Thread | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Thread | undefined>()
    const unwatch = watchLimits(limits, sql, error => {
      this.#waiting.splice(this.#waiting.indexOf(resolve), 1)
      reject(error)
    })
    this.#waiting.push(resolve)
    return await promise.finally(unwatch)
  }

  /** That takes a while; who cannot wait so long leaves the thread to others. */
  async #start (limits: Limits, sql: string): Promise<Thread> {
    if (this.#hasEnded) throw new DbClosed()
    const starting = this.#open().finally(() => { this.#starting.delete(starting) })
    this.#starting.add(starting)
    const { promise: expired, reject: expire } = Promise.withResolvers<never>()
    const unwatch = watchLimits(limits, sql, expire)
    try {
      const thread = await Promise.race([starting, expired])
      this.#threads.set(thread, undefined)
      return thread
    } catch (error) {
      void starting.then(thread => {
        this.#threads.set(thread, undefined)
        this.#putBack(thread)
      }, noop)
      throw error
    } finally {
      unwatch()
    }
  }

  #putBack (thread: Thread): void {
    if (!thread.isAlive) this.#threads.delete(thread)
    const next = this.#waiting.shift()
    if (next !== undefined) next(thread.isAlive ? thread : undefined)
    else if (thread.isAlive && this.#usable > this.#size) this.#endOne(thread)
    else if (thread.isAlive) this.#idle.push(thread)
  }

  /** Threads that can be counted on. */
  get #usable (): number {
    return this.#threads.size - this.#lost.size
  }

  /** Its place is free at once: whoever comes next must not wait for it. */
  #endOne (thread: Thread): void {
    this.#threads.delete(thread)
    const ended = thread.end(END_MS)
    this.#ending.add(ended)
    void ended.finally(() => { this.#ending.delete(ended) })
  }
}

/** None or one; of what the engine does for itself nothing. */
export function runningOf ({ current }: Thread, place: 'reader' | 'writer'): RunningStatement[] {
  if (current === undefined) return []
  const { sql, since, limits: { deadline, request }, stop } = current
  return [{ key: current, sql, place, since, deadline, request, stop }]
}

const noop = (): void => {}
