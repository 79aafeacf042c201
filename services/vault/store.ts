/**
 * A group's vault: what its members have together, named and priced by the catalog that is in force.
 *
 * What is kept true: an answer is of one moment and one catalog. Quantities are summed by the database, and multiplied by prices here, where no product overflows. It is
 * the sum of what current members and the shared storage have, nothing else.
 */
import type { Database } from '../../plugins/db/types.ts'
import type { Catalog, Tile } from '../catalog/catalog.ts'
import { loadCatalog } from '../catalog/load.ts'
import { parseSearch } from '../catalog/search.ts'
import { NotFound } from '../common/errors.ts'
import { describeMembers, oneMoment, readHead, type VaultHead } from './head.ts'
import { findHolders, sumHoldings, type Held, type HoldingsFilter } from './holdings.ts'
import { keptRowsOf, type KeptRows } from './kept-rows.ts'
import { pageOf, readOrder, type VaultRow } from './order.ts'
import type { ItemBreakdown, ItemTile, VaultItem, VaultPage, VaultQuery, VaultTotals } from './schema.ts'
import { multiply, Sum } from './worth.ts'

type Db = Pick<Database, 'prepare' | 'tx'>

/** Default of `limit`. */
const PAGE = 50

/**
 * A page of the vault, with totals over all that the query lets through. Begins a transaction of its own, or is in one that has the options `oneMoment`.
 * Throws `NOT_FOUND`, `BAD_CURSOR`.
 */
export async function getVaultPage (db: Db, groupId: string, query: VaultQuery, now: number): Promise<VaultPage> {
  return await db.tx(async () => await readVaultPage(db, await readHead(db, groupId), query, now), oneMoment)
}

/** The same for a head that was read in the same transaction. */
export async function readVaultPage (db: Db, head: VaultHead, query: VaultQuery, now: number): Promise<VaultPage> {
  const { rows, totals } = await readRows(db, head, query)
  const { page, nextCursor } = pageOf(rows, readOrder(query), query)
  return {
    groupId: head.groupId,
    version: head.version,
    catalogVersion: head.pointer.version,
    generatedAt: new Date(now).toISOString(),
    totals,
    members: describeMembers(head, now),
    items: await withHolders(db, toFilter(head, query), page, query.limit ?? PAGE),
    nextCursor
  }
}

/** Totals over the filter of a query. Otherwise as `getVaultPage`. */
export async function getVaultTotals (db: Db, groupId: string, query: Filter = {}): Promise<VaultTotals> {
  return await db.tx(async () => (await readRows(db, await readHead(db, groupId), query)).totals, oneMoment)
}

/** Who has an item, and where. Throws `NOT_FOUND` if nobody has it. Otherwise as `getVaultPage`. */
export async function getItemBreakdown (db: Db, groupId: string, itemId: number): Promise<ItemBreakdown> {
  return await db.tx(async () => {
    const head = await readHead(db, groupId)
    const held = await findHolders(db, toFilter(head, {}), [itemId])
    if (held.length === 0) throw new NotFound('such item in the vault')
    const catalog = await loadCatalog(db, head.pointer)
    return { version: head.version, catalogVersion: head.pointer.version, item: toTile(catalog.tileOf(itemId)), ...describeHeld(held) }
  }, oneMoment)
}

function describeHeld (held: readonly Held[]): Pick<ItemBreakdown, 'total' | 'doses' | 'holders'> {
  const sum = (isDose: boolean): number => held.reduce((total, one) => one.isDose === isDose ? total + one.quantity : total, 0)
  return {
    total: sum(false),
    doses: sum(true),
    holders: held.map(({ memberId, container, isDose, slots, quantity, capturedAt, approximate }) =>
      ({ memberId, container, unit: unitOf(isDose), slots, quantity, capturedAt: new Date(capturedAt).toISOString(), approximate }))
  }
}

type Filter = Pick<VaultQuery, 'q' | 'member' | 'container'>

function toFilter ({ groupId, showDoses }: VaultHead, { member = [], container = [] }: Filter): HoldingsFilter {
  return { groupId, members: member, containers: container, showDoses }
}

/** Those that the filter lets through, in the order of ids. */
async function readRows (db: Db, head: VaultHead, query: Filter): Promise<KeptRows> {
  const filter = toFilter(head, query)
  const isWhole = filter.members.length === 0 && filter.containers.length === 0
  const all = isWhole ? await readWhole(db, head) : withTotals(await sumRows(db, await loadCatalog(db, head.pointer), filter))
  const matches = parseSearch(query.q ?? '')
  return matches === undefined ? all : withTotals(all.rows.filter(({ tile }) => matches(tile)))
}

async function readWhole (db: Db, head: VaultHead): Promise<KeptRows> {
  return await db.tx(async ({ mode }) => {
    const catalog = await loadCatalog(db, head.pointer)
    const kept = keptRowsOf(db)
    const found = kept.find(head, catalog) ?? withTotals(await sumRows(db, catalog, toFilter(head, {})))
    if (mode === 'read') kept.keep(head, catalog, found)
    return found
  }, oneMoment)
}

async function sumRows (db: Db, catalog: Catalog, filter: HoldingsFilter): Promise<VaultRow[]> {
  const holdings = await sumHoldings(db, filter)
  return holdings.map(({ itemId, isDose, quantity }) => ({ itemId, isDose, quantity, tile: catalog.tileOf(itemId) }))
}

function withTotals (rows: readonly VaultRow[]): KeptRows {
  return { rows, totals: totalsOf(rows) }
}

/** A dose has no price: it is no item of its own. */
function totalsOf (rows: readonly VaultRow[]): VaultTotals {
  const [alch, ge] = [new Sum(), new Sum()]
  let totalQuantity = 0
  let unpricedItems = 0
  for (const { isDose, quantity, tile } of rows) {
    if (isDose) continue
    totalQuantity += quantity
    if (tile.alchEach !== null) alch.add(multiply(quantity, tile.alchEach))
    if (tile.geEach === null) unpricedItems++
    else ge.add(multiply(quantity, tile.geEach))
  }
  return { distinctItems: rows.length, totalQuantity, alchValue: String(alch), geValue: String(ge), unpricedItems }
}

async function withHolders (db: Db, filter: HoldingsFilter, page: readonly VaultRow[], limit: number): Promise<VaultItem[]> {
  const [first] = page
  if (first === undefined) return []
  const held = Map.groupBy(await findHolders(db, filter, fillUp(page.map(({ itemId }) => itemId), first.itemId, limit)), rowKey)
  return page.map(row => toVaultItem(row, held.get(rowKey(row)) ?? []))
}

/** To `limit` ids, so that there is one statement for a page and not one for each number of items. */
function fillUp (ids: readonly number[], filler: number, limit: number): number[] {
  return [...ids, ...Array.from({ length: limit - ids.length }, () => filler)]
}

function rowKey ({ itemId, isDose }: Pick<VaultRow, 'itemId' | 'isDose'>): string {
  return `${itemId} ${isDose}`
}

function toVaultItem ({ tile, isDose, quantity }: VaultRow, held: readonly Held[]): VaultItem {
  const perMember: Record<string, number> = {}
  for (const { memberId, quantity } of held) perMember[memberId] = (perMember[memberId] ?? 0) + quantity
  const prices = isDose ? { alchEach: null, geEach: null } : {}
  return { ...toTile(tile), ...prices, unit: unitOf(isDose), quantity, perMember, approximate: held.some(({ approximate }) => approximate) }
}

export function toTile ({ itemId, name, iconKey, alchEach, geEach }: Tile): ItemTile {
  return { itemId, name, iconKey, alchEach: toDigits(alchEach), geEach: toDigits(geEach) }
}

function toDigits (value: number | null): string | null {
  return value === null ? null : String(value)
}

function unitOf (isDose: boolean): 'item' | 'dose' {
  return isDose ? 'dose' : 'item'
}
