/**
 * Who listens on which channel of one database, and how they are told: in order, outside of every transaction, each without harm to the others.
 * Also what a channel and a payload may be: what PostgreSQL takes, on both engines. Does not know where notifications come from.
 */
import { EventsChannel, EventsListener, EventsPayload } from '../errors.ts'
import { runOutside } from './scope.ts'
import type { ChannelEvent, Log } from './types.ts'

/** NAMEDATALEN and NOTIFY_PAYLOAD_MAX_LENGTH of PostgreSQL, less the closing zero. */
const LONGEST_CHANNEL = 63
const LONGEST_PAYLOAD = 7999

/** One call of `db.listen`. */
export interface Subscription {
  readonly channel: string
  readonly fn: (event: ChannelEvent) => unknown
}

/** Throws `TDM_ERR_EVENTS_CHANNEL`. */
export function checkChannel (channel: unknown): void {
  if (channel === '' || !isText(channel, LONGEST_CHANNEL)) throw new EventsChannel(describe(channel))
}

/** Throws `TDM_ERR_EVENTS_PAYLOAD`. */
export function checkPayload (payload: unknown): void {
  if (!isText(payload, LONGEST_PAYLOAD)) throw new EventsPayload(describe(payload))
}

/** Throws `TDM_ERR_EVENTS_LISTENER`. */
export function checkListener (fn: unknown): void {
  if (typeof fn !== 'function') throw new EventsListener(typeof fn)
}

/** Half of a surrogate pair would arrive as something else. */
function isText (value: unknown, longest: number): boolean {
  return typeof value === 'string' && Buffer.byteLength(value) <= longest && !value.includes('\0') && value.isWellFormed()
}

/** Without the value. */
function describe (value: unknown): string {
  if (typeof value !== 'string') return typeof value
  if (value.includes('\0')) return 'text with the character 0'
  return value.isWellFormed() ? `${Buffer.byteLength(value)} bytes` : 'text with half of a surrogate pair'
}

export class Channels {
  readonly #log: Log
  readonly #subscriptions = new Map<string, Set<Subscription>>()

  constructor (log: Log) {
    this.#log = log
  }

  get isEmpty (): boolean {
    return this.#subscriptions.size === 0
  }

  has (channel: string): boolean {
    return this.#subscriptions.has(channel)
  }

  list (): Subscription[] {
    return [...this.#subscriptions.values()].flatMap(subscriptions => [...subscriptions])
  }

  add (channel: string, fn: Subscription['fn']): Subscription {
    const subscription = { channel, fn }
    const others = this.#subscriptions.get(channel)
    if (others === undefined) this.#subscriptions.set(channel, new Set([subscription]))
    else others.add(subscription)
    return subscription
  }

  /** False if it was removed before. */
  remove (subscription: Subscription): boolean {
    const subscriptions = this.#subscriptions.get(subscription.channel)
    const wasThere = subscriptions?.delete(subscription) === true
    if (subscriptions?.size === 0) this.#subscriptions.delete(subscription.channel)
    return wasThere
  }

  clear (): void {
    for (const subscription of this.list()) this.remove(subscription)
  }

  /** Tells all who listen on `channel`. */
  notify (channel: string, payload: string): void {
    const event = Object.freeze({ payload })
    const those = [...this.#subscriptions.get(channel) ?? []] // as of now: one of them may listen once more
    for (const subscription of those) this.tell(subscription, event)
  }

  /** Tells one, if it is still there. */
  tell (subscription: Subscription, event: ChannelEvent): void {
    if (this.#subscriptions.get(subscription.channel)?.has(subscription) !== true) return
    runOutside(async () => await subscription.fn(event)).catch((error: unknown) => {
      this.#log.error({ err: error, channel: subscription.channel }, 'a listener failed; the others were told all the same')
    })
  }
}
