/** One look at the outbox now, for tests and timers of others. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { requeueDead, runOutboxOnce } from '../../activity/worker.ts'
import type { VaultContext } from '../../common/context.ts'
import { API, closed, describe, idOf } from '../../common/route.ts'
import { internalOnly } from '../access.ts'

const Run = closed({
  max: Type.Optional(Type.Integer({ minimum: 1, maximum: 20, default: 20, description: 'deliveries at most' })),
  requeueDead: Type.Optional(Type.Array(idOf('delivery'), { maxItems: 1000, description: 'dead ones that are tried again from the beginning' }))
})
const Done = closed({ claimed: Type.Integer(), delivered: Type.Integer(), retried: Type.Integer(), dead: Type.Integer() })

export function outboxRoute (app: FastifyInstance, context: VaultContext): void {
  const { now, settings } = context
  const described = describe({ family: 'internal', summary: 'Delivers what is due', body: Run, answers: { 200: Done } })
  app.post<{ Body: Static<typeof Run> }>(`${API}/internal/outbox/run`, {
    ...described,
    config: { ...described.config, tx: false },
    onRequest: internalOnly(settings)
  }, async ({ body: { max = 20, requeueDead: ids = [] } }) => {
    if (ids.length > 0) await requeueDead(app.db, ids, now())
    return await runOutboxOnce(app.db, context, { max })
  })
}
