/** Pages that anybody may see: `/` and `/join/:code`. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { NotFound } from '../../common/errors.ts'
import { describe } from '../../common/route.ts'
import { parseCode } from '../../common/secrets.ts'
import { oneMoment } from '../../vault/head.ts'
import { getVaultPage } from '../../vault/store.ts'
import { findDemoGroup, findInvitation } from '../store.ts'
import { join } from '../views/join.ts'
import { landing } from '../views/landing.ts'
import { sendPage, signInOptions, themeOf } from '../visit.ts'

const landingRoute = describe({ family: 'web', summary: 'The landing page', querystring: Type.Object({ login: Type.Optional(Type.String()), reason: Type.Optional(Type.String()), returnTo: Type.Optional(Type.String()) }), answers: { 200: null } })
const joinRoute = describe({ family: 'web', summary: 'An invitation', params: Type.Object({ code: Type.String() }), answers: { 200: null } })

export function openPages (app: FastifyInstance, context: VaultContext): void {
  const { db } = app

  app.get<{ Querystring: { login?: string, reason?: string, returnTo?: string } }>('/', { ...landingRoute, config: { ...landingRoute.config, tx: oneMoment }, onRequest: app.access.anybody }, async (request, reply) => {
    const { login, reason = 'unknown', returnTo } = request.query
    const demo = await findDemoGroup(db)
    return sendPage(reply, landing({
      theme: await themeOf(request, db),
      isSignedIn: request.session !== null,
      options: signInOptions(request, context),
      returnTo: isPath(returnTo) ? returnTo : '/app',
      failure: login === 'failed' ? reason : undefined,
      sample: demo && await getVaultPage(db, demo.id, { limit: 12, sort: 'ge' }, context.now())
    }))
  })

  const limit = app.limitTo({ max: 60, seconds: 60, by: request => request.ip })
  app.get<{ Params: { code: string } }>('/join/:code', { ...joinRoute, onRequest: [limit, app.access.anybody] }, async (request, reply) => {
    const code = parseCode(request.params.code)
    const invitation = code === undefined ? undefined : await findInvitation(db, code, request.session?.userId ?? '')
    if (code === undefined || invitation === undefined) throw new NotFound('group with this code')
    return sendPage(reply, join({ theme: await themeOf(request, db), code, invitation, me: request.session, options: signInOptions(request, context) }))
  })
}

/** Of this app: one slash, and no second one or backslash that browsers would take for a host. */
function isPath (text: string | undefined): text is string {
  return text !== undefined && /^\/(?![/\\])[^\\\s]*$/.test(text)
}
