/**
 * The sessions that nobody uses now, and the making of new ones.
 *
 * Kept true:
 *  1. Whoever comes gets the session that was used last; one that is lost, too old, or idle for too long is closed.
 *  2. While the server cannot be reached, one attempt at a time is made, with pauses that grow; everybody else waits for that. So a server that comes back meets one newcomer,
 *     and not all of them.
 *  3. An error that does not pass by itself (a wrong password) is told at once, with `failsAtOnce` any.
 * How many there may be is the gate's business.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { DbClosed, isOurs } from '../../errors.ts'
import type { Log } from '../types.ts'
import { mayPass } from './errors.ts'
import type { Session } from './session.ts'

export interface PoolSettings {
  readonly idleTimeoutMs: number
  readonly lifetimeMs: number
  /** A connection that cannot be made is told at once. Default: false. */
  readonly failsAtOnce?: boolean
}

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 500
const LONGEST_SWEEP_MS = 30_000

interface Idle { readonly session: Session, readonly since: number }

export class Pool {
  readonly #connect: () => Promise<Session>
  readonly #settings: PoolSettings
  readonly #log: Log
  readonly #idle: Idle[] = []
  /** Of each session, so that they do not all end at once. */
  readonly #lifetimes = new WeakMap<Session, number>()
  #probing: Promise<void> | undefined
  #failure: unknown
  #waiting = 0
  #isClosed = false
  readonly #sweeper: NodeJS.Timeout

  constructor (connect: () => Promise<Session>, settings: PoolSettings, log: Log) {
    this.#connect = connect
    this.#settings = settings
    this.#log = log
    this.#sweeper = setInterval(() => { this.#sweep() }, Math.min(LONGEST_SWEEP_MS, Math.max(1, settings.idleTimeoutMs / 4)))
    this.#sweeper.unref()
  }

  get idle (): number {
    return this.#idle.length
  }

  /** A session that is idle, for the time until `release`; undefined if there is none: then `open` makes one. */
  take (): Session | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.session.isOpen) continue
      idle.session.onEnd = undefined
      if (!this.isOld(idle.session)) return idle.session
      idle.session.end()
    }
    return undefined
  }

  /** Closes what is idle: another connection went silent without an end, and so these may have. */
  distrust (): void {
    for (const idle of this.#idle.splice(0)) this.#close(idle)
  }

  /** `isClean`: as it was before, and nothing under way. */
  release (session: Session, isClean: boolean): void {
    if (!isClean || this.#isClosed || this.isOld(session)) return isClean ? session.end() : session.destroy(new Error('the connection was not clean'))
    session.onEnd = error => { this.#lost(session, error) }
    this.#idle.push({ session, since: performance.now() })
  }

  isOld (session: Session): boolean {
    let lifetimeMs = this.#lifetimes.get(session)
    if (lifetimeMs === undefined) this.#lifetimes.set(session, lifetimeMs = this.#settings.lifetimeMs * (0.9 + 0.2 * Math.random()))
    return performance.now() - session.since > lifetimeMs
  }

  #lost (session: Session, error: Error): void {
    const at = this.#idle.findIndex(idle => idle.session === session)
    if (at < 0) return
    this.#idle.splice(at, 1)
    this.#log.warn({ code: (error as { code?: string }).code }, 'an idle connection to PostgreSQL was lost')
  }

  #sweep (): void {
    const before = performance.now() - this.#settings.idleTimeoutMs
    while (this.#idle[0] !== undefined && this.#idle[0].since < before) this.#close(this.#idle.shift())
  }

  #close (idle: Idle | undefined): void {
    if (idle === undefined) return
    idle.session.onEnd = undefined
    idle.session.end()
  }

  // --- new ones --------------------------------------------------------------------------------------------------------------

  /** A new session, for the time until `release`. Rejects with the driver's error, at the latest at `until`. */
  async open (until: number): Promise<Session> {
    for (;;) {
      if (this.#isClosed) throw new DbClosed()
      if (this.#probing === undefined) {
        try {
          return this.#admit(await this.#connect())
        } catch (error) {
          if (isOurs(error) || !mayPass(error) || this.#settings.failsAtOnce === true) throw error
          this.#failure = error
        }
      }
      await this.#await(this.#probing ??= this.#startProbing(), until)
      const session = this.#idle.pop()?.session
      if (session?.isOpen === true) return Object.assign(session, { onEnd: undefined })
    }
  }

  /** It may have taken so long that nobody is to use it any more. */
  #admit (session: Session): Session {
    if (!this.#isClosed) return session
    session.end()
    throw new DbClosed()
  }

  /** Waits for the end of the probing, but not for longer than `until`. */
  async #await (probing: Promise<void>, until: number): Promise<void> {
    this.#waiting++
    const timer = new AbortController()
    try {
      const patience = pause(Math.max(0, Math.min(until - performance.now(), 2 ** 31 - 1)), 'late', { signal: timer.signal })
      const late = patience.then(() => { throw this.#failure }, () => {})
      await Promise.race([probing, late])
    } finally {
      timer.abort()
      this.#waiting--
    }
  }

  #startProbing (): Promise<void> {
    const probing = this.#probe()
    probing.catch(() => {}) // who waits for it is told; maybe nobody does
    return probing
  }

  /** Until a session could be made, which is idle then; or for as long as somebody waits for it. */
  async #probe (): Promise<void> {
    try {
      for (let ms = FIRST_PAUSE_MS; ; ms = Math.min(LONGEST_PAUSE_MS, 2 * ms)) {
        await pause(ms * (0.75 + 0.5 * Math.random()))
        if (this.#waiting === 0 || this.#isClosed) return
        try {
          this.release(await this.#connect(), true)
          return
        } catch (error) {
          this.#failure = error
          if (!mayPass(error)) throw error
        }
      }
    } finally {
      this.#probing = undefined
    }
  }

  /** Closes what is idle, now and later. */
  close (): void {
    this.#isClosed = true
    clearInterval(this.#sweeper)
    this.distrust()
  }
}
