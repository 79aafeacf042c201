/**
 * Where the SQL of the two engines differs, under the same names. Everything else in this service is one text for both.
 *
 * What is kept true: both answer alike. LIKE ignores the case of ASCII letters only, `%` and `_` are wildcards and nothing escapes them; a JSON value of
 * another type than asked for is NULL; JSON that is not valid is NULL. Text columns sort by their bytes: that is SQLite's default and in the
 * PostgreSQL migration as COLLATE "C".
 *
 * JSON columns are BLOB or TEXT in SQLite (cc-backend writes both), jsonb in PostgreSQL, where invalid JSON was replaced on import.
 */
import type { EngineName } from '../../plugins/db/types.ts'
import { empty, identifier, sql, type Fragment } from './fragment.ts'

export interface Dialect {
  /** `text` matches the pattern. */
  like: (text: Fragment, pattern: string) => Fragment
  /** The column, so that a condition on it never decides which index is used. */
  unindexed: (column: Fragment) => Fragment
  /** Behind a table in FROM: this index is used, which has to be there. PostgreSQL chooses by itself. */
  along: (index: string) => Fragment
  /** The column holds valid JSON. */
  isJson: (column: Fragment) => Fragment
  /** The number at `key` of a JSON object, else NULL. The key must be a plain name. */
  jsonNumber: (column: Fragment, key: string) => Fragment
  /** The string at `key` of a JSON object, else NULL. The key must be a plain name. */
  jsonText: (column: Fragment, key: string) => Fragment
  /** Some element of the JSON array of objects has at `key` a string for which `test` holds. */
  someElement: (column: Fragment, key: string, test: (text: Fragment) => Fragment) => Fragment
  /** The elements of the JSON array of objects, to be joined under the name `element`. */
  eachElement: (column: Fragment) => Fragment
  /** Of an `element`: the string at `key`, else NULL. */
  elementText: (key: string) => Fragment
  /** The column's JSON object with the text `value` at `key`; of anything else the object with that alone. */
  withText: (column: Fragment, key: string, value: string) => Fragment
  /** The whole part of a number, towards 0. */
  truncate: (number: Fragment) => Fragment
  /** Makes transactions that name the same key wait for each other; undefined where all that write do so anyhow. */
  lock: (key: string) => Fragment | undefined
}

const sqlite: Dialect = {
  like: (text, pattern) => sql`${text} LIKE ${pattern}`,
  unindexed: column => sql`+${column}`,
  along: index => sql` INDEXED BY ${identifier(index)}`,
  isJson: column => sql`json_valid(${column})`,
  jsonNumber: (column, key) => jsonOfType(column, key, sql`'integer', 'real'`),
  jsonText: (column, key) => jsonOfType(column, key, sql`'text'`),
  someElement: (column, key, test) => sql`EXISTS (SELECT 1 FROM json_each(${arrayOrEmpty(column)}) AS element WHERE ${
    test(elementText(key))})`,
  eachElement: column => sql`json_each(${arrayOrEmpty(column)}) AS element`,
  elementText,
  withText: (column, key, value) => sql`json_patch(${objectOrEmpty(column)}, json_object(${key}, ${value}))`,
  truncate: number => sql`CAST(${number} AS INTEGER)`,
  lock: () => undefined
}

function elementText (key: string): Fragment {
  return sql`CASE element.type WHEN 'object' THEN ${jsonOfType(sql`element.value`, key, sql`'text'`)} END`
}

function objectOrEmpty (column: Fragment): Fragment {
  return sql`CASE WHEN json_valid(${column}) THEN CASE json_type(${column}) WHEN 'object' THEN ${column} ELSE '{}' END ELSE '{}' END`
}

/** CASE, because AND does not promise which side is looked at first, and `json_extract` fails on invalid JSON. */
function jsonOfType (column: Fragment, key: string, types: Fragment): Fragment {
  const path = sql`${`$."${plainKey(key)}"`}`
  return sql`CASE WHEN json_valid(${column}) THEN CASE WHEN json_type(${column}, ${path}) IN (${types}) THEN json_extract(${column}, ${path}) END END`
}

function arrayOrEmpty (column: Fragment): Fragment {
  return sql`CASE WHEN json_valid(${column}) THEN CASE json_type(${column}) WHEN 'array' THEN ${column} ELSE '[]' END ELSE '[]' END`
}

const postgres: Dialect = {
  like: (text, pattern) => sql`${text} COLLATE "C" ILIKE ${pattern} ESCAPE ''`,
  unindexed: column => column,
  along: () => empty,
  isJson: column => sql`${column} IS NOT NULL`,
  // NUMERIC, because a number in jsonb may be larger than a double precision can be, and that would be an error
  jsonNumber: (column, key) => sql`CAST(${jsonbOfType(column, key, sql`'number'`)} AS NUMERIC)`,
  jsonText: (column, key) => jsonbOfType(column, key, sql`'string'`),
  someElement: (column, key, test) => sql`EXISTS (SELECT 1 FROM jsonb_array_elements(${jsonbArrayOrEmpty(column)}) AS element(value) WHERE ${
    test(jsonbOfType(sql`element.value`, key, sql`'string'`))})`,
  eachElement: column => sql`jsonb_array_elements(${jsonbArrayOrEmpty(column)}) AS element(value)`,
  elementText: key => jsonbOfType(sql`element.value`, key, sql`'string'`),
  withText: (column, key, value) => sql`CASE jsonb_typeof(${column}) WHEN 'object' THEN ${column} ELSE '{}' END || jsonb_build_object(CAST(${key} AS TEXT), CAST(${value} AS TEXT))`,
  truncate: number => sql`CAST(trunc(${number}) AS BIGINT)`,
  lock: key => sql`SELECT pg_advisory_xact_lock(hashtextextended(${key}, 0)) AS locked`
}

function jsonbArrayOrEmpty (column: Fragment): Fragment {
  return sql`CASE jsonb_typeof(${column}) WHEN 'array' THEN ${column} ELSE '[]' END`
}

function jsonbOfType (column: Fragment, key: string, type: Fragment): Fragment {
  const name = sql`CAST(${plainKey(key)} AS TEXT)`
  return sql`CASE WHEN jsonb_typeof(${column} -> ${name}) = ${type} THEN ${column} ->> ${name} END`
}

export function isPlainKey (key: string): boolean {
  return /^[a-zA-Z0-9_]+$/.test(key)
}

/** The key becomes part of a path in SQLite, where a quote would end it. */
function plainKey (key: string): string {
  if (!isPlainKey(key)) throw new TypeError(`not a plain JSON key: ${key}`)
  return key
}

export const dialects: Readonly<Record<EngineName, Dialect>> = { sqlite, postgres }

/** The columns of `job` that filters and sorts name. */
export function column (name: string): Fragment {
  return identifier(`job.${name}`)
}
