/** What is printed: the machine, and the figures of each measurement beside their bounds. */
import { availableParallelism, cpus, totalmem } from 'node:os'
import { formatTable } from '../../scripts/terminal.ts'
import { isMet, type Bound, type Figure, type Outcome } from './measurement.ts'

/** What the figures were measured on. `versions`: of the database. */
export function describeMachine (versions: Record<string, string>): Record<string, string> {
  return {
    processors: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    ...versions
  }
}

/** `spreadName`: what the two numbers of a spread are. */
export function formatOutcome ({ tables = [], figures, problems, notes }: Outcome, spreadName = 'lowest to highest'): string {
  const table = [['', 'measured', spreadName, 'bound', ''], ...figures.map(formatFigure)]
  return [
    ...tables.map(rows => `${formatTable(rows)}\n`),
    ...figures.length === 0 ? [] : [formatTable(table)],
    ...notes.map(note => `  ${note}`),
    ...problems.slice(0, 20).map(problem => `  PROBLEM: ${problem}`),
    ...problems.length > 20 ? [`  … and ${problems.length - 20} more problems`] : []
  ].join('\n')
}

function formatFigure (figure: Figure): string[] {
  const { name, value, unit, spread, bound } = figure
  const range = spread === undefined ? '' : `${formatNumber(spread[0])} to ${formatNumber(spread[1])}`
  const verdict = bound === undefined ? '' : isMet(figure) ? 'met' : 'MISSED'
  return [name, `${formatNumber(value)} ${unit}`, range, formatBound(bound), verdict]
}

export function formatBound ({ atMost, atLeast }: Bound = {}): string {
  return [atLeast === undefined ? '' : `≥ ${formatNumber(atLeast)}`, atMost === undefined ? '' : `≤ ${formatNumber(atMost)}`].filter(text => text !== '').join(' ')
}

/** Three digits that count. */
export function formatNumber (value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}
