/**
 * Values on their way into and out of PostgreSQL, so that they come back the same as from SQLite.
 *
 * In: as text, from which the server infers the type that the statement needs; blobs in binary form.
 * Out: parsed from the text form by the type's OID; a type that is not here stays text. The session has TimeZone=UTC and DateStyle=ISO.
 */
import { convertObject, isInt64 } from '../sql.ts'
import type { Column, Value } from '../types.ts'

export type PostgresValue = string | null | Uint8Array

/** What is bound for `value`; undefined if it cannot be. */
export function toPostgres (value: Value): PostgresValue | undefined {
  switch (typeof value) {
    case 'number': return Number.isNaN(value) ? undefined : String(value)
    case 'string': return value
    case 'bigint': return isInt64(value) ? String(value) : undefined
    case 'boolean': return value ? '1' : '0'
    case 'object': return convertObject(value)
    default: return undefined
  }
}

type Parse = (text: string) => Column

const asText: Parse = text => text

/** By OID (https://www.postgresql.org/docs/18/catalog-pg-type.html, `SELECT oid, typname FROM pg_type`). */
const parsers: ReadonlyMap<number, Parse> = new Map<number, Parse>([
  [16, text => text === 't' ? 1 : 0], // boolean
  [17, text => Buffer.from(text.slice(2), 'hex')], // bytea
  [20, toInteger], // bigint
  [21, Number], // smallint
  [23, Number], // integer
  [26, Number], // oid
  [700, Number], // real
  [701, Number], // double precision
  [1114, toTimestamp], // timestamp
  [1184, toTimestamp], // timestamp with time zone
  [1700, toNumeric] // numeric
])

/** In the form that pg takes as `types`. */
export const types = {
  getTypeParser: (oid: number): Parse => parsers.get(oid) ?? asText
}

function toInteger (text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

/** A number if that prints the same digits, a bigint if it is an integer beyond that, else the text. */
function toNumeric (text: string): Column {
  const digits = text.includes('.') ? text.replace(/\.?0+$/, '') : text
  if (/^-?\d+$/.test(digits)) return toInteger(digits)
  const number = Number(digits)
  return String(number) === digits ? number : text
}

/** '2026-03-01 12:00:00.5+00' → '2026-03-01T12:00:00.500Z', six digits where microseconds are set. Others ('infinity', years BC) stay as they are. */
function toTimestamp (text: string): string {
  const match = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:\+00)?$/.exec(text)
  if (match === null) return text
  const [, date, time, fraction = ''] = match
  return `${date}T${time}.${fraction.padEnd(fraction.length > 3 ? 6 : 3, '0')}Z`
}
