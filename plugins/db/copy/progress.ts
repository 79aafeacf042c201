/**
 * How far an unfinished copy has come: a table of the target, which is there from before the first row until everything is compared.
 *
 *  1. A place moves in the transaction that writes the rows before it. So it tells the truth after every end, also after that of the machine.
 *  2. It moves from where its writer believes it to be, or not at all: of two copies into one target one fails, and its rows with it.
 *  3. The row without a name holds what is copied, from where: another copy cannot go on here.
 */
import { CopyConcurrent } from '../../errors.ts'
import type { Queryable, Value } from '../types.ts'
import { RECORD } from './record.ts'

/** Behind which row a table is taken up. */
export interface Place {
  /** Of the last row; undefined before the first one, and for a table that is written as a whole. */
  readonly key: readonly Value[] | undefined
  readonly rows: number
  readonly isDone: boolean
}

export interface Progress { readonly what: string, readonly places: ReadonlyMap<string, Place> }

export const START: Place = { key: undefined, rows: 0, isDone: false }

interface Line { name: string, place: string | null, rows: number, is_done: number }

export async function createRecord (tx: Queryable, what: string, tables: readonly string[]): Promise<void> {
  await tx.exec(`CREATE TABLE ${RECORD} (name TEXT PRIMARY KEY, place TEXT, rows BIGINT NOT NULL, is_done BIGINT NOT NULL)`)
  const insert = tx.prepare(`INSERT INTO ${RECORD} (name, place, rows, is_done) VALUES (?, ?, 0, 0)`)
  await insert.run('', what)
  for (const table of tables) await insert.run(table, null)
}

export async function readRecord (db: Queryable): Promise<Progress> {
  const lines = await db.prepare<Line>(`SELECT name, place, rows, is_done FROM ${RECORD}`).all()
  const tables = lines.filter(({ name }) => name !== '')
  return {
    what: lines.find(({ name }) => name === '')?.place ?? '',
    places: new Map(tables.map(({ name, place, rows, is_done: isDone }) => [name, { key: place === null ? undefined : readKey(place), rows, isDone: isDone === 1 }]))
  }
}

/** Throws `TDM_ERR_COPY_CONCURRENT`. */
export async function movePlace (tx: Queryable, table: string, from: Place, to: Place): Promise<void> {
  const move = tx.prepare(`UPDATE ${RECORD} SET place = ?, rows = ?, is_done = ? WHERE name = ? AND rows = ? AND is_done = 0`)
  const { changes } = await move.run(to.key === undefined ? null : writeKey(to.key), to.rows, to.isDone, table, from.rows)
  if (changes !== 1) throw new CopyConcurrent()
}

export async function dropRecord (tx: Queryable): Promise<void> {
  await tx.exec(`DROP TABLE ${RECORD}`)
}

/** Values of a key as JSON, in which each is again what it was. */
export function writeKey (key: readonly Value[]): string {
  return JSON.stringify(key.map(value => typeof value === 'bigint' ? { integer: String(value) } : value instanceof Uint8Array ? { bytes: Buffer.from(value).toString('base64') } : value))
}

type Written = string | number | { integer: string, bytes?: undefined } | { bytes: string }

function readKey (text: string): Value[] {
  return (JSON.parse(text) as Written[]).map(value => {
    if (typeof value !== 'object') return value
    return value.bytes === undefined ? BigInt(value.integer) : Buffer.from(value.bytes, 'base64')
  })
}
