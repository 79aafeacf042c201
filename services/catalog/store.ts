/** What the catalog is asked: which snapshots there are, what an item is called and costs, and which snapshot is to be in force again. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toNumber, toText, toTextOrNull, toTime } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'
import { newId } from '../common/ids.ts'
import { readCursor, toPage } from '../common/paging.ts'
import { compareTexts, priceOf, type Catalog, type CatalogItem } from './catalog.ts'
import { SnapshotNotReady } from './errors.ts'
import { activate, lockActive } from './install.ts'
import { findPointer, loadCatalog } from './load.ts'
import type { Item, SearchQuery, Snapshot } from './schema.ts'
import { parseSearch } from './search.ts'

export { installSnapshot, upsertPrices } from './install.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>
type Reader = Pick<Database, 'prepare'>

/** The one that is in force; ask once for each request. */
export async function getActiveSnapshot (db: Reader): Promise<Catalog> {
  return await loadCatalog(db, await findPointer(db))
}

const snapshots = `
  SELECT catalog_snapshots.id, source, source_etag, content_hash, item_count, status, note, created_by, created_at,
    CASE WHEN catalog_active.snapshot_id IS NULL THEN 0 ELSE 1 END AS is_active
  FROM catalog_snapshots LEFT JOIN catalog_active ON catalog_active.snapshot_id = catalog_snapshots.id
  ORDER BY created_at DESC, catalog_snapshots.id DESC`

/** The newest first. */
export async function listSnapshots (db: Reader): Promise<Snapshot[]> {
  return (await db.prepare(snapshots).all()).map(toSnapshot)
}

function toSnapshot (row: Row): Snapshot {
  return {
    id: toText(row.id),
    source: toText(row.source),
    itemCount: toNumber(row.item_count),
    hash: toText(row.content_hash),
    etag: toTextOrNull(row.source_etag),
    status: toText(row.status) as Snapshot['status'],
    note: toText(row.note),
    createdAt: toTime(row.created_at),
    active: row.is_active === 1
  }
}

export interface RolledBack { readonly from: string | null, readonly to: string, readonly catalogVersion: number, readonly unchanged: boolean }

/** Only the pointer moves (T13). Throws `NOT_FOUND`, `SNAPSHOT_NOT_READY`. */
export async function rollbackToSnapshot (db: Db, { snapshotId, reason, by }: { snapshotId: string, reason: string, by: string }, now: number): Promise<RolledBack> {
  return await db.tx(async () => {
    const active = await lockActive(db)
    const found = await db.prepare('SELECT status FROM catalog_snapshots WHERE id = ?').get(snapshotId)
    if (found === undefined) throw new NotFound('such snapshot')
    if (found.status !== 'ready') throw new SnapshotNotReady()
    const from = active?.snapshotId ?? null
    if (active?.snapshotId === snapshotId) return { from, to: snapshotId, catalogVersion: active.version, unchanged: true }
    const version = await activate(db, { snapshotId, from: active, by, reason }, now)
    await db.prepare('INSERT INTO audit_log (id, actor_user_id, group_id, action, detail, at) VALUES (?, ?, NULL, ?, ?, ?)')
      .run(newId('audit'), by, 'catalog.rollback', JSON.stringify({ from, to: snapshotId, reason }), now)
    return { from, to: snapshotId, catalogVersion: version, unchanged: false }
  })
}

/** By name. Throws `BAD_CURSOR`. */
export function searchCatalog (catalog: Catalog, { q = '', ids, limit = 50, cursor }: SearchQuery): { items: Item[], nextCursor: string | null } {
  const behind = cursor === undefined ? undefined : readCursor(cursor, 'sn')
  const matches = parseSearch(q)
  const wanted = ids === undefined ? undefined : new Set(ids)
  const isWanted = (item: CatalogItem): boolean => (wanted?.has(item.itemId) ?? true) && (matches?.(item) ?? true)
  const isBehind = ({ norm, itemId }: CatalogItem): boolean =>
    behind === undefined || (compareTexts(norm, String(behind[0])) || itemId - Number(behind[1])) > 0
  const found: CatalogItem[] = []
  for (const item of catalog.sorted) {
    if (found.length > limit) break
    if (isBehind(item) && isWanted(item)) found.push(item)
  }
  const { page, nextCursor } = toPage(found, limit, ({ norm, itemId }) => [norm, itemId])
  return { items: page.map(item => toItem(catalog, item)), nextCursor }
}

/** Throws `NOT_FOUND`. */
export function getCatalogItem (catalog: Catalog, itemId: number): Item {
  const item = catalog.find(itemId)
  if (item === undefined) throw new NotFound('such item')
  return toItem(catalog, item)
}

function toItem (catalog: Catalog, item: CatalogItem): Item {
  const price = catalog.findPrice(item.itemId)
  const digits = (value: number | null | undefined): string | null => typeof value === 'number' ? String(value) : null
  const time = (at: number | null | undefined): string | null => typeof at === 'number' ? new Date(at).toISOString() : null
  const { itemId, name, examine, members, value, buyLimit, iconKey, tradeable } = item
  return {
    itemId,
    name,
    examine,
    members,
    value: String(value),
    buyLimit,
    iconKey,
    tradeable,
    lowAlch: digits(item.lowAlch),
    highAlch: digits(item.highAlch),
    price: { each: digits(priceOf(price)), high: digits(price?.high), highAt: time(price?.highAt), low: digits(price?.low), lowAt: time(price?.lowAt) }
  }
}
