/**
 * All rows of the vaults that were looked at last, so that a page, another sort or another search of the same vault costs no sum over all holdings.
 *
 * What is kept true: rows are kept with the version of the group, of which holdings have another with each change, and with the catalog that named them; so they are right or
 * not found. Only what was read as it is committed is kept: what a transaction has written itself may be rolled back, and its version used again.
 */
import type { Database } from '../../plugins/db/types.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { VaultHead } from './head.ts'
import type { VaultRow } from './order.ts'
import type { VaultTotals } from './schema.ts'

export interface KeptRows {
  readonly rows: readonly VaultRow[]
  readonly totals: VaultTotals
}

interface Entry extends KeptRows { readonly version: number, readonly showDoses: boolean, readonly catalog: Catalog }

/** Over all groups: some 12 MB. */
const MOST_ROWS = 200_000

class RowCache {
  readonly #entries = new Map<string, Entry>()
  #count = 0

  find ({ groupId, version, showDoses }: VaultHead, catalog: Catalog): KeptRows | undefined {
    const entry = this.#entries.get(groupId)
    if (entry === undefined || entry.version !== version || entry.showDoses !== showDoses || entry.catalog !== catalog) return undefined
    this.#entries.delete(groupId)
    this.#entries.set(groupId, entry)
    return entry
  }

  /** The newest version of each group; those that were not asked for the longest make room. */
  keep ({ groupId, version, showDoses }: VaultHead, catalog: Catalog, { rows, totals }: KeptRows): void {
    if ((this.#entries.get(groupId)?.version ?? 0) > version) return
    this.#drop(groupId)
    this.#entries.set(groupId, { version, showDoses, catalog, rows, totals })
    this.#count += rows.length
    for (const oldest of this.#entries.keys()) {
      if (this.#count <= MOST_ROWS) break
      this.#drop(oldest)
    }
  }

  #drop (groupId: string): void {
    this.#count -= this.#entries.get(groupId)?.rows.length ?? 0
    this.#entries.delete(groupId)
  }
}

const caches = new WeakMap<Pick<Database, 'prepare'>, RowCache>()

export function keptRowsOf (db: Pick<Database, 'prepare'>): RowCache {
  const cache = caches.get(db) ?? new RowCache()
  caches.set(db, cache)
  return cache
}
