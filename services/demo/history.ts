/** What has happened in the demo group before anybody looked. Asks nobody. */
import type { EventType } from '../activity/append.ts'
import { skills, sources } from './people.ts'
import { between, pick, type Random } from './random.ts'
import { stackOf, type Stock } from './stock.ts'

export interface Happened {
  readonly type: EventType
  readonly data: Readonly<Record<string, unknown>>
}

const DAYS = 5
const EVENTS = 36

/** From the oldest to the newest. `who`: the number of a person. */
export function makeHistory ({ people, stock, random }: { people: number, stock: Stock, random: Random }, now: number): Array<Happened & { at: number, who: number }> {
  const step = DAYS * 86_400_000 / EVENTS
  return Array.from({ length: EVENTS }, (_, i) => ({ at: Math.floor(now - (EVENTS - i - random()) * step), who: between(random, 0, people - 1), ...happen(stock, random) }))
}

export function happen (stock: Stock, random: Random): Happened {
  const chance = random()
  if (chance < 0.45) return gainLevel(random)
  if (chance < 0.55) return { type: 'death', data: { source: pick(random, sources) } }
  const item = pick(random, stock.all)
  return receive(item.name, stackOf(random, item), random)
}

export function gainLevel (random: Random): Happened {
  return { type: 'level', data: { skill: pick(random, skills), level: between(random, 60, 98) } }
}

export function receive (name: string, [itemId, quantity]: readonly [number, number], random: Random): Happened {
  return { type: 'loot', data: { source: pick(random, sources), itemId, name, quantity } }
}
