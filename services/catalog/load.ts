/**
 * From the tables to `Catalog`, kept for each database: the snapshots used last, and the prices.
 *
 * What is kept true: what is kept is found by ids that are never used again (a snapshot's, and the key of the prices), so a transaction that is rolled back leaves nothing
 * wrong here.
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toFlag, toNumber, toNumberOrNull, toText } from '../common/columns.ts'
import { Catalog, type CatalogItem, type CatalogPointer, type Price } from './catalog.ts'

type Db = Pick<Database, 'prepare'>

interface Kept { readonly snapshots: Map<string, ReadonlyMap<number, CatalogItem>>, catalog: Catalog | undefined, prices: { key: string, byId: ReadonlyMap<number, Price> } | undefined }

/** That in force and the one before, so that nobody waits after a rollback. */
const KEPT_SNAPSHOTS = 2
const keptOf = new WeakMap<Db, Kept>()

export const PRICES_KEY = 'catalog_prices'

/** The columns of a pointer, for statements that ask for more than that. */
export const pointerColumns = `
  (SELECT snapshot_id FROM catalog_active WHERE id = 1) AS snapshot_id,
  (SELECT version FROM catalog_active WHERE id = 1) AS catalog_version,
  (SELECT value FROM app_meta WHERE key = '${PRICES_KEY}') AS prices_key`

export function toPointer (row: Row): CatalogPointer {
  return {
    snapshotId: row.snapshot_id === null ? undefined : toText(row.snapshot_id),
    version: toNumberOrNull(row.catalog_version) ?? 0,
    pricesKey: row.prices_key === null ? '' : toText(row.prices_key)
  }
}

export async function findPointer (db: Db): Promise<CatalogPointer> {
  return toPointer(await db.prepare(`SELECT ${pointerColumns}`).get() ?? {})
}

/** What a pointer points at. */
export async function loadCatalog (db: Db, pointer: CatalogPointer): Promise<Catalog> {
  const kept = keptOf.get(db) ?? { snapshots: new Map<string, ReadonlyMap<number, CatalogItem>>(), catalog: undefined, prices: undefined }
  keptOf.set(db, kept)
  const { snapshotId, version, pricesKey } = pointer
  const last = kept.catalog?.pointer
  if (kept.catalog !== undefined && last?.snapshotId === snapshotId && last?.version === version && last.pricesKey === pricesKey) return kept.catalog
  const items = snapshotId === undefined ? new Map<number, CatalogItem>() : await findItems(db, kept, snapshotId)
  return kept.catalog = new Catalog(pointer, items, await findPrices(db, kept, pricesKey))
}

async function findItems (db: Db, { snapshots }: Kept, snapshotId: string): Promise<ReadonlyMap<number, CatalogItem>> {
  const items = snapshots.get(snapshotId) ?? await readItems(db, snapshotId)
  snapshots.delete(snapshotId)
  snapshots.set(snapshotId, items)
  for (const id of Array.from(snapshots.keys()).slice(0, -KEPT_SNAPSHOTS)) snapshots.delete(id)
  return items
}

const itemColumns = 'item_id, name, name_norm, examine, members, value, low_alch, high_alch, buy_limit, icon_key, tradeable'

async function readItems (db: Db, snapshotId: string): Promise<ReadonlyMap<number, CatalogItem>> {
  const rows = await db.prepare(`SELECT ${itemColumns} FROM catalog_items WHERE snapshot_id = ?`).all(snapshotId)
  return new Map(rows.map(row => [toNumber(row.item_id), toItem(row)]))
}

function toItem (row: Row): CatalogItem {
  return {
    itemId: toNumber(row.item_id),
    name: toText(row.name),
    norm: toText(row.name_norm),
    examine: toText(row.examine),
    members: toFlag(row.members),
    value: toNumber(row.value),
    lowAlch: toNumberOrNull(row.low_alch),
    highAlch: toNumberOrNull(row.high_alch),
    buyLimit: toNumberOrNull(row.buy_limit),
    iconKey: toText(row.icon_key),
    tradeable: toFlag(row.tradeable)
  }
}

/** Prices may be newer than their key, if others have come since; then the key is another one with the next request. */
async function findPrices (db: Db, kept: Kept, key: string): Promise<ReadonlyMap<number, Price>> {
  if (kept.prices?.key === key) return kept.prices.byId
  const rows = await db.prepare('SELECT item_id, high, high_at, low, low_at FROM catalog_prices').all()
  const byId = new Map(rows.map(row => [toNumber(row.item_id), toPrice(row)]))
  kept.prices = { key, byId }
  return byId
}

function toPrice (row: Row): Price {
  return { high: toNumberOrNull(row.high), highAt: toNumberOrNull(row.high_at), low: toNumberOrNull(row.low), lowAt: toNumberOrNull(row.low_at) }
}
