/**
 * LISTEN for one database: all who listen share one connection, which is none of the pool's.
 *
 * States: nobody listens; connecting; connected, which is in force for those whose LISTEN was answered. A connection that is lost leads back to connecting.
 *
 * Kept true:
 *  1. The connection is opened for the first and closed with the last. One that is lost is made again, with pauses that grow, for as long as somebody listens.
 *  2. Who listened when it was lost is told of the gap once, when LISTEN is in force again, however many attempts that took. Who came later has missed nothing.
 *  3. LISTEN and UNLISTEN are sent in the order of the calls, so the last word on a channel is the right one.
 *  4. A connection that has not answered one probe when the next is due is cut: that is how a peer is found that went away without a word.
 *  5. An error that does not pass by itself (a wrong password, a standby) is told to those who wait to listen; those who did already are not given up.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { DbClosed } from '../../errors.ts'
import { Channels, type Subscription } from '../channels.ts'
import { checkLimits, runOutside, watchLimits } from '../scope.ts'
import type { Limits, Listener, Log, Query } from '../types.ts'
import { mayPass, sqlState, toOurError } from './errors.ts'

export interface ListeningSettings {
  /** How long `listen` waits for a connection. */
  readonly waitMs: number
  /** How often the connection is probed. Default: 30 000. */
  readonly probeMs?: number
}

/** What a notification is sent with: in a transaction it is a part of that, on its own it is a write. */
export const NOTIFY: Query = (sql => ({ sql, text: sql, style: 'numbered', count: 2, names: [], keyword: 'SELECT' }))('SELECT pg_catalog.pg_notify($1, $2)')

const PROBE_MS = 30_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2000
/** A connection that has lasted so long was a good one. */
const GOOD_MS = 5000
/** How long the server may take to hear goodbye. */
const GOODBYE_MS = 1000
/** The connection has nothing to say for most of its life, and that is how it should be. */
const STAY = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"

export class Listening {
  readonly #connect: () => Promise<pg.Client>
  readonly #waitMs: number
  readonly #probeMs: number
  readonly #log: Log
  readonly #channels: Channels
  /** Those whose LISTEN is not in force yet; called once, with what is wrong. */
  readonly #waiting = new Map<Subscription, (error?: Error) => void>()
  /** Connected: LISTEN was sent for all who were there, and is sent at once for those who come. */
  #client: pg.Client | undefined
  #isKeeping = false
  /** Why there is no connection. */
  #failure: unknown
  #endPause: (() => void) | undefined

  /** `connect` rejects with the driver's error. */
  constructor (connect: () => Promise<pg.Client>, { waitMs, probeMs = PROBE_MS }: ListeningSettings, log: Log) {
    this.#connect = connect
    this.#waitMs = waitMs
    this.#probeMs = probeMs
    this.#log = log
    this.#channels = new Channels(log)
  }

  async listen (channel: string, fn: Subscription['fn'], limits: Limits): Promise<Listener> {
    checkLimits(limits, 'LISTEN')
    const subscription = this.#channels.add(channel, fn)
    try {
      await this.#inForce(subscription, limits)
    } catch (error) {
      await this.#remove(subscription)
      throw error
    }
    return { close: async () => { await this.#remove(subscription) } }
  }

  async #inForce (subscription: Subscription, { deadline, signal }: Limits): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.set(subscription, error => {
      this.#waiting.delete(subscription)
      if (error === undefined) resolve()
      else reject(error)
    })
    const patience = { deadline: Math.min(deadline, performance.now() + this.#waitMs), signal }
    const unwatch = watchLimits(patience, 'LISTEN', error => {
      const isLate = signal?.aborted !== true && this.#failure !== undefined
      reject(isLate ? toOurError(this.#failure, 'LISTEN') : error)
    })
    try {
      if (this.#client === undefined) this.#start()
      else void this.#send(this.#client, [subscription]).catch((error: unknown) => { this.#fail(error) })
      await promise
    } finally {
      unwatch()
      this.#waiting.delete(subscription)
    }
  }

  async #remove (subscription: Subscription): Promise<void> {
    if (!this.#channels.remove(subscription)) return
    if (this.#channels.isEmpty) await this.#end()
    else if (!this.#channels.has(subscription.channel)) this.#client?.query(`UNLISTEN ${quote(subscription.channel)}`).catch(noop)
  }

  async #end (): Promise<void> {
    const client = this.#client
    this.#client = undefined
    this.#endPause?.()
    if (client !== undefined) await endClient(client)
  }

  /** Whoever listens, or waits to, is forgotten. */
  async close (): Promise<void> {
    this.#channels.clear()
    for (const settle of this.#waiting.values()) settle(new DbClosed())
    await this.#end()
  }

  // --- the connection ----------------------------------------------------------------------------------------------------------

  #start (): void {
    if (this.#isKeeping) return
    this.#isKeeping = true
    void runOutside(async () => { await this.#keep() })
  }

  /** Keeps a connection for as long as somebody listens. */
  async #keep (): Promise<void> {
    for (let ms = FIRST_PAUSE_MS; !this.#channels.isEmpty; ms = Math.min(LONGEST_PAUSE_MS, 2 * ms)) {
      const since = performance.now()
      try {
        await this.#serve(await this.#connect())
      } catch (error) {
        this.#fail(error)
      }
      if (performance.now() - since > GOOD_MS) ms = FIRST_PAUSE_MS
      if (!this.#channels.isEmpty) await this.#pause(ms * (0.75 + 0.5 * Math.random()))
    }
    this.#isKeeping = false
  }

  /** Ends with the connection, which is lost or not needed any more. */
  async #serve (client: pg.Client): Promise<void> {
    const ended = watchEnd(client)
    const stopProbing = probe(client, this.#probeMs)
    client.on('notification', ({ channel, payload = '' }) => { this.#channels.notify(channel, payload) })
    try {
      if (this.#channels.isEmpty) return
      this.#client = client
      await this.#send(client, this.#channels.list(), STAY)
      if (this.#failure !== undefined) this.#log.info({}, 'listening to PostgreSQL again')
      this.#failure = undefined
      const reason = await ended
      if (this.#client === client) this.#lost(reason)
    } finally {
      if (this.#client === client) this.#client = undefined
      stopProbing()
      await endClient(client)
    }
  }

  #lost (reason: unknown): void {
    this.#failure = reason
    this.#log.warn({ code: (reason as { code?: string }).code }, 'the connection that listens to PostgreSQL was lost; it is made again')
  }

  /** Says LISTEN for all of them, and tells them when it is in force. */
  async #send (client: pg.Client, subscriptions: readonly Subscription[], before?: string): Promise<void> {
    const channels = new Set(subscriptions.map(({ channel }) => channel))
    const statements = [...channels].map(channel => `LISTEN ${quote(channel)}`)
    await client.query([...before === undefined ? [] : [before], ...statements].join('; '))
    for (const subscription of subscriptions) {
      const settle = this.#waiting.get(subscription)
      if (settle === undefined) this.#channels.tell(subscription, gap)
      else settle()
    }
  }

  #fail (error: unknown): void {
    const isNew = sqlState(error) !== sqlState(this.#failure)
    this.#failure = error
    if (mayPass(error)) return
    if (isNew) this.#log.error({ code: sqlState(error) }, 'PostgreSQL refuses the connection that listens; it is tried again for as long as somebody listens')
    for (const settle of this.#waiting.values()) settle(toOurError(error, 'LISTEN'))
  }

  async #pause (ms: number): Promise<void> {
    const timer = new AbortController()
    this.#endPause = () => { timer.abort() }
    await pause(ms, undefined, { signal: timer.signal }).catch(noop)
    this.#endPause = undefined
  }
}

const gap = Object.freeze({ gap: true })
const noop = (): void => {}

function quote (channel: string): string {
  return `"${channel.replaceAll('"', '""')}"`
}

/** Resolves with the reason. */
async function watchEnd (client: pg.Client): Promise<unknown> {
  return await new Promise(resolve => {
    client.once('error', resolve)
    client.once('end', () => { resolve(new Error('the connection was closed')) })
  })
}

/** Until the answer is called. */
function probe (client: pg.Client, everyMs: number): () => void {
  let isAwaited = false
  const timer = setInterval(() => {
    if (isAwaited) client.connection.stream.destroy(new Error('the server does not answer'))
    isAwaited = true
    client.query('SELECT 1').then(() => { isAwaited = false }, noop)
  }, everyMs)
  timer.unref()
  return () => { clearInterval(timer) }
}

/** Says goodbye, to a server that may not be there. */
async function endClient (client: pg.Client): Promise<void> {
  const cut = setTimeout(() => { client.connection.stream.destroy() }, GOODBYE_MS)
  await client.end().catch(noop)
  clearTimeout(cut)
}
