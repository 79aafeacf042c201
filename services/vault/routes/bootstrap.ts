/** What a page has to know to begin with, in one request. */
import type { FastifyInstance } from 'fastify'
import type {} from '../../auth/access.ts' // app.access
import type { VaultContext } from '../../common/context.ts'
import { API, describe } from '../../common/route.ts'
import { getBootstrap } from '../bootstrap.ts'
import { oneMoment } from '../head.ts'
import { Bootstrap } from '../schema.ts'

const route = describe({ family: 'web', summary: 'User, groups and flags at once', description: 'Without a session: the demo group, if there is one.', answers: { 200: Bootstrap } })

export function bootstrapRoutes (app: FastifyInstance, { now }: VaultContext): void {
  app.get(`${API}/web/bootstrap`, { ...route, config: { ...route.config, tx: oneMoment }, onRequest: app.access.anybody }, async ({ session }, reply) => {
    reply.header('cache-control', 'private, no-store')
    return await getBootstrap(app.db, session, now())
  })
}
