/** The memory of the process that asks, against what the configuration allows. */
import type { Outcome } from '../measure/measurement.ts'
import { rssAnonBytes } from '../sqlite/memory-samples.ts'

/** Memory that no file stands behind, many times a second. */
export class MemoryWatch {
  readonly #budgetBytes: number
  readonly #idleBytes = rssAnonBytes(process.pid)
  readonly #timer = setInterval(() => { this.#look() }, 20)
  #mostBytes = 0

  constructor (budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  #look (): void {
    this.#mostBytes = Math.max(this.#mostBytes, rssAnonBytes(process.pid))
  }

  end (): Outcome {
    clearInterval(this.#timer)
    this.#look()
    return {
      figures: [{ name: 'the most, above idle', value: (this.#mostBytes - this.#idleBytes) / 1e6, unit: 'MB', bound: { atMost: this.#budgetBytes / 1e6 } }],
      problems: [],
      notes: [`the bound is SQLITE_SOFT_HEAP_LIMIT of the default configuration; idle ${Math.round(this.#idleBytes / 1e6)} MB`]
    }
  }
}
