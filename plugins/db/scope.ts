/**
 * What holds for the code that is running now, carried by AsyncLocalStorage: a deadline, a signal, the request, and the current transaction of each database.
 *
 * A scope is never changed; a narrower one is made and run in. It carries transaction *objects*, not the fact that there is one: code that runs
 * after its transaction has ended still finds that transaction, and is refused, instead of falling into somebody else's or into none.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { databaseError } from '../errors.ts'
import { List, Listed } from './list.ts'
import type { Lease, Limits } from './types.ts'

/** What the scope needs to know of a transaction. */
export interface ScopedTransaction {
  /** The place among the connections that it holds; undefined before its first statement and after its end. */
  readonly lease: Lease | undefined
}

/** A list, innermost first: which transaction is current for which database. */
export interface Link {
  readonly database: object
  /** Undefined is `outsideTx`. May be made when it is asked for. */
  readonly transaction: ScopedTransaction | undefined
  /** What the transaction holds now; asking makes nothing. */
  readonly lease: Lease | undefined
  readonly outer: Link | undefined
}

/** Of a transaction that is there already. A class, since V8 makes and keeps a hidden class for each object literal with an accessor, and with it what that refers to. */
class OpenedLink implements Link {
  readonly database: object
  readonly transaction: ScopedTransaction | undefined
  readonly outer: Link | undefined

  constructor (database: object, transaction: ScopedTransaction | undefined, outer: Link | undefined) {
    this.database = database
    this.transaction = transaction
    this.outer = outer
  }

  get lease (): Lease | undefined {
    return this.transaction?.lease
  }
}

export interface Scope {
  readonly deadline: number
  readonly signal: AbortSignal | undefined
  /** See `Limits`. */
  readonly request: object | undefined
  readonly link: Link | undefined
}

const root: Scope = Object.freeze({ deadline: Infinity, signal: undefined, request: undefined, link: undefined })
const storage = new AsyncLocalStorage<Scope>()

export function currentScope (): Scope {
  return storage.getStore() ?? root
}

/** Runs `fn` in `scope`, which owes nothing to the one around it. */
export function runInScope<T> (scope: Scope, fn: () => T): T {
  return storage.run(scope, fn)
}

/** Runs `fn` without limits and outside of every transaction, whoever calls. */
export function runOutside<T> (fn: () => T): T {
  return storage.run(root, fn)
}

/** Runs `fn` under the stricter of the deadlines (ms on the clock of `performance.now()`). */
export function runWithDeadline<T> (deadline: number, fn: () => T): T {
  const { deadline: outer, signal, request, link } = currentScope()
  return storage.run({ deadline: Math.min(outer, deadline), signal, request, link }, fn)
}

/** Runs `fn` under `signal` as well as under the one that holds already. */
export function runWithSignal<T> (signal: AbortSignal, fn: () => T): T {
  const { deadline, signal: outer, request, link } = currentScope()
  return storage.run({ deadline, signal: outer === undefined ? signal : AbortSignal.any([outer, signal]), request, link }, fn)
}

/** Runs `fn` with `transaction` as the current one of `database`; undefined for none. */
export function runInTransaction<T> (database: object, transaction: ScopedTransaction | undefined, fn: () => T): T {
  const { deadline, signal, request, link: outer } = currentScope()
  return storage.run({ deadline, signal, request, link: new OpenedLink(database, transaction, outer) }, fn)
}

export function findTransaction (scope: Scope, database: object): ScopedTransaction | undefined {
  for (let link = scope.link; link !== undefined; link = link.outer) {
    if (link.database === database) return link.transaction
  }
  return undefined
}

/** The leases of `database` that the running code holds, those of suspended transactions included. */
function findLeases (scope: Scope, database: object): Lease[] {
  const leases: Lease[] = []
  for (let link = scope.link; link !== undefined; link = link.outer) {
    const lease = link.database === database ? link.lease : undefined
    if (lease !== undefined && !leases.includes(lease)) leases.push(lease)
  }
  return leases
}

/** The limits of one statement on `database`: the scope's, and at most `timeoutMs` from now. */
export function limitsOf (scope: Scope, database: object, timeoutMs: number): Limits {
  const held = scope.link === undefined ? none : findLeases(scope, database)
  return { deadline: Math.min(scope.deadline, performance.now() + timeoutMs), signal: scope.signal, held, request: scope.request }
}

const none: readonly Lease[] = Object.freeze([])

/** Throws `TDM_ERR_DB_ABORTED` or `TDM_ERR_DB_TIMEOUT` if the limits do not allow going on. `now`: for who knows it, since to ask costs as much as the rest. */
export function checkLimits (limits: Limits, sql: string, now: number = performance.now()): void {
  if (limits.signal?.aborted === true || now >= limits.deadline) throw limitError(limits, sql)
}

/** The error of limits that have passed. */
export function limitError ({ signal }: Limits, sql: string): Error {
  return signal?.aborted === true ? databaseError('aborted', sql, { cause: signal.reason }) : databaseError('timeout', sql)
}

/** What is ended when its limits pass. */
export class Watched extends Listed {
  readonly deadline: number
  readonly signal: AbortSignal | undefined
  readonly sql: string
  readonly expire: (error: Error) => void

  constructor (sql: string, { deadline, signal }: Pick<Limits, 'deadline' | 'signal'>, expire: (error: Error) => void) {
    super()
    this.sql = sql
    this.deadline = deadline
    this.signal = signal
    this.expire = expire
  }
}

/**
 * Ends what has not ended before its limits pass. Most of it ends long before, so all of it shares one timer, which is set only when it would come too late and keeps the
 * process only as long as something is watched; and one listener for each signal.
 */
export class LimitWatch<W extends Watched = Watched> {
  readonly #watched = new List<W>()
  readonly #signals = new Set<AbortSignal>()
  #timer: NodeJS.Timeout | undefined
  #timerDue = Infinity

  /** From now on; what has not passed its limits yet (`checkLimits`). */
  add (watched: W): void {
    const { deadline, signal } = watched
    if (this.#watched.size === 0) this.#timer?.ref()
    this.#watched.add(watched)
    if (deadline < this.#timerDue) this.#setTimer(deadline)
    if (signal === undefined || this.#signals.has(signal)) return
    this.#signals.add(signal)
    signal.addEventListener('abort', this.#onAbort)
  }

  delete (watched: W): void {
    if (this.#watched.delete(watched) && this.#watched.size === 0) this.#timer?.unref()
  }

  get size (): number {
    return this.#watched.size
  }

  list (): W[] {
    return this.#watched.toArray()
  }

  /** Of all that is watched. */
  expireAll (errorOf: (watched: W) => Error): void {
    this.#watched.forEach(watched => { watched.expire(errorOf(watched)) })
  }

  /** Keeps nothing that would outlive the connection's use. */
  stop (): void {
    clearTimeout(this.#timer)
    this.#timerDue = Infinity
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#onAbort)
    this.#signals.clear()
  }

  #setTimer (deadline: number): void {
    clearTimeout(this.#timer)
    this.#timerDue = deadline
    this.#timer = inNobodysContext(setTimeout, this.#onTimer, Math.min(Math.max(0, deadline - performance.now()), LONGEST_TIMER_MS))
  }

  readonly #onTimer = (): void => {
    const now = performance.now()
    let next = Infinity
    this.#watched.forEach(({ deadline, sql, expire }) => {
      if (deadline <= now) expire(databaseError('timeout', sql))
      else next = Math.min(next, deadline)
    })
    this.#timerDue = Infinity
    if (next < Infinity) this.#setTimer(next)
  }

  readonly #onAbort = ({ target }: Event): void => {
    this.#watched.forEach(({ signal, sql, expire }) => { if (signal === target) expire(databaseError('aborted', sql, { cause: signal?.reason })) })
  }
}

const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Calls a function so that what it begins belongs to no request. */
const inNobodysContext = AsyncLocalStorage.snapshot()

const deadlines = new LimitWatch()

/** Calls `expire` with our error, in nobody's context, when the limits pass, which they have not yet (`checkLimits`); the answer ends the watch. */
export function watchLimits ({ deadline, signal }: Pick<Limits, 'deadline' | 'signal'>, sql: string, expire: (error: Error) => void): () => void {
  const onAbort = (): void => { expire(databaseError('aborted', sql, { cause: signal?.reason })) }
  // not with its signal, which may not outlive what is watched, and is looked at here
  const watched = new Watched(sql, { deadline, signal: undefined }, error => {
    deadlines.delete(watched)
    expire(error)
  })
  if (deadline < Infinity) deadlines.add(watched)
  signal?.addEventListener('abort', onAbort, { once: true })
  return () => {
    deadlines.delete(watched)
    signal?.removeEventListener('abort', onAbort)
  }
}
