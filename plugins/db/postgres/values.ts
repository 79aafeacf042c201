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

/** A column's text as it stands in `buffer` from `start` to `end`. */
export type DecodeColumn = (buffer: Buffer, start: number, end: number) => Column

type Parse = (text: string) => Column

/** Node's own, without the look-up of an encoding by its name; not in its types. */
interface Slices { utf8Slice: (start: number, end: number) => string, latin1Slice: (start: number, end: number) => string }

const decodeText: DecodeColumn = (buffer, start, end) => (buffer as unknown as Slices).utf8Slice(start, end)

/** What is not ASCII is text, for which there is `decodeText`. */
const parsed = (parse: Parse): DecodeColumn => (buffer, start, end) => parse((buffer as unknown as Slices).latin1Slice(start, end))

/** By OID (https://www.postgresql.org/docs/18/catalog-pg-type.html, `SELECT oid, typname FROM pg_type`). */
const decoders: ReadonlyMap<number, DecodeColumn> = new Map<number, DecodeColumn>([
  [16, (buffer, start) => buffer[start] === 0x74 ? 1 : 0], // boolean: 't' or 'f'
  [17, parsed(toBytes)], // bytea
  [20, decodeInteger], // bigint
  [21, decodeInteger], // smallint
  [23, decodeInteger], // integer
  [26, decodeInteger], // oid
  [700, parsed(Number)], // real
  [701, parsed(Number)], // double precision
  [1114, parsed(toTimestamp)], // timestamp
  [1184, parsed(toTimestamp)], // timestamp with time zone
  [1700, parsed(toNumeric)] // numeric
])

/** How a column of the type is read. */
export function decoderOf (oid: number): DecodeColumn {
  return decoders.get(oid) ?? decodeText
}

/** In hex, or, if the database says `bytea_output = escape`, as ASCII with '\\\\' and '\\000'. */
function toBytes (text: string): Buffer {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex')
  return Buffer.from(text.replace(/\\(\\|\d{3})/g, (_, code: string) => code === '\\' ? code : String.fromCharCode(Number.parseInt(code, 8))), 'latin1')
}

/** Up to so many digits every integer is exact. */
const SAFE_DIGITS = 15

function decodeInteger (buffer: Buffer, start: number, end: number): number | bigint {
  if (end - start > SAFE_DIGITS) return toInteger((buffer as unknown as Slices).latin1Slice(start, end))
  const isNegative = buffer[start] === 0x2d
  let number = 0
  for (let i = isNegative ? start + 1 : start; i < end; i++) number = number * 10 + (buffer[i] as number) - 0x30
  return isNegative ? -number : number
}

function toInteger (text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

/** A number if that prints the same digits, a bigint if it is an integer beyond that, else the text. */
function toNumeric (text: string): Column {
  const digits = text.includes('.') ? withoutEndingZeros(text) : text
  if (/^-?\d+$/.test(digits)) return toInteger(digits)
  const number = Number(digits)
  return String(number) === digits ? number : text
}

/** '1.50' → '1.5', '100.00' → '100'. Not by an expression: with a hundred thousand zeros in the middle that takes seconds. */
function withoutEndingZeros (text: string): string {
  let end = text.length
  while (text[end - 1] === '0') end--
  return text.slice(0, text[end - 1] === '.' ? end - 1 : end)
}

/** '2026-03-01 12:00:00.5+00' → '2026-03-01T12:00:00.500Z', six digits where microseconds are set. Others ('infinity', years BC) stay as they are. */
function toTimestamp (text: string): string {
  const match = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:\+00)?$/.exec(text)
  if (match === null) return text
  const [, date, time, fraction = ''] = match
  return `${date}T${time}.${fraction.padEnd(fraction.length > 3 ? 6 : 3, '0')}Z`
}
