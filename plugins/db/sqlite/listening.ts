/**
 * Notifications on SQLite, which has none: within this process, through this engine.
 *
 * Kept true, as PostgreSQL does it:
 *  1. What a transaction sends goes out after its COMMIT, in order; what a savepoint has sent is dropped when that is rolled back.
 *  2. Of what is the same in one transaction only the first goes out.
 *  3. Nobody is told before the call that sends has returned.
 */
import { Channels, type Subscription } from '../channels.ts'
import type { Listener, Log } from '../types.ts'

export interface Notification {
  readonly channel: string
  readonly payload: string
}

export class Listening {
  readonly #channels: Channels
  #due: Notification[] = []

  constructor (log: Log) {
    this.#channels = new Channels(log)
  }

  listen (channel: string, fn: Subscription['fn']): Listener {
    const subscription = this.#channels.add(channel, fn)
    return { close: async () => { this.#channels.remove(subscription) } }
  }

  /** In a later turn of the event loop. */
  deliver (notifications: readonly Notification[]): void {
    if (notifications.length === 0) return
    if (this.#due.length === 0) setImmediate(() => { this.#deliver() })
    this.#due.push(...notifications)
  }

  #deliver (): void {
    const due = this.#due
    this.#due = []
    for (const { channel, payload } of due) this.#channels.notify(channel, payload)
  }

  close (): void {
    this.#channels.clear()
  }
}

/** What one transaction has sent. */
export class Outgoing {
  readonly #notifications: Notification[] = []
  /** By the name of a savepoint: how many there were before it; none before one that is not here. */
  readonly #before = new Map<string, number>()

  add (notification: Notification): void {
    this.#notifications.push(notification)
  }

  savepoint (name: string): void {
    this.#before.set(name, this.#notifications.length)
  }

  rollbackTo (name: string): void {
    this.#notifications.length = this.#before.get(name) ?? 0
  }

  /** Each once, where it came first. */
  take (): Notification[] {
    return [...new Map(this.#notifications.splice(0).map(one => [`${one.channel}\0${one.payload}`, one])).values()]
  }
}
