/** The person who is signed in: who it is, what it may change of itself, and the end of its account. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { BadRequest } from '../../common/errors.ts'
import { isName } from '../../common/names.ts'
import { API, closed, describe } from '../../common/route.ts'
import { findFeatures } from '../../ops/features.ts'
import { clearSessionCookie, sessionOf } from '../access.ts'
import { Me, Theme, User } from '../schema.ts'
import { revokeSession } from '../sessions.ts'
import { softDeleteUser } from '../store/delete-user.ts'
import { getUserById, listIdentities, listMembershipsOfUser, unlinkIdentity, updateUserProfile, type ProfileChange } from '../store/users.ts'

const LONGEST_NAME = 40

const Change = Type.Object({ displayName: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })), theme: Type.Optional(Theme) }, { additionalProperties: false, minProperties: 1 })

export function meRoutes (app: FastifyInstance, context: VaultContext): void {
  const { signedIn, anybody } = app.access

  app.get(`${API}/auth/me`, {
    ...describe({ family: 'auth', summary: 'Who is signed in', answers: { 200: Me } }),
    onRequest: signedIn
  }, async (request): Promise<Me> => {
    const { userId, csrfToken } = sessionOf(request)
    return {
      user: await getUserById(app.db, userId),
      identities: await listIdentities(app.db, userId),
      memberships: await listMembershipsOfUser(app.db, userId),
      csrfToken,
      features: await findFeatures(app.db, { groupId: '', plan: 'free' })
    }
  })

  app.patch<{ Body: ProfileChange }>(`${API}/auth/me`, {
    ...describe({ family: 'auth', summary: 'Changes name or theme', body: Change, answers: { 200: User } }),
    onRequest: signedIn
  }, async request => {
    const { displayName } = request.body
    if (displayName !== undefined && !isName(displayName, LONGEST_NAME)) throw new BadRequest(`a name has 1 to ${LONGEST_NAME} characters that can be seen.`)
    return await updateUserProfile(app.db, sessionOf(request).userId, { ...request.body, ...(displayName !== undefined && { displayName: displayName.trim() }) })
  })

  app.delete<{ Body: { confirm: string } }>(`${API}/auth/me`, {
    ...describe({ family: 'auth', summary: 'Deletes the account', body: closed({ confirm: Type.String({ maxLength: 100, description: 'the name of the account' }) }), answers: { 204: Type.Null() } }),
    onRequest: signedIn
  }, async (request, reply) => {
    const { userId, displayName } = sessionOf(request)
    if (request.body.confirm !== displayName) throw new BadRequest('confirm is the name of the account, exactly.')
    await softDeleteUser(app.db, userId, context.now())
    clearSessionCookie(request, reply, context)
    reply.code(204)
  })

  app.delete<{ Params: { provider: string } }>(`${API}/auth/identities/:provider`, {
    ...describe({ family: 'auth', summary: 'Takes away one way to sign in', params: Type.Object({ provider: Type.String({ maxLength: 20 }) }), answers: { 204: Type.Null() } }),
    onRequest: signedIn
  }, async (request, reply) => {
    await unlinkIdentity(app.db, sessionOf(request).userId, request.params.provider)
    reply.code(204)
  })

  app.post(`${API}/auth/logout`, {
    ...describe({ family: 'auth', summary: 'Ends the session', answers: { 204: Type.Null() } }),
    onRequest: anybody
  }, async (request, reply) => {
    if (request.session !== null) await revokeSession(app.db, request.session.publicId, context.now())
    clearSessionCookie(request, reply, context)
    reply.code(204)
  })
}
