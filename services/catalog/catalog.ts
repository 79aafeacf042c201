/**
 * One snapshot of the catalog in memory, with the prices of one moment.
 *
 * What is kept true: a snapshot never changes, so one that was read is right for good; which one is in force is asked anew for each request, once, so that no answer mixes
 * two. What is in no catalog is named by its id and has no price.
 */
import { normalizeItemName } from './search.ts'

/** An item of a snapshot; values in coins. */
export interface CatalogItem {
  readonly itemId: number
  readonly name: string
  readonly norm: string
  readonly examine: string
  readonly members: boolean
  readonly value: number
  readonly lowAlch: number | null
  readonly highAlch: number | null
  readonly buyLimit: number | null
  readonly iconKey: string
  readonly tradeable: boolean
}

/** What people pay; times in milliseconds since 1970. */
export interface Price {
  readonly high: number | null
  readonly highAt: number | null
  readonly low: number | null
  readonly lowAt: number | null
}

/** What a vault shows of an item. Null: it has no such price. */
export interface Tile {
  readonly itemId: number
  readonly name: string
  readonly norm: string
  readonly iconKey: string
  readonly alchEach: number | null
  readonly geEach: number | null
}

/** Which snapshot is in force, and as of when its prices are. */
export interface CatalogPointer {
  /** Undefined: there is none yet. */
  readonly snapshotId: string | undefined
  /** Grows with each change of the pointer. */
  readonly version: number
  /** Another one whenever prices have come. */
  readonly pricesKey: string
}

/** Money: no catalog has to say what it is worth. */
const MONEY: ReadonlyMap<number, number> = new Map([[995, 1], [13204, 1000]])

export class Catalog {
  readonly pointer: CatalogPointer
  readonly #items: ReadonlyMap<number, CatalogItem>
  readonly #prices: ReadonlyMap<number, Price>
  readonly #tiles = new Map<number, Tile>()
  #sorted: readonly CatalogItem[] | undefined

  constructor (pointer: CatalogPointer, items: ReadonlyMap<number, CatalogItem>, prices: ReadonlyMap<number, Price>) {
    this.pointer = pointer
    this.#items = items
    this.#prices = prices
  }

  find (itemId: number): CatalogItem | undefined {
    return this.#items.get(itemId)
  }

  findPrice (itemId: number): Price | undefined {
    return this.#prices.get(itemId)
  }

  /** By name, then by id. */
  get sorted (): readonly CatalogItem[] {
    return this.#sorted ??= Array.from(this.#items.values()).sort((a, b) => compareTexts(a.norm, b.norm) || a.itemId - b.itemId)
  }

  tileOf (itemId: number): Tile {
    const known = this.#tiles.get(itemId)
    if (known !== undefined) return known
    const item = this.#items.get(itemId)
    const name = item?.name ?? `Item #${itemId}`
    const tile = { itemId, name, norm: item?.norm ?? normalizeItemName(name), iconKey: item?.iconKey ?? '', ...this.#worthOf(itemId, item) }
    if (item !== undefined) this.#tiles.set(itemId, tile)
    return tile
  }

  #worthOf (itemId: number, item: CatalogItem | undefined): { alchEach: number | null, geEach: number | null } {
    const money = MONEY.get(itemId)
    return money === undefined ? { alchEach: item?.highAlch ?? null, geEach: priceOf(this.#prices.get(itemId)) } : { alchEach: money, geEach: money }
  }
}

/** The mean of what is asked and what is offered, or the one that is known. */
export function priceOf (price: Price | undefined): number | null {
  const { high = null, low = null } = price ?? {}
  return high !== null && low !== null ? Math.floor((high + low) / 2) : high ?? low
}

/** By code unit: the same everywhere. */
export function compareTexts (a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
