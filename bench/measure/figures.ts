/** Figures from what was measured in rounds. */
import type { Figure } from './measurement.ts'
import { median, quartiles, ratios } from './statistics.ts'

/** `values` against `base`, each by what was measured in the same round: the median, and the quartiles beside it. */
export function ratioFigure (name: string, values: readonly number[], base: readonly number[], bound?: Figure['bound']): Figure {
  const list = ratios(values, base)
  return { name, value: median(list), unit: '×', spread: quartiles(list), bound }
}

/** The median, and the quartiles beside it. */
export function medianFigure (name: string, list: readonly number[], unit: string, bound?: Figure['bound']): Figure {
  return { name, value: median(list), unit, spread: quartiles(list), bound }
}
