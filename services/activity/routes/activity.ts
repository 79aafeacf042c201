/** `GET /groups/:groupId/activity`: what happened in a group. */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { API, describe } from '../../common/route.ts'
import { membershipOf } from '../../groups/access.ts'
import { listActivity } from '../feed.ts'
import { ActivityAnswer, ActivityQuery, InGroup } from '../schema.ts'

export function activityRoutes (app: FastifyInstance): void {
  app.get<{ Querystring: Static<typeof ActivityQuery> }>(`${API}/groups/:groupId/activity`, {
    ...describe({ family: 'group', summary: 'What happened in a group, newest first', params: InGroup, querystring: ActivityQuery, answers: { 200: ActivityAnswer } }),
    onRequest: app.inGroup.member
  }, async request => {
    const { limit = 50, ...query } = request.query
    return await listActivity(app.db, { ...query, limit, groupId: membershipOf(request).groupId })
  })
}
