/** Puts holdings into the tables by hand, for the tests of what is read of them; and the vault as anybody would reckon it who has no database. */
import { normalizeItemName } from '../../../services/catalog/search.ts'
import { bumpGroupVersion, lockGroup } from '../../../services/groups/lock.ts'
import type { World } from './world.ts'

export interface PutContainer {
  readonly groupId: string
  readonly memberId: string
  readonly container: string
  readonly items: ReadonlyArray<readonly [itemId: number, quantity: number]>
  readonly approximate?: boolean
}

const POSITIONAL = ['inventory', 'equipment', 'rune_pouch', 'quiver']

/** As a sync does it: content and version in one transaction. Answers the version. */
export async function putContainers ({ db, clock }: World, groupId: string, contents: ReadonlyArray<Omit<PutContainer, 'groupId'>>): Promise<number> {
  return await db.tx(async () => {
    await lockGroup(db, groupId, clock.now)
    const version = await bumpGroupVersion(db, groupId, contents.map(({ memberId, container }) => ({ kind: 'container', memberId, container } as const)), clock.now)
    for (const { memberId, container, items, approximate = false } of contents) {
      await db.prepare('DELETE FROM container_items WHERE member_id = ? AND container = ?').run(memberId, container)
      await db.prepare(`INSERT INTO containers (member_id, container, group_id, content_hash, item_count, epoch, seq, writer_member_id, captured_at, received_at, version, approximate)
        VALUES (:memberId, :container, :groupId, '', :count, 1, 1, :memberId, :now, :now, :version, :approximate)
        ON CONFLICT (member_id, container) DO UPDATE SET version = excluded.version, item_count = excluded.item_count, approximate = excluded.approximate, captured_at = excluded.captured_at`)
        .run({ memberId, container, groupId, count: items.length, now: clock.now, version, approximate })
      const slotOf = (itemId: number, i: number): number => POSITIONAL.includes(container) ? i : itemId
      if (items.length > 0) {
        await db.prepare(`INSERT INTO container_items (member_id, container, slot, group_id, item_id, quantity) VALUES ${items.map(() => '(?, ?, ?, ?, ?, ?)').join(', ')}`)
          .run(...items.flatMap(([itemId, quantity], i) => [memberId, container, slotOf(itemId, i), groupId, itemId, quantity]))
      }
    }
    return version
  })
}

export interface NaiveItem { readonly itemId: number, readonly name: string, readonly alch?: number, readonly ge?: number }

export interface NaiveQuery {
  readonly q?: string
  readonly member?: readonly string[]
  readonly container?: readonly string[]
  readonly sort?: 'quantity' | 'ge' | 'alch' | 'name'
  readonly order?: 'asc' | 'desc'
  readonly priceMode?: 'stack' | 'single'
}

export interface NaiveRow { itemId: number, unit: 'item' | 'dose', quantity: number, perMember: Record<string, number>, approximate: boolean, name: string, alchEach: string | null, geEach: string | null }

/** Every row in order, and the totals. */
export function naiveVault (contents: readonly PutContainer[], catalog: readonly NaiveItem[], query: NaiveQuery) {
  const rows = new Map<string, NaiveRow>()
  for (const { memberId, container, items, approximate = false } of contents) {
    if (query.member !== undefined && query.member.length > 0 && !query.member.includes(memberId)) continue
    if (query.container !== undefined && query.container.length > 0 && !query.container.includes(container)) continue
    const unit = container === 'potion_storage' ? 'dose' : 'item'
    for (const [itemId, quantity] of items) {
      const known = catalog.find(one => one.itemId === itemId)
      const worth = (value: number | undefined): string | null => unit === 'dose' || value === undefined ? null : String(value)
      const money = { 995: 1, 13204: 1000 }[itemId]
      const row = rows.get(`${itemId} ${unit}`) ?? {
        itemId, unit, quantity: 0, perMember: {}, approximate: false, name: known?.name ?? `Item #${itemId}`, alchEach: worth(money ?? known?.alch), geEach: worth(money ?? known?.ge)
      }
      row.quantity += quantity
      row.perMember[memberId] = (row.perMember[memberId] ?? 0) + quantity
      row.approximate ||= approximate
      rows.set(`${itemId} ${unit}`, row)
    }
  }
  const found = [...rows.values()].filter(row => naiveMatch(row, query.q ?? ''))
  const items = found.filter(({ unit }) => unit === 'item')
  const value = (key: 'alchEach' | 'geEach'): string => String(items.reduce((sum, row) => sum + BigInt(row[key] ?? 0) * BigInt(row.quantity), 0n))
  return {
    rows: found.sort((a, b) => naiveCompare(a, b, query)),
    totals: {
      distinctItems: found.length,
      totalQuantity: items.reduce((sum, { quantity }) => sum + quantity, 0),
      alchValue: value('alchEach'),
      geValue: value('geEach'),
      unpricedItems: items.filter(({ geEach }) => geEach === null).length
    }
  }
}

function naiveMatch ({ itemId, name }: NaiveRow, q: string): boolean {
  const terms = q.split('|').map(term => normalizeItemName(term)).filter(term => term !== '')
  const lower = name.toLowerCase()
  return terms.length === 0 || terms.some(term => {
    if (term.length > 2 && term.startsWith('"') && term.endsWith('"')) return lower === term.slice(1, -1).trim()
    return /^[0-9]+$/.test(term) ? itemId === Number(term) : lower.includes(term)
  })
}

function naiveCompare (a: NaiveRow, b: NaiveRow, { sort = 'quantity', order = sort === 'name' ? 'asc' : 'desc', priceMode = 'stack' }: NaiveQuery): number {
  const sign = order === 'asc' ? 1 : -1
  const [x, y] = [a, b].map(row => {
    if (sort === 'name') return row.name.toLowerCase()
    if (sort === 'quantity') return BigInt(row.quantity)
    const each = sort === 'ge' ? row.geEach : row.alchEach
    return each === null ? undefined : BigInt(each) * (priceMode === 'single' ? 1n : BigInt(row.quantity))
  })
  if (x !== undefined && y !== undefined && x !== y) return x < y ? -sign : sign
  if (x === undefined && y !== undefined) return 1
  if (y === undefined && x !== undefined) return -1
  return a.itemId - b.itemId || (a.unit === b.unit ? 0 : a.unit === 'item' ? -1 : 1)
}
