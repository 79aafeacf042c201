/**
 * Values on their way into and out of SQLite, so that they come back the same as from PostgreSQL.
 *
 * In: better-sqlite3 binds every JavaScript number as REAL, which makes `5` the text '5.0' in a TEXT column; so integral numbers go in as bigint.
 * Out: it reads integers as doubles unless told to make every integer a bigint. Rows are read the fast way, and once more exactly if a number in them may have
 * been rounded (see `mayBeRounded`).
 */
import { convertObject, isInt64 } from '../sql.ts'
import type { Column, Row, Value } from '../types.ts'

export type SqliteValue = number | bigint | string | null | Uint8Array

/** What is bound for `value`; undefined if it cannot be. */
export function toSqlite (value: Value): SqliteValue | undefined {
  switch (typeof value) {
    case 'number':
      if (Number.isSafeInteger(value)) return BigInt(value)
      return Number.isNaN(value) ? undefined : value
    case 'string': return value
    case 'bigint': return isInt64(value) ? value : undefined
    case 'boolean': return value ? 1n : 0n
    case 'object': return convertObject(value)
    default: return undefined
  }
}

/** True if the row, read as doubles, has a number that may stand for another integer. */
export function mayBeRounded (row: Row): boolean {
  for (const name in row) {
    const column = row[name]
    if (typeof column === 'number' && (column > Number.MAX_SAFE_INTEGER || column < Number.MIN_SAFE_INTEGER)) return true
  }
  return false
}

/** A row that was read with every integer as bigint: those that fit become numbers. Changes the row. */
export function narrow (row: Row): Row {
  for (const name in row) {
    const column: Column | undefined = row[name]
    if (typeof column === 'bigint' && column >= Number.MIN_SAFE_INTEGER && column <= Number.MAX_SAFE_INTEGER) row[name] = Number(column)
  }
  return row
}

export function isWithBlobs (row: Row): boolean {
  for (const name in row) if (row[name] instanceof Uint8Array) return true
  return false
}

/** A row that has come from another thread, where a Buffer arrives as the bytes that it is. Changes the row. */
export function withBuffers (row: Row): Row {
  for (const name in row) {
    const column = row[name]
    if (column instanceof Uint8Array) row[name] = Buffer.from(column.buffer, column.byteOffset, column.byteLength)
  }
  return row
}
