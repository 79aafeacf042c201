/** The ratios of two runs, by their names. What stands for a tail (p99) is one as well. */
import type { Agreement, Run } from './run.ts'

export interface Pair {
  readonly name: string
  readonly one: number
  readonly other: number
  /** How much larger the larger one is. NaN if one of them is no number. */
  readonly percent: number
}

export function compareRuns (one: Run, other: Run): { pairs: Pair[], alone: string[] } {
  const [a, b] = [ratiosOf(one), ratiosOf(other)]
  const pairs = [...a].flatMap(([name, value]) => {
    const second = b.get(name)
    return second === undefined ? [] : [{ name, one: value, other: second, percent: (Math.max(value, second) / Math.min(value, second) - 1) * 100 }]
  })
  return { pairs, alone: [...[...a.keys()].filter(name => !b.has(name)), ...[...b.keys()].filter(name => !a.has(name))] }
}

export function agreementOf (one: Run, other: Run): Agreement {
  const { pairs } = compareRuns(one, other)
  const within = (most: number): number => pairs.filter(({ percent }) => percent <= most).length
  return { ratios: pairs.length, within20: within(20), within50: within(50) }
}

function ratiosOf ({ parts }: Run): Map<string, number> {
  return new Map(parts.flatMap(part => part.figures.filter(({ unit }) => unit === '×').map(({ name, value }): [string, number] => [`${part.name}: ${name}`, value])))
}
