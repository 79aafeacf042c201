/** Members: the roster, their names and roles, and how they go. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { LONGEST_CHARACTER_NAME } from '../../common/names.ts'
import { API, closed, describe, idOf } from '../../common/route.ts'
import { getGroup } from '../find-groups.ts'
import { leaveGroup, removeMember } from '../remove-member.ts'
import { listRoster } from '../roster.ts'
import { Group, Member, RosterMember } from '../schema.ts'
import { transferOwnership } from '../transfer-ownership.ts'
import { updateMember } from '../update-member.ts'
import { actorOf, checkName, describeWrite, InGroup, MemberInGroup, Name } from './route.ts'

const LONGEST_DISPLAY_NAME = 40
const Update = closed({
  displayName: Type.Optional(Name),
  characterName: Type.Optional(Type.Union([Name, Type.Null()], { description: 'null: none' })),
  role: Type.Optional(Type.Union([Type.Literal('admin'), Type.Literal('member')], { description: 'by the owner only; to give the group away is another route' }))
})

type ById = Static<typeof MemberInGroup>

export function memberRoutes (app: FastifyInstance, { now }: VaultContext): void {
  const { db } = app

  app.get<{ Params: Static<typeof InGroup> }>(`${API}/groups/:groupId/roster`, {
    ...describe({ family: 'group', summary: 'Who is in a group, and what they last synced; the shared storage comes last', params: InGroup, answers: { 200: Type.Object({ members: Type.Array(RosterMember) }) } }),
    onRequest: app.inGroup.member
  }, async request => ({ members: await listRoster(db, request.params.groupId, now()) }))

  app.patch<{ Params: ById, Body: Static<typeof Update> }>(`${API}/groups/:groupId/members/:memberId`, {
    ...describeWrite(describe({ family: 'group', summary: 'Changes a member: oneself, or as an admin', params: MemberInGroup, body: Update, answers: { 200: Member } })),
    onRequest: app.inGroup.member
  }, async request => await updateMember(db, actorOf(request), { ...request.body, ...checkNames(request.body), memberId: request.params.memberId }, now()))

  app.delete<{ Params: ById }>(`${API}/groups/:groupId/members/:memberId`, {
    ...describeWrite(describe({ family: 'group', summary: 'Removes a member, and what they have in the vault', params: MemberInGroup, answers: { 204: null } })),
    onRequest: app.inGroup.admin
  }, async (request, reply) => {
    await removeMember(db, actorOf(request), request.params.memberId, now())
    return await reply.code(204).send()
  })

  app.post(`${API}/groups/:groupId/leave`, {
    ...describeWrite(describe({ family: 'group', summary: 'Leaves a group; the last member deletes it thereby', params: InGroup, answers: { 204: null } })),
    onRequest: app.inGroup.member
  }, async (request, reply) => {
    await leaveGroup(db, actorOf(request), now())
    return await reply.code(204).send()
  })

  app.post<{ Body: { memberId: string } }>(`${API}/groups/:groupId/transfer`, {
    ...describeWrite(describe({ family: 'group', summary: 'Gives a group to another member; who gives it stays as an admin', params: InGroup, body: closed({ memberId: idOf('member') }), answers: { 200: Group } })),
    onRequest: app.inGroup.owner
  }, async request => {
    await transferOwnership(db, actorOf(request), request.body.memberId, now())
    return await getGroup(db, actorOf(request))
  })
}

function checkNames ({ displayName, characterName }: Static<typeof Update>): { displayName?: string, characterName?: string } {
  return {
    ...(displayName !== undefined && { displayName: checkName(displayName, LONGEST_DISPLAY_NAME, '/body/displayName') }),
    ...(typeof characterName === 'string' && { characterName: checkName(characterName, LONGEST_CHARACTER_NAME, '/body/characterName') })
  }
}
