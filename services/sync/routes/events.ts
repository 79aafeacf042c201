/** What plugins report to have happened. */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { API, describe } from '../../common/route.ts'
import { deviceOf } from '../../groups/access.ts'
import { refuse } from '../content.ts'
import { EventsAnswer, EventsBody, MOST_EVENT_BYTES, MOST_EVENTS } from '../schema.ts'
import { recordEvents } from '../store/events.ts'
import { readTime } from '../times.ts'

export function eventRoutes (app: FastifyInstance, { now }: VaultContext): void {
  app.post<{ Body: Static<typeof EventsBody> }>(`${API}/sync/events`, {
    ...describe({ family: 'sync', summary: 'What has happened, each event once', body: EventsBody, answers: { 202: EventsAnswer } }),
    bodyLimit: MOST_EVENTS * (MOST_EVENT_BYTES + 512),
    onRequest: app.inGroup.plugin
  }, async (request, reply) => {
    const events = request.body.events.map((event, i) => {
      const bytes = Buffer.byteLength(JSON.stringify(event.data))
      if (bytes > MOST_EVENT_BYTES) throw refuse(`/body/events/${i}/data`, `has ${bytes} bytes, and ${MOST_EVENT_BYTES} is the most`)
      return { ...event, occurredAt: readTime(event.occurredAt, `/body/events/${i}/occurredAt`) }
    })
    return await reply.code(202).send(await recordEvents(app.db, deviceOf(request), events, now()))
  })
}
