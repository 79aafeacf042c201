/** Join codes: what one opens, joining by it, and changing it. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { sessionOf } from '../../auth/access.ts'
import type { VaultContext } from '../../common/context.ts'
import { LONGEST_CHARACTER_NAME } from '../../common/names.ts'
import { API, closed, describe } from '../../common/route.ts'
import { getGroup } from '../find-groups.ts'
import { setJoinCode, type CodeAction } from '../join-code.ts'
import { joinGroupByCode, previewGroup } from '../join-group.ts'
import { getMember } from '../roster.ts'
import { Group, Member, Preview } from '../schema.ts'
import { actorOf, checkName, describeWrite, InGroup, Name } from './route.ts'

const Code = Type.String({ minLength: 1, maxLength: 40, description: 'case, spaces and dashes do not matter' })
const Joining = closed({ code: Code, characterName: Type.Optional(Name) })
const Joined = Type.Object({ group: Group, member: Member, joined: Type.Boolean({ description: 'false: was in it already' }) })
const Action = closed({ action: Type.Union([Type.Literal('rotate'), Type.Literal('disable'), Type.Literal('enable')]) })

export function joiningRoutes (app: FastifyInstance, { now }: VaultContext): void {
  const { db } = app
  const limitPreviews = app.limitTo({ max: 60, seconds: 60, by: ({ ip }) => ip })
  const limitAttempts = app.limitTo({ max: 10, seconds: 60, by: ({ session }) => session?.userId })

  app.get<{ Params: { code: string } }>(`${API}/groups/join/:code`, {
    ...describe({ family: 'group', summary: 'What a join code opens', params: Type.Object({ code: Code }), answers: { 200: Preview } }),
    onRequest: [limitPreviews, app.access.signedIn],
    logLevel: 'warn' // its URL holds a code, and codes are in no log
  }, async request => await previewGroup(db, { code: request.params.code, userId: sessionOf(request).userId }))

  app.post<{ Body: Static<typeof Joining> }>(`${API}/groups/join`, {
    ...describeWrite(describe({ family: 'group', summary: 'Joins a group by its code', body: Joining, answers: { 200: Joined } })),
    onRequest: [app.access.signedIn, limitAttempts]
  }, async request => {
    const { userId, displayName } = sessionOf(request)
    const { code, characterName } = request.body
    const character = characterName === undefined ? {} : { characterName: checkName(characterName, LONGEST_CHARACTER_NAME, '/body/characterName') }
    const { groupId, memberId, joined } = await joinGroupByCode(db, { code, userId, displayName, ...character }, now())
    return { group: await getGroup(db, { groupId, userId }), member: await getMember(db, { groupId, memberId }, now()), joined }
  })

  app.put<{ Body: { action: CodeAction } }>(`${API}/groups/:groupId/join-code`, {
    ...describeWrite(describe({
      family: 'group', summary: 'Replaces the join code, or switches it off or on', params: InGroup, body: Action, answers: { 200: Type.Object({ joinCode: Type.Union([Type.String(), Type.Null()]) }) }
    })),
    onRequest: app.inGroup.admin
  }, async request => ({ joinCode: await setJoinCode(db, actorOf(request), request.body.action, now()) }))
}
