/**
 * Takes what is due out of the outbox and delivers it: when it is told to, and every 2 s. Several of these, in several processes, share one outbox (claims.ts).
 *
 * running ── stop() ──▶ stopping: claims nothing more, up to 10 s for what is in flight ──▶ stopped: what was not done is due again, at once.
 * What is kept true: a receiver that is slow holds up nobody but itself, until there are 100 such requests; no failure of the database ends the worker, it tries again with the next look.
 */
import { randomUUID } from 'node:crypto'
import type { Database, Listener, Log } from '../../plugins/db/types.ts'
import { errorKind } from '../../plugins/errors.ts'
import type { VaultContext } from '../common/context.ts'
import { claimDueDeliveries, MOST_CLAIMED } from './claims.ts'
import { deliver, type DeliveryContext } from './deliver.ts'
import { OUTBOX_CHANNEL } from './enqueue.ts'
import { addCounts, nothing, type OutboxCounts } from './outcome.ts'
import type { SendOptions } from './send.ts'

export { requeueDead } from './claims.ts'
export type { OutboxCounts } from './outcome.ts'

const POLL_MS = 2000
const GRACE_MS = 10_000
const MOST_IN_FLIGHT = 100

/** What of the group vault a worker needs. */
export type OutboxContext = Pick<VaultContext, 'sealer' | 'now' | 'log'> & { readonly settings: Pick<VaultContext['settings'], 'devTools'> }

/** One pass: claims up to `max` (at most 20) that are due, delivers them, and waits for it. Not inside a transaction. */
export async function runOutboxOnce (db: Database, context: OutboxContext, { max = MOST_CLAIMED, ...sending }: { max?: number } & Partial<SendOptions> = {}): Promise<OutboxCounts> {
  const { claimed, deliveries } = await startPass(toDelivery(db, context, sending), max)
  const counts = await Promise.all(deliveries)
  return counts.reduce(addCounts, { ...nothing, claimed })
}

function toDelivery (db: Database, { sealer, now, settings }: OutboxContext, sending: Partial<SendOptions>): DeliveryContext {
  return { db, sealer, now, sending: { allowLoopback: settings.devTools, ...sending } }
}

/** Claims, and begins to deliver: one promise for each webhook. */
async function startPass (delivery: DeliveryContext, max: number): Promise<{ claimed: number, deliveries: Array<Promise<OutboxCounts>> }> {
  const owner = randomUUID()
  const rows = await claimDueDeliveries(delivery.db, { owner, max }, delivery.now())
  const byWebhook = [...Map.groupBy(rows, row => row.webhookId).values()]
  return { claimed: rows.length, deliveries: byWebhook.map(async rows => await deliver(delivery, { owner, deliveries: rows })) }
}

export class OutboxWorker {
  readonly #db: Database
  readonly #log: Log
  readonly #delivery: DeliveryContext
  readonly #abort = new AbortController()
  readonly #inFlight = new Set<Promise<void>>()
  #rowsInFlight = 0
  #timer: NodeJS.Timeout | undefined
  #listener: Listener | undefined
  #isStopping = false
  #isLooking = false
  #lookAgain = false

  constructor (db: Database, context: OutboxContext) {
    this.#db = db
    this.#log = context.log
    this.#delivery = toDelivery(db, context, { signal: this.#abort.signal })
  }

  /** Without notifications (a pooler may not have them) it looks every 2 s only. */
  async start (): Promise<void> {
    this.#timer = setInterval(() => { this.wake() }, POLL_MS)
    this.#timer.unref()
    try {
      this.#listener = await this.#db.listen(OUTBOX_CHANNEL, () => { this.wake() })
    } catch (error) {
      this.#log.warn({ err: error }, 'the outbox hears of nothing, and looks every 2 s')
    }
    this.wake()
  }

  /** Looks for what is due, unless it does already: then again. */
  wake (): void {
    if (this.#isStopping) return
    this.#lookAgain = true
    if (!this.#isLooking) this.#keep(this.#look())
  }

  /** Claims nothing more. */
  pause (): void {
    this.#isStopping = true
    clearInterval(this.#timer)
  }

  /** Waits for what is in flight, 10 s at most. Idempotent. */
  async stop ({ graceMs = GRACE_MS }: { graceMs?: number } = {}): Promise<void> {
    this.pause()
    await this.#listener?.close()
    const timer = setTimeout(() => { this.#abort.abort() }, graceMs)
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight)
    clearTimeout(timer)
  }

  async #look (): Promise<void> {
    this.#isLooking = true
    try {
      while (this.#lookAgain && !this.#isStopping && this.#rowsInFlight < MOST_IN_FLIGHT) {
        this.#lookAgain = false
        await this.#begin()
      }
    } catch (error) {
      this.#complain(error)
    } finally {
      this.#isLooking = false
    }
  }

  async #begin (): Promise<void> {
    const { claimed, deliveries } = await startPass(this.#delivery, MOST_CLAIMED)
    if (claimed > 0) this.#lookAgain = true // there may be more
    for (const delivery of deliveries) this.#keep(this.#follow(delivery))
  }

  /** When it is done, its webhook has room for the next. */
  async #follow (delivery: Promise<OutboxCounts>): Promise<void> {
    this.#rowsInFlight++
    try {
      await delivery
    } catch (error) {
      this.#complain(error)
    } finally {
      this.#rowsInFlight--
      this.wake()
    }
  }

  #keep (work: Promise<void>): void {
    const kept = work.finally(() => { this.#inFlight.delete(kept) })
    this.#inFlight.add(kept)
  }

  #complain (error: unknown): void {
    if (errorKind(error) === 'readonly') this.pause() // there is nothing to do in a database that cannot be written
    else this.#log.warn({ err: error }, 'the outbox could not be worked on; it is looked at again in 2 s')
  }
}
