/**
 * The rows of an `iterate`, one by one, out of the batches that an engine fetches.
 *
 * A row that is fetched already costs one resolved promise; the batches in between come from an async generator, whose `finally` closes the engine's cursor.
 * `next` may be called again before the last call is answered: rows stay in order.
 */
import type { Row } from './types.ts'

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

export class RowCursor implements AsyncIterableIterator<Row> {
  readonly sql: string
  readonly #batches: AsyncGenerator<Row[], undefined>
  #batch: Row[] = []
  #position = 0
  /** The last of the calls that wait for a batch. */
  #fetching: Promise<unknown> | undefined
  #error: Error | undefined

  constructor (sql: string, batches: AsyncGenerator<Row[], undefined>) {
    this.sql = sql
    this.#batches = batches
  }

  next (): Promise<IteratorResult<Row, undefined>> {
    if (this.#error !== undefined) return Promise.reject(this.#error)
    if (this.#fetching === undefined && this.#position < this.#batch.length) return Promise.resolve(this.#take())
    const result = (this.#fetching ?? Promise.resolve()).then(() => this.#fetch())
    const settled = result.then(noop, noop).then(() => { if (this.#fetching === settled) this.#fetching = undefined })
    this.#fetching = settled
    return result
  }

  async return (): Promise<IteratorResult<Row, undefined>> {
    this.#batch = []
    await this.#batches.return(undefined)
    return DONE
  }

  /** Closes the cursor from outside: its reader gets the error, and not what would look like the end of the rows. */
  async end (error: Error): Promise<void> {
    this.#error = error
    await this.return().catch(noop)
  }

  [Symbol.asyncIterator] (): this {
    return this
  }

  async #fetch (): Promise<IteratorResult<Row, undefined>> {
    while (this.#position >= this.#batch.length) {
      const next: IteratorResult<Row[], undefined> = await this.#batches.next()
      if (this.#error !== undefined) throw this.#error
      if (next.done === true) return DONE
      this.#batch = next.value
      this.#position = 0
    }
    return this.#take()
  }

  #take (): IteratorResult<Row, undefined> {
    return { done: false, value: this.#batch[this.#position++] as Row }
  }
}

const noop = (): void => {}
