/** The page of a group, and that of the demo group, which anybody may look at. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { sessionOf } from '../../auth/access.ts'
import type { VaultContext } from '../../common/context.ts'
import { NotFound } from '../../common/errors.ts'
import { describe, idOf } from '../../common/route.ts'
import { membershipOf } from '../../groups/access.ts'
import { findFeatures } from '../../ops/features.ts'
import { oneMoment } from '../../vault/head.ts'
import { getVaultPage } from '../../vault/store.ts'
import type { VaultQuery } from '../../vault/schema.ts'
import { readQuery, type PageQuery } from '../static/shared/query.js'
import { findDemoGroup, findPageGroup, type PageGroup } from '../store.ts'
import { groupPage } from '../views/group.ts'
import { sendPage, themeOf } from '../visit.ts'

/** What the page shows at first; the browser asks for more. */
const FIRST = 200

const groupRoute = describe({ family: 'web', summary: 'The vault of a group', params: Type.Object({ groupId: idOf('group') }), answers: { 200: null, 302: null } })
const demoRoute = describe({ family: 'web', summary: 'The vault of the demo group', answers: { 200: null } })

export function groupPages (app: FastifyInstance, { now }: VaultContext): void {
  const { db } = app

  app.get('/app/groups/:groupId', { ...groupRoute, config: { ...groupRoute.config, tx: oneMoment }, onRequest: app.inGroup.member }, async (request, reply) => {
    const { groupId, memberId, role } = membershipOf(request)
    const { csrfToken, displayName } = sessionOf(request)
    const group = await findPageGroup(db, groupId)
    if (group === undefined) throw new NotFound('group')
    const query = queryOf(request)
    const { live = false } = await findFeatures(db, { groupId, plan: group.plan })
    const joinCode = role === 'member' ? null : group.joinCode
    const vault = await getVaultPage(db, groupId, toVaultQuery(query), now())
    return sendPage(reply, groupPage({
      theme: await themeOf(request, db),
      query,
      start: { isDemo: false, group: { id: groupId, name: group.name, joinCode }, me: { memberId, role }, csrfToken, live, vault },
      ...group,
      warnings: warningsOf(group),
      displayName,
      now: now()
    }))
  })

  app.get('/demo', { ...demoRoute, config: { ...demoRoute.config, tx: oneMoment }, onRequest: app.access.anybody }, async (request, reply) => {
    const group = await findDemoGroup(db)
    if (group === undefined) throw new NotFound('demo group')
    const query = queryOf(request)
    const { live = false } = await findFeatures(db, { groupId: group.id, plan: group.plan })
    const vault = await getVaultPage(db, group.id, toVaultQuery(query), now())
    return sendPage(reply, groupPage({
      theme: await themeOf(request, db),
      query,
      start: { isDemo: true, group: { id: group.id, name: group.name, joinCode: null }, me: null, csrfToken: request.session?.csrfToken ?? null, live, vault },
      ...group,
      warnings: [],
      displayName: request.session?.displayName ?? null,
      now: now()
    }))
  })
}

function queryOf ({ url }: FastifyRequest): PageQuery {
  return readQuery(new URL(url, 'http://localhost').searchParams)
}

function toVaultQuery ({ q, members, container, sort, order, price }: PageQuery): VaultQuery {
  return {
    limit: FIRST,
    sort,
    priceMode: price,
    ...(q !== '' && { q }),
    ...(members.length > 0 && { member: [...members] }),
    ...(container !== '' && { container: [container] }),
    ...(order !== '' && { order })
  }
}

function warningsOf ({ memberCount, maxMembers, billing }: PageGroup): string[] {
  return [
    ...(memberCount > maxMembers ? [`The group has ${memberCount} players, and its plan has room for ${maxMembers}. Nobody is removed, but nobody can join.`] : []),
    ...(billing === 'past_due' ? ['The last payment failed. The group keeps its plan for a few days; its owner can put that right in the settings.'] : [])
  ]
}
