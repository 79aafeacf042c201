/** What the routes of accounts take and answer. */
import { Type, type Static } from 'typebox'
import { idOf } from '../common/shapes.ts'

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(type: T) => Type.Union([type, Type.Null()])
const Time = Type.String({ description: 'ISO-8601, UTC' })

export const Theme = Type.Union([Type.Literal('light'), Type.Literal('dark'), Type.Literal('system')])

export const User = Type.Object({
  id: idOf('user'),
  displayName: Type.String(),
  avatarUrl: Nullable(Type.String()),
  theme: Theme,
  isOperator: Type.Boolean(),
  createdAt: Time
})
export type User = Static<typeof User>

export const Identity = Type.Object({ provider: Type.String(), email: Nullable(Type.String()), emailVerified: Type.Boolean(), createdAt: Time, lastLoginAt: Time })
export type Identity = Static<typeof Identity>

export const Membership = Type.Object({
  groupId: idOf('group'),
  memberId: idOf('member'),
  name: Type.String(),
  role: Type.Union([Type.Literal('owner'), Type.Literal('admin'), Type.Literal('member')])
})
export type Membership = Static<typeof Membership>

export const Me = Type.Object({
  user: User,
  identities: Type.Array(Identity),
  memberships: Type.Array(Membership),
  csrfToken: Type.String({ description: 'for the header x-csrf-token of each change' }),
  features: Type.Record(Type.String(), Type.Boolean())
})
export type Me = Static<typeof Me>

export const SessionInfo = Type.Object({ id: idOf('session'), current: Type.Boolean(), createdAt: Time, lastSeenAt: Time, userAgent: Type.String() })
export type SessionInfo = Static<typeof SessionInfo>

export const ProviderInfo = Type.Object({ id: Type.String(), label: Type.String(), mock: Type.Boolean() })
