/** What is printed: the machine, and the figures of each measurement beside their bounds. */
import { availableParallelism, cpus, totalmem } from 'node:os'
import Sqlite from 'better-sqlite3'
import { formatTable } from '../../scripts/terminal.ts'
import { isMet, type Bound, type Figure, type Outcome } from './measurement.ts'

/** What the figures were measured on. */
export function describeMachine (): Record<string, string> {
  const db = new Sqlite(':memory:')
  const { version } = db.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  db.close()
  return {
    processors: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    sqlite: version
  }
}

export function formatOutcome ({ figures, problems, notes }: Outcome): string {
  const table = [['', 'measured', 'lowest to highest', 'bound', ''], ...figures.map(formatFigure)]
  return [
    formatTable(table),
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

function formatBound ({ atMost, atLeast }: Bound = {}): string {
  return [atLeast === undefined ? '' : `≥ ${formatNumber(atLeast)}`, atMost === undefined ? '' : `≤ ${formatNumber(atMost)}`].filter(text => text !== '').join(' ')
}

/** Three digits that count. */
export function formatNumber (value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}
