/** Rows as COPY … FROM STDIN reads them in its text format (https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS). */
import type { Value } from '../../plugins/db/types.ts'

/** One line a row, in UTF-8. */
export function toCopyText (rows: readonly (readonly Value[])[]): Buffer {
  let text = ''
  for (const row of rows) {
    let separator = ''
    for (const value of row) {
      text += separator + toField(value)
      separator = '\t'
    }
    text += '\n'
  }
  return Buffer.from(text)
}

function toField (value: Value): string {
  switch (typeof value) {
    case 'string': return SPECIAL.test(value) ? value.replace(SPECIALS, character => escapes[character] as string) : value
    case 'number': return String(value)
    case 'bigint': return String(value)
    case 'boolean': return value ? '1' : '0'
    default: return value === null ? '\\N' : value instanceof Date ? value.toISOString() : `\\\\x${Buffer.from(value).toString('hex')}`
  }
}

const SPECIAL = /[\\\t\n\r]/
const SPECIALS = /[\\\t\n\r]/g
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }
