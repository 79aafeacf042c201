/** What a turn takes, and how turns of the same round compare. */
import type { Log } from '../../plugins/db/types.ts'
import { boundFor, type Bound, type Effort, type Figure } from '../measure/measurement.ts'
import { median, ratios, spread } from '../measure/statistics.ts'

export interface WriteSettings { readonly rows: number, readonly rounds: number, readonly effort: Effort, readonly scratch: string }

/** Seconds. */
export interface Turn { readonly rows: number, readonly indices: number }

export const UNTIL = 1_767_225_600

export const quiet: Log = { info: () => {}, warn: (_, message) => { console.error(message) }, error: (_, message) => { console.error(message) } }

/** Runs `fn`, which says when the rows are there and the indices begin. */
export async function timeTurn (fn: (onIndex: () => void) => Promise<unknown>): Promise<Turn> {
  const since = performance.now()
  let writtenAt = Infinity
  await fn(() => { writtenAt = Math.min(writtenAt, performance.now()) })
  const endedAt = performance.now()
  const rowsUntil = Math.min(writtenAt, endedAt)
  return { rows: (rowsUntil - since) / 1000, indices: (endedAt - rowsUntil) / 1000 }
}

export interface Comparison { readonly name: string, readonly ours: readonly Turn[], readonly raw: readonly Turn[], readonly ratio: Bound, readonly rate?: Bound }

/** The rate of the rows, how it compares with the driver alone, and the same with the indices. */
export function compare ({ name, ours, raw, ratio, rate }: Comparison, { rows, effort }: WriteSettings): Figure[] {
  const ofRows = (turns: readonly Turn[]): number[] => turns.map(turn => rows / turn.rows)
  const ofAll = (turns: readonly Turn[]): number[] => turns.map(turn => rows / (turn.rows + turn.indices))
  const figure = (what: string, list: readonly number[], unit: string, bound?: Bound): Figure => ({ name: `${name}: ${what}`, value: median(list), unit, spread: spread(list), bound })
  const generous = { atLeast: (ratio.atLeast ?? 0) * 0.8 }
  return [
    figure('rows', ofRows(ours), 'rows/s', rate === undefined ? undefined : boundFor({ effort }, rate, { atLeast: 0 })),
    figure('the driver alone', ofRows(raw), 'rows/s'),
    figure('against the driver alone', ratios(ofRows(ours), ofRows(raw)), '×', boundFor({ effort }, ratio, generous)),
    figure('with the indices', ofAll(ours), 'rows/s'),
    figure('with the indices, against the driver alone with them', ratios(ofAll(ours), ofAll(raw)), '×', boundFor({ effort }, ratio, generous))
  ]
}
