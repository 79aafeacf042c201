/** The containers that plugins report, and what fits into each. Nothing else decides that. */

export interface Shape {
  /** Positional: a place may be empty, and counts. Unordered: one stack for each item. */
  readonly kind: 'positional' | 'unordered'
  /** Places, or the most stacks. */
  readonly size: number
}

export const containers = {
  bank: { kind: 'unordered', size: 1500 },
  equipment: { kind: 'positional', size: 14 },
  inventory: { kind: 'positional', size: 28 },
  potion_storage: { kind: 'unordered', size: 200 },
  quiver: { kind: 'positional', size: 1 },
  rune_pouch: { kind: 'positional', size: 4 },
  seed_vault: { kind: 'unordered', size: 250 },
  shared: { kind: 'unordered', size: 500 }
} as const satisfies Readonly<Record<string, Shape>>

export type ContainerName = keyof typeof containers

/** In the order in which they are locked. */
export const containerNames = Object.keys(containers).sort() as ContainerName[]

/** Belongs to the group and not to the member who reports it. */
export const SHARED = 'shared'

export function isContainerName (name: string): name is ContainerName {
  return Object.hasOwn(containers, name)
}

export const MOST_STACKS = Math.max(...containerNames.map(name => containers[name].size))
/** A stack is a signed 32-bit number in the game. */
export const MOST_OF_ITEM = 2 ** 31 - 1
