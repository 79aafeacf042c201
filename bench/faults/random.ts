/** Numbers that look random and are the same for the same seed (mulberry32). */

export class Random {
  #state: number

  constructor (seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to 1. */
  next (): number {
    this.#state = (this.#state + 0x6D2B79F5) >>> 0
    let n = this.#state
    n = Math.imul(n ^ (n >>> 15), n | 1)
    n ^= n + Math.imul(n ^ (n >>> 7), n | 61)
    return ((n ^ (n >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from `low` to `high`, both included. */
  between (low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  chance (share: number): boolean {
    return this.next() < share
  }

  /** One of the names, as often as their weights say. */
  weighted<K extends string> (weights: Readonly<Record<K, number>>): K {
    const names = Object.keys(weights) as K[]
    let rest = this.next() * names.reduce((sum, name) => sum + weights[name], 0)
    for (const name of names) {
      rest -= weights[name]
      if (rest < 0) return name
    }
    throw new Error('there is no weight')
  }
}
