/**
 * The statements that write a batch of rows into a table that has some, on both engines.
 *
 * SQLite takes them as VALUES with a parameter a value. For PostgreSQL they are one parameter, an array in JSON: half as fast again, since it need not plan
 * thousands of parameters for each batch.
 */
import type { EngineName, Value } from '../../plugins/db/types.ts'
import { Fragment, sql } from './fragment.ts'
import type { ColumnSpec, TableSpec } from './import-tables.ts'

export interface Batch {
  readonly table: TableSpec
  /** Values in the order of the table's columns. */
  readonly rows: readonly (readonly Value[])[]
}

/** Inserts the rows, and overwrites those that have the same primary key. */
export function replaceRows ({ table, rows }: Batch, engine: EngineName): Fragment {
  const names = table.columns.map(column => column.name)
  const updates = names.filter(name => !table.primaryKey.includes(name)).map(name => `${name} = excluded.${name}`)
  const onConflict = ` ON CONFLICT (${table.primaryKey.join(', ')}) DO UPDATE SET ${updates.join(', ')}`
  const head = new Fragment(`INSERT INTO ${table.name} (${names.join(', ')}) `)
  return sql`${head}${rowSources[engine](table.columns, rows)}${new Fragment(onConflict)}`
}

/** Deletes rows of the table that have the unique key of one of these rows, and another id. */
export function deleteRivals ({ table, rows }: Batch, uniqueKey: readonly string[], engine: EngineName): Fragment {
  const { name, columns } = table
  const places = ['id', ...uniqueKey].map(key => columns.findIndex(column => column.name === key))
  const keyColumns = places.map(place => columns[place] as ColumnSpec)
  const keys = rows.map(row => places.map(place => row[place] ?? null))
  const matches = uniqueKey.map(key => `${name}.${key} = incoming.${key}`).join(' AND ')
  const head = new Fragment(`WITH incoming (id, ${uniqueKey.join(', ')}) AS (`)
  const tail = new Fragment(`) DELETE FROM ${name} WHERE id IN (SELECT ${name}.id FROM incoming JOIN ${name} ON ${matches} WHERE ${name}.id <> incoming.id)`)
  return sql`${head}${rowSources[engine](keyColumns, keys)}${tail}`
}

type RowSource = (columns: readonly ColumnSpec[], rows: readonly (readonly Value[])[]) => Fragment

const rowSources: Readonly<Record<EngineName, RowSource>> = { sqlite: valuesOf, postgres: recordsOf }

function valuesOf (columns: readonly ColumnSpec[], rows: readonly (readonly Value[])[]): Fragment {
  const row = `(${columns.map(() => '?').join(', ')})`
  return new Fragment(`VALUES ${new Array<string>(rows.length).fill(row).join(', ')}`, rows.flat())
}

const types: Readonly<Record<ColumnSpec['kind'], string>> = { integer: 'BIGINT', real: 'DOUBLE PRECISION', text: 'TEXT', json: 'TEXT' }

/** JSON columns travel as texts, so that their digits stay as they are. */
function recordsOf (columns: readonly ColumnSpec[], rows: readonly (readonly Value[])[]): Fragment {
  const fields = columns.map(({ name, kind }) => kind === 'json' ? `CAST(${name} AS JSONB)` : name).join(', ')
  const definition = columns.map(({ name, kind }) => `${name} ${types[kind]}`).join(', ')
  const records = rows.map(row => Object.fromEntries(columns.map(({ name }, i) => [name, row[i]])))
  return new Fragment(`SELECT ${fields} FROM json_to_recordset(CAST(? AS JSON)) AS incoming (${definition})`, [JSON.stringify(records)])
}
