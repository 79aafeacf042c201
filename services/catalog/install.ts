/**
 * A new snapshot of the catalog: all of it and the pointer to it in one transaction (T12), or nothing.
 *
 * What is kept true:
 *  1. There is one pointer, moved by one at a time.
 *  2. A snapshot is written once and never changed. The one in force, the one before it, and the 10 newest are kept.
 *  3. Each move of the pointer has a version of its own, and is told to all processes when it is committed.
 */
import { createHash } from 'node:crypto'
import type { Database, Value } from '../../plugins/db/types.ts'
import { toNumber, toText, toTextOrNull } from '../common/columns.ts'
import { newId } from '../common/ids.ts'
import type { CatalogItem, Price } from './catalog.ts'
import { CATALOG_CHANNEL } from './channel.ts'
import { PRICES_KEY } from './load.ts'
import { normalizeItemName } from './search.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export type NewItem = Omit<CatalogItem, 'norm'>
export interface NewPrice extends Price { readonly itemId: number }

export interface NewSnapshot {
  /** Where it comes from. */
  readonly source: string
  readonly sourceEtag: string | null
  readonly items: readonly NewItem[]
  /** A user, or '' for the app. */
  readonly by: string
  readonly reason: string
}

/** What is in force. */
export interface Active { readonly snapshotId: string, readonly previousSnapshotId: string | null, readonly version: number }

/** So many snapshots are kept. */
const KEPT = 10
/** Rows in a statement: below what either engine takes as parameters, and small enough to delay nobody. */
const CHUNK = 500
const COLUMNS = 12

/** Until the transaction ends nobody else moves the pointer, also if there is none yet. Inside a transaction only. Undefined: there is none yet. */
export async function lockActive (db: Db): Promise<Active | undefined> {
  return await db.tx(async () => {
    await db.prepare(`INSERT INTO app_meta (key, value) VALUES ('catalog_lock', '') ON CONFLICT (key) DO UPDATE SET value = excluded.value`).run()
    const row = await db.prepare('SELECT snapshot_id, previous_snapshot_id, version FROM catalog_active WHERE id = 1').get()
    return row && { snapshotId: toText(row.snapshot_id), previousSnapshotId: toTextOrNull(row.previous_snapshot_id), version: toNumber(row.version) }
  }, { propagation: 'mandatory' })
}

export interface Installed { readonly snapshotId: string, readonly version: number }

/** Undefined: this is what is in force already, and nothing was done. */
export async function installSnapshot (db: Db, { source, sourceEtag, items, by, reason }: NewSnapshot, now: number): Promise<Installed | undefined> {
  const hash = hashOf(items)
  return await db.tx(async () => {
    const active = await lockActive(db)
    if (active !== undefined && await hashOfSnapshot(db, active.snapshotId) === hash) return undefined
    const snapshotId = newId('snapshot')
    await db.prepare(`INSERT INTO catalog_snapshots (id, source, source_etag, content_hash, item_count, status, note, created_by, created_at) VALUES (?, ?, ?, ?, ?, 'ready', ?, ?, ?)`)
      .run(snapshotId, source, sourceEtag, hash, items.length, reason, by, now)
    for (let i = 0; i < items.length; i += CHUNK) await insertItems(db, snapshotId, items.slice(i, i + CHUNK))
    const version = await activate(db, { snapshotId, from: active, by, reason }, now)
    await prune(db)
    return { snapshotId, version }
  }, { timeout: 60_000 })
}

const point = `
  INSERT INTO catalog_active (id, snapshot_id, previous_snapshot_id, version, changed_at, changed_by, reason) VALUES (1, :snapshotId, :previous, :version, :now, :by, :reason)
  ON CONFLICT (id) DO UPDATE SET snapshot_id = excluded.snapshot_id, previous_snapshot_id = excluded.previous_snapshot_id, version = excluded.version,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason`

export interface Move { readonly snapshotId: string, readonly from: Active | undefined, readonly by: string, readonly reason: string }

/** Moves the pointer, and answers its version. Inside a transaction that has locked it. */
export async function activate (db: Db, { snapshotId, from, by, reason }: Move, now: number): Promise<number> {
  return await db.tx(async () => {
    const version = (from?.version ?? 0) + 1
    await db.prepare(point).run({ snapshotId, previous: from?.snapshotId ?? null, version, now, by, reason })
    await db.notify(CATALOG_CHANNEL, String(version))
    return version
  }, { propagation: 'mandatory' })
}

async function insertItems (db: Db, snapshotId: string, items: readonly NewItem[]): Promise<void> {
  const row = `(${Array.from({ length: COLUMNS }, () => '?').join(', ')})`
  await db.prepare(`
    INSERT INTO catalog_items (snapshot_id, item_id, name, name_norm, examine, members, value, low_alch, high_alch, buy_limit, icon_key, tradeable)
    VALUES ${items.map(() => row).join(', ')}`).run(...items.flatMap((item): Value[] => [
    snapshotId, item.itemId, item.name, normalizeItemName(item.name), item.examine, item.members, item.value, item.lowAlch, item.highAlch, item.buyLimit, item.iconKey, item.tradeable
  ]))
}

const unkept = `
  SELECT id FROM catalog_snapshots
  WHERE id NOT IN (SELECT id FROM catalog_snapshots ORDER BY created_at DESC, id DESC LIMIT ${KEPT})
    AND id NOT IN (SELECT snapshot_id FROM catalog_active)
    AND id NOT IN (SELECT previous_snapshot_id FROM catalog_active WHERE previous_snapshot_id IS NOT NULL)`

async function prune (db: Db): Promise<void> {
  for (const { id } of await db.prepare(unkept).all()) {
    await db.prepare('DELETE FROM catalog_items WHERE snapshot_id = ?').run(toText(id))
    await db.prepare('DELETE FROM catalog_snapshots WHERE id = ?').run(toText(id))
  }
}

/** New prices; those of other items stay. All of them or none. */
export async function upsertPrices (db: Db, prices: readonly NewPrice[], now: number): Promise<void> {
  if (prices.length === 0) return
  await db.tx(async () => {
    // the key is the lock: two that come at once would take the rows in each other's way
    await db.prepare('INSERT INTO app_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value').run(PRICES_KEY, `${now} ${newId('audit')}`)
    for (let i = 0; i < prices.length; i += CHUNK) await upsertChunk(db, prices.slice(i, i + CHUNK), now)
  }, { timeout: 60_000 })
}

async function upsertChunk (db: Db, prices: readonly NewPrice[], now: number): Promise<void> {
  await db.prepare(`
    INSERT INTO catalog_prices (item_id, high, high_at, low, low_at, fetched_at) VALUES ${prices.map(() => '(?, ?, ?, ?, ?, ?)').join(', ')}
    ON CONFLICT (item_id) DO UPDATE SET high = excluded.high, high_at = excluded.high_at, low = excluded.low, low_at = excluded.low_at, fetched_at = excluded.fetched_at`)
    .run(...prices.flatMap(({ itemId, high, highAt, low, lowAt }) => [itemId, high, highAt, low, lowAt, now]))
}

/** The same for the same items, in whatever order. */
export function hashOf (items: readonly NewItem[]): string {
  const hash = createHash('sha256')
  for (const { itemId, name, examine, members, value, lowAlch, highAlch, buyLimit, iconKey, tradeable } of Array.from(items).sort((a, b) => a.itemId - b.itemId)) {
    hash.update(`${JSON.stringify([itemId, name, examine, members, value, lowAlch, highAlch, buyLimit, iconKey, tradeable])}\n`)
  }
  return hash.digest('hex')
}

async function hashOfSnapshot (db: Db, snapshotId: string): Promise<string | undefined> {
  const row = await db.prepare('SELECT content_hash FROM catalog_snapshots WHERE id = ?').get(snapshotId)
  return row && toText(row.content_hash)
}
