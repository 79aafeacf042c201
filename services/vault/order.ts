/**
 * In which order a vault is shown, and where a page of it goes on.
 *
 * What is kept true: the order is total, for every sort: after the key by id, items before doses; what has no price is last whatever the direction. A cursor is the key of
 * the last row, so the next page begins behind it even if that row is gone, and it is good for its own order only.
 */
import { compareTexts, type Tile } from '../catalog/catalog.ts'
import { BadCursor } from '../common/errors.ts'
import { readCursor, writeCursor } from '../common/paging.ts'
import type { Holding } from './holdings.ts'
import type { VaultQuery } from './schema.ts'
import { multiply } from './worth.ts'

/** A row of the vault, before it is known who has it. */
export interface VaultRow extends Holding { readonly tile: Tile }

export type Order = Required<Pick<VaultQuery, 'sort' | 'order' | 'priceMode'>>

type Key = number | bigint | string | null
type Place = readonly [key: Key, itemId: number, dose: number]

export function readOrder ({ sort = 'quantity', order = sort === 'name' ? 'asc' : 'desc', priceMode = 'stack' }: VaultQuery): Order {
  return { sort, order, priceMode }
}

/** Those of a page, and the cursor of the next one. Throws `BAD_CURSOR`. */
export function pageOf (rows: readonly VaultRow[], order: Order, { limit = 50, cursor }: Pick<VaultQuery, 'limit' | 'cursor'>): { page: VaultRow[], nextCursor: string | null } {
  const behind = cursor === undefined ? undefined : readPlace(cursor, order)
  const found = firstOf(rows, order, { behind, count: limit + 1 })
  const page = found.slice(0, limit)
  const last = page.at(-1)
  return { page: page.map(({ row }) => row), nextCursor: found.length > limit && last !== undefined ? writePlace(last.place, order) : null }
}

interface Placed { readonly row: VaultRow, readonly place: Place }

/** The first `count` in order, found in one pass: a page is a small part of a vault, and the rest need not be sorted for it. */
function firstOf (rows: readonly VaultRow[], order: Order, { behind, count }: { behind: Place | undefined, count: number }): Placed[] {
  const direction = order.order === 'asc' ? 1 : -1
  const found: Placed[] = []
  for (const row of rows) {
    const place = placeOf(row, order)
    const last = found.length < count ? undefined : found.at(-1)
    if (behind !== undefined && comparePlaces(place, behind, direction) <= 0) continue
    if (last !== undefined && comparePlaces(place, last.place, direction) > 0) continue
    found.splice(indexFor(place, found, direction), 0, { row, place })
    if (found.length > count) found.pop()
  }
  return found
}

function indexFor (place: Place, found: readonly Placed[], direction: 1 | -1): number {
  let [low, high] = [0, found.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = found[middle]
    if (other !== undefined && comparePlaces(other.place, place, direction) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function placeOf (row: VaultRow, order: Order): Place {
  return [keyOf(row, order), row.itemId, row.isDose ? 1 : 0]
}

function keyOf ({ tile, quantity, isDose }: VaultRow, { sort, priceMode }: Order): Key {
  if (sort === 'name') return tile.norm
  if (sort === 'quantity') return quantity
  const each = isDose ? null : sort === 'ge' ? tile.geEach : tile.alchEach
  return each === null || priceMode === 'single' ? each : multiply(quantity, each)
}

function comparePlaces (a: Place, b: Place, direction: 1 | -1): number {
  return compareKeys(a[0], b[0], direction) || a[1] - b[1] || a[2] - b[2]
}

function compareKeys (a: Key, b: Key, direction: 1 | -1): number {
  if (a === null || b === null) return (a === null ? 1 : 0) - (b === null ? 1 : 0)
  if (typeof a === 'string' && typeof b === 'string') return direction * compareTexts(a, b)
  return a < b ? -direction : a > b ? direction : 0
}

// --- cursors ---------------------------------------------------------------------------------------------------------------------

function nameOf ({ sort, order, priceMode }: Order): string {
  return `${sort} ${order} ${priceMode}`
}

function writePlace ([key, itemId, dose]: Place, order: Order): string {
  return writeCursor([nameOf(order), key === null ? '' : String(key), itemId, dose])
}

function readPlace (cursor: string, order: Order): Place {
  const [name, key = '', itemId, dose] = readCursor(cursor, 'ssnn')
  if (name !== nameOf(order)) throw new BadCursor()
  return [readKey(String(key), order), Number(itemId), Number(dose)]
}

function readKey (key: string, { sort }: Order): Key {
  if (sort === 'name') return key
  if (key === '') return null
  if (!/^\d{1,40}$/.test(key)) throw new BadCursor()
  return BigInt(key)
}
