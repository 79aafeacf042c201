/** `/groups/:groupId/webhooks`: where the events of a group are told, and what became of it. For admins. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { API, describe } from '../../common/route.ts'
import { membershipOf } from '../../groups/access.ts'
import { listDeliveries } from '../feed.ts'
import { DeliveriesAnswer, DeliveriesQuery, InGroup, NewWebhook, OfWebhook, TestAnswer, WebhookAnswer, WebhookChange, WebhooksAnswer } from '../schema.ts'
import { createWebhook, deleteWebhook, listWebhooks, testWebhook, updateWebhook } from '../webhooks.ts'

interface One { Params: Static<typeof OfWebhook> }

export function webhookRoutes (app: FastifyInstance, { settings, sealer, now }: VaultContext): void {
  const { db, inGroup: { admin } } = app
  const toChange = [admin, app.limitTo({ max: 60, seconds: 60, by: ({ session }) => session?.userId })]
  const of = (request: FastifyRequest): { actor: { groupId: string, userId: string } } => {
    const { groupId, userId } = membershipOf(request)
    return { actor: { groupId, userId } }
  }

  app.get(`${API}/groups/:groupId/webhooks`, {
    ...describe({ family: 'group', summary: 'The webhooks of a group', params: InGroup, answers: { 200: WebhooksAnswer } }),
    onRequest: admin
  }, async request => ({ webhooks: await listWebhooks(db, membershipOf(request).groupId, now()) }))

  app.post<{ Body: Static<typeof NewWebhook> }>(`${API}/groups/:groupId/webhooks`, {
    ...describe({ family: 'group', summary: 'Tell events to a receiver', params: InGroup, body: NewWebhook, answers: { 201: WebhookAnswer } }),
    onRequest: toChange
  }, async (request, reply) => {
    const { label = 'webhook', ...webhook } = request.body
    reply.code(201)
    return await createWebhook(db, { ...of(request), webhook: { ...webhook, label }, sealer, rules: { allowLoopback: settings.devTools } }, now())
  })

  app.patch<One & { Body: Static<typeof WebhookChange> }>(`${API}/groups/:groupId/webhooks/:webhookId`, {
    ...describe({ family: 'group', summary: 'Change a webhook', params: OfWebhook, body: WebhookChange, answers: { 200: WebhookAnswer } }),
    onRequest: toChange
  }, async request => await updateWebhook(db, { ...of(request), webhookId: request.params.webhookId, change: request.body, sealer }, now()))

  app.delete<One>(`${API}/groups/:groupId/webhooks/:webhookId`, {
    ...describe({ family: 'group', summary: 'Delete a webhook, with what it was to deliver', params: OfWebhook, answers: { 204: null } }),
    onRequest: toChange
  }, async (request, reply) => {
    await deleteWebhook(db, { ...of(request), webhookId: request.params.webhookId }, now())
    reply.code(204)
  })

  app.post<One>(`${API}/groups/:groupId/webhooks/:webhookId/test`, {
    ...describe({ family: 'group', summary: 'Send a test, on the way of any other event', params: OfWebhook, answers: { 202: TestAnswer } }),
    onRequest: toChange
  }, async (request, reply) => {
    reply.code(202)
    return { deliveryId: await testWebhook(db, { ...of(request), webhookId: request.params.webhookId }, now()) }
  })

  app.get<One & { Querystring: Static<typeof DeliveriesQuery> }>(`${API}/groups/:groupId/webhooks/:webhookId/deliveries`, {
    ...describe({ family: 'group', summary: 'What became of what a webhook was to deliver, newest first', params: OfWebhook, querystring: DeliveriesQuery, answers: { 200: DeliveriesAnswer } }),
    onRequest: admin
  }, async request => {
    const { limit = 50, ...query } = request.query
    return await listDeliveries(db, { ...query, limit, groupId: membershipOf(request).groupId, webhookId: request.params.webhookId })
  })
}
