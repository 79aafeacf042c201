/** `GET /groups/:groupId/activity`: what happened in a group. For its members; of the demo group for everybody. */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { API, describe } from '../../common/route.ts'
import type {} from '../../groups/access.ts' // app.inGroup
import { listActivity } from '../feed.ts'
import { ActivityAnswer, ActivityQuery, InGroup } from '../schema.ts'

export function activityRoutes (app: FastifyInstance): void {
  app.get<{ Params: Static<typeof InGroup>, Querystring: Static<typeof ActivityQuery> }>(`${API}/groups/:groupId/activity`, {
    ...describe({ family: 'group', summary: 'What happened in a group, newest first', params: InGroup, querystring: ActivityQuery, answers: { 200: ActivityAnswer } }),
    onRequest: app.inGroup.reader
  }, async request => {
    const { limit = 50, ...query } = request.query
    return await listActivity(app.db, { ...query, limit, groupId: request.params.groupId })
  })
}
