/**
 * The indices of the target are taken away while rows come in, and made again from all of them, in a fraction of the time that it takes to keep them up to date.
 *
 * What is kept true: an index that is not there is in the record, in the same transaction; so none is lost, whatever ends. Those of keys, and what else makes rows unique, stay.
 */
import { CopyConcurrent } from '../../errors.ts'
import type { Queryable } from '../types.ts'
import { during } from './failures.ts'
import { quote } from './names.ts'
import { INDICES } from './record.ts'
import type { Dialect, Table } from './types.ts'

interface Index { table_name: string, name: string, sql: string }

export async function dropIndices (tx: Queryable, dialect: Dialect, tables: readonly Table[]): Promise<void> {
  await tx.exec(`CREATE TABLE IF NOT EXISTS ${INDICES} (table_name TEXT NOT NULL, name TEXT PRIMARY KEY, sql TEXT NOT NULL)`)
  for (const table of tables) {
    for (const { name, sql } of await dialect.findIndices(tx, table)) {
      await tx.prepare(`INSERT INTO ${INDICES} (table_name, name, sql) VALUES (?, ?, ?)`).run(table.name, name, sql)
      await tx.exec(`DROP INDEX ${quote(name)}`)
    }
  }
}

/** Each is a transaction, by `transact`. `onIndex`: told before each. */
export async function makeIndices (db: Queryable, transact: (fn: (tx: Queryable) => Promise<void>) => Promise<void>, onIndex: (name: string, table: string) => void): Promise<void> {
  for (const { table_name: table, name, sql } of await db.prepare<Index>(`SELECT table_name, name, sql FROM ${INDICES} ORDER BY table_name, name`).all()) {
    onIndex(name, table)
    await during(table, async () => {
      await transact(async tx => {
        const { changes } = await tx.prepare(`DELETE FROM ${INDICES} WHERE name = ?`).run(name)
        if (changes !== 1) throw new CopyConcurrent()
        await tx.exec(sql)
      })
    })
  }
}
