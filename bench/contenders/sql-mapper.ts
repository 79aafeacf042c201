/** Platformatic's sql-mapper, on both engines. */
import type { EngineName } from '../../plugins/db/types.ts'
import { load } from '../packages.ts'
import { CONNECTIONS, operations, type Entrant } from './contender.ts'
import { NOTE, RANGE } from './data.ts'

/** What of it is used here. */
type Tag = (text: TemplateStringsArray, ...values: unknown[]) => unknown
interface Transaction { query: (query: unknown) => Promise<unknown> }
interface Entity { find: (options: object) => Promise<unknown[]>, insert: (options: object) => Promise<unknown> }
interface Mapper {
  db: { tx: (fn: (tx: Transaction) => Promise<void>) => Promise<void>, dispose: () => Promise<void> }
  sql: Tag
  entities: Record<'item' | 'account' | 'entry' | 'note', Entity>
}
interface Package { connect: (options: object) => Promise<Mapper> }

const fields = ['id', 'a', 'b', 'c']
const nothing = (): void => {}
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }

export const sqlMapper = (engine: EngineName): Entrant => ({
  name: 'Platformatic sql-mapper',
  needs: ['@platformatic/sql-mapper'],
  can: operations,
  async open (target) {
    const { connect } = await load<Package>('@platformatic/sql-mapper')
    const { db, sql, entities: { item, account, entry, note } } = await connect({ connectionString: engine === 'sqlite' ? `sqlite://${target}` : target, poolSize: CONNECTIONS, log: silent })
    return {
      point: async id => {
        const [row] = await item.find({ where: { id: { eq: id } }, fields, limit: 1 }) as Array<{ id: string }>
        return row === undefined ? row : withNumber(row)
      },
      list: async id => {
        const rows = await item.find({ where: { id: { gte: id } }, orderBy: [{ field: 'id', direction: 'asc' }], fields, limit: RANGE }) as Array<{ id: string }>
        return rows.map(withNumber)
      },
      insert: id => note.insert({ inputs: [{ account: id, body: NOTE }] }),
      transfer: id => db.tx(async tx => {
        const [row] = await account.find({ where: { id: { eq: id } }, limit: 1, tx }) as Array<{ n: number }>
        await tx.query(sql`UPDATE account SET n = n + 1 WHERE id = ${id}`) // save() would write what was read, and lose what others have added
        await entry.insert({ inputs: [{ account: id, n: row?.n }], tx })
      }),
      close: () => db.dispose()
    }
  }
})

/** It gives primary keys as text. */
function withNumber (row: { id: string }): object {
  return { ...row, id: Number(row.id) }
}
