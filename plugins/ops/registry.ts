/**
 * Metrics that are read when they are asked for, in prom-client's registry.
 *
 * prom-client's own classes count what they are told. The layer has counted already, histograms included, so what is registered here only reads. Of a metric the registry needs `name`, `help`, `type` and `get()`
 * (prom-client 15, lib/registry.js).
 */
import { Registry, type Metric, type OpenMetricsContentType } from 'prom-client'
import { DURATION_BOUNDS_MS } from '../db/meter.ts'
import type { Histogram } from '../db/types.ts'

export type Labels = Readonly<Record<string, string>>

/** A metric, and where its values come from. Of a counter the name ends with `_total`. */
export type Definition<Source> =
  | { readonly type: 'counter' | 'gauge', readonly name: string, readonly help: string, readonly labels: readonly string[], readonly read: (source: Source) => ReadonlyArray<readonly [value: number, labels?: Labels]> }
  | { readonly type: 'histogram', readonly name: string, readonly help: string, readonly labels: readonly string[], readonly read: (source: Source) => ReadonlyArray<readonly [value: Histogram, labels?: Labels]> }

interface Sample { metricName?: string, labels: Record<string, string>, value: number }

interface Readable {
  readonly name: string
  readonly help: string
  readonly type: string
  get: () => Promise<{ name: string, help: string, type: string, values: readonly Sample[], aggregator: string }>
}

export function register<Source> (registry: Registry, definition: Definition<Source>, source: Source): void {
  const { name, help, type } = definition
  const get: Readable['get'] = async () => ({ name, help, type, values: sample(definition, source), aggregator: 'sum' })
  registry.registerMetric({ name, help, type, get } satisfies Readable as unknown as Metric)
}

function sample<Source> (definition: Definition<Source>, source: Source): Sample[] {
  if (definition.type === 'histogram') return definition.read(source).flatMap(([histogram, labels = {}]) => sampleHistogram(definition.name, histogram, labels))
  return definition.read(source).map(([value, labels = {}]) => ({ value, labels: { ...labels } }))
}

/** In seconds, and each bucket with those below it. */
function sampleHistogram (name: string, { buckets, count, sumMs }: Histogram, labels: Labels): Sample[] {
  let below = 0
  const samples: Sample[] = DURATION_BOUNDS_MS.map((bound, i) => {
    below += buckets[i] ?? 0
    return { metricName: `${name}_bucket`, labels: { le: String(bound / 1000), ...labels }, value: below }
  })
  samples.push({ metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: count })
  samples.push({ metricName: `${name}_sum`, labels: { ...labels }, value: sumMs / 1000 }, { metricName: `${name}_count`, labels: { ...labels }, value: count })
  return samples
}

/**
 * The same metrics as OpenMetrics. prom-client takes `_total` from the names of counters for good when it writes that, and then lacks it in the other format: it is given copies.
 */
export function asOpenMetrics (registry: Registry): Registry<OpenMetricsContentType> {
  const copy = new Registry<OpenMetricsContentType>()
  copy.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  for (const { name } of registry.getMetricsAsArray()) {
    const metric = registry.getSingleMetric(name) as unknown as Readable
    const plain = (full: string): string => metric.type === 'counter' ? full.replace(/_total$/, '') : full
    const get: Readable['get'] = async () => ({ ...await metric.get(), name: plain(name) })
    copy.registerMetric({ name: plain(name), help: metric.help, type: metric.type, get } satisfies Readable as unknown as Metric)
  }
  return copy
}
