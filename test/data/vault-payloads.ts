/**
 * Reports as plugins send them, in real sizes. A: the public plugin's body, flat lists. B, C: our own, small and large. D: deltas. E: events.
 * The same seed makes the same items.
 */
import { Random } from '../../bench/faults/random.ts'

export type Pair = [itemId: number, quantity: number]

export const COINS = 995
/** The bank of a player of some years. */
export const BANK_STACKS = 816

/** Ids as the game has them, some thousand apart, each once. */
export function stacks (seed: number, count: number): Pair[] {
  const random = new Random(seed)
  const ids = new Set([COINS])
  while (ids.size < count) ids.add(random.between(1, 33_833))
  return [...ids].map(id => [id, id === COINS ? 2_000_000 + random.between(0, 49_999_999) : random.between(1, random.chance(0.1) ? 100_000 : 20)])
}

/** 28 places, some of them empty. */
export function inventory (seed: number): Pair[] {
  const random = new Random(seed)
  return Array.from({ length: 28 }, (): Pair => random.chance(0.25) ? [0, 0] : [random.between(1, 33_833), 1])
}

/** 14 places; those of arms, hair and jaw are never used. */
export function equipment (seed: number): Pair[] {
  const random = new Random(seed)
  return Array.from({ length: 14 }, (_, slot): Pair => [6, 8, 11].includes(slot) ? [-1, 0] : [random.between(1, 33_833), slot === 13 ? 500 : 1])
}

export function flat (pairs: readonly Pair[]): number[] {
  return pairs.flat()
}

/** A: what the public plugin sends after a login. */
export function compatLogin (name: string, seed: number): Record<string, unknown> {
  return {
    name,
    inventory: flat(inventory(seed)),
    equipment: flat(equipment(seed)),
    bank: flat(stacks(seed, BANK_STACKS)),
    shared_bank: flat(stacks(seed + 1, 20)),
    rune_pouch: [554, 1000, 555, 2000, 560, 300],
    quiver: [892, 400],
    seed_vault: flat(stacks(seed + 2, 40)),
    potion_storage: flat(stacks(seed + 3, 30)),
    skills: Array.from({ length: 24 }, (_, i) => 1000 * i),
    coordinates: [3200, 3200, 0],
    stats: [99, 99, 99, 99, 100, 100, 302],
    quests: Array.from({ length: 200 }, () => 2),
    diary_vars: Array.from({ length: 62 }, () => 1),
    collection_log_v2: flat(stacks(seed + 4, 300)),
    a_field_of_tomorrow: { deep: [1, 2] }
  }
}

/** A: what it sends once a second. */
export function compatTick (name: string, seed: number): Record<string, unknown> {
  return { name, inventory: flat(inventory(seed)), coordinates: [3200 + seed % 50, 3200, 0] }
}

export interface Reported { items: Pair[] }

/** B: a tick in which the inventory is looked at. */
export function tick (seed: number): Record<string, Reported> {
  return { inventory: { items: inventory(seed) } }
}

/** C: everything, as after a login with the bank open. */
export function login (seed: number): Record<string, Reported> {
  return {
    ...tick(seed),
    equipment: { items: equipment(seed) },
    rune_pouch: { items: [[554, 1000], [555, 2000], [560, 300], [0, 0]] },
    quiver: { items: [[892, 400]] },
    bank: { items: stacks(seed, BANK_STACKS) },
    seed_vault: { items: stacks(seed + 2, 40) },
    potion_storage: { items: stacks(seed + 3, 30) },
    shared: { items: stacks(seed + 1, 80) }
  }
}

/** D: what a deposit box took. */
export function delta (deltaId: string, moment: { epoch: number, seq: number }, add: Pair[]): Record<string, unknown> {
  return { deltaId, ...moment, container: 'bank', add }
}

/** E. */
export function events (at: string, first: number): Array<Record<string, unknown>> {
  return [
    { eventId: `loot-${first}`, type: 'loot', occurredAt: at, data: { source: 'Zulrah', items: [[12_921, 1]], value: '2850000' } },
    { eventId: `death-${first}`, type: 'death', occurredAt: at, data: { cause: 'TzTok-Jad' } },
    { eventId: `level-${first}`, type: 'level', occurredAt: at, data: { skill: 'slayer', level: 93 } },
    { eventId: `pet-${first}`, type: 'pet', occurredAt: at, data: { name: 'Snakeling' } }
  ]
}
