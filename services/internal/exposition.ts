/** Metrics as the text that Prometheus reads (https://prometheus.io/docs/instrumenting/exposition_formats/). */
import type { Labels } from './counters.ts'

export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: ReadonlyArray<{ readonly labels: Labels, readonly value: number }>
}

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export function toText (metrics: readonly Metric[]): string {
  return metrics.map(({ name, help, type, samples }) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(({ labels, value }) => `${name}${toLabels(labels)} ${value}`)
  ].join('\n') + '\n').join('')
}

function toLabels (labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${String(value).replace(/[\\"\n]/g, character => character === '\n' ? '\\n' : `\\${character}`)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
