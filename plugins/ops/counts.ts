/**
 * What only happens and is nowhere kept: transactions that ended, memory given back, connections that came and went; and how late the event loop is.
 *
 * What is kept true: as long as it is open it listens, and no longer. The channels are those of the process: of two databases in one process the numbers are sums.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { MemoryEvent, PoolEvent, TxEvent } from '../db/events.ts'
import { Meter } from '../db/meter.ts'

/** How often the event loop is looked at; a wait this long is no lag. */
const RESOLUTION_MS = 10

export interface TransactionCount extends Pick<TxEvent, 'outcome' | 'mode'> { count: number }

export class Counts {
  readonly durations = { write: new Meter(), read: new Meter() }
  readonly memory: Record<MemoryEvent['what'], number> = { released: 0, ended: 0 }
  readonly pool: Record<PoolEvent['what'], number> = { opened: 0, closed: 0, lost: 0 }
  retries = 0
  readonly #transactions = new Map<string, TransactionCount>()
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  readonly #channels: ReadonlyArray<readonly [name: string, listen: (event: unknown) => void]> = [
    ['tandem:tx', event => { this.#noteTransaction(event as TxEvent) }],
    ['tandem:memory', event => { this.memory[(event as MemoryEvent).what]++ }],
    ['tandem:pool', event => { this.pool[(event as PoolEvent).what]++ }]
  ]

  constructor () {
    for (const [name, listen] of this.#channels) subscribe(name, listen)
    this.#delay.enable()
  }

  get transactions (): readonly TransactionCount[] {
    return [...this.#transactions.values()]
  }

  /** In ms, by quantile; begins anew. */
  readLag (): Array<[quantile: string, ms: number]> {
    const lag = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
    const hasAny = this.#delay.count > 0
    const read = ([['0.5', 50], ['0.99', 99], ['1', 100]] as const).map(([quantile, percentile]): [string, number] => [quantile, hasAny ? lag(this.#delay.percentile(percentile)) : 0])
    this.#delay.reset()
    return read
  }

  close (): void {
    for (const [name, listen] of this.#channels) unsubscribe(name, listen)
    this.#delay.disable()
  }

  #noteTransaction ({ outcome, mode, durationMs, retries }: TxEvent): void {
    const key = `${outcome} ${mode}`
    const known = this.#transactions.get(key)
    if (known === undefined) this.#transactions.set(key, { outcome, mode, count: 1 })
    else known.count++
    this.durations[mode].note(durationMs)
    this.retries += retries
  }
}
