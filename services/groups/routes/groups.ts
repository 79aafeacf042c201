/** Groups themselves: made, listed, read, changed, deleted. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { sessionOf } from '../../auth/access.ts'
import type { VaultContext } from '../../common/context.ts'
import { withIdempotency } from '../../common/idempotency.ts'
import { LONGEST_CHARACTER_NAME, LONGEST_GROUP_NAME } from '../../common/names.ts'
import { API, closed, describe } from '../../common/route.ts'
import { formatCode } from '../../common/secrets.ts'
import { createGroup } from '../create-group.ts'
import { softDeleteGroup } from '../delete-group.ts'
import { getGroup, listGroupsOfUser } from '../find-groups.ts'
import { getMember } from '../roster.ts'
import { Group, Member, OwnGroup, Summary } from '../schema.ts'
import { getGroupSummary, oneSnapshot } from '../summary.ts'
import { updateGroup } from '../update-group.ts'
import { actorOf, checkName, describeWrite, InGroup, Name } from './route.ts'

const KeyHeader = Type.Object({ 'idempotency-key': Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'the same key and body again get the same answer, for a day' })) })
const NewGroup = closed({ name: Name, characterName: Type.Optional(Name) })
const Created = Type.Object({ group: Group, member: Member, joinCode: Type.String() })

const Update = closed({
  name: Type.Optional(Name),
  settings: Type.Optional(closed({ showPotionStorage: Type.Optional(Type.Boolean()), staleAfterMinutes: Type.Optional(Type.Integer({ minimum: 5, maximum: 43_200 })) })),
  compatToken: Type.Optional(Type.Boolean({ description: 'true makes a secret for plugins that know no persons, and ends the one before; false ends it' })),
  ifVersion: Type.Optional(Type.Integer({ minimum: 1, description: 'only if the group is at this version' }))
})
const Updated = Type.Object({ ...Group.properties, compatToken: Type.Optional(Type.String({ description: 'this once' })) })

export function groupRoutes (app: FastifyInstance, { now }: VaultContext): void {
  const { db } = app

  app.post<{ Body: Static<typeof NewGroup>, Headers: Static<typeof KeyHeader> }>(`${API}/groups`, {
    ...describe({ family: 'group', summary: 'Makes a group, owned by who asks', headers: KeyHeader, body: NewGroup, answers: { 201: Created } }),
    onRequest: app.access.signedIn
  }, async (request, reply) => {
    const { userId, displayName } = sessionOf(request)
    const name = checkName(request.body.name, LONGEST_GROUP_NAME, '/body/name')
    const { characterName } = request.body
    const character = characterName === undefined ? {} : { characterName: checkName(characterName, LONGEST_CHARACTER_NAME, '/body/characterName') }
    const asked = { scope: `${userId} POST /groups`, key: request.headers['idempotency-key'], request: request.body }
    const { status, body } = await withIdempotency(db, asked, now(), async () => {
      const { groupId, memberId, joinCode } = await createGroup(db, { name, ownerUserId: userId, ownerName: displayName, ...character }, now())
      const made = { group: await getGroup(db, { groupId, userId }), member: await getMember(db, { groupId, memberId }, now()), joinCode: formatCode(joinCode) }
      return { status: 201, body: made }
    })
    return await reply.code(status).send(body)
  })

  app.get(`${API}/groups`, {
    ...describe({ family: 'group', summary: 'The groups that who asks is in', answers: { 200: Type.Object({ groups: Type.Array(OwnGroup) }) } }),
    onRequest: app.access.signedIn
  }, async request => ({ groups: await listGroupsOfUser(db, sessionOf(request).userId) }))

  app.get(`${API}/groups/:groupId`, {
    ...describe({ family: 'group', summary: 'A group', params: InGroup, answers: { 200: Group } }),
    onRequest: app.inGroup.member
  }, async request => await getGroup(db, actorOf(request)))

  app.patch<{ Body: Static<typeof Update> }>(`${API}/groups/:groupId`, {
    ...describeWrite(describe({ family: 'group', summary: 'Changes its name, its settings, or the secret of its plugins', params: InGroup, body: Update, answers: { 200: Updated } })),
    onRequest: app.inGroup.admin
  }, async request => {
    const { name, ...rest } = request.body
    const made = await updateGroup(db, actorOf(request), { ...rest, ...(name !== undefined && { name: checkName(name, LONGEST_GROUP_NAME, '/body/name') }) }, now())
    return { ...await getGroup(db, actorOf(request)), ...made }
  })

  app.delete<{ Body: { confirm: string } }>(`${API}/groups/:groupId`, {
    ...describeWrite(describe({ family: 'group', summary: 'Deletes a group', params: InGroup, body: closed({ confirm: Type.String({ maxLength: 200, description: 'the name of the group' }) }), answers: { 204: null } })),
    onRequest: app.inGroup.owner
  }, async (request, reply) => {
    await softDeleteGroup(db, actorOf(request), request.body, now())
    return await reply.code(204).send()
  })

  const summary = describe({ family: 'group', summary: 'A group at a glance', params: InGroup, answers: { 200: Summary } })
  app.get(`${API}/groups/:groupId/summary`, {
    ...summary,
    config: { ...summary.config, tx: oneSnapshot },
    onRequest: app.inGroup.member
  }, async request => await getGroupSummary(db, actorOf(request), now()))
}
