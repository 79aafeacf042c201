/**
 * How the numbers in the footprints of jobs are spread, between 0 and the metric's peak. Part of the store.
 *
 * What is kept true: the bin of a value v is trunc(v / peak · bins) + 1, and that of the peak itself is the last; a value beyond the peak, a missing key and a broken
 * footprint are in no bin. Peak, unit and statistic are those of the cluster that is asked for, else of all clusters together.
 */
import { column, dialects, isPlainKey } from './dialect.ts'
import { JobsBadInput, JobsBadMetric } from './errors.ts'
import { sql, where, type Fragment } from './fragment.ts'
import { checkInteger } from './input.ts'
import { conditionsOf, findRows, settingsOf, type JobsDatabase, type JobsOptions, type Settings } from './query.ts'
import { toNumber } from './rows.ts'
import type { AddMetricHistogramsInput, JobFilter, Metric, MetricConfig, MetricHistogram, MetricHistogramInput, MetricPoint, Stats } from './schema.ts'
import { noStats } from './stats.ts'

const mostBins = 1000
const tiny = 1e-300

/**
 * The histogram of one metric. Of one that no cluster has, all bins are empty.
 * Throws `TDM_ERR_JOBS_BAD_METRIC` for a name that no metric can have or that the cluster of the filter does not have, `TDM_ERR_JOBS_BAD_INPUT` for a filter of clusters
 * that does not name one.
 */
export async function metricHistogram (db: JobsDatabase, input: MetricHistogramInput, options: JobsOptions = {}): Promise<MetricHistogram> {
  return await histogramOf(db, input, input.metrics[0] ?? '', settingsOf(options))
}

/** `stat` with a histogram for each of `metrics`. One that there is no histogram of is left out, with a warning. */
export async function addMetricHistograms (db: JobsDatabase, input: AddMetricHistogramsInput, options: JobsOptions = {}): Promise<Stats & { histMetrics: MetricHistogram[] }> {
  const settings = settingsOf(options)
  const histMetrics: MetricHistogram[] = []
  for (const metric of input.metrics) {
    try {
      histMetrics.push(await histogramOf(db, input, metric, settings))
    } catch (error) {
      if (!(error instanceof JobsBadMetric)) throw error
      settings.warn({ metric: metric.slice(0, 40), problem: error.message }, 'jobs: this metric has no histogram')
    }
  }
  return { ...(input.stat ?? noStats()), histMetrics }
}

async function histogramOf (db: JobsDatabase, input: MetricHistogramInput, metric: string, settings: Settings): Promise<MetricHistogram> {
  const { nbins = 10, filter = [] } = input
  const conditions = conditionsOf(db, input, settings.now)
  checkInteger('nbins', nbins, 1)
  if (nbins > mostBins) throw new JobsBadInput('nbins', `must be at most ${mostBins}, got ${nbins}`)
  if (!isPlainKey(metric)) throw new JobsBadMetric(metric.slice(0, 40), 'its name must be of letters, digits and _')
  const { peak, unit, footprint } = findMetric(metric, filter, settings.metricConfig)
  const key = `${metric}_${footprint}`
  const counts = peak > 0 ? await countBins(db, { key, peak, nbins }, conditions) : new Map<number, number>()
  return { metric, unit, stat: footprint, data: pointsOf(counts, peak, nbins) }
}

interface Bins { readonly key: string, readonly peak: number, readonly nbins: number }

/**
 * The comparisons come first: a number in JSON may be too large or too near to 0 for a double precision, which PostgreSQL makes an error. Below -peak there is no bin either, and what is that near
 * to 0 is in the first. The LIMIT leaves nothing out: with it the number is taken out of the JSON once for a row, and not once for each time that it is named.
 */
async function countBins (db: JobsDatabase, { key, peak, nbins }: Bins, conditions: readonly Fragment[]): Promise<Map<number, number>> {
  const dialect = dialects[db.engine]
  const footprint = column('footprint')
  const values = sql`SELECT ${dialect.jsonNumber(footprint, key)} AS value FROM job${where([...conditions, dialect.isJson(footprint)])} LIMIT ${Number.MAX_SAFE_INTEGER}`
  const below = sql`CASE WHEN measured.value = ${peak} THEN ${double(sql`${peak * 0.999999999}`)}
    WHEN measured.value BETWEEN ${-tiny} AND ${tiny} THEN ${double(sql`0`)} ELSE ${double(sql`measured.value`)} END`
  const bin = dialect.truncate(sql`${below} / ${double(sql`${peak}`)} * ${double(sql`${nbins}`)}`)
  const rows = await findRows(db, sql`SELECT ${bin} AS bin, COUNT(*) AS count FROM (${values}) AS measured WHERE measured.value > ${-peak} AND measured.value <= ${peak} GROUP BY bin`)
  return new Map(rows.map(row => [toNumber(row.bin) + 1, toNumber(row.count)]))
}

/** A whole number would be divided as one. */
function double (number: Fragment): Fragment {
  return sql`CAST(${number} AS DOUBLE PRECISION)`
}

/** The labels are whole numbers, and so not those of the true edges when the peak cannot be divided by the bins. */
function pointsOf (counts: ReadonlyMap<number, number>, peak: number, nbins: number): MetricPoint[] {
  const step = Math.trunc(Math.trunc(peak) / nbins)
  return Array.from({ length: nbins }, (_, i) => ({ bin: i + 1, count: counts.get(i + 1) ?? 0, min: i * step, max: (i + 1) * step }))
}

function findMetric (metric: string, filters: readonly JobFilter[], config: MetricConfig): Metric {
  const clusters = filters.map(({ cluster }) => cluster).filter(matcher => matcher !== undefined && Object.keys(matcher).length > 0)
  const names = new Set(clusters.map(matcher => matcher?.eq))
  const [name] = names
  if (names.size === 0) return ofAllClusters(metric, config)
  if (name === undefined || names.size > 1) throw new JobsBadInput('filter/cluster', 'must name one cluster (eq), or be left out, for the histogram of a metric')
  const found = metricOf(config, name, metric)
  if (found === undefined) throw new JobsBadMetric(metric, `the cluster "${name.slice(0, 40)}" has no such metric`)
  return found
}

/** The largest peak, with the first unit and statistic that are not empty. */
function ofAllClusters (metric: string, config: MetricConfig): Metric {
  const found = Object.keys(config).map(cluster => metricOf(config, cluster, metric)).filter(one => one !== undefined)
  return {
    peak: Math.max(0, ...found.map(one => one.peak)),
    unit: found.map(one => one.unit).find(unit => unit !== '') ?? '',
    footprint: found.map(one => one.footprint).find(stat => stat !== '') ?? ''
  }
}

function metricOf (config: MetricConfig, cluster: string, metric: string): Metric | undefined {
  const metrics = Object.hasOwn(config, cluster) ? config[cluster] : undefined
  return metrics !== undefined && Object.hasOwn(metrics, metric) ? metrics[metric] : undefined
}
