/** Chance that is the same for the same seed, on every machine: numbers, and choices by weight. */

/** Numbers in [0, 1). */
export type Random = () => number

/** sfc32 of PractRand (https://pracrand.sourceforge.net/RNG_engines.txt): 32 bits a number, a period of 2^64 or more. `seed`: an integer. */
export function createRandom (seed: number): Random {
  let a = seed | 0
  let b = Math.floor(seed / 2 ** 32) | 0
  let c = 0x9E3779B9 | 0
  let counter = 1
  const random = (): number => {
    const sum = (a + b | 0) + counter | 0
    counter = counter + 1 | 0
    a = b ^ b >>> 9
    b = c + (c << 3) | 0
    c = (c << 21 | c >>> 11) + sum | 0
    return (sum >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 16; i++) random() // until all of the state has met the seed
  return random
}

/** Mean 0, deviation 1 (Box and Muller). */
export function normal (random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

/** Chooses one of the items, as often as its weight says. */
export class Choice<T> {
  readonly #items: readonly T[]
  /** Each item's share and those before it; the last is 1. */
  readonly #upTo: Float64Array
  /** By a number's slot: the first item that it may stand for, so that hardly any are looked at, however many there are. */
  readonly #guide: Uint32Array

  constructor (items: readonly T[], weights: readonly number[]) {
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    let sum = 0
    this.#items = items
    this.#upTo = Float64Array.from(weights, weight => (sum += weight) / total)
    this.#upTo[weights.length - 1] = 1
    let item = 0
    this.#guide = Uint32Array.from(weights, (_, slot) => {
      while ((this.#upTo[item] as number) <= slot / weights.length) item++
      return item
    })
  }

  take (random: Random): T {
    const number = random()
    let item = this.#guide[Math.floor(number * this.#guide.length)] as number
    while ((this.#upTo[item] as number) <= number) item++
    return this.#items[item] as T
  }
}

/** From a table such as { a: 0.7, b: 0.3 }. */
export function choose<Name extends string> (weights: Readonly<Record<Name, number>>): Choice<Name> {
  return new Choice(Object.keys(weights) as Name[], Object.values(weights))
}

/** 1, 1/2^exponent, 1/3^exponent, … */
export function zipf (count: number, exponent: number): number[] {
  return Array.from({ length: count }, (_, rank) => (rank + 1) ** -exponent)
}

/** The list in another order. */
export function shuffled<T> (list: readonly T[], random: Random): T[] {
  const result = [...list]
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const item = result[i] as T
    result[i] = result[j] as T
    result[j] = item
  }
  return result
}
