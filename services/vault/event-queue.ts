/**
 * What is to be sent on one stream of events, and has not been taken yet.
 *
 * What is kept true: at most 64 wait; who is slower is told to read everything anew instead. After the end nothing is taken but the farewell.
 */

export const eventNames = ['hello', 'vault', 'presence', 'roster', 'activity', 'billing', 'catalog', 'resync', 'bye'] as const
export type EventName = typeof eventNames[number]

export interface VaultEvent {
  readonly event: EventName
  /** The version of the group that it tells of. */
  readonly version?: number
  readonly data: Readonly<Record<string, string | number | null>>
}

/** Why a stream ended: no reason to come back at once. */
export type Farewell = 'removed' | 'deleted' | 'signed-out' | 'too-many' | 'closing'

export const MOST_QUEUED = 64

export class EventQueue implements AsyncIterable<VaultEvent> {
  #waiting: VaultEvent[] = []
  #isEnded = false
  #wake = Promise.withResolvers<undefined>()
  readonly #end = Promise.withResolvers<undefined>()
  /** Resolves when nothing more will come. */
  readonly ended: Promise<undefined> = this.#end.promise

  push (event: VaultEvent): void {
    if (this.#isEnded) return
    if (this.#waiting.length < MOST_QUEUED) this.#waiting.push(event)
    else this.#waiting = [{ event: 'resync', data: {} }]
    this.#wake.resolve(undefined)
  }

  /** Undefined: nobody is there to be told. */
  end (reason?: Farewell): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#waiting = reason === undefined ? [] : [{ event: 'bye', data: { reason } }]
    this.#wake.resolve(undefined)
    this.#end.resolve(undefined)
  }

  async * [Symbol.asyncIterator] (): AsyncGenerator<VaultEvent, undefined> {
    while (true) {
      const next = this.#waiting.shift()
      if (next !== undefined) yield next
      else if (this.#isEnded) return undefined
      else await this.#news()
    }
  }

  async #news (): Promise<void> {
    this.#wake = Promise.withResolvers<undefined>()
    await this.#wake.promise
  }
}
