/**
 * A file for the measurements that write: an account whose count has to be as many as there are entries.
 *
 * What is kept true: a transaction reads the count, writes the next one, and inserts an entry under a key of its own. So a lost update shows as a count that is too
 * small, half a transaction as a count that differs from the entries, and a lost transaction as a key that is missing.
 */
import type Sqlite from 'better-sqlite3'
import type { Database } from '../../plugins/db/types.ts'
import { openRaw } from './raw.ts'

const readSql = 'SELECT n FROM account WHERE id = 1'
const writeSql = 'UPDATE account SET n = ? WHERE id = 1'
const insertSql = 'INSERT INTO entry (key, note) VALUES (?, ?)'
const note = 'what was done, in some words that make a row as long as a row is'

export function makeLedger (path: string): void {
  const db = openRaw(path)
  db.exec(`CREATE TABLE account (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO account VALUES (1, 0);
    CREATE TABLE entry (key TEXT PRIMARY KEY, note TEXT NOT NULL)`)
  db.close()
}

/** One transaction of three statements. */
export async function addEntry (db: Database, key: string): Promise<void> {
  await db.tx(async tx => {
    const { n } = await tx.prepare<{ n: number }>(readSql).get() ?? { n: NaN }
    await tx.prepare(writeSql).run(n + 1)
    await tx.prepare(insertSql).run(key, note)
  })
}

/** The same, as one writes it with better-sqlite3. */
export function prepareRawEntry (db: Sqlite.Database): (key: string) => void {
  const [read, write, insert] = [db.prepare<[], { n: number }>(readSql), db.prepare(writeSql), db.prepare(insertSql)]
  const transaction = db.transaction((key: string) => {
    const { n } = read.get() ?? { n: NaN }
    write.run(n + 1)
    insert.run(key, note)
  })
  return key => { transaction.immediate(key) }
}

export interface Ledger { readonly count: number, readonly keys: ReadonlySet<string>, readonly integrity: string }

export function readLedger (path: string): Ledger {
  const db = openRaw(path)
  try {
    const { n: count } = db.prepare<[], { n: number }>(readSql).get() ?? { n: NaN }
    const keys = new Set(db.prepare<[], { key: string }>('SELECT key FROM entry').all().map(({ key }) => key))
    return { count, keys, integrity: String(db.pragma('integrity_check', { simple: true })) }
  } finally {
    db.close()
  }
}

/** What is wrong, if `expected` were told to be done; `others` more may be there. */
export function auditLedger ({ count, keys, integrity }: Ledger, expected: ReadonlySet<string>, others = 0): string[] {
  const missing = [...expected].filter(key => !keys.has(key))
  return [
    ...integrity === 'ok' ? [] : [`integrity_check says ${integrity}`],
    ...count === keys.size ? [] : [`the count is ${count}, and there are ${keys.size} entries`],
    ...missing.length === 0 ? [] : [`${missing.length} of ${expected.size} transactions are lost, such as ${missing[0]}`],
    ...keys.size <= expected.size + others ? [] : [`${keys.size} entries, and only ${expected.size} transactions succeeded`]
  ]
}
