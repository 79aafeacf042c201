/** Knex, with better-sqlite3 (one connection, as it does by itself) or with pg. */
import type { EngineName } from '../../plugins/db/types.ts'
import { load } from '../packages.ts'
import { CONNECTIONS, operations, type Entrant } from './contender.ts'
import { NOTE, RANGE } from './data.ts'

/** What of it is used here. */
interface Table {
  where: {
    (column: string, value: unknown): { first: (...columns: string[]) => Promise<unknown>, increment: (column: string, by: number) => Promise<unknown> }
    (column: string, is: '>=', value: unknown): { orderBy: (column: string) => { limit: (rows: number) => { select: (...columns: string[]) => Promise<unknown> } } }
  }
  insert: (row: object) => Promise<unknown>
}
type Query = (table: string) => Table
interface Knex extends Query { transaction: (fn: (trx: Query) => Promise<void>) => Promise<void>, raw: (text: string) => Promise<unknown>, destroy: () => Promise<void> }
interface Package { default: (options: object) => Knex }

const columns = ['id', 'a', 'b', 'c']

export const knex = (engine: EngineName): Entrant => ({
  name: 'Knex',
  needs: ['knex'],
  can: operations,
  async open (target) {
    const { default: open } = await load<Package>('knex')
    const db = engine === 'sqlite'
      ? open({ client: 'better-sqlite3', connection: { filename: target }, useNullAsDefault: true })
      : open({ client: 'pg', connection: target, pool: { min: 0, max: CONNECTIONS } })
    if (engine === 'sqlite') await db.raw('PRAGMA synchronous = NORMAL')
    return {
      point: id => db('item').where('id', id).first(...columns),
      list: id => db('item').where('id', '>=', id).orderBy('id').limit(RANGE).select(...columns),
      insert: id => db('note').insert({ account: id, body: NOTE }),
      transfer: id => db.transaction(async trx => {
        const row = await trx('account').where('id', id).first('id', 'n') as { n: number }
        await trx('account').where('id', id).increment('n', 1)
        await trx('entry').insert({ account: id, n: row.n })
      }),
      close: () => db.destroy()
    }
  }
})
