/** Random numbers that come in the same order for the same beginning, so that a demo group looks the same wherever it is made. */

/** 0 to below 1, as `Math.random`. */
export type Random = () => number

/** mulberry32 */
export function startRandom (seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** `from` to `to`, both included. */
export function between (random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1))
}

/** Throws for an empty list. */
export function pick<T> (random: Random, list: readonly T[]): T {
  const index = Math.floor(random() * list.length)
  if (list.length === 0) throw new RangeError('there is nothing to pick from')
  return list[index] as T
}

/** `count` of them, each once, in the order of the list. */
export function sample<T> (random: Random, list: readonly T[], count: number): T[] {
  const indices = list.map((_, index) => ({ index, at: random() })).sort((a, b) => a.at - b.at).slice(0, count).map(({ index }) => index)
  return indices.sort((a, b) => a - b).map(index => list[index] as T)
}
