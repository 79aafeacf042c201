/**
 * SQL that may be shown: without the values that were written into it, and under a short name.
 *
 * What is kept true: no part of a string, number, blob or comment comes through, whichever engine the text is for. Where the engines read a text differently the reading that
 * shows less is taken. Names, keywords and placeholders are kept as written.
 *
 *  1. strings: '…' with '' inside, E'…' with backslashes, X'…', B'…', N'…', U&'…', $tag$…$tag$; without an end they reach to the end of the text
 *  2. numbers that stand alone: 1, 1.5e-3, 0xff, 1_000; not those in names (`t1`) and placeholders (`$1`, `?1`)
 *  3. comments; nested ones if their ends add up (PostgreSQL), else to the first end (SQLite)
 */
import { createHash } from 'node:crypto'

/** What may stand in a name after its first letter. */
const WORD = '[\\w$\\u0080-\\uffff]'
const NAME = `[A-Za-z_\\u0080-\\uffff]${WORD}*`
const TOKENS = new RegExp([
  "(?:[eE]'[^'\\\\]*(?:(?:\\\\[\\s\\S]|''|\\\\$)[^'\\\\]*)*|(?:[xXbBnN]|[uU]&)?'[^']*(?:''[^']*)*)(?:'|$)",
  '\\$(?<tag>[A-Za-z_\\u0080-\\uffff][\\w\\u0080-\\uffff]*)?\\$[\\s\\S]*?(?:\\$\\k<tag>\\$|$)',
  '(?<blank>\\s+|--[^\\n]*|/\\*)',
  `(?<kept>"(?:[^"]|"")*"|\`[^\`']*\`|[$?]\\d+|[:@]?${NAME})`,
  '0[xXoObB][\\da-fA-F_]+|(?:\\d[\\d_]*\\.?[\\d_]*|\\.\\d[\\d_]*)(?:[eE][+-]?\\d+)?'
].join('|'), 'g')

const TABLES = /\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+|IF\s+(?:NOT\s+)?EXISTS\s+)?([\w.$\u0080-\uffff]+|"[^"]+")/gi

const REMEMBERED = 2000
const fingerprints = new Map<string, string>()

/** The text on one line, with `?` for each literal and without comments. */
export function redact (sql: string): string {
  const tokens = new RegExp(TOKENS)
  let text = ''
  let copied = 0
  for (let match = tokens.exec(sql); match !== null; match = tokens.exec(sql)) {
    const { kept, blank } = match.groups ?? {}
    if (kept !== undefined) continue
    text += sql.slice(copied, match.index) + (blank === undefined ? '?' : ' ')
    if (blank === '/*') tokens.lastIndex = commentEnd(sql, match.index)
    copied = tokens.lastIndex
  }
  return (text + sql.slice(copied)).replace(/ {2,}/g, ' ').trim()
}

/**
 * Twelve hexadecimal digits: the same for texts that differ in literals, comments, white space or in how many values a list has.
 *
 * Several statements can have one fingerprint; figures by fingerprint are sums.
 */
export function fingerprintOf (sql: string): string {
  let fingerprint = fingerprints.get(sql)
  if (fingerprint !== undefined) return fingerprint
  if (fingerprints.size >= REMEMBERED) fingerprints.clear()
  fingerprint = createHash('sha256').update(shapeOf(sql)).digest('hex').slice(0, 12)
  fingerprints.set(sql, fingerprint)
  return fingerprint
}

/** The first word in upper case: SELECT, INSERT, … */
export function operationOf (sql: string): string {
  return /^\W*(\w+)/.exec(redact(sql))?.[1]?.toUpperCase() ?? ''
}

/** The first words and tables, as OpenTelemetry's `db.query.summary`: `SELECT job user`. At most 255 characters. */
export function summaryOf (sql: string): string {
  const tables = [...redact(sql).matchAll(TABLES)].map(([, table = '']) => table).filter(table => !/^(?:SELECT|SET|LATERAL)$/i.test(table))
  return [operationOf(sql), ...new Set(tables)].join(' ').slice(0, 255)
}

/** Lists of placeholders become one: `IN (?, ?, ?)` and `IN (?)`, `VALUES (?, ?), (?, ?)` and `VALUES (?, ?)` are alike. */
function shapeOf (sql: string): string {
  return redact(sql).replace(/[$:?]\w+/g, match => /^[$?]\d/.test(match) ? '?' : match)
    .replace(/\(\s*\?(?:\s*,\s*\?)*\s*\)/g, '(?)').replace(/\(\?\)(?:\s*,\s*\(\?\))+/g, '(?)').replace(/;\s*$/, '')
}

function commentEnd (sql: string, start: number): number {
  const marks = /\/\*|\*\//g
  marks.lastIndex = start + 2
  let depth = 1
  let first = sql.length
  for (let mark = marks.exec(sql); mark !== null; mark = marks.exec(sql)) {
    depth += mark[0] === '*/' ? -1 : 1
    if (mark[0] === '*/' && first === sql.length) first = marks.lastIndex
    if (depth === 0) return marks.lastIndex
  }
  return first
}
