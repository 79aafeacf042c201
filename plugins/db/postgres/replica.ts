/**
 * The replica: one standby, which is read from as long as it shows what is asked for.
 *
 * States: ready → lagging → ready: it is more than `mostLagMs` behind, reads go to the primary.
 *         any → down → ready: it cannot be reached, is silent, or is no standby (any more); what is under way there is cut, and so fails at once. Tried again after pauses
 *         that grow, when somebody wants to read.
 *
 * Kept true:
 *  1. Who has written reads here only when that is replayed. Who has not may read what is up to `mostLagMs` old.
 *  2. Nothing is asked of it when nobody reads: it is looked at every `LOOK_MS` while it is used, and at once when a read needs more than is known. That read waits for
 *     `LONGEST_WAIT_MS` at most, and not at all if the replica was further behind than that.
 *  3. All sessions are with the server that is looked at, whatever the address leads to: see `Opener.pin`.
 *  4. The lag is how old the newest transaction is that was replayed; but no more than the time since everything that had been received was replayed, for a primary that writes
 *     nothing makes no lag. Only as long as there is a receiver (pg_stat_wal_receiver): without it nobody knows what is missing.
 * https://www.postgresql.org/docs/18/functions-admin.html#FUNCTIONS-RECOVERY-INFO
 */
import { setTimeout as pause } from 'node:timers/promises'
import { errorKind } from '../../errors.ts'
import type { Activity, BeginOptions, EngineStatus, Limits, Log, Query, Meters } from '../types.ts'
import { parseAddress } from './address.ts'
import { Call } from './call.ts'
import { isOfServer } from './errors.ts'
import { ConnectFailure, explainConnectError } from './explain.ts'
import { Opener, type PostgresSettings } from './open.ts'
import { PostgresServer } from './server.ts'
import type { Session } from './session.ts'
import { traitsOf } from './traits.ts'
import { Written, type Asked } from './written.ts'

export interface ReplicaSettings {
  readonly url: string
  /** The same without the password, for messages. */
  readonly displayUrl: string
  /** 'all': reads on their own go there as well, and not only read transactions. */
  readonly reads: 'transactions' | 'all'
  /** Default: `MOST_LAG_MS`. */
  readonly mostLagMs?: number
}

type State = NonNullable<EngineStatus['replica']>['state']

/** What it says of itself. */
interface Look {
  readonly standby: number
  readonly replayed: number | null
  /** All that was received is replayed, and more can be received. */
  readonly complete: number | null
  readonly lag: number | null
  readonly isolation: string
}

const LOOK = `SELECT pg_is_in_recovery() AS standby, (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::int8 AS replayed,
  pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() AND EXISTS (SELECT 1 FROM pg_stat_wal_receiver) AS complete,
  1000 * extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS lag, current_setting('default_transaction_isolation') AS isolation`
const LOOK_MS = 100
/** After so long without a read it is not looked at. */
const USED_MS = 1000
const LONGEST_WAIT_MS = 20
const BETWEEN_MS = 2
const MOST_LAG_MS = 10_000
/** A replica that does not answer for so long is down. */
const SILENT_MS = 1000
/** Others do better than to wait longer for a connection there. */
const LONGEST_ACQUIRE_MS = 1000
const LONGEST_CONNECT_MS = 2000
/** After one failure that may have been one connection's, or a conflict with what is replayed. */
const AVOID_MS = 250
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 30_000

export class Replica {
  readonly #settings: PostgresSettings
  readonly #replica: ReplicaSettings
  readonly #opener: Opener
  readonly written: Written
  readonly #log: Log
  readonly #mostLagMs: number
  /** Undefined until it was reached for the first time, or was not. */
  #state: State | undefined
  /** For looking at it; it is there as long as the replica is not down. */
  #session: Session | undefined
  #server: PostgresServer | undefined
  #looking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #wantedAt = 0
  /** Of the last look. */
  #lookedAt = -Infinity
  #replayed = 0
  #lagMs = Infinity
  #isolation = ''
  /** When it was last seen with everything replayed. */
  #completeAt = -Infinity
  #avoidUntil = 0
  #isConnecting = false
  #connectAfter = 0
  #pauseMs = FIRST_PAUSE_MS
  #isClosed = false

  /** `settings`: as for the primary. `askPosition`: of the primary. Throws `TDM_ERR_DB_OPEN` for a URL that cannot be used. */
  constructor (settings: PostgresSettings, replica: ReplicaSettings, askPosition: () => Asked, log: Log) {
    const { url, displayUrl, mostLagMs = MOST_LAG_MS } = replica
    // one connection is for looking at it
    const maxConnections = Math.max(1, settings.maxConnections - 1)
    const acquireTimeoutMs = Math.min(settings.acquireTimeoutMs, LONGEST_ACQUIRE_MS)
    this.#settings = { ...settings, url, displayUrl, maxConnections, acquireTimeoutMs, connectTimeoutMs: LONGEST_CONNECT_MS, failsAtOnce: true }
    const address = parseAddress(url)
    this.#opener = new Opener(this.#settings, address.targetSession === 'any' ? { ...address, targetSession: 'standby' } : address)
    this.#replica = replica
    this.written = new Written(askPosition)
    this.#log = log
    this.#mostLagMs = mostLagMs
  }

  // --- who may read there ------------------------------------------------------------------------------------------------------

  /** True for a statement on its own that may be one for the replica. */
  takes (query: Query): boolean {
    return this.#replica.reads === 'all' && traitsOf(query).looksRead && this.#server?.isKnownWrite(query.sql) !== true
  }

  /** Each statement of a transaction sees what is there when it begins. */
  isReadCommitted ({ isolation }: BeginOptions): boolean {
    return (isolation ?? this.#isolation) === 'read committed'
  }

  /** Where to read; undefined: the primary. A standby has no serializable transactions. */
  find ({ request, held }: Limits, isolation?: BeginOptions['isolation']): PostgresServer | undefined | Promise<PostgresServer | undefined> {
    const now = this.#wantedAt = performance.now()
    if (this.#session === undefined && now >= this.#connectAfter) void this.connect()
    this.#lookLater()
    // whoever holds a connection does not wait for one here: somebody here may wait for that one
    if (this.#server === undefined || now < this.#avoidUntil || (held.length > 0 && this.#server.isFull)) return undefined
    if (isolation === 'serializable') return undefined
    const position = this.written.positionFor(request)
    return this.#shows(position) ? this.#server : this.#findInTime(position)
  }

  /** Throws what another server would not do better. Otherwise returns, and the replica may be left alone for a moment. */
  judge (error: unknown): void {
    if (!isOfServer(error)) throw error
    this.suspect(error)
  }

  /** A read has failed there. */
  suspect (error: unknown): void {
    const kind = errorKind(error)
    if (kind !== undefined && kind !== 'connection' && kind !== 'serialization' && kind !== 'deadlock') return
    this.#avoidUntil = performance.now() + AVOID_MS
    void this.#look()
  }

  #shows (position: number | Promise<number>): boolean {
    return typeof position === 'number' && position <= this.#replayed && this.#lagNow() <= this.#mostLagMs
  }

  /** What is known is as old as the last look. */
  #lagNow (): number {
    return this.#lagMs + performance.now() - this.#lookedAt
  }

  async #findInTime (position: number | Promise<number>): Promise<PostgresServer | undefined> {
    if (this.#lagMs > LONGEST_WAIT_MS && this.#lookedAt + LOOK_MS > performance.now()) return undefined
    return await Promise.race([this.#findWhenReplayed(position), pause(LONGEST_WAIT_MS, undefined, { ref: false })])
  }

  async #findWhenReplayed (position: number | Promise<number>): Promise<PostgresServer | undefined> {
    const until = performance.now() + LONGEST_WAIT_MS
    const wanted = await position
    while (!this.#shows(wanted)) {
      await this.#look()
      if (this.#shows(wanted)) break
      if (this.#lagMs > LONGEST_WAIT_MS || performance.now() > until || wanted === Infinity) return undefined
      await pause(BETWEEN_MS)
    }
    return this.#server
  }

  // --- looking at it -------------------------------------------------------------------------------------------------------------

  #lookLater (): void {
    if (this.#session !== undefined) this.#timer ??= setTimeout(this.#tick, LOOK_MS).unref()
  }

  readonly #tick = (): void => {
    this.#timer = undefined
    if (performance.now() - this.#wantedAt > USED_MS) return
    void this.#look()
    this.#lookLater()
  }

  #look (): Promise<void> {
    return this.#looking ??= this.#ask().finally(() => { this.#looking = undefined })
  }

  async #ask (): Promise<void> {
    const session = this.#session
    if (session === undefined) return
    const since = performance.now()
    const call = new Call(LOOK, [], 'get')
    const silence = setTimeout(() => { setImmediate(() => { if (call.tag === '') this.#fail(session, new ConnectFailure('it does not answer.')) }) }, SILENT_MS)
    const { error } = await session.run(call)
    clearTimeout(silence)
    if (session !== this.#session) return
    if (error === undefined) this.#seen(session, call.rows[0] as unknown as Look, since)
    else this.#fail(session, new ConnectFailure('it does not say how far it has come.', { cause: error }))
  }

  #seen (session: Session, { standby, replayed, complete, lag, isolation }: Look, since: number): void {
    if (standby === 0) return this.#fail(session, new ConnectFailure('it is no standby any more.'))
    if (complete === 1) this.#completeAt = since
    this.#lagMs = complete === 1 ? 0 : Math.min(Math.max(0, lag ?? Infinity), since - this.#completeAt)
    this.#replayed = Number(replayed ?? 0)
    this.#isolation = isolation
    this.#lookedAt = since
    if (this.#lagMs > this.#mostLagMs) this.#enter('lagging', { lagMs: Math.round(this.#lagMs) }, 'the replica lags; until it has caught up, reads go to the primary')
    else if (this.#server !== undefined) this.#enter('ready', {}, 'reads go to the replica')
  }

  #enter (state: State, details: object, message: string): void {
    if (this.#state === state || this.#isClosed) return
    this.#state = state
    this.#log[state === 'ready' ? 'info' : 'warn']({ replica: this.#replica.displayUrl, ...details }, message)
  }

  // --- connecting ----------------------------------------------------------------------------------------------------------------

  /** Never rejects. */
  async connect (): Promise<void> {
    if (this.#isConnecting || this.#isClosed) return
    this.#isConnecting = true
    try {
      await this.#follow(await this.#opener.open())
    } catch (error) {
      this.#fail(this.#session, error)
    } finally {
      this.#isConnecting = false
    }
  }

  async #follow (session: Session): Promise<void> {
    if (this.#isClosed) return session.end()
    this.#session = session
    session.onEnd = cause => { this.#fail(session, new ConnectFailure('its connection was lost.', { cause })) }
    this.#server = new PostgresServer(this.#opener.pin(session), undefined, this.#settings, this.#log)
    await this.#look()
    if (this.#session === session) this.#pauseMs = FIRST_PAUSE_MS
  }

  /** `session`: on which it was noticed; an earlier one says nothing. */
  #fail (session: Session | undefined, error: unknown): void {
    if (session !== this.#session || this.#isClosed) return
    this.#session = undefined
    session?.destroy(error as Error)
    this.#server?.cut()
    this.#server = undefined
    this.#lagMs = Infinity
    this.#connectAfter = performance.now() + this.#pauseMs * (0.75 + 0.5 * Math.random())
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * this.#pauseMs)
    this.#enter('down', { reason: explainConnectError(error) }, 'the replica cannot be used; reads go to the primary')
  }

  // --- status --------------------------------------------------------------------------------------------------------------------

  get status (): Pick<EngineStatus, 'statements' | 'queues' | 'replica'> & { readonly meters: readonly Meters[] } {
    const status = this.#server?.status()
    const { statements = [], queues = {} } = status ?? {}
    return {
      statements,
      meters: status === undefined ? [] : [status.meters],
      queues: Object.fromEntries(Object.entries(queues).map(([name, load]) => [`replica ${name}`, load])),
      replica: { state: this.#state ?? 'down', lagMs: this.#lagMs }
    }
  }

  activities (): readonly Activity[] {
    return this.#server === undefined ? [] : [this.#server.activity()]
  }

  async close (graceMs: number): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#session?.end()
    await this.#server?.close(graceMs)
  }
}
