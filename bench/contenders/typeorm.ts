/** TypeORM, with better-sqlite3 (one connection) or with pg. */
import type { EngineName } from '../../plugins/db/types.ts'
import { load } from '../packages.ts'
import { CONNECTIONS, oneByOne, operations, type Entrant } from './contender.ts'
import { NOTE, RANGE } from './data.ts'

/** What of it is used here. */
interface Manager {
  findOneBy: (entity: object, where: object) => Promise<unknown>
  find: (entity: object, options: object) => Promise<unknown>
  insert: (entity: object, row: object) => Promise<unknown>
  increment: (entity: object, where: object, column: string, by: number) => Promise<unknown>
}
interface Package {
  DataSource: new (options: object) => { initialize: () => Promise<void>, destroy: () => Promise<void>, manager: Manager, transaction: (fn: (manager: Manager) => Promise<void>) => Promise<void> }
  EntitySchema: new (options: object) => object
  MoreThanOrEqual: (value: unknown) => unknown
}

const integer = { type: 'integer' } as const
const generated = { type: 'integer', primary: true, generated: true } as const

/** On SQLite its transactions share a connection: those that run at the same time would become one, so here each waits for the one before. */
export const typeorm = (engine: EngineName): Entrant => ({
  name: 'TypeORM',
  needs: ['typeorm'],
  can: operations,
  async open (target) {
    const { DataSource, EntitySchema, MoreThanOrEqual } = await load<Package>('typeorm')
    const float = engine === 'sqlite' ? 'real' : 'double precision'
    const Item = new EntitySchema({ name: 'item', tableName: 'item', columns: { id: { type: 'integer', primary: true }, a: integer, b: { type: 'text' }, c: { type: float } } })
    const Account = new EntitySchema({ name: 'account', tableName: 'account', columns: { id: { type: 'integer', primary: true }, n: integer } })
    const Entry = new EntitySchema({ name: 'entry', tableName: 'entry', columns: { id: generated, account: integer, n: integer } })
    const Note = new EntitySchema({ name: 'note', tableName: 'note', columns: { id: generated, account: integer, body: { type: 'text' } } })
    const source = new DataSource({
      entities: [Item, Account, Entry, Note],
      ...engine === 'sqlite' ? { type: 'better-sqlite3', database: target, enableWAL: true, prepareDatabase: setSynchronous } : { type: 'postgres', url: target, poolSize: CONNECTIONS }
    })
    await source.initialize()
    const { manager } = source
    const transfer = (id: number): Promise<void> => source.transaction(async tx => {
      const row = await tx.findOneBy(Account, { id }) as { n: number }
      await tx.increment(Account, { id }, 'n', 1)
      await tx.insert(Entry, { account: id, n: row.n })
    })
    return {
      point: async id => await manager.findOneBy(Item, { id }) ?? undefined, // null
      list: id => manager.find(Item, { where: { id: MoreThanOrEqual(id) }, order: { id: 'ASC' }, take: RANGE }),
      insert: id => manager.insert(Note, { account: id, body: NOTE }),
      transfer: engine === 'sqlite' ? oneByOne(transfer) : transfer,
      close: () => source.destroy()
    }
  }
})

function setSynchronous (db: { pragma: (text: string) => unknown }): void {
  db.pragma('synchronous = NORMAL')
}
