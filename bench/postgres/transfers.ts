/**
 * The transaction that is measured, by everybody in this process: read an account, add one to it, write an entry. Ours in the three ways in which it can be asked.
 *
 * Round trips: `transact` 5 (BEGIN, three statements, COMMIT); ours 4, for BEGIN travels with the first statement; 3 if COMMIT travels with the last; 2 if the writes
 * are not awaited one by one.
 */
import fastifyPostgres from '@fastify/postgres'
import Fastify from 'fastify'
import type { Queryable, Statement, Transaction } from '../../plugins/db/types.ts'
import { CONNECTIONS, openDb } from './clients.ts'
import { sql } from './data.ts'

export interface Transferrer {
  readonly name: string
  readonly transfer: (account: number) => Promise<unknown>
}

export interface Transferrers {
  /** The first is what the others are compared with. */
  readonly all: readonly Transferrer[]
  readonly missing: readonly string[]
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
  const statements = prepare(db)
  const hasLast = await db.tx(tx => 'last' in tx)
  return {
    all: [
      { name: TRANSACT, transfer: account => app.pg.transact(client => transferByPg(client, account)) },
      { name: '@fastify/postgres transact, named', transfer: account => app.pg.transact(client => transferByName(client, account)) },
      { name: AWAITED, transfer: account => db.tx(() => transferAwaited(statements, account)) },
      ...hasLast ? [{ name: LAST, transfer: (account: number) => db.tx(tx => transferWithLast(tx, statements, account)) }] : [],
      { name: NOT_AWAITED, transfer: account => db.tx(() => transferNotAwaited(statements, account)) }
    ],
    missing: hasLast ? [] : [LAST],
    close: async () => {
      await db.close()
      await app.close()
    }
  }
}

// --- pg --------------------------------------------------------------------------------------------------------------------------

/** The part of a client of pg that is used. */
export interface PgQuery {
  query: (query: string | { name: string, text: string, values: unknown[] }, values?: unknown[]) => Promise<{ rows: Array<{ n: number }> }>
}

export async function transferByPg (client: PgQuery, account: number): Promise<void> {
  const { rows: [row] } = await client.query(sql.account, [account])
  await client.query(sql.add, [account])
  await client.query(sql.entry, [account, row?.n])
}

export async function transferByName (client: PgQuery, account: number): Promise<void> {
  const { rows: [row] } = await client.query({ name: 'account', text: sql.account, values: [account] })
  await client.query({ name: 'add', text: sql.add, values: [account] })
  await client.query({ name: 'entry', text: sql.entry, values: [account, row?.n] })
}

// --- ours ------------------------------------------------------------------------------------------------------------------------

export interface TransferStatements { readonly account: Statement<{ n: number }>, readonly add: Statement, readonly entry: Statement }

export function prepare (db: Queryable): TransferStatements {
  return { account: db.prepare(sql.account), add: db.prepare(sql.add), entry: db.prepare(sql.entry) }
}

export async function transferAwaited ({ account, add, entry }: TransferStatements, id: number): Promise<void> {
  const row = await account.get(id)
  await add.run(id)
  await entry.run(id, row?.n ?? null)
}

/** The transaction awaits them and fails with them. */
export async function transferNotAwaited ({ account, add, entry }: TransferStatements, id: number): Promise<void> {
  const row = await account.get(id)
  void add.run(id)
  void entry.run(id, row?.n ?? null)
}

async function transferWithLast (tx: Transaction, { account, add, entry }: TransferStatements, id: number): Promise<void> {
  const row = await account.get(id)
  await add.run(id)
  await (tx as unknown as { last: (statement: Statement) => Statement }).last(entry).run(id, row?.n ?? null)
}
