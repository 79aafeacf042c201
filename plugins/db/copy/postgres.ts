/** What a copy does differently on PostgreSQL. Beside sqlite.ts, name for name. */
import type { Column as Content, Database, Queryable, Row } from '../types.ts'
import { decode } from './checksum.ts'
import { during, isLasting } from './failures.ts'
import { hasManyForms, spellJson } from './json.ts'
import { namesOf, quote } from './names.ts'
import type { Column, Contents, Dialect, KeyColumn, Table } from './types.ts'

interface PostgresTable extends Row { oid: number, name: string, kind: string }
interface PostgresColumn extends Row { name: string, type: string, is_bytes: number, is_generated: number, sequence: string | null }
interface PostgresKey extends Row { name: string, parent: string, is_deferrable: number, is_deferred: number }

export const postgres: Dialect = {
  identify: async db => {
    const row = await db.prepare('SELECT system_identifier AS server, current_database() AS name, current_schema() AS schema FROM pg_control_system()').get()
    return `${String(row?.server)}/${String(row?.name)}/${String(row?.schema)}`
  },

  readTables: async db => {
    const tables = await db.prepare<PostgresTable>(`SELECT c.oid, c.relname AS name, c.relkind AS kind
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't' AND pg_table_is_visible(c.oid)
        AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND NOT EXISTS (SELECT 1 FROM pg_depend AS d WHERE d.classid = CAST('pg_class' AS REGCLASS) AND d.objid = c.oid AND d.deptype = 'e')
      ORDER BY c.relname`).all()
    const described: Table[] = []
    for (const table of tables) described.push(await readTable(db, table))
    return described
  },

  /** As text, everything comes back as it was; a numeric with its zeros too. */
  ownField: ({ name, holds }) => holds === 'bytes' ? quote(name) : `CAST(${quote(name)} AS TEXT)`,

  commonField: column => formOf(quote(column.name), column),

  keyField: ({ name }) => `CAST(${quote(name)} AS TEXT)`,

  keyValue: ({ type }) => `CAST(CAST(? AS TEXT) AS ${type})`,

  /** In the text form; a column that is not for bytes gets the text that they are in UTF-8, since SQLite keeps bytes in columns of text. */
  convert: (content, { holds }) => {
    if (content === null) return null
    if (holds !== 'bytes') return content instanceof Uint8Array ? decode(content) : String(content)
    return typeof content === 'string' || content instanceof Uint8Array ? `\\x${Buffer.from(content as string).toString('hex')}` : undefined
  },

  prepare: ({ name }, columns, rows) => {
    const input = Buffer.from(rows.map(row => `${(row as ReadonlyArray<string | null>).map(toField).join('\t')}\n`).join(''))
    return async tx => { await tx.exec(`COPY ${quote(name)} (${namesOf(columns)}) FROM STDIN`, input) }
  },

  empty: async (tx, tables) => {
    if (tables.length > 0) await tx.exec(`TRUNCATE ${tables.map(({ relation }) => relation).join(', ')}`)
  },

  /** For this transaction only, since `checkKeys` gives them back what they were; so a key that is not deferrable can be deferred as well. */
  deferKeys: async (tx, keys) => {
    for (const { child, name } of keys) await tx.exec(`ALTER TABLE ${quote(child)} ALTER CONSTRAINT ${quote(name)} DEFERRABLE INITIALLY DEFERRED`)
  },

  checkKeys: async (tx, keys) => {
    for (const { child, name } of keys) await during(child, async () => { await tx.exec(`SET CONSTRAINTS ${quote(name)} IMMEDIATE`) })
    await tx.exec('SET CONSTRAINTS ALL IMMEDIATE') // those that are always deferred
    for (const { child, name, timing } of keys) await tx.exec(`ALTER TABLE ${quote(child)} ALTER CONSTRAINT ${quote(name)} ${timing}`)
  },

  finish: async (tx, table) => {
    for (const { name, sequence } of table.columns) if (sequence != null) await moveSequence(tx, table, name, sequence)
    await tx.exec(`ANALYZE ${quote(table.name)}`)
  },

  /** Of a partitioned table none, since its definition leaves the partitions out; nor one about which there is more to know than its definition. */
  findIndices: async (tx, { name }) => await tx.prepare<{ name: string, sql: string }>(`SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS sql
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = CAST(CAST(? AS TEXT) AS REGCLASS) AND c.relkind = 'i' AND NOT i.indisunique AND NOT i.indisexclusion AND NOT i.indisclustered AND NOT i.indisreplident
      AND NOT EXISTS (SELECT 1 FROM pg_depend AS d WHERE d.classid = CAST('pg_class' AS REGCLASS) AND d.objid = c.oid AND d.deptype <> 'a' AND d.deptype <> 'n')
      AND NOT EXISTS (SELECT 1 FROM pg_description AS d WHERE d.classoid = CAST('pg_class' AS REGCLASS) AND d.objoid = c.oid)
    ORDER BY i.indexrelid`).all(quote(name)),

  settle: (columns, rows) => {
    const documents = columns.flatMap(({ type }, i) => type === 'jsonb' ? [i] : [])
    if (documents.length === 0) return rows
    return rows.map(row => row.map((content, i) => typeof content === 'string' && documents.includes(i) ? spellJson(content) : content))
  },

  /** The server puts them into its own form: JSON, timestamps, numbers that are written otherwise. What it cannot read stays as it is, and so is not the same. */
  normalise: async (db, columns, rows) => {
    const texts = rows.map(row => row.map((content, i) => content instanceof Uint8Array && columns[i]?.holds !== 'bytes' ? decode(content) ?? content : content))
    const asked = columns.flatMap((column, i) => texts.some(row => mayBeReformed(row[i], column)) ? [{ column, i }] : [])
    const forms = asked.length === 0 ? [] : await askForms(db, asked, texts)
    for (const [n, form] of forms.entries()) for (const { i } of asked) (texts[n] as Content[])[i] = form[fieldName(i)] ?? texts[n]?.[i] ?? null
    return postgres.settle(columns, texts)
  }
}

async function readTable (db: Queryable, { oid, name, kind }: PostgresTable): Promise<Table> {
  const columns = await db.prepare<PostgresColumn>(`SELECT a.attname AS name, format_type(a.atttypid, -1) AS type, a.attgenerated <> '' AS is_generated,
      CAST('bytea' AS REGTYPE) IN (t.oid, t.typbasetype) AS is_bytes, pg_get_serial_sequence(CAST(CAST(a.attrelid AS REGCLASS) AS TEXT), a.attname) AS sequence
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = ? AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`).all(oid)
  const key = await findKey(db, oid)
  const keys = await db.prepare<PostgresKey>(`SELECT k.conname AS name, p.relname AS parent, k.condeferrable AS is_deferrable, k.condeferred AS is_deferred
    FROM pg_constraint AS k JOIN pg_class AS p ON p.oid = k.confrelid WHERE k.conrelid = ? AND k.contype = 'f' AND NOT p.relispartition`).all(oid)
  return {
    name,
    relation: kind === 'r' ? `ONLY ${quote(name)}` : quote(name),
    hasRows: kind !== 'f',
    columns: columns.map(({ is_bytes, is_generated, ...column }) => ({ ...column, holds: is_bytes === 1 ? 'bytes' : 'any', isGenerated: is_generated === 1 })),
    foreignKeys: keys.map(key => ({ child: name, parent: key.parent, name: key.name, timing: timingOf(key) })),
    key,
    label: key
  }
}

/** The primary key, or another unique index over whole columns that are NOT NULL. */
async function findKey (db: Queryable, oid: number): Promise<KeyColumn[]> {
  return await db.prepare<{ name: string, type: string }>(`SELECT a.attname AS name, format_type(a.atttypid, -1) AS type
    FROM (SELECT i.indrelid, i.indkey FROM pg_index AS i
      WHERE i.indrelid = ? AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts
        AND NOT EXISTS (SELECT 1 FROM pg_attribute AS n WHERE n.attrelid = i.indrelid AND n.attnum = ANY (i.indkey) AND NOT n.attnotnull)
      ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1) AS k
    CROSS JOIN LATERAL unnest(k.indkey) WITH ORDINALITY AS place (attnum, n)
    JOIN pg_attribute AS a ON a.attrelid = k.indrelid AND a.attnum = place.attnum ORDER BY place.n`).all(oid)
}

function timingOf ({ is_deferrable: isDeferrable, is_deferred: isDeferred }: PostgresKey): string {
  return isDeferrable === 0 ? 'NOT DEFERRABLE' : `DEFERRABLE INITIALLY ${isDeferred === 1 ? 'DEFERRED' : 'IMMEDIATE'}`
}

/** By ALTER SEQUENCE, which is undone by a rollback; setval is not. */
async function moveSequence (tx: Queryable, { relation }: Table, column: string, sequence: string): Promise<void> {
  const row = await tx.prepare(`SELECT max(${quote(column)}) + 1 AS next, pg_sequence_last_value(CAST(? AS REGCLASS)) AS last,
    (SELECT seqstart FROM pg_sequence WHERE seqrelid = CAST(? AS REGCLASS)) AS start FROM ${relation}`).get(sequence, sequence)
  const { next, last, start } = row as { next: number | bigint | null, last: number | bigint | null, start: number | bigint }
  if (next !== null && next > (last ?? start)) await tx.exec(`ALTER SEQUENCE ${sequence} RESTART WITH ${next}`)
}

// --- rows as text ------------------------------------------------------------------------------------------------------------------

const SPECIAL = /[\\\t\n\r]/
const SPECIALS = /[\\\t\n\r]/g
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS */
function toField (text: string | null): string {
  if (text === null) return '\\N'
  return SPECIAL.test(text) ? text.replace(SPECIALS, character => escapes[character] as string) : text
}

/** https://www.postgresql.org/docs/18/arrays.html#ARRAYS-IO */
function arrayOf (texts: ReadonlyArray<string | null>): string {
  return `{${texts.map(text => text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}

// --- one form for what can be written in several ---------------------------------------------------------------------------------------

/** Types whose values have one form only: as they are read, they are compared. */
const NUMBERS = new Set(['smallint', 'integer', 'bigint', 'oid', 'real', 'double precision', 'boolean'])
const TEXTS = new Set(['text', 'character varying', 'json', 'bytea'])

function formOf (value: string, { type, holds }: Column): string {
  if (holds === 'bytes' || NUMBERS.has(type) || TEXTS.has(type)) return value
  return type === 'numeric' ? `CAST(trim_scale(${value}) AS TEXT)` : `CAST(${value} AS TEXT)`
}

/** A number of SQLite is printed as one of PostgreSQL; a text in its place may be written in another way. */
function mayBeReformed (content: Content | undefined, { type, holds }: Column): boolean {
  if (content == null || holds === 'bytes' || TEXTS.has(type)) return false
  if (type === 'jsonb') return hasManyForms(String(content))
  return typeof content === 'string' || !NUMBERS.has(type)
}

function fieldName (i: number): string {
  return `f${i}`
}

interface Asked { readonly column: Column, readonly i: number }

/** Outside of the transaction, which a value that cannot be read would end. Then each half is asked for apart. */
async function askForms (db: Database, asked: readonly Asked[], rows: Contents): Promise<Row[]> {
  const fields = asked.map(({ column, i }) => `${formOf(`CAST(c${i} AS ${column.type})`, column)} AS ${fieldName(i)}`)
  const texts = asked.map(({ column, i }) => arrayOf(rows.map(row => postgres.convert(row[i] as Content, column) as string | null ?? null)))
  const ask = db.prepare(`SELECT ${fields.join(', ')} FROM unnest(${asked.map(() => 'CAST(? AS TEXT[])').join(', ')})
    WITH ORDINALITY AS asked (${asked.map(({ i }) => `c${i}`).join(', ')}, n) ORDER BY n`)
  try {
    return await db.outsideTx(async () => await ask.all(...texts))
  } catch (error) {
    if (!isLasting(error)) throw error
    if (rows.length === 1) return [{}]
    const half = Math.ceil(rows.length / 2)
    return [...await askForms(db, asked, rows.slice(0, half)), ...await askForms(db, asked, rows.slice(half))]
  }
}
