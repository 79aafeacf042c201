/** Where a person is signed in, and the end of that. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { NotFound } from '../../common/errors.ts'
import { API, describe, idOf } from '../../common/route.ts'
import { sessionOf } from '../access.ts'
import { SessionInfo } from '../schema.ts'
import { listSessions, revokeOtherSessions, revokeSessionOf } from '../sessions.ts'

const ById = Type.Object({ sessionId: Type.Union([idOf('session'), Type.Literal('others', { description: 'all but this one' })]) })

export function sessionRoutes (app: FastifyInstance, { now }: VaultContext): void {
  app.get(`${API}/auth/sessions`, {
    ...describe({ family: 'auth', summary: 'Where the person is signed in', answers: { 200: Type.Array(SessionInfo) } }),
    onRequest: app.access.signedIn
  }, async request => {
    const { userId, publicId } = sessionOf(request)
    return (await listSessions(app.db, userId, now())).map(session => ({ ...session, current: session.id === publicId }))
  })

  app.delete<{ Params: { sessionId: string } }>(`${API}/auth/sessions/:sessionId`, {
    ...describe({ family: 'auth', summary: 'Ends a session, or all others', params: ById, answers: { 204: Type.Null() } }),
    onRequest: app.access.signedIn
  }, async (request, reply) => {
    const session = sessionOf(request)
    const { sessionId } = request.params
    if (sessionId === 'others') await revokeOtherSessions(app.db, session, now())
    else if (!await revokeSessionOf(app.db, session.userId, sessionId, now())) throw new NotFound('session')
    reply.code(204)
  })
}
