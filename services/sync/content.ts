/**
 * What a container holds, in the one form in which it is kept and compared.
 *
 * What is kept true: two reports of the same things have the same hash. Positional: a slot is a place, empty ones are left out. Unordered: a slot is an item, equal ids are
 * added up. A quantity is 1 to 2^31 - 1, and never cut to fit.
 */
import { Validation, withDetails } from '../common/errors.ts'
import { sha256 } from '../common/secrets.ts'
import { containers, MOST_OF_ITEM, type ContainerName } from './containers.ts'

export type Pair = readonly [itemId: number, quantity: number]

export interface Slot {
  readonly slot: number
  readonly itemId: number
  readonly quantity: number
}

export interface Content {
  /** In ascending order. */
  readonly slots: readonly Slot[]
  /** SHA-256 of `[[id, quantity], …]` as JSON: by place with `[0,0]` for an empty one, or by ascending id. */
  readonly hash: string
}

/** `pointer`: to the list, for what is refused. Throws `VALIDATION`. */
export function readContent (name: ContainerName, pairs: readonly Pair[], pointer: string): Content {
  const { kind, size } = containers[name]
  if (kind === 'positional' && pairs.length > size) throw refuse(pointer, `has ${pairs.length} places, and there are ${size}`)
  const slots = kind === 'positional' ? readPlaces(pairs, pointer) : readStacks(pairs, pointer)
  if (slots.length > size) throw refuse(pointer, `has ${slots.length} stacks, and ${size} is the most`)
  return toContent(name, slots)
}

/** `slots`: in ascending order. */
export function toContent (name: ContainerName, slots: readonly Slot[]): Content {
  return { slots, hash: sha256(JSON.stringify(containers[name].kind === 'positional' ? placesOf(slots, containers[name].size) : slots.map(({ itemId, quantity }) => [itemId, quantity]))) }
}

/** The sum of both, by item. What is more than a stack can be is a full stack: of these two nobody knows which was wrong. */
export function addStacks (slots: readonly Slot[], more: readonly Slot[]): Slot[] {
  const sums = new Map(slots.map(({ slot, quantity }) => [slot, quantity]))
  for (const { slot, quantity } of more) sums.set(slot, Math.min((sums.get(slot) ?? 0) + quantity, MOST_OF_ITEM))
  return toStacks(sums)
}

/** Throws `VALIDATION`. */
export function readStacks (pairs: readonly Pair[], pointer: string): Slot[] {
  const sums = new Map<number, number>()
  for (const [i, [itemId, quantity]] of pairs.entries()) {
    if (itemId <= 0 || quantity <= 0) continue
    const sum = (sums.get(itemId) ?? 0) + quantity
    if (sum > MOST_OF_ITEM) throw refuse(`${pointer}/${i}`, `makes more than ${MOST_OF_ITEM} of item ${itemId}`)
    sums.set(itemId, sum)
  }
  return toStacks(sums)
}

function readPlaces (pairs: readonly Pair[], pointer: string): Slot[] {
  return pairs.flatMap(([itemId, quantity], slot) => {
    if (quantity > MOST_OF_ITEM) throw refuse(`${pointer}/${slot}`, `is more than ${MOST_OF_ITEM}`)
    return itemId <= 0 || quantity <= 0 ? [] : [{ slot, itemId, quantity }]
  })
}

function toStacks (sums: ReadonlyMap<number, number>): Slot[] {
  return [...sums].map(([itemId, quantity]) => ({ slot: itemId, itemId, quantity })).sort((a, b) => a.slot - b.slot)
}

function placesOf (slots: readonly Slot[], size: number): Pair[] {
  const places = Array.from({ length: size }, (): Pair => [0, 0])
  for (const { slot, itemId, quantity } of slots) places[slot] = [itemId, quantity]
  return places
}

export function refuse (pointer: string, problem: string): Error {
  return withDetails(new Validation(pointer, problem), { pointer })
}
