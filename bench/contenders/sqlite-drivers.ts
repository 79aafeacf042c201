/** The drivers of SQLite without anything: better-sqlite3, node:sqlite and sqlite3, with the same PRAGMAs. */
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { load } from '../packages.ts'
import { openRaw } from '../sqlite/raw.ts'
import { oneByOne, operations, type Entrant } from './contender.ts'
import { NOTE, sql } from './data.ts'

export const RAW = 'better-sqlite3'

const pragmas = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON'

/** Synchronous: who asks it while another asks, waits, and so does everything else of the process. */
export const betterSqlite3: Entrant = {
  name: RAW,
  can: operations,
  async open (path) {
    const db = openRaw(path)
    const [point, list, insert, account, add, entry] = [db.prepare(sql.point), db.prepare(sql.list), db.prepare(sql.insert), db.prepare<[number], { n: number }>(sql.account), db.prepare(sql.add), db.prepare(sql.entry)]
    const transfer = db.transaction((id: number) => {
      const row = account.get(id)
      add.run(id)
      entry.run(id, row?.n)
    })
    return {
      point: id => point.get(id),
      list: id => list.all(id),
      insert: id => insert.run(id, NOTE),
      transfer: id => { transfer.immediate(id) },
      close: () => db.close()
    }
  }
}

export const nodeSqlite: Entrant = {
  name: 'node:sqlite',
  can: operations,
  async open (path) {
    const db = new DatabaseSync(path)
    db.exec(pragmas)
    const [point, list, insert, account, add, entry] = [db.prepare(sql.point), db.prepare(sql.list), db.prepare(sql.insert), db.prepare(sql.account), db.prepare(sql.add), db.prepare(sql.entry)]
    const [begin, commit, rollback] = [db.prepare('BEGIN IMMEDIATE'), db.prepare('COMMIT'), db.prepare('ROLLBACK')]
    return {
      point: id => point.get(id),
      list: id => list.all(id),
      insert: id => insert.run(id, NOTE),
      transfer: id => {
        begin.run()
        try {
          const row = account.get(id) as { n: number }
          add.run(id)
          entry.run(id, row.n)
          commit.run()
        } catch (error) {
          rollback.run()
          throw error
        }
      },
      close: () => { db.close() }
    }
  }
}

// --- sqlite3 ---------------------------------------------------------------------------------------------------------------------

type Done = (error: Error | null, answer?: unknown) => void
type Call = (values: unknown[], done: Done) => void
interface Statement { get: Call, all: Call, run: Call }
interface Connection { prepare: (text: string) => Statement, exec: (text: string, done: Done) => void, close: (done: Done) => void }
interface Package { default: { Database: new (path: string, done: Done) => Connection } }

/** It knows no transactions: one has to wait for the other here, or their statements would get mixed. */
export const sqlite3: Entrant = {
  name: 'sqlite3',
  needs: ['sqlite3'],
  can: operations,
  async open (path) {
    const { default: { Database } } = await load<Package>('sqlite3')
    const db = await new Promise<Connection>((resolve, reject) => {
      const opened: Connection = new Database(path, error => { if (error === null) resolve(opened); else reject(error) })
    })
    const exec = promisify((text: string, done: Done) => { db.exec(text, done) })
    await exec(pragmas)
    const prepare = (text: string, how: keyof Statement): (values: unknown[]) => Promise<unknown> => {
      const statement = db.prepare(text)
      return promisify((values: unknown[], done: Done) => { statement[how](values, done) })
    }
    const [point, list, insert] = [prepare(sql.point, 'get'), prepare(sql.list, 'all'), prepare(sql.insert, 'run')]
    const [account, add, entry] = [prepare(sql.account, 'get'), prepare(sql.add, 'run'), prepare(sql.entry, 'run')]
    const [begin, commit] = [prepare('BEGIN IMMEDIATE', 'run'), prepare('COMMIT', 'run')]
    const transfer = async (id: number): Promise<void> => {
      await begin([])
      const row = await account([id]) as { n: number }
      await add([id])
      await entry([id, row.n])
      await commit([])
    }
    return {
      point: id => point([id]),
      list: id => list([id]),
      insert: id => insert([id, NOTE]),
      transfer: oneByOne(transfer),
      close: () => { db.close(() => {}) }
    }
  }
}
