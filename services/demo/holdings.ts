/** What the people of the demo group have when it is made. Asks nobody. */
import type { ContainerName } from '../sync/containers.ts'
import type { Pair } from '../sync/content.ts'
import type { DemoPerson } from './people.ts'
import { between, pick, sample, type Random } from './random.ts'
import { COINS, stackOf, type Stock } from './stock.ts'

const EMPTY: Pair = [0, 0]
const PLACES = 28
const SHARED_STACKS = 64

export type Holdings = Map<ContainerName, readonly Pair[]>

export function firstHoldings ({ worn, quiver, runes, bankStacks }: DemoPerson, stock: Stock, random: Random): Holdings {
  const stack = (item: Stock['all'][number]): Pair => stackOf(random, item)
  return new Map<ContainerName, readonly Pair[]>([
    ['bank', [[COINS, between(random, 400_000, 90_000_000)], ...sample(random, stock.all, bankStacks).map(stack)]],
    ['equipment', worn.map((itemId): Pair => itemId === 0 ? EMPTY : [itemId, 1])],
    ['inventory', firstInventory(stock, random)],
    ['potion_storage', sample(random, stock.potions, 12).map(({ itemId }): Pair => [itemId, between(random, 4, 180)])],
    ['quiver', [quiver]],
    ['rune_pouch', runes],
    ['seed_vault', sample(random, stock.seeds, 30).map(stack)]
  ])
}

export function sharedStorage (stock: Stock, random: Random): readonly Pair[] {
  return [[COINS, 2_450_000], ...sample(random, stock.all, SHARED_STACKS).map(item => stackOf(random, item))]
}

/** Some coins, and things for a trip. */
function firstInventory ({ all }: Stock, random: Random): Pair[] {
  const filled = between(random, 9, 20)
  return Array.from({ length: PLACES }, (_, i): Pair => {
    if (i === 0) return [COINS, between(random, 800, 250_000)]
    return i <= filled ? [pick(random, all).itemId, between(random, 1, 3)] : EMPTY
  })
}
