/** The items that the demo group deals in: some hundreds of the catalog, always the same, so that its banks never outgrow what a bank can hold. */
import type { Catalog } from '../catalog/catalog.ts'
import type { Pair } from '../sync/content.ts'
import { between, sample, type Random } from './random.ts'

export interface StockItem {
  readonly itemId: number
  readonly name: string
  /** In coins, for one; 0: not known. */
  readonly worth: number
}

export interface Stock {
  readonly all: readonly StockItem[]
  readonly seeds: readonly StockItem[]
  readonly potions: readonly StockItem[]
}

const MOST = 320
const MOST_SEEDS = 60
const MOST_POTIONS = 40
export const COINS = 995

/** Where there is no catalog: what anybody has. */
const common: readonly StockItem[] = [
  [526, 'Bones'], [314, 'Feather'], [379, 'Lobster'], [385, 'Shark'], [436, 'Copper ore'], [438, 'Tin ore'], [440, 'Iron ore'], [453, 'Coal'], [1511, 'Logs'], [1515, 'Yew logs'], [1521, 'Oak logs'], [2349, 'Bronze bar'], [2351, 'Iron bar'],
  [554, 'Fire rune'], [555, 'Water rune'], [556, 'Air rune'], [557, 'Earth rune'], [560, 'Death rune'], [561, 'Nature rune'], [563, 'Law rune']
].map(([itemId, name]) => ({ itemId: Number(itemId), name: String(name), worth: 100 }))

export function chooseStock (catalog: Catalog, random: Random): Stock {
  const known = catalog.sorted.filter(({ itemId }) => itemId !== COINS).map(({ itemId, name, value }) => ({ itemId, name, worth: catalog.tileOf(itemId).geEach ?? value }))
  const named = (pattern: RegExp): StockItem[] => known.filter(({ name }) => pattern.test(name))
  return {
    all: known.length === 0 ? common : sample(random, known, MOST),
    seeds: sample(random, named(/ seeds?$/i), MOST_SEEDS),
    potions: sample(random, named(/(?:potion|brew|restore|energy|antipoison|super \w+)\(4\)$/i), MOST_POTIONS)
  }
}

/** As many of it as somebody may well have. */
export function stackOf (random: Random, { itemId, worth }: StockItem): Pair {
  if (worth === 0) return [itemId, between(random, 1, 20)]
  if (worth < 50) return [itemId, between(random, 40, 12_000)]
  if (worth < 500) return [itemId, between(random, 10, 2500)]
  if (worth < 5000) return [itemId, between(random, 2, 240)]
  return [itemId, worth < 100_000 ? between(random, 1, 24) : 1]
}
