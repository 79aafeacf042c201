/**
 * The reports of the public group tracker's plugin (github.com/christoabrown/group-ironmen): flat lists of ids and quantities by turns, each with the length that its server
 * asks for. What is not known here is let pass, since the plugin is ahead of us at times; what is known and not kept (skills, quests, …) has to have its form all the same.
 */
import type { ContainerName } from './containers.ts'
import { readContent, readStacks, refuse, type Content, type Pair, type Slot } from './content.ts'
import type { CompatReport } from './store/compat.ts'

interface Field { readonly least: number, readonly most: number, readonly container?: ContainerName }

/** Numbers, two for each item. */
const fields: Readonly<Record<string, Field>> = {
  inventory: { least: 56, most: 56, container: 'inventory' },
  equipment: { least: 28, most: 28, container: 'equipment' },
  bank: { least: 0, most: 3000, container: 'bank' },
  shared_bank: { least: 0, most: 1000, container: 'shared' },
  rune_pouch: { least: 6, most: 8, container: 'rune_pouch' },
  quiver: { least: 2, most: 2, container: 'quiver' },
  seed_vault: { least: 0, most: 500, container: 'seed_vault' },
  potion_storage: { least: 0, most: 400, container: 'potion_storage' },
  skills: { least: 23, most: 24 },
  coordinates: { least: 3, most: 4 },
  stats: { least: 7, most: 7 },
  quests: { least: 0, most: 250 },
  diary_vars: { least: 0, most: 62 },
  collection_log_v2: { least: 0, most: 4000 }
}
const DEPOSITED: Field = { least: 0, most: 200 }

export type CompatBody = Readonly<Record<string, unknown>>

/** Throws `VALIDATION`. */
export function readCompatReport (body: CompatBody): CompatReport {
  const contents = new Map<ContainerName, Content>()
  for (const [name, field] of Object.entries(fields)) {
    const numbers = readNumbers(body, name, field)
    if (numbers !== undefined && field.container !== undefined) contents.set(field.container, readContent(field.container, toPairs(numbers, name), `/body/${name}`))
  }
  return { contents, deposits: readDeposits(body) }
}

function readDeposits (body: CompatBody): Slot[] {
  const numbers = readNumbers(body, 'deposited', DEPOSITED) ?? []
  return readStacks(toPairs(numbers, 'deposited'), '/body/deposited')
}

/** Undefined: as before. */
function readNumbers (body: CompatBody, name: string, { least, most }: Field): number[] | undefined {
  const list = body[name] ?? undefined
  if (list === undefined) return undefined
  if (!Array.isArray(list) || !list.every(isInt32)) throw refuse(`/body/${name}`, 'is not a list of 32-bit numbers')
  if (list.length < least || list.length > most) throw refuse(`/body/${name}`, least === most ? `has ${list.length} numbers, and not ${most}` : `has ${list.length} numbers, and not ${least} to ${most}`)
  return list
}

function isInt32 (value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= -(2 ** 31) && Number(value) < 2 ** 31
}

function toPairs (numbers: readonly number[], name: string): Pair[] {
  if (numbers.length % 2 !== 0) throw refuse(`/body/${name}`, 'has an id without a quantity')
  return Array.from({ length: numbers.length / 2 }, (_, i) => [numbers[2 * i] ?? 0, numbers[2 * i + 1] ?? 0] as const)
}
