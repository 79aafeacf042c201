/** The containers that a vault is made of, in the order in which they are shown. */
export const containerNames = ['inventory', 'equipment', 'rune_pouch', 'quiver', 'bank', 'seed_vault', 'potion_storage', 'shared'] as const
export type ContainerName = typeof containerNames[number]

/** Its quantities are doses. */
export const DOSES = 'potion_storage'
/** Of the group, and of no player. */
export const SHARED = 'shared'

/** How many slots there are, where it matters in which one something is. */
export const positional: Readonly<Partial<Record<string, number>>> = { inventory: 28, equipment: 14, rune_pouch: 4, quiver: 1 }
