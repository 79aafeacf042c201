/**
 * Many rows for a table, as fast as the engine takes them: COPY on PostgreSQL, statements of many VALUES on SQLite; and a table without its indices meanwhile, since to build
 * one from all rows takes a fraction of the time that it takes to keep it up to date with each.
 *
 * What is kept true: everything happens in the transaction that is given, so that with it everything is undone.
 */
import type { Config } from '../../plugins/config/index.ts'
import type { EngineName, Queryable, Value } from '../../plugins/db/types.ts'
import { toCopyText } from './copy-text.ts'

export interface BulkTable {
  readonly name: string
  readonly columns: readonly BulkColumn[]
}

export interface BulkColumn {
  readonly name: string
  /** SQLite: the text is kept as a blob with that text in it, as cc-backend does. */
  readonly isBlob?: boolean
}

/** Rows of one statement: more would not be faster. SQLite binds at most 32766 values. */
export const bulkRows: Readonly<Record<EngineName, number>> = { sqlite: 100, postgres: 500 }

const HOUR_MS = 3_600_000

/**
 * The configuration for a process that does nothing but write rows: on the main thread, since to hand them to another one takes longer than to write them, and nobody else needs
 * this one. A checkpoint waits for the index that is being made, and comes before the next.
 */
export function bulkConfig (config: Config): Config {
  return { ...config, eventLoopBudgetMs: 1000, acquireTimeoutMs: HOUR_MS, sqlite: { ...config.sqlite, synchronous: 'normal' } }
}

/** Sends rows that are ready to be sent. */
export type Write = (tx: Queryable) => Promise<unknown>

/**
 * Makes rows ready, values in the order of the columns; at most `bulkRows`. Apart from the writing, so that it can be done while others are written. `textEvery`: each so many
 * rows one has no blobs.
 */
export function prepareRows (engine: EngineName, { name, columns }: BulkTable, rows: readonly (readonly Value[])[], textEvery = Infinity): Write {
  const names = columns.map(column => column.name).join(', ')
  if (engine === 'postgres') {
    const input = toCopyText(rows)
    return tx => tx.exec(`COPY ${name} (${names}) FROM STDIN`, input)
  }
  const texts = rowOf(columns, false)
  const blobs = rowOf(columns, true)
  const list = rows.map((_, i) => (i + 1) % textEvery === 0 ? texts : blobs).join(', ')
  const values = rows.flat()
  return tx => tx.prepare(`INSERT INTO ${name} (${names}) VALUES ${list}`).run(...values)
}

function rowOf (columns: readonly BulkColumn[], hasBlobs: boolean): string {
  return `(${columns.map(({ isBlob = false }) => isBlob && hasBlobs ? 'CAST(? AS BLOB)' : '?').join(', ')})`
}

/** An index as the catalog has it. */
export interface StoredIndex { readonly name: string, readonly sql: string }

/** Those that can be dropped and made again: not those of a PRIMARY KEY or a UNIQUE in the table. */
export async function findIndices (db: Pick<Queryable, 'prepare'>, engine: EngineName, table: string): Promise<StoredIndex[]> {
  return await db.prepare<{ name: string, sql: string }>(catalogs[engine]).all(table)
}

const catalogs: Readonly<Record<EngineName, string>> = {
  sqlite: 'SELECT name, sql FROM sqlite_master WHERE type = \'index\' AND tbl_name = ? AND sql IS NOT NULL ORDER BY rowid',
  postgres: `SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS sql FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = CAST(CAST(? AS TEXT) AS REGCLASS) AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k WHERE k.conindid = i.indexrelid) ORDER BY i.indexrelid`
}

/** Runs `fn` while the table has no indices but those of its keys, and makes them again. `onIndex`: told before each. */
export async function withoutIndices<T> (tx: Queryable, engine: EngineName, table: string, fn: () => Promise<T>, onIndex?: (name: string) => void): Promise<T> {
  const indices = await findIndices(tx, engine, table)
  for (const { name } of indices) await tx.exec(`DROP INDEX ${name}`)
  const result = await fn()
  for (const { name, sql } of indices) {
    onIndex?.(name)
    await tx.exec(sql)
  }
  return result
}
