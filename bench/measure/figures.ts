/** Figures from what was measured in rounds. */
import type { Figure } from './measurement.ts'
import { bestQuarter, median, quartiles, ratios } from './statistics.ts'

/** Something a second against something else, measured in the same rounds: best quarter against best quarter, and beside it what each half of the rounds says. */
export function rateFigure (name: string, rates: readonly number[], base: readonly number[], bound?: Figure['bound']): Figure {
  const ratioIn = (isMember: (round: number) => boolean): number => bestQuarter(rates.filter((_, round) => isMember(round))) / bestQuarter(base.filter((_, round) => isMember(round)))
  const halves = [ratioIn(isEven), ratioIn(round => !isEven(round))].toSorted((a, b) => a - b) as [number, number]
  return { name, value: ratioIn(() => true), unit: '×', spread: rates.length > 1 ? halves : undefined, bound }
}

function isEven (round: number): boolean {
  return round % 2 === 0
}

/** Percentiles of latencies against others, each by what was measured in the same round: the median, and the quartiles beside it. */
export function tailFigure (name: string, tails: readonly number[], base: readonly number[], bound?: Figure['bound']): Figure {
  const list = ratios(tails, base)
  return { name, value: median(list), unit: '×', spread: quartiles(list), bound }
}

/** The median, and the quartiles beside it. */
export function medianFigure (name: string, list: readonly number[], unit: string, bound?: Figure['bound']): Figure {
  return { name, value: median(list), unit, spread: quartiles(list), bound }
}
