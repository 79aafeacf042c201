/** Metrics. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../../common/context.ts'
import { API, describe } from '../../common/route.ts'
import { internalOnly } from '../access.ts'
import { CONTENT_TYPE, toText } from '../exposition.ts'
import { collectMetrics } from '../metrics.ts'

export function metricsRoute (app: FastifyInstance, { settings, now }: VaultContext): void {
  const described = describe({ family: 'internal', summary: 'Metrics, as text for Prometheus', answers: { 200: null } })
  app.get(`${API}/internal/metrics`, {
    ...described,
    onRequest: internalOnly(settings)
  }, async (_request, reply) => await reply.type(CONTENT_TYPE).send(toText(await collectMetrics(app.db, now()))))
}
