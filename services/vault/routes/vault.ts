/**
 * What a group has: a page of all of it, one item, one member, and what changed since. For its members; of the demo group for everybody.
 *
 * What is kept true: each answer is of one moment; whether a client has it already is found out before any of it is read.
 */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { isSameEtag } from '../../common/etag.ts'
import { API, closed, describe, idOf } from '../../common/route.ts'
import type {} from '../../groups/access.ts' // app.inGroup
import { getContainersChangedSince } from '../changes.ts'
import { containerNames } from '../container-names.ts'
import { listMemberContainers } from '../containers.ts'
import { etagOf, oneMoment, readHead } from '../head.ts'
import { ChangesSince, ItemBreakdown, MemberContainers, VaultPage, VaultQuery } from '../schema.ts'
import { getItemBreakdown, readVaultPage } from '../store.ts'

const GroupParams = closed({ groupId: idOf('group') })
const ItemParams = closed({ groupId: idOf('group'), itemId: Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 }) })
const MemberParams = closed({ groupId: idOf('group'), memberId: idOf('member') })
const NamesQuery = closed({ names: Type.Optional(Type.Array(Type.Enum([...containerNames]), { maxItems: 8, description: 'default: all; may be repeated' })) })
const SinceQuery = closed({ since: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'the version of the group that was seen' }) })

interface PageRequest { Params: Static<typeof GroupParams>, Querystring: VaultQuery }
interface ItemRequest { Params: Static<typeof ItemParams> }
interface MemberRequest { Params: Static<typeof MemberParams>, Querystring: Static<typeof NamesQuery> }
interface SinceRequest { Params: Static<typeof GroupParams>, Querystring: Static<typeof SinceQuery> }

const page = describe({
  family: 'group',
  summary: 'What a group has together',
  description: 'Totals are of all that the filter lets through, not of the page. With If-None-Match: 304 as long as holdings, names, prices and query are the same.',
  params: GroupParams,
  querystring: VaultQuery,
  answers: { 200: VaultPage, 304: null }
})
const item = describe({ family: 'group', summary: 'Who has an item, and where', params: ItemParams, answers: { 200: ItemBreakdown } })
const member = describe({ family: 'group', summary: 'What a member has, by container', params: MemberParams, querystring: NamesQuery, answers: { 200: MemberContainers } })
const changes = describe({
  family: 'group',
  summary: 'What changed since a version',
  description: 'Containers that changed are answered whole. The last 1000 versions are known; for those before, resync is true and everything is to be read anew.',
  params: GroupParams,
  querystring: SinceQuery,
  answers: { 200: ChangesSince }
})

export function vaultRoutes (app: FastifyInstance, { now }: VaultContext): void {
  const onRequest = app.inGroup.reader

  app.get<PageRequest>(`${API}/groups/:groupId/vault`, { ...page, config: { ...page.config, tx: oneMoment }, onRequest }, async ({ params, query, headers }, reply) => {
    const time = now()
    const head = await readHead(app.db, params.groupId)
    const etag = etagOf(head, query, time)
    reply.header('etag', etag).header('cache-control', 'private, no-cache')
    if (isSameEtag(headers['if-none-match'], etag)) return await reply.code(304).send()
    return await readVaultPage(app.db, head, query, time)
  })

  app.get<ItemRequest>(`${API}/groups/:groupId/vault/items/:itemId`, { ...item, config: { ...item.config, tx: oneMoment }, onRequest }, async ({ params }) =>
    await getItemBreakdown(app.db, params.groupId, params.itemId))

  app.get<MemberRequest>(`${API}/groups/:groupId/members/:memberId/containers`, { ...member, config: { ...member.config, tx: oneMoment }, onRequest }, async ({ params, query }) =>
    await listMemberContainers(app.db, params.groupId, params.memberId, query.names))

  app.get<SinceRequest>(`${API}/groups/:groupId/vault/changes`, { ...changes, config: { ...changes.config, tx: oneMoment }, onRequest }, async ({ params, query }) =>
    await getContainersChangedSince(app.db, params.groupId, query.since))
}
