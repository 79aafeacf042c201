/** `GET /api/jobs/histograms`: how durations, sizes and metrics of jobs are spread. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { within } from '../limits.ts'
import { CountQuery, toFilter } from '../query-string.ts'
import { Histograms, MetricHistogram } from '../schema.ts'
import { addHistograms, addMetricHistograms } from '../store.ts'
import { describe, type Context } from './route.ts'

const HistogramsQuery = Type.Object({
  ...CountQuery.properties,
  durationBins: Type.Optional(Type.Enum(['1m', '10m', '1h', '6h', '12h', '24h'], { description: '60 bins of a minute, 72 of 10, 48 of an hour (default), 12 of 6, 14 of 12, 24 of an hour', examples: ['6h'] })),
  histogram: Type.Optional(Type.Array(Type.String({ pattern: '^[a-zA-Z0-9_]{1,100}$' }), { maxItems: 20, description: 'metrics to draw, as cpu_load', examples: [['cpu_load']] })),
  metricBins: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'default: 10', examples: [20] }))
}, { additionalProperties: false })

const HistogramsAnswer = Type.Object({ ...Histograms.properties, histMetrics: Type.Array(MetricHistogram) })

const description = `The histograms of metrics are drawn between 0 and the peak that the cluster is configured with (the option metricConfig of the service). A metric that a cluster has not
is left out.`

export function histogramsRoutes (app: FastifyInstance, { store, deadlines }: Context): void {
  app.get<{ Querystring: Static<typeof HistogramsQuery> }>('/api/jobs/histograms', {
    ...describe({ operationId: 'getHistograms', summary: 'How durations, sizes and metrics of jobs are spread', description, querystring: HistogramsQuery, answer: HistogramsAnswer })
  }, async ({ query, jobsUser: user }) => {
    const { durationBins, histogram: metrics = [], metricBins: nbins } = query
    const input = { user, filter: [toFilter(query)] }
    return await within(app.db, deadlines.totals, async () => {
      const { histDuration, histNumNodes, histNumCores, histNumAccs } = await addHistograms(app.db, { ...input, ...(durationBins === undefined ? {} : { bins: durationBins }) }, store)
      const { histMetrics } = await addMetricHistograms(app.db, { ...input, metrics, ...(nbins === undefined ? {} : { nbins }) }, store)
      return { histDuration, histNumNodes, histNumCores, histNumAccs, histMetrics }
    })
  })
}
