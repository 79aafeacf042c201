/**
 * A queue in front of a fixed number of places (the writer of SQLite, the connections of PostgreSQL): whoever asks first is served first.
 *
 * Kept true:
 *  1. At most `size` leases are out; a lease is given back exactly once. A place may be withdrawn, and is there again once it is restored.
 *  2. A waiter leaves the queue when it is served, when its limits pass, when the acquire time-out passes, or when the gate closes; nothing of it stays.
 *  3. Leases that have been idle for longer than the idle time-out are ended when others wait: as many as wait, the longest idle first.
 *  4. A wait that can never end is refused at once: if every lease belongs to somebody who is waiting here for another one, none can ever come back.
 */
import { abbreviate, DbClosed, PoolDeadlock, PoolTimeout, TxIdle } from '../errors.ts'
import { List, Listed } from './list.ts'
import { checkLimits, watchLimits } from './scope.ts'
import type { Meter } from './meter.ts'
import type { Lease, Limits, OpenTransaction, RunningStatement } from './types.ts'

/** A place that is taken. */
export class GateLease extends Listed implements Lease {
  readonly since = performance.now()
  /** For messages: the last statement, without values. */
  doing: string
  /** The lease that this one was taken for, whose statements run in its place. */
  leader: GateLease | undefined
  #idleSince: number | undefined = this.since
  /** Ends what it is held for. Undefined: that ends by itself. */
  expire: ((error: Error) => void) | undefined

  /** Whose it is. */
  readonly request: object | undefined

  constructor (doing: string, request?: object) {
    super()
    this.doing = doing
    this.request = request
  }

  /** Since when it has no statement running; undefined while one runs. */
  get idleSince (): number | undefined {
    return this.leader === undefined ? this.#idleSince : this.leader.idleSince
  }

  work (doing: string): void {
    this.doing = doing
    this.#idleSince = undefined
  }

  rest (): void {
    this.#idleSince = performance.now()
  }
}

/** What an engine itself takes a place for. */
export const MAINTENANCE = 'maintenance'

class Waiter extends Listed {
  readonly doing: string
  readonly limits: Limits
  readonly since = performance.now()
  readonly admit: (lease: GateLease) => void
  readonly refuse: (error: Error) => void

  constructor (doing: string, limits: Limits, admit: (lease: GateLease) => void, refuse: (error: Error) => void) {
    super()
    this.doing = doing
    this.limits = limits
    this.admit = admit
    this.refuse = refuse
  }
}

export class Gate {
  #size: number
  readonly #acquireTimeoutMs: number
  readonly #idleTimeoutMs: number
  readonly #leases = new List<GateLease>()
  readonly #waiters = new List<Waiter>()
  #closed = false
  #idleWatch: NodeJS.Timeout | undefined
  #onEmpty: (() => void) | undefined
  /** Gets the next place that is given back. */
  #onPlace: (() => void) | undefined
  /** When somebody had to wait last, on the clock of `performance.now()`. */
  waitedAt = -Infinity
  /** Somebody wants a place and there is none: what was withdrawn and is not needed is to be restored. */
  onWanted: (() => void) | undefined
  readonly #waits: Meter | undefined

  /** `waits`: how long each place was waited for. */
  constructor (size: number, acquireTimeoutMs: number, idleTimeoutMs = Infinity, waits?: Meter) {
    this.#waits = waits
    this.#size = size
    this.#acquireTimeoutMs = acquireTimeoutMs
    this.#idleTimeoutMs = idleTimeoutMs
  }

  /** Leases that are out, and how many wait for one. */
  get load (): { readonly used: number, readonly waiting: number } {
    return { used: this.#leases.size, waiting: this.#waiters.size }
  }

  /** Somebody waits for a place, or for the end. */
  get isWanted (): boolean {
    return this.#closed || this.#waiters.size > 0
  }

  get isFull (): boolean {
    return this.#leases.size >= this.#size
  }

  /** A place; `sql` is what it is wanted for. */
  async acquire (limits: Limits, sql: string): Promise<GateLease> {
    if (this.#closed) throw new DbClosed()
    checkLimits(limits, sql)
    if (this.isFull) this.onWanted?.()
    if (!this.isFull) {
      this.#waits?.note(0)
      return this.#lease(sql, limits.request)
    }
    if (this.#canNeverEnd(limits.held)) throw new PoolDeadlock(this.#describe())
    return await this.#wait(limits, sql)
  }

  release (lease: GateLease): void {
    if (!this.#leases.delete(lease)) return
    const onPlace = this.#onPlace
    this.#onPlace = undefined
    if (onPlace !== undefined) this.withdraw(onPlace)
    this.#admitNext()
  }

  #admitNext (): void {
    const next = this.#waiters.first
    if (next !== undefined && !this.isFull) next.admit(this.#lease(next.doing, next.limits.request))
    else if (this.#leases.size === 0) this.#onEmpty?.()
  }

  /** There is one place less from now on, if there is one that nobody else wants. */
  tryWithdraw (): boolean {
    if (this.isWanted || this.isFull) return false
    this.#size--
    return true
  }

  /** There is one place less from when `then` is called: now, or when one is given back, ahead of those who wait. One at a time may wait for that; not after the end. */
  withdraw (then: () => void): void {
    if (this.#closed) return
    if (this.isFull) {
      this.#onPlace = then
      return
    }
    this.#size--
    then()
  }

  /** A place that was withdrawn is there again. */
  restore (): void {
    this.#size++
    this.#admitNext()
  }

  /** Who waits, the first first. */
  listWaiting (): RunningStatement[] {
    return this.#waiters.toArray().map(waiter => ({ key: waiter, sql: waiter.doing, place: 'queue', since: waiter.since, deadline: waiter.limits.deadline, request: waiter.limits.request, stop: waiter.refuse }))
  }

  /** What is held by somebody, and by nobody else. */
  listHeld (): OpenTransaction[] {
    return this.#leases.toArray().filter(({ leader, doing }) => leader === undefined && doing !== MAINTENANCE)
      .map(lease => ({ key: lease, sql: lease.doing, since: lease.since, idleSince: lease.idleSince, request: lease.request, stop: lease.expire }))
  }

  /** Refuses newcomers and those who wait. */
  refuse (): void {
    this.#closed = true
    this.#onPlace = undefined
    this.#waiters.forEach(waiter => { waiter.refuse(new DbClosed()) })
    this.onWanted?.()
  }

  /** Refuses newcomers and those who wait; resolves when all leases are back, or after `graceMs` with those that are not. */
  async close (graceMs: number): Promise<void> {
    this.refuse()
    if (this.#leases.size === 0) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(() => {
        this.#leases.forEach(lease => lease.expire?.(new DbClosed())) // its function may never end
        resolve()
      }, graceMs)
      this.#onEmpty = () => { clearTimeout(timer); resolve() }
    })
  }

  #lease (doing: string, request?: object): GateLease {
    const lease = new GateLease(doing, request)
    this.#leases.add(lease)
    return lease
  }

  async #wait (limits: Limits, sql: string): Promise<GateLease> {
    return await new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter)
        clearTimeout(timer)
        unwatch()
      }
      const waiter = new Waiter(sql, limits, lease => {
        leave()
        this.#waits?.note(performance.now() - waiter.since)
        resolve(lease)
      }, error => { leave(); reject(error) })
      const timer = setTimeout(() => { waiter.refuse(new PoolTimeout(this.#acquireTimeoutMs, this.#describe())) }, this.#acquireTimeoutMs)
      const unwatch = watchLimits(limits, sql, waiter.refuse)
      this.#waiters.add(waiter)
      this.#watchIdle()
      this.waitedAt = performance.now()
    })
  }

  /** Looks at the leases as long as somebody waits. */
  #watchIdle (): void {
    if (this.#idleTimeoutMs === Infinity || this.#idleWatch !== undefined) return
    this.#idleWatch = setInterval(() => {
      if (this.#waiters.size > 0) this.#expireIdle()
      else {
        clearInterval(this.#idleWatch)
        this.#idleWatch = undefined
      }
    }, Math.min(1000, Math.max(1, this.#idleTimeoutMs / 4)))
    this.#idleWatch.unref()
  }

  #expireIdle (): void {
    const before = performance.now() - this.#idleTimeoutMs
    const idle = this.#leases.toArray().map(lease => ({ since: lease.idleSince ?? Infinity, expire: (lease.leader ?? lease).expire }))
      .filter(({ since, expire }) => since < before && expire !== undefined).sort((a, b) => a.since - b.since)
    for (const { expire } of idle.slice(0, this.#waiters.size)) expire?.(new TxIdle(this.#idleTimeoutMs))
  }

  #canNeverEnd (held: readonly Lease[]): boolean {
    if (held.length === 0) return false
    const blocked = new Set<Lease>(held)
    for (const { limits } of this.#waiters.toArray()) for (const lease of limits.held) blocked.add(lease)
    return this.#leases.toArray().every(lease => blocked.has(lease.leader ?? lease))
  }

  #describe (): string {
    const now = performance.now()
    const lines = this.#leases.toArray().map(({ since, doing }) => `"${abbreviate(doing, 60)}" for ${Math.round(now - since)} ms`)
    return lines.join(', ')
  }
}

