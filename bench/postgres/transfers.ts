/**
 * The transaction that is measured, by everybody in this process: read an account, add one to it, write an entry. Ours in the three ways in which it can be asked.
 *
 * Round trips: `transact` 5 (BEGIN, three statements, COMMIT); ours 4, for BEGIN travels with the first statement; 3 if COMMIT travels with the last; 2 if the writes
 * are not awaited one by one.
 */
import fastifyPostgres from '@fastify/postgres'
import Fastify from 'fastify'
import type { Transaction } from '../../plugins/db/types.ts'
import { asNamed, asText, transferBy } from '../contenders/pg-drivers.ts'
import { prepareTransfer, transferAwaited, transferNotAwaited, type TransferStatements } from '../contenders/tandem.ts'
import { CONNECTIONS } from '../contenders/contender.ts'
import { openDb } from './clients.ts'

export interface Transferrer {
  readonly name: string
  readonly transfer: (account: number) => Promise<unknown>
}

export interface Transferrers {
  /** The first is what the others are compared with. */
  readonly all: readonly Transferrer[]
  readonly close: () => Promise<void>
}

export const TRANSACT = '@fastify/postgres transact, text'
export const AWAITED = 'ours, awaited one by one'
export const LAST = 'ours, COMMIT with the last'
export const NOT_AWAITED = 'ours, writes not awaited'

export async function openTransferrers (url: string): Promise<Transferrers> {
  const app = Fastify()
  await app.register(fastifyPostgres, { connectionString: url, max: CONNECTIONS })
  await app.ready()
  const db = await openDb(url)
  const statements = prepareTransfer(db)
  return {
    all: [
      { name: TRANSACT, transfer: account => app.pg.transact(client => transferBy(asText, client, account)) },
      { name: '@fastify/postgres transact, named', transfer: account => app.pg.transact(client => transferBy(asNamed, client, account)) },
      { name: AWAITED, transfer: account => db.tx(() => transferAwaited(statements, account)) },
      { name: LAST, transfer: account => db.tx(tx => transferWithLast(tx, statements, account)) },
      { name: NOT_AWAITED, transfer: account => db.tx(() => transferNotAwaited(statements, account)) }
    ],
    close: async () => {
      await db.close()
      await app.close()
    }
  }
}

/** COMMIT travels with the last statement. */
async function transferWithLast (tx: Transaction, { account, add, entry }: TransferStatements, id: number): Promise<void> {
  const row = await account.get(id)
  await add.run(id)
  await tx.last(entry).run(id, row?.n ?? null)
}
