/** What somebody in the demo group does next, from what there is. Asks nobody. */
import { containers, MOST_OF_ITEM, type ContainerName } from '../sync/containers.ts'
import type { Pair, Slot } from '../sync/content.ts'
import { gainLevel, receive, type Happened } from './history.ts'
import { between, pick, type Random } from './random.ts'
import type { Stock } from './stock.ts'

export interface Scene {
  readonly inventory: readonly Slot[]
  readonly bank: readonly Slot[]
  readonly shared: readonly Slot[]
}

export interface Move {
  /** What these hold then. */
  readonly contents: ReadonlyMap<ContainerName, readonly Pair[]>
  readonly happened?: Happened
}

const PLACES = containers.inventory.size
/** With so few free places one goes to the bank. */
const CROWDED = PLACES - 4

export function nextMove (scene: Scene, stock: Stock, random: Random): Move {
  if (scene.inventory.length >= CROWDED) return bankAll(scene)
  const chance = random()
  if (chance < 0.3 && scene.inventory.length > 0) return deposit(scene, random)
  if (chance < 0.55 && scene.shared.length > 8) return withdraw(scene, random)
  if (chance < 0.7) return { contents: new Map(), happened: gainLevel(random) }
  return loot(scene, stock, random)
}

function bankAll ({ inventory, bank }: Scene): Move {
  return { contents: new Map<ContainerName, readonly Pair[]>([['inventory', []], ['bank', toPairs(addTo(bank, inventory))]]) }
}

function deposit ({ inventory, shared }: Scene, random: Random): Move {
  const given = pick(random, inventory)
  const kept = inventory.filter(({ slot }) => slot !== given.slot)
  return { contents: new Map([['inventory', toPlaces(kept)], ['shared', toPairs(addTo(shared, [given]))]]) }
}

function withdraw ({ inventory, shared }: Scene, random: Random): Move {
  const from = pick(random, shared)
  const taken = { ...from, slot: freePlace(inventory), quantity: between(random, 1, Math.min(from.quantity, 500)) }
  const rest = shared.map(slot => slot.slot === from.slot ? { ...slot, quantity: slot.quantity - taken.quantity } : slot)
  return { contents: new Map([['inventory', toPlaces([...inventory, taken])], ['shared', toPairs(rest)]]) }
}

function loot ({ inventory }: Scene, stock: Stock, random: Random): Move {
  const item = pick(random, stock.all)
  const quantity = item.worth < 500 ? between(random, 1, 60) : 1
  return {
    contents: new Map([['inventory', toPlaces([...inventory, { slot: freePlace(inventory), itemId: item.itemId, quantity }])]]),
    happened: receive(item.name, [item.itemId, quantity], random)
  }
}

function addTo (stacks: readonly Slot[], more: readonly Slot[]): Slot[] {
  const sums = new Map(stacks.map(({ itemId, quantity }) => [itemId, quantity]))
  for (const { itemId, quantity } of more) sums.set(itemId, Math.min((sums.get(itemId) ?? 0) + quantity, MOST_OF_ITEM))
  return [...sums].map(([itemId, quantity]) => ({ slot: itemId, itemId, quantity }))
}

function freePlace (inventory: readonly Slot[]): number {
  const taken = new Set(inventory.map(({ slot }) => slot))
  return Array.from({ length: PLACES }, (_, place) => place).find(place => !taken.has(place)) ?? PLACES - 1
}

function toPairs (stacks: readonly Slot[]): Pair[] {
  return stacks.map(({ itemId, quantity }) => [itemId, quantity])
}

function toPlaces (slots: readonly Slot[]): Pair[] {
  const byPlace = new Map(slots.map(({ slot, itemId, quantity }): [number, Pair] => [slot, [itemId, quantity]]))
  return Array.from({ length: PLACES }, (_, place): Pair => byPlace.get(place) ?? [0, 0])
}
