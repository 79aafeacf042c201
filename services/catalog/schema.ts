/** What can be asked of the catalog, and what is answered. */
import { Type, type Static } from 'typebox'
import { idPattern } from '../common/ids.ts'
import { NextCursor, PageQuery } from '../common/paging.ts'
import { LONGEST_SEARCH } from './search.ts'

const closed = { additionalProperties: false } as const
const DigitsOrNull = Type.Union([Type.String({ description: 'coins, in digits' }), Type.Null()], { description: 'null: not known' })
const TimeOrNull = Type.Union([Type.String({ description: 'ISO-8601' }), Type.Null()])
export const ItemId = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })
const SnapshotId = Type.String({ pattern: idPattern('snapshot') })

export const SearchQuery = Type.Object({
  q: Type.Optional(Type.String({ maxLength: LONGEST_SEARCH, description: 'a|b: either; "a": the whole name; digits: the id; else a part of the name' })),
  ids: Type.Optional(Type.Array(ItemId, { maxItems: 200, description: 'may be repeated' })),
  ...PageQuery
}, closed)
export type SearchQuery = Static<typeof SearchQuery>

export const Item = Type.Object({
  itemId: Type.Integer(),
  name: Type.String(),
  examine: Type.String(),
  members: Type.Boolean(),
  value: Type.String(),
  lowAlch: DigitsOrNull,
  highAlch: DigitsOrNull,
  buyLimit: Type.Union([Type.Integer(), Type.Null()]),
  iconKey: Type.String(),
  tradeable: Type.Boolean(),
  price: Type.Object({ each: DigitsOrNull, high: DigitsOrNull, highAt: TimeOrNull, low: DigitsOrNull, lowAt: TimeOrNull })
})
export type Item = Static<typeof Item>

export const Items = Type.Object({ catalogVersion: Type.Integer(), items: Type.Array(Item), nextCursor: NextCursor })
export const OneItem = Type.Object({ catalogVersion: Type.Integer(), item: Item })

export const Snapshot = Type.Object({
  id: Type.String(),
  source: Type.String(),
  itemCount: Type.Integer(),
  hash: Type.String(),
  etag: Type.Union([Type.String(), Type.Null()]),
  status: Type.Enum(['ready', 'failed']),
  note: Type.String(),
  createdAt: Type.String(),
  active: Type.Boolean()
})
export type Snapshot = Static<typeof Snapshot>
export const Snapshots = Type.Object({ snapshots: Type.Array(Snapshot) })

export const RefreshBody = Type.Object({
  source: Type.Optional(Type.Enum(['default', 'url'], { description: 'what comes with the app, or VAULT_CATALOG_URL. Default: the URL, if there is one' })),
  dryRun: Type.Optional(Type.Boolean({ description: 'look what would change, and change nothing' }))
}, closed)
export type RefreshBody = Static<typeof RefreshBody>

export const Refreshed = Type.Object({
  unchanged: Type.Boolean({ description: 'of items; prices may be new all the same' }),
  activated: Type.Boolean(),
  snapshotId: Type.Union([Type.String(), Type.Null()], { description: 'null: none was made' }),
  catalogVersion: Type.Integer(),
  itemCount: Type.Integer(),
  added: Type.Integer(),
  removed: Type.Integer(),
  changed: Type.Integer(),
  prices: Type.Integer({ description: 'that came' })
})
export type Refreshed = Static<typeof Refreshed>

export const RollbackBody = Type.Object({ snapshotId: SnapshotId, reason: Type.String({ minLength: 1, maxLength: 200 }) }, closed)
export type RollbackBody = Static<typeof RollbackBody>
export const RolledBack = Type.Object({ from: Type.Union([Type.String(), Type.Null()]), to: Type.String(), catalogVersion: Type.Integer(), unchanged: Type.Boolean() })
