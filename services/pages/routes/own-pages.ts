/** Pages of who is signed in: `/app` and `/app/link`. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { sessionOf } from '../../auth/access.ts'
import type { VaultContext } from '../../common/context.ts'
import { describe } from '../../common/route.ts'
import { parseCode } from '../../common/secrets.ts'
import { listGroupsOfUser } from '../../groups/find-groups.ts'
import { getPairingByUserCode } from '../../sync/store/pairings.ts'
import { home } from '../views/home.ts'
import { link } from '../views/link.ts'
import { sendPage, themeOf } from '../visit.ts'

const homeRoute = describe({ family: 'web', summary: 'My groups', answers: { 200: null, 302: null } })
const linkRoute = describe({ family: 'web', summary: 'Confirm a plugin\'s code', querystring: Type.Object({ code: Type.Optional(Type.String()) }), answers: { 200: null, 302: null } })

export function ownPages (app: FastifyInstance, { now }: VaultContext): void {
  const { db } = app

  app.get('/app', { ...homeRoute, onRequest: app.access.signedIn }, async (request, reply) => {
    const { displayName, csrfToken, userId } = sessionOf(request)
    return sendPage(reply, home({ theme: await themeOf(request, db), displayName, csrfToken, groups: await listGroupsOfUser(db, userId), now: now() }))
  })

  app.get<{ Querystring: { code?: string } }>('/app/link', { ...linkRoute, onRequest: app.access.signedIn }, async (request, reply) => {
    const { displayName, csrfToken, userId } = sessionOf(request)
    const { code: typed } = request.query
    const code = typed === undefined ? undefined : parseCode(typed)
    const waiting = code === undefined ? undefined : await getPairingByUserCode(db, code, now())
    return sendPage(reply, link({ theme: await themeOf(request, db), displayName, csrfToken, groups: await listGroupsOfUser(db, userId), typed, code, waiting }))
  })
}
