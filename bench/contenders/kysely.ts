/** Kysely, with better-sqlite3 or with pg. */
import type Sqlite from 'better-sqlite3'
import pg from 'pg'
import type { EngineName } from '../../plugins/db/types.ts'
import { load } from '../packages.ts'
import { openRaw } from '../sqlite/raw.ts'
import { CONNECTIONS, operations, type Entrant } from './contender.ts'
import { NOTE, RANGE } from './data.ts'

/** What of it is used here. */
interface Select { where: (column: string, is: '=' | '>=', value: unknown) => Select, orderBy: (column: string) => Select, limit: (rows: number) => Select, execute: () => Promise<unknown>, executeTakeFirst: () => Promise<unknown> }
interface Query {
  selectFrom: (table: string) => { select: (columns: string[]) => Select }
  updateTable: (table: string) => { set: (change: (by: (column: string, operator: '+', value: number) => unknown) => object) => { where: (column: string, is: '=', value: unknown) => { execute: () => Promise<unknown> } } }
  insertInto: (table: string) => { values: (row: object) => { execute: () => Promise<unknown> } }
}
interface Package {
  Kysely: new (options: { dialect: unknown }) => Query & { transaction: () => { execute: (fn: (trx: Query) => Promise<void>) => Promise<void> }, destroy: () => Promise<void> }
  SqliteDialect: new (options: { database: Sqlite.Database }) => unknown
  PostgresDialect: new (options: { pool: pg.Pool }) => unknown
}

const columns = ['id', 'a', 'b', 'c']

export const kysely = (engine: EngineName): Entrant => ({
  name: 'Kysely',
  needs: ['kysely'],
  can: operations,
  async open (target) {
    const { Kysely, SqliteDialect, PostgresDialect } = await load<Package>('kysely')
    const dialect = engine === 'sqlite' ? new SqliteDialect({ database: openRaw(target) }) : new PostgresDialect({ pool: new pg.Pool({ connectionString: target, max: CONNECTIONS }) })
    const db = new Kysely({ dialect })
    return {
      point: id => db.selectFrom('item').select(columns).where('id', '=', id).executeTakeFirst(),
      list: id => db.selectFrom('item').select(columns).where('id', '>=', id).orderBy('id').limit(RANGE).execute(),
      insert: id => db.insertInto('note').values({ account: id, body: NOTE }).execute(),
      transfer: id => db.transaction().execute(async trx => {
        const row = await trx.selectFrom('account').select(['id', 'n']).where('id', '=', id).executeTakeFirst() as { n: number }
        await trx.updateTable('account').set(by => ({ n: by('n', '+', 1) })).where('id', '=', id).execute()
        await trx.insertInto('entry').values({ account: id, n: row.n }).execute()
      }),
      close: () => db.destroy()
    }
  }
})
