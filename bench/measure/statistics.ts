/** Medians and percentiles of what was measured. */

export function median (list: readonly number[]): number {
  return percentile(list, 0.5)
}

/** The smallest number that is not less than `share` of the list (nearest rank). NaN for an empty list. */
export function percentile (list: readonly number[], share: number): number {
  const sorted = Float64Array.from(list).sort()
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

/** Of rates: the mean of the fastest quarter. What else happens on the machine only ever slows down, so these rounds are the ones that say most about what was measured. */
export function bestQuarter (rates: readonly number[]): number {
  const best = rates.toSorted((a, b) => b - a).slice(0, Math.ceil(rates.length / 4))
  return best.reduce((sum, rate) => sum + rate, 0) / best.length
}

/** The smallest and the largest. */
export function spread (list: readonly number[]): readonly [number, number] {
  return [percentile(list, 0), percentile(list, 1)]
}

/** The middle half lies between them. */
export function quartiles (list: readonly number[]): readonly [number, number] {
  return [percentile(list, 0.25), percentile(list, 0.75)]
}

/** Each of `list` against its neighbour in `base`: what was measured in the same round. */
export function ratios (list: readonly number[], base: readonly number[]): number[] {
  return list.map((value, round) => value / (base[round] ?? NaN))
}
