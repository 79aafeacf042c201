/** The containers that a vault is made of, as it shows them. What fits into each is the syncs' to say. */
import { containers, isContainerName, SHARED, type ContainerName } from '../sync/containers.ts'

export { SHARED, type ContainerName }

/** In the order in which they are shown. */
export const containerNames = ['inventory', 'equipment', 'rune_pouch', 'quiver', 'bank', 'seed_vault', 'potion_storage', 'shared'] as const satisfies readonly ContainerName[]

/** Its quantities are doses. */
export const DOSES = 'potion_storage' satisfies ContainerName

/** How many slots there are, where it matters in which one something is. */
export function countSlots (container: string): number | undefined {
  const shape = isContainerName(container) ? containers[container] : undefined
  return shape?.kind === 'positional' ? shape.size : undefined
}
