/** What can be asked of a vault, and what is answered. Quantities are numbers; what is worth money is a text of digits, since it may be beyond what a number can hold. */
import { Type, type Static } from 'typebox'
import { LONGEST_SEARCH } from '../catalog/search.ts'
import { idPattern } from '../common/ids.ts'
import { NextCursor } from '../common/paging.ts'
import { containerNames } from './container-names.ts'

const Time = Type.String({ description: 'ISO-8601' })
const TimeOrNull = Type.Union([Time, Type.Null()])
const Value = Type.String({ description: 'coins, in digits' })
const ValueOrNull = Type.Union([Value, Type.Null()], { description: 'coins, in digits; null: there is no such price' })
const MemberId = Type.String()
const Container = Type.Enum([...containerNames])

export const sorts = ['quantity', 'ge', 'alch', 'name'] as const

export const VaultQuery = Type.Object({
  q: Type.Optional(Type.String({ maxLength: LONGEST_SEARCH, description: 'a|b: either; "a": the whole name; digits: the id; else a part of the name' })),
  member: Type.Optional(Type.Array(Type.String({ pattern: idPattern('member') }), { maxItems: 51, description: 'only what these have; may be repeated' })),
  container: Type.Optional(Type.Array(Container, { maxItems: 8, description: 'only what is in these; may be repeated' })),
  sort: Type.Optional(Type.Enum([...sorts], { description: 'default: quantity' })),
  order: Type.Optional(Type.Enum(['asc', 'desc'], { description: 'default: asc for names, else desc. What has no price is last in both' })),
  priceMode: Type.Optional(Type.Enum(['stack', 'single'], { description: 'sort ge and alch by what all of it is worth (default), or one' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, description: 'default: 50' })),
  cursor: Type.Optional(Type.String({ maxLength: 400, description: 'nextCursor of the answer before' }))
}, { additionalProperties: false })
export type VaultQuery = Static<typeof VaultQuery>

/** Of all that the filter lets through, on whatever page. */
export const VaultTotals = Type.Object({
  distinctItems: Type.Integer({ description: 'rows, doses included' }),
  totalQuantity: Type.Integer({ description: 'without doses' }),
  alchValue: Value,
  geValue: Value,
  unpricedItems: Type.Integer({ description: 'rows, without doses, that have no GE price' })
})
export type VaultTotals = Static<typeof VaultTotals>

export const VaultMember = Type.Object({
  memberId: MemberId,
  displayName: Type.String(),
  kind: Type.Enum(['player', 'shared']),
  color: Type.Integer({ description: '0 to 4' }),
  lastSyncAt: TimeOrNull,
  stale: Type.Boolean({ description: 'the last sync is longer ago than the group set' })
})
export type VaultMember = Static<typeof VaultMember>

/** What is shown of an item, whoever has it. */
export const ItemTile = Type.Object({ itemId: Type.Integer(), name: Type.String(), iconKey: Type.String(), alchEach: ValueOrNull, geEach: ValueOrNull })
export type ItemTile = Static<typeof ItemTile>

const Unit = Type.Enum(['item', 'dose'])

export const VaultItem = Type.Object({
  ...ItemTile.properties,
  unit: Unit,
  quantity: Type.Integer(),
  perMember: Type.Record(MemberId, Type.Integer()),
  approximate: Type.Boolean({ description: 'some of it was reported as a difference, and not counted since' })
})
export type VaultItem = Static<typeof VaultItem>

export const VaultPage = Type.Object({
  groupId: Type.String(),
  version: Type.Integer({ description: 'of the group' }),
  catalogVersion: Type.Integer(),
  generatedAt: Time,
  totals: VaultTotals,
  members: Type.Array(VaultMember),
  items: Type.Array(VaultItem),
  nextCursor: NextCursor
})
export type VaultPage = Static<typeof VaultPage>

export const ItemBreakdown = Type.Object({
  version: Type.Integer(),
  catalogVersion: Type.Integer(),
  item: ItemTile,
  total: Type.Integer({ description: 'without doses' }),
  doses: Type.Integer(),
  holders: Type.Array(Type.Object({
    memberId: MemberId,
    container: Type.String(),
    unit: Unit,
    slots: Type.Integer(),
    quantity: Type.Integer(),
    capturedAt: Time,
    approximate: Type.Boolean()
  }))
})
export type ItemBreakdown = Static<typeof ItemBreakdown>

const Stack = Type.Object({ itemId: Type.Integer(), quantity: Type.Integer() })

/** `slots`: of inventory, equipment, rune_pouch and quiver all, in order, null for an empty one; of the others what is there, by item. */
export const ContainerContent = Type.Object({
  version: Type.Integer({ description: 'of the group, when it changed last' }),
  capturedAt: Time,
  receivedAt: Time,
  approximate: Type.Boolean(),
  slots: Type.Array(Type.Union([Stack, Type.Null()]))
})
export type ContainerContent = Static<typeof ContainerContent>

const ContentOrNull = Type.Union([ContainerContent, Type.Null()], { description: 'null: it was never synced' })
const Items = Type.Record(Type.String(), ItemTile, { description: 'by id: all that are mentioned' })

export const MemberContainers = Type.Object({
  memberId: MemberId,
  version: Type.Integer(),
  catalogVersion: Type.Integer(),
  containers: Type.Record(Type.String(), ContentOrNull),
  items: Items
})
export type MemberContainers = Static<typeof MemberContainers>

export const GroupChange = Type.Object({
  version: Type.Integer(),
  kind: Type.Enum(['container', 'roster', 'settings']),
  memberId: Type.Union([MemberId, Type.Null()]),
  container: Type.Union([Type.String(), Type.Null()]),
  at: Time
})
export type GroupChange = Static<typeof GroupChange>

export const ChangesSince = Type.Object({
  from: Type.Integer(),
  to: Type.Integer({ description: 'the version to ask from next' }),
  resync: Type.Boolean({ description: 'what happened since is not known any more: read everything anew' }),
  catalogVersion: Type.Integer(),
  changes: Type.Array(GroupChange),
  containers: Type.Array(Type.Object({ memberId: MemberId, container: Type.String(), content: ContentOrNull }), { description: 'those that changed, as they are now' }),
  removedMembers: Type.Array(MemberId),
  items: Items
})
export type ChangesSince = Static<typeof ChangesSince>

export const Bootstrap = Type.Object({
  user: Type.Union([Type.Object({ id: Type.String(), displayName: Type.String(), isOperator: Type.Boolean() }), Type.Null()], { description: 'null: nobody is signed in' }),
  groups: Type.Array(Type.Object({
    groupId: Type.String(),
    name: Type.String(),
    version: Type.Integer(),
    plan: Type.String(),
    isDemo: Type.Boolean(),
    memberId: Type.Union([MemberId, Type.Null()]),
    role: Type.Union([Type.Enum(['owner', 'admin', 'member']), Type.Null()], { description: 'null: looks on' }),
    features: Type.Record(Type.String(), Type.Boolean())
  })),
  flags: Type.Record(Type.String(), Type.Boolean()),
  catalogVersion: Type.Integer(),
  csrfToken: Type.Union([Type.String(), Type.Null()]),
  serverTime: Time
})
export type Bootstrap = Static<typeof Bootstrap>
