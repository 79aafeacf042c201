/** What a copy does differently on SQLite. Beside postgres.ts, name for name. */
import { statSync } from 'node:fs'
import { CopyFailed } from '../../errors.ts'
import { isInt64 } from '../sql.ts'
import type { Queryable, Row } from '../types.ts'
import { find, namesOf, quote } from './names.ts'
import type { Column, Dialect, KeyColumn, Table } from './types.ts'

interface SqliteTable extends Row { name: string, type: string, strict: number, wr: number }
interface SqliteColumn extends Row { name: string, type: string, notnull: number, pk: number, hidden: number }

/** Of one statement: more would not be faster. */
const INSERT_ROWS = 100
/** Of one statement: more is not possible. */
const INSERT_VALUES = 32_766

export const sqlite: Dialect = {
  identify: async db => {
    const row = await db.prepare('SELECT file FROM pragma_database_list WHERE name = \'main\'').get()
    const { dev, ino } = statSync(String(row?.file), { bigint: true })
    return `${dev}:${ino}`
  },

  readTables: async db => {
    const tables = await db.prepare<SqliteTable>(`SELECT name, type, strict, wr FROM pragma_table_list
      WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY name`).all()
    const described: Table[] = []
    for (const table of tables) described.push(await readTable(db, table, tables))
    return described
  },

  ownField: ({ name }) => quote(name),

  commonField: ({ name }) => quote(name),

  keyField: ({ name }) => quote(name),

  keyValue: () => '?',

  /**
   * SQLite writes the number 0.1 + 0.2 into a column of text with 15 digits, so it comes as text. In a column of numbers it makes a number of a text that looks like one,
   * which then must print the same. NaN would be NULL there; as text it comes back as what it was.
   */
  convert: (content, { holds }) => {
    if (typeof content === 'number') return holds === 'text' || Number.isNaN(content) ? String(content) : content
    if (typeof content !== 'string' && typeof content !== 'bigint') return content
    if ((holds === 'integer' || holds === 'real') && !isSameAsNumber(String(content), holds)) return undefined
    return typeof content === 'bigint' && !isInt64(content) ? String(content) : content
  },

  prepare: ({ name }, columns, rows) => {
    const size = Math.max(1, Math.min(INSERT_ROWS, Math.floor(INSERT_VALUES / columns.length)))
    const row = `(${columns.map(() => '?').join(', ')})`
    return async tx => {
      for (let start = 0; start < rows.length; start += size) {
        const some = rows.slice(start, start + size)
        await tx.prepare(`INSERT INTO ${quote(name)} (${namesOf(columns)}) VALUES ${new Array<string>(some.length).fill(row).join(', ')}`).run(...some.flat())
      }
    }
  },

  empty: async (tx, tables) => {
    await tx.exec('PRAGMA defer_foreign_keys = ON')
    for (const { name } of tables.toReversed()) await tx.exec(`DELETE FROM ${quote(name)}`)
  },

  /** Until the end of the transaction. */
  deferKeys: async (tx, keys) => {
    if (keys.length > 0) await tx.exec('PRAGMA defer_foreign_keys = ON')
  },

  /** COMMIT would find them too, but does not tell the table. */
  checkKeys: async (tx, keys, tables) => {
    for (const { name, foreignKeys } of tables) {
      if (keys.length === 0 || foreignKeys.length === 0) continue
      const row = await tx.prepare('SELECT parent FROM pragma_foreign_key_check(?) LIMIT 1').get(name)
      if (row !== undefined) throw new CopyFailed(name, `a foreign key of it points at a row of ${String(row.parent)} that is not there.`)
    }
  },

  finish: async () => {},

  findIndices: async (tx, { name }) => await tx.prepare<{ name: string, sql: string }>(`SELECT s.name, s.sql FROM sqlite_schema AS s JOIN pragma_index_list(?) AS l ON l.name = s.name
    WHERE s.type = 'index' AND s.sql IS NOT NULL AND l."unique" = 0 ORDER BY s.rowid`).all(name),

  settle: (_, rows) => rows,

  /** What comes from PostgreSQL is compared in PostgreSQL's form. */
  normalise: async (_, __, rows) => rows
}

/** The columns of a virtual table cannot be asked for without its module. */
async function readTable (db: Queryable, table: SqliteTable, tables: readonly SqliteTable[]): Promise<Table> {
  const { name, type, strict } = table
  if (type === 'virtual') return { name, relation: quote(name), hasRows: false, columns: [], foreignKeys: [], key: [], label: [] }
  const columns = await db.prepare<SqliteColumn>('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid').all(name)
  const key = await findKey(db, table, columns)
  const primary = primaryOf(columns)
  const keys = await db.prepare<{ parent: string }>('SELECT DISTINCT "table" AS parent FROM pragma_foreign_key_list(?)').all(name)
  return {
    name,
    relation: quote(name),
    hasRows: true,
    columns: columns.map(column => ({ name: column.name, type: column.type, holds: affinityOf(column.type, strict === 1), isGenerated: column.hidden > 1 })),
    foreignKeys: keys.map(({ parent }) => ({ child: name, parent: find(tables, parent)?.name ?? parent, name: '', timing: '' })),
    key,
    label: primary.length > 0 ? primary : key
  }
}

/**
 * The primary key, if no NULL can be in it: an alias of the rowid, or NOT NULL, or that of a table WITHOUT ROWID. Else the rowid itself, if no column has taken its name.
 * https://sqlite.org/lang_createtable.html#rowids_and_the_integer_primary_key
 */
async function findKey (db: Queryable, { name, wr }: SqliteTable, columns: readonly SqliteColumn[]): Promise<KeyColumn[]> {
  const primary = primaryOf(columns)
  const isIndexed = await db.prepare('SELECT 1 AS found FROM pragma_index_list(?) WHERE origin = \'pk\'').get(name) !== undefined
  const isComplete = wr === 1 || !isIndexed || primary.every(({ notnull }) => notnull === 1)
  if (primary.length > 0 && isComplete) return primary
  return columns.some(column => column.name.toLowerCase() === 'rowid') ? [] : [{ name: 'rowid', type: 'INTEGER' }]
}

function primaryOf (columns: readonly SqliteColumn[]): SqliteColumn[] {
  return columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk)
}

/** https://sqlite.org/datatype3.html#determination_of_column_affinity; NUMERIC does as INTEGER does. */
function affinityOf (type: string, isStrict: boolean): Column['holds'] {
  if (/INT/i.test(type)) return 'integer'
  if (/CHAR|CLOB|TEXT/i.test(type)) return 'text'
  if (type === '' || /BLOB/i.test(type) || (isStrict && /^ANY$/i.test(type))) return 'any'
  return /REAL|FLOA|DOUB/i.test(type) ? 'real' : 'integer'
}

const NUMBER = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/

function isSameAsNumber (text: string, holds: 'integer' | 'real'): boolean {
  if (!NUMBER.test(text)) return true
  const isInteger = holds === 'integer' && /^-?\d+$/.test(text) && isInt64(BigInt(text))
  return String(isInteger ? BigInt(text) : Number(text)) === text
}
