/**
 * Cursors: where the next page of a list begins, as text for the client, which need not understand it.
 *
 * What is kept true: one that belongs to a list with another filter or order is refused, since it would point anywhere. Nothing in it is secret or trusted: it narrows
 * what its reader may see anyway, and its values are only ever bound.
 */
import { createHash } from 'node:crypto'
import { JobsBadCursor } from './errors.ts'
import type { JobFilter, Order, Position } from './schema.ts'

/** The list that a cursor belongs to. */
export interface ListKey { readonly filter: JobFilter, readonly order: Order }

export function writeCursor ({ value, id }: Position, { filter, order }: ListKey): string {
  return Buffer.from(JSON.stringify([nameOf(order), value, id, checkOf(filter)])).toString('base64url')
}

/** Throws `TDM_ERR_JOBS_BAD_CURSOR`. */
export function readCursor (cursor: string, { filter, order }: ListKey): Position {
  const [name, value, id, check] = parse(cursor)
  if (!isText(name) || !(value === null || isText(value)) || !isText(id)) throw new JobsBadCursor('it is not one that this service has made.')
  if (name !== nameOf(order)) throw new JobsBadCursor(`it belongs to a list with sort=${name.slice(0, 100)}, and this one has sort=${nameOf(order)}.`)
  if (check !== checkOf(filter)) throw new JobsBadCursor('it belongs to a list with another filter.')
  return { value, id }
}

/** As in the query string: '-startTime'. */
function nameOf ({ field, type, order }: Order): string {
  return `${order === 'DESC' ? '-' : ''}${type === 'col' ? '' : 'footprint.'}${field}`
}

function checkOf (filter: JobFilter): string {
  return createHash('sha256').update(JSON.stringify(filter)).digest('base64url').slice(0, 12)
}

function parse (cursor: string): unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(parts) ? parts : []
  } catch {
    return []
  }
}

function isText (part: unknown): part is string {
  return typeof part === 'string'
}
