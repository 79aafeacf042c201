/**
 * A queue in front of a fixed number of places (the writer of SQLite, the connections of PostgreSQL): whoever asks first is served first.
 *
 * Kept true:
 *  1. At most `size` leases are out; a lease is given back exactly once.
 *  2. A waiter leaves the queue when it is served, when its limits pass, when the acquire time-out passes, or when the gate closes; nothing of it stays.
 *  3. A wait that can never end is refused at once: if every lease belongs to somebody who is waiting here for another one, none can ever come back.
 */
import { abbreviate, DbClosed, PoolDeadlock, PoolTimeout } from '../errors.ts'
import { checkLimits, watchLimits } from './scope.ts'
import type { Lease, Limits } from './types.ts'

/** A place that is taken. `doing` is for messages: the last statement, without values. */
export class GateLease implements Lease {
  readonly since = performance.now()
  doing: string

  constructor (doing: string) {
    this.doing = doing
  }
}

interface Waiter {
  readonly held: Limits['held']
  readonly doing: string
  readonly admit: (lease: GateLease) => void
  readonly refuse: (error: Error) => void
}

export class Gate {
  readonly #size: number
  readonly #acquireTimeoutMs: number
  readonly #leases = new Set<GateLease>()
  readonly #waiters = new Set<Waiter>()
  #closed = false
  #onEmpty: (() => void) | undefined

  constructor (size: number, acquireTimeoutMs: number) {
    this.#size = size
    this.#acquireTimeoutMs = acquireTimeoutMs
  }

  /** A place; `sql` is what it is wanted for. */
  async acquire (limits: Limits, sql: string): Promise<GateLease> {
    if (this.#closed) throw new DbClosed()
    checkLimits(limits, sql)
    if (this.#leases.size < this.#size) return this.#lease(sql)
    if (this.#canNeverEnd(limits.held)) throw new PoolDeadlock(this.#describe())
    return await this.#wait(limits, sql)
  }

  release (lease: GateLease): void {
    if (!this.#leases.delete(lease)) return
    const [next] = this.#waiters
    if (next !== undefined) next.admit(this.#lease(next.doing))
    else if (this.#leases.size === 0) this.#onEmpty?.()
  }

  /** Refuses newcomers and those who wait; resolves when all leases are back, or after `graceMs` with those that are not. */
  async close (graceMs: number): Promise<void> {
    this.#closed = true
    for (const waiter of this.#waiters) waiter.refuse(new DbClosed())
    if (this.#leases.size === 0) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, graceMs)
      this.#onEmpty = () => { clearTimeout(timer); resolve() }
    })
  }

  #lease (doing: string): GateLease {
    const lease = new GateLease(doing)
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
      const waiter: Waiter = {
        held: limits.held,
        doing: sql,
        admit: lease => { leave(); resolve(lease) },
        refuse: error => { leave(); reject(error) }
      }
      const timer = setTimeout(() => { waiter.refuse(new PoolTimeout(this.#acquireTimeoutMs, this.#describe())) }, this.#acquireTimeoutMs)
      const unwatch = watchLimits(limits, sql, waiter.refuse)
      this.#waiters.add(waiter)
    })
  }

  #canNeverEnd (held: readonly Lease[]): boolean {
    if (held.length === 0) return false
    const blocked = new Set<Lease>(held)
    for (const waiter of this.#waiters) for (const lease of waiter.held) blocked.add(lease)
    return [...this.#leases].every(lease => blocked.has(lease))
  }

  #describe (): string {
    const now = performance.now()
    const lines = [...this.#leases].map(({ since, doing }) => `"${abbreviate(doing, 60)}" for ${Math.round(now - since)} ms`)
    return lines.join(', ')
  }
}

