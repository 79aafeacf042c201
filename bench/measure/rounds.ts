/**
 * How everything is measured: rounds in which each contender has its turn of the same length, every other round backwards, so that what else the machine does hits
 * neighbours alike. The first round is for the compiler and the caches, and does not count.
 */
import { Progress } from '../../scripts/terminal.ts'

export interface Turn<Seen> {
  readonly name: string
  readonly run: () => Promise<Seen>
}

/** What each has seen, by name, in the order of the rounds. */
export async function runRounds<Seen> (turns: ReadonlyArray<Turn<Seen>>, rounds: number, label: string): Promise<Map<string, Seen[]>> {
  const seen = new Map(turns.map(({ name }): [string, Seen[]] => [name, []]))
  const progress = new Progress({ unit: 'turns' })
  const total = (rounds + 1) * turns.length
  let done = 0
  for (let round = -1; round < rounds; round++) {
    for (const { name, run } of round % 2 === 0 ? turns : turns.toReversed()) {
      progress.update(done++, total, `${label}: ${name}`)
      const result = await run()
      if (round >= 0) seen.get(name)?.push(result)
    }
  }
  progress.clear()
  return seen
}

/** The same, and then `close`, whatever happened. */
export async function runRoundsAndClose<Seen> (turns: ReadonlyArray<Turn<Seen>>, rounds: number, label: string, close: () => Promise<unknown>): Promise<Map<string, Seen[]>> {
  try {
    return await runRounds(turns, rounds, label)
  } finally {
    await close()
  }
}

/** `get` of what is there for sure. */
export function seenBy<Seen> (seen: ReadonlyMap<string, Seen[]>, name: string): Seen[] {
  const list = seen.get(name)
  if (list === undefined) throw new Error(`${name} was not measured`)
  return list
}
