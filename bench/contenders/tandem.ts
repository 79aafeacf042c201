/** This package, on both engines; and its transaction in the ways in which it can be asked. */
import type { EngineName, Queryable, Statement } from '../../plugins/db/types.ts'
import { openAt } from '../sqlite/tandem.ts'
import { CONNECTIONS, operations, type Contender, type Entrant } from './contender.ts'
import { NOTE, sql } from './data.ts'

export const OURS = 'fastify-tandem'
export const OURS_NOT_AWAITED = 'fastify-tandem, writes not awaited'

export const tandem = (engine: EngineName): Entrant => ({ name: OURS, can: operations, open: async target => await open(engine, target, transferAwaited) })

export const tandemNotAwaited = (engine: EngineName): Entrant => ({
  name: OURS_NOT_AWAITED,
  can: ['transfer'],
  async open (target) {
    const { transfer, close } = await open(engine, target, transferNotAwaited)
    return { transfer, close }
  }
})

async function open (engine: EngineName, target: string, transfer: Transfer): Promise<Required<Contender>> {
  const db = await openAt(engine === 'sqlite' ? `sqlite:${target}` : target, { DB_POOL_MAX: String(CONNECTIONS), DB_ACQUIRE_TIMEOUT: '1min' })
  const [point, list, insert, statements] = [db.prepare(sql.point), db.prepare(sql.list), db.prepare(sql.insert), prepareTransfer(db)]
  return {
    point: id => point.get(id),
    list: id => list.all(id),
    insert: id => insert.run(id, NOTE),
    transfer: id => db.tx(() => transfer(statements, id)),
    close: () => db.close()
  }
}

// --- the transaction -------------------------------------------------------------------------------------------------------------

export interface TransferStatements { readonly account: Statement<{ n: number }>, readonly add: Statement, readonly entry: Statement }

export type Transfer = (statements: TransferStatements, id: number) => Promise<void>

export function prepareTransfer (db: Queryable): TransferStatements {
  return { account: db.prepare(sql.account), add: db.prepare(sql.add), entry: db.prepare(sql.entry) }
}

export const transferAwaited: Transfer = async ({ account, add, entry }, id) => {
  const row = await account.get(id)
  await add.run(id)
  await entry.run(id, row?.n ?? null)
}

/** The transaction awaits them and fails with them. */
export const transferNotAwaited: Transfer = async ({ account, add, entry }, id) => {
  const row = await account.get(id)
  void add.run(id)
  void entry.run(id, row?.n ?? null)
}
