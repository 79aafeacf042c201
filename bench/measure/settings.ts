/** What a measurement of `npm run bench` and `npm run bench:postgres` is given: how long it may take, and servers if it wants any. What it answers: measurement.ts. */
import type { Servers } from '../postgres/servers.ts'
import type { Effort, Measurement } from './measurement.ts'

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

export type ServerMeasurement = Measurement<Settings>

export interface Size { readonly rounds: number, readonly seconds: number }

/** The size of this run: what was asked for, else what the measurement has for the effort. */
export function sizeFor ({ effort, rounds, seconds }: Settings, sizes: Readonly<Record<Effort, Size>>): Size {
  return { rounds: rounds ?? sizes[effort].rounds, seconds: seconds ?? sizes[effort].seconds }
}
