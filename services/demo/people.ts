/** Who is in the demo group, and what they wear. Item ids are those of the game; what the catalog in force does not know is shown by its number. */
import type { Pair } from '../sync/content.ts'

export const GROUP_NAME = 'Demo group'

export interface DemoPerson {
  readonly name: string
  readonly character: string
  /** Of the account in the game. */
  readonly account: string
  readonly world: number
  /** By place: head, cape, amulet, weapon, body, shield, arms, legs, hair, gloves, boots, jaw, ring, ammunition; 0: nothing. */
  readonly worn: readonly number[]
  readonly quiver: Pair
  readonly runes: readonly Pair[]
  /** Stacks in the bank. */
  readonly bankStacks: number
}

export const people: readonly DemoPerson[] = [
  { name: 'Ada', character: 'Iron Ada', account: '6101', world: 302, worn: [4716, 6570, 6585, 4151, 4720, 12954, 0, 4722, 0, 7462, 11840, 0, 6737, 0], quiver: [892, 1450], runes: [[560, 4200], [565, 1900], [554, 9000], [561, 2600]], bankStacks: 260 },
  { name: 'Bram', character: 'Bramblewick', account: '6102', world: 330, worn: [4708, 6570, 6585, 4710, 4712, 0, 0, 4714, 0, 7462, 0, 0, 6731, 0], quiver: [890, 640], runes: [[563, 3100], [566, 700], [556, 12_000], [562, 5200]], bankStacks: 210 },
  { name: 'Cleo', character: 'Cleo Tess', account: '6103', world: 302, worn: [11826, 6570, 1712, 20997, 11828, 0, 0, 1079, 0, 7462, 11840, 0, 6733, 11212], quiver: [892, 2200], runes: [[563, 800], [557, 2000], [555, 2000], [556, 2000]], bankStacks: 180 },
  { name: 'Dov', character: 'Dov Hammer', account: '6104', world: 416, worn: [1163, 0, 1731, 4587, 1127, 1201, 0, 1079, 0, 0, 0, 0, 2550, 0], quiver: [882, 300], runes: [[561, 900], [556, 4000], [554, 4000], [563, 250]], bankStacks: 140 },
  { name: 'Esme', character: 'Esme Rowan', account: '6105', world: 416, worn: [1050, 0, 1725, 1381, 1135, 1193, 0, 1077, 0, 0, 0, 0, 2552, 884], quiver: [884, 120], runes: [[556, 6000], [558, 3000], [560, 400], [564, 350]], bankStacks: 110 }
]

/** What a plugin would report beside items. */
export const skills = ['Attack', 'Cooking', 'Crafting', 'Farming', 'Fishing', 'Fletching', 'Herblore', 'Magic', 'Mining', 'Prayer', 'Ranged', 'Runecraft', 'Slayer', 'Smithing', 'Woodcutting'] as const
export const sources = ['Abyssal demon', 'Barrows chest', 'Blue dragon', 'Gargoyle', 'Giant Mole', 'Hellhound', 'King Black Dragon', 'Zulrah'] as const
