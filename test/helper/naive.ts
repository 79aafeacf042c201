/**
 * The design that comes to mind first, kept here so that the tests can show why it is not ours: one SQLite connection, BEGIN and COMMIT around a
 * function, a flag in AsyncLocalStorage that says "in a transaction", and nothing that looks at who asks or what failed before.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import Sqlite from 'better-sqlite3'
import type { Test } from 'tap'

export interface Naive {
  run: (sql: string) => Promise<void>
  rows: (sql: string) => Promise<unknown[]>
  tx: <T>(fn: () => Promise<T>) => Promise<T>
}

export function openNaive (t: Test): Naive {
  const db = new Sqlite(':memory:')
  t.teardown(() => { db.close() })
  const inTransaction = new AsyncLocalStorage<boolean>()
  return {
    run: async sql => { db.exec(sql) },
    rows: async sql => db.prepare(sql).all(),
    tx: async fn => {
      if (inTransaction.getStore() === true) return await fn()
      db.exec('BEGIN')
      try {
        const value = await inTransaction.run(true, fn)
        db.exec('COMMIT')
        return value
      } catch (error) {
        db.exec('ROLLBACK')
        throw error
      }
    }
  }
}
