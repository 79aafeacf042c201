/** What a measurement on PostgreSQL is given: how long it may take, and the servers. What it answers is as for SQLite (../sqlite/measurement.ts). */
import type { Effort, Figure, Measurement } from '../sqlite/measurement.ts'
import { median, quartiles, ratios } from '../sqlite/statistics.ts'
import type { Servers } from './servers.ts'

export interface Settings {
  readonly effort: Effort
  /** Of each comparison. Undefined: as the measurement says. */
  readonly rounds: number | undefined
  /** Of each turn. Undefined: as the measurement says. */
  readonly seconds: number | undefined
  readonly servers: Servers
  /** An empty folder. */
  readonly scratch: string
}

export type PostgresMeasurement = Measurement<Settings>

export interface Size { readonly rounds: number, readonly seconds: number }

/** The size of this run: what was asked for, else what the measurement has for the effort. */
export function sizeFor ({ effort, rounds, seconds }: Settings, sizes: Readonly<Record<Effort, Size>>): Size {
  return { rounds: rounds ?? sizes[effort].rounds, seconds: seconds ?? sizes[effort].seconds }
}

/** `values` against `base`, each by what was measured in the same round: the median, and the quartiles beside it. */
export function ratioFigure (name: string, values: readonly number[], base: readonly number[], bound?: Figure['bound']): Figure {
  const list = ratios(values, base)
  return { name, value: median(list), unit: '×', spread: quartiles(list), bound }
}

/** The median, and the quartiles beside it. */
export function medianFigure (name: string, list: readonly number[], unit: string, bound?: Figure['bound']): Figure {
  return { name, value: median(list), unit, spread: quartiles(list), bound }
}
