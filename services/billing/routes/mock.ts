/** For trying: what a payment provider could tell. From this machine only, and only while nobody takes real payments; otherwise there is no such route. */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { NotFound } from '../../common/errors.ts'
import { isLocal } from '../../common/local.ts'
import { API, describe } from '../../common/route.ts'
import type { BillingContext } from '../context.ts'
import { MockEvent, MockEventSent } from '../schema.ts'

export function mockRoute (app: FastifyInstance, { mock }: BillingContext): void {
  const described = describe({ family: 'billing', summary: 'Tells of a payment that never was', body: MockEvent, answers: { 202: MockEventSent } })
  app.post<{ Body: Static<typeof MockEvent> }>(`${API}/billing/mock/events`, {
    ...described,
    config: { ...described.config, tx: false },
    onRequest: async request => { if (mock === undefined || !isLocal(request)) throw new NotFound(`route ${request.method} ${request.url.split('?')[0]}`) }
  }, async ({ body: { periodEnd, ...happening } }, reply) => {
    const eventId = await mock?.tell({ ...happening, ...(periodEnd !== undefined && { periodEnd: Date.parse(periodEnd) }) })
    return await reply.code(202).send({ eventId })
  })
}
