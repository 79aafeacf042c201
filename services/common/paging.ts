/** Lists in pages: `limit` and an opaque `cursor`, which is the key of the last row that was sent. */
import { Type } from 'typebox'
import { BadCursor } from './errors.ts'

export const PageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 400, description: 'nextCursor of the answer before' }))
}

export const NextCursor = Type.Union([Type.String(), Type.Null()], { description: 'null: this was the last page' })

export type CursorPart = string | number

export function writeCursor (parts: readonly CursorPart[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/** `form`: a letter for each part, `s` for text and `n` for a number. Throws `BAD_CURSOR`. */
export function readCursor (cursor: string, form: string): CursorPart[] {
  const parts = parse(cursor)
  const isRight = Array.isArray(parts) && parts.length === form.length && parts.every((part, i) => typeof part === (form[i] === 's' ? 'string' : 'number'))
  if (!isRight) throw new BadCursor()
  return parts as CursorPart[]
}

function parse (cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}

/** Of `limit + 1` rows that were asked for: the page, and the cursor of the next one. */
export function toPage<T> (rows: readonly T[], limit: number, keyOf: (row: T) => readonly CursorPart[]): { page: T[], nextCursor: string | null } {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { page, nextCursor: rows.length > limit && last !== undefined ? writeCursor(keyOf(last)) : null }
}
