/** What the routes of groups answer, once as schema and once as type under the same name. Nothing of Fastify in here: the stores make them. */
import { Type, type Static } from 'typebox'

const Time = Type.String({ description: 'ISO-8601' })
const TimeOrNull = Type.Union([Time, Type.Null()])
const TextOrNull = Type.Union([Type.String(), Type.Null()])

export const AnyRole = Type.Union([Type.Literal('owner'), Type.Literal('admin'), Type.Literal('member')])

export const GroupSettings = Type.Object({
  showPotionStorage: Type.Boolean({ description: 'doses of potions are shown in the vault' }),
  staleAfterMinutes: Type.Integer({ description: 'after so long without a sync what a member has is marked as old' })
})
export type GroupSettings = Static<typeof GroupSettings>

export const Group = Type.Object({
  id: Type.String(),
  name: Type.String(),
  version: Type.Integer({ description: 'one more with each change of holdings, roster or settings' }),
  memberCount: Type.Integer(),
  maxMembers: Type.Integer(),
  overLimit: Type.Boolean({ description: 'more members than the plan allows: nobody is removed, and nobody can join' }),
  plan: Type.String(),
  role: AnyRole,
  memberId: Type.String({ description: 'of who asks' }),
  settings: GroupSettings,
  joinCode: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: 'for admins only; null: switched off' })),
  compatName: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: 'for admins only: by which plugins with the secret of the group name it; null: there is no secret' })),
  createdAt: Time
})
export type Group = Static<typeof Group>

/** In the list of somebody's groups. */
export const OwnGroup = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role: AnyRole,
  memberId: Type.String(),
  memberCount: Type.Integer(),
  maxMembers: Type.Integer(),
  plan: Type.String(),
  lastSyncAt: Type.Union([Time, Type.Null()], { description: 'of whichever member' })
})
export type OwnGroup = Static<typeof OwnGroup>

export const Member = Type.Object({
  id: Type.String(),
  kind: Type.Union([Type.Literal('player'), Type.Literal('shared')], { description: 'shared: the storage of the group' }),
  displayName: Type.String(),
  characterName: TextOrNull,
  role: AnyRole,
  color: Type.Integer({ description: '0 to 4' }),
  joinedAt: Time,
  lastSyncAt: TimeOrNull,
  world: Type.Union([Type.Integer(), Type.Null()]),
  online: Type.Boolean({ description: 'seen in the last five minutes' })
})
export type Member = Static<typeof Member>

export const RosterMember = Type.Object({
  ...Member.properties,
  containers: Type.Record(Type.String(), Time, { description: 'by name: when it was as it is; one that is not here was never synced' })
})
export type RosterMember = Static<typeof RosterMember>

export const Preview = Type.Object({ name: Type.String(), memberCount: Type.Integer(), maxMembers: Type.Integer(), full: Type.Boolean(), alreadyMember: Type.Boolean() })
export type Preview = Static<typeof Preview>

export const Token = Type.Object({
  id: Type.String(),
  prefix: Type.String({ description: 'how the token begins' }),
  label: Type.String(),
  memberId: Type.String(),
  memberName: Type.String(),
  pluginVersion: Type.String(),
  createdAt: Time,
  lastUsedAt: TimeOrNull
})
export type Token = Static<typeof Token>

export const Summary = Type.Object({
  group: Group,
  roster: Type.Array(Type.Object({ ...Type.Pick(Member, ['id', 'kind', 'displayName', 'role', 'color', 'online', 'lastSyncAt']).properties, stale: Type.Boolean() })),
  totals: Type.Object({
    distinctItems: Type.Integer({ description: 'doses of a potion are an item of their own' }),
    totalQuantity: Type.Integer({ description: 'without doses' })
  }),
  activeMembers: Type.Array(Type.String(), { description: 'ids: seen in the last five minutes' }),
  staleMembers: Type.Array(Type.String(), { description: 'ids: synced once, but not for as long as the settings say' }),
  lastSyncAt: TimeOrNull,
  plan: Type.String(),
  features: Type.Record(Type.String(), Type.Boolean()),
  catalogVersion: Type.Union([Type.Integer(), Type.Null()])
})
export type Summary = Static<typeof Summary>
