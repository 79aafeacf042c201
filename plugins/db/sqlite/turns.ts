/**
 * Lets the event loop turn between short statements. A promise that is resolved already goes on before anything else does, so a loop over statements that
 * are answered on the main thread would keep timers and sockets waiting until its end.
 */

/** Statements that cost nothing: most turns have fewer. */
const FREE = 16

export class Turns {
  readonly #budgetMs: number
  #statements = 0
  #watchedSince = 0
  #next: Promise<void> | undefined

  constructor (budgetMs: number) {
    this.#budgetMs = budgetMs
  }

  /** To be called before each statement: what it has to wait for; undefined if it can go on. */
  take (): Promise<void> | undefined {
    if (++this.#statements < FREE) return undefined
    if (this.#next === undefined) {
      this.#watchedSince = performance.now()
      this.#next = new Promise(resolve => {
        setImmediate(() => {
          this.#statements = 0
          this.#next = undefined
          resolve()
        })
      })
      return undefined
    }
    return performance.now() - this.#watchedSince > this.#budgetMs ? this.#next : undefined
  }
}
