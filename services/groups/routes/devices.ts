/** The plugins that are paired, by their tokens: listed, and revoked. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { API, describe } from '../../common/route.ts'
import { membershipOf } from '../access.ts'
import { Token } from '../schema.ts'
import { listPluginTokens, revokePluginToken } from '../tokens.ts'
import { actorOf, describeWrite, InGroup, TokenInGroup } from './route.ts'

export function deviceRoutes (app: FastifyInstance, { now }: VaultContext): void {
  const { db } = app

  app.get(`${API}/groups/:groupId/tokens`, {
    ...describe({ family: 'group', summary: 'The plugins that are paired: one\'s own, for admins all', params: InGroup, answers: { 200: Type.Object({ tokens: Type.Array(Token) }) } }),
    onRequest: app.inGroup.member
  }, async request => ({ tokens: await listPluginTokens(db, membershipOf(request), now()) }))

  app.delete<{ Params: Static<typeof TokenInGroup> }>(`${API}/groups/:groupId/tokens/:tokenId`, {
    ...describeWrite(describe({ family: 'group', summary: 'Revokes a token, one\'s own or as an admin; it is refused from now on', params: TokenInGroup, answers: { 204: null } })),
    onRequest: app.inGroup.member
  }, async (request, reply) => {
    await revokePluginToken(db, actorOf(request), request.params.tokenId, now())
    return await reply.code(204).send()
  })
}
