/**
 * How the sizes and durations of jobs are spread. Part of the store.
 *
 * What is kept true: the statements follow each other, so that one request never holds more than one connection; values come in ascending order; NULL counts as 0.
 */
import { coveredBy } from './cover.ts'
import { identifier, sql, where } from './fragment.ts'
import { checkOneOf } from './input.ts'
import { findRows, lasted, settingsOf, type JobsDatabase, type JobsOptions } from './query.ts'
import { toNumber } from './rows.ts'
import type { AddHistogramsInput, DurationHistogramInput, GroupStats, Histograms, HistoPoint, ValueHistogramInput } from './schema.ts'
import { noStats } from './stats.ts'
import { learnIndices } from './walk.ts'

/** How many jobs have each value of a column; values that no job has are left out. */
export async function valueHistogram (db: JobsDatabase, input: ValueHistogramInput, options: JobsOptions = {}): Promise<HistoPoint[]> {
  checkOneOf('column', input.column, ['num_nodes', 'num_hwthreads', 'num_acc'])
  const value = sql`COALESCE(${identifier(`job.${input.column}`)}, 0)`
  await learnIndices(db)
  const { from, conditions } = coveredBy(db, input, settingsOf(options).now)
  const rows = await findRows(db, sql`SELECT ${value} AS value, COUNT(*) AS count FROM ${from}${where(conditions)} GROUP BY ${value} ORDER BY ${value}`)
  return rows.map(row => ({ value: toNumber(row.value), count: toNumber(row.count) }))
}

/** How many jobs lasted how long: all bins, with the seconds that they end at. Jobs beyond the last bin, or that end before they start, are in none. */
export async function durationHistogram (db: JobsDatabase, input: DurationHistogramInput, options: JobsOptions = {}): Promise<HistoPoint[]> {
  const { now } = settingsOf(options)
  const { count, seconds } = durationBins.get(input.bins ?? '1h') ?? otherBins
  const time = lasted(now)
  await learnIndices(db)
  const { from, conditions } = coveredBy(db, input, now)
  const inBins = where([...conditions, sql`${time} >= 0`, sql`${time} < ${count * seconds}`])
  const rows = await findRows(db, sql`SELECT (${time}) / ${seconds} AS bin, COUNT(*) AS count FROM ${from}${inBins} GROUP BY bin`)
  const counts = new Map(rows.map(row => [toNumber(row.bin), toNumber(row.count)]))
  return Array.from({ length: count }, (_, i) => ({ value: (i + 1) * seconds, count: counts.get(i) ?? 0 }))
}

/** `stat` with the histograms of duration, nodes, cores and accelerators. */
export async function addHistograms (db: JobsDatabase, input: AddHistogramsInput, options: JobsOptions = {}): Promise<GroupStats & Histograms> {
  const { now } = settingsOf(options)
  const fixed = { ...options, now: () => now }
  const { stat = { id: '', name: '', ...noStats() } } = input
  return {
    ...stat,
    histDuration: await durationHistogram(db, input, fixed),
    histNumNodes: await valueHistogram(db, { ...input, column: 'num_nodes' }, fixed),
    histNumCores: await valueHistogram(db, { ...input, column: 'num_hwthreads' }, fixed),
    histNumAccs: await valueHistogram(db, { ...input, column: 'num_acc' }, fixed)
  }
}

const durationBins: ReadonlyMap<string, { count: number, seconds: number }> = new Map([
  ['1m', { count: 60, seconds: 60 }],
  ['10m', { count: 72, seconds: 600 }],
  ['1h', { count: 48, seconds: 3600 }],
  ['6h', { count: 12, seconds: 21_600 }],
  ['12h', { count: 14, seconds: 43_200 }]
])
const otherBins = { count: 24, seconds: 3600 }
