/**
 * Who asks PostgreSQL in this process: this package, pg as a pool and as one pipelined connection, and postgres.js, each as its documents show it.
 *
 * What is kept true: the same statements, the same 10 connections (one for a pipelined client), a prepared statement where the name says so.
 */
import pg from 'pg'
import type { Database, Statement } from '../../plugins/db/types.ts'
import { CONNECTIONS } from '../contenders/contender.ts'
import { isInstalled, load } from '../packages.ts'
import { openAt } from '../sqlite/tandem.ts'
import { sql, type StatementName } from './data.ts'

export interface Client {
  readonly name: string
  /** The first row. */
  readonly one: (statement: StatementName, ...values: number[]) => Promise<unknown>
  readonly all: (statement: StatementName, ...values: number[]) => Promise<unknown[]>
  readonly close: () => Promise<unknown>
}

// --- ours ------------------------------------------------------------------------------------------------------------------------

export const OURS = 'ours'

export async function openOurs (url: string): Promise<Client> {
  const db = await openDb(url)
  const statements = prepareAll(db)
  return {
    name: OURS,
    one: (name, ...values) => statements[name].get(...values),
    all: (name, ...values) => statements[name].all(...values),
    close: () => db.close()
  }
}

/** With the limits that it has by default; only a queue that is longer than that is no error here. */
export async function openDb (url: string): Promise<Database> {
  return await openAt(url, { DB_POOL_MAX: String(CONNECTIONS), DB_ACQUIRE_TIMEOUT: '1min' })
}

function prepareAll (db: Database): Record<StatementName, Statement> {
  return Object.fromEntries(Object.entries(sql).map(([name, text]) => [name, db.prepare(text)])) as Record<StatementName, Statement>
}

// --- pg --------------------------------------------------------------------------------------------------------------------------

type Ask = (name: StatementName, values: number[]) => Promise<{ rows: unknown[] }>

export function openPool (url: string, how: 'text' | 'named'): Client {
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS })
  const asText: Ask = (name, values) => pool.query(sql[name], values)
  const asNamed: Ask = (name, values) => pool.query({ name, text: sql[name], values })
  return clientOf(`pool.query, ${how}`, how === 'text' ? asText : asNamed, () => pool.end())
}

/** One connection, or several that take turns. */
export async function openPipelined (url: string, connections = 1): Promise<Client> {
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: url, pipeline: true }))
  await Promise.all(clients.map(client => client.connect()))
  let next = 0
  const ask: Ask = (name, values) => {
    const client = clients[next++ % connections] as pg.Client
    return client.query({ name, text: sql[name], values })
  }
  return clientOf(`pg pipeline × ${connections}, named`, ask, () => Promise.all(clients.map(client => client.end())))
}

function clientOf (name: string, ask: Ask, close: () => Promise<unknown>): Client {
  return {
    name,
    one: async (statement, ...values) => (await ask(statement, values)).rows[0],
    all: async (statement, ...values) => (await ask(statement, values)).rows,
    close
  }
}

// --- postgres.js -----------------------------------------------------------------------------------------------------------------

/** What of it is used here. */
export interface PostgresJs {
  default: (url: string, options: object) => {
    unsafe: (text: string, values: readonly unknown[], options: object) => Promise<unknown[]>
    end: () => Promise<void>
  }
}

/** With the smallest and with the usual pipeline, since it depends on the load which is better. [] if it is not installed. */
export async function openPostgresJs (url: string): Promise<Client[]> {
  if (!isInstalled('postgres')) return []
  const { default: open } = await load<PostgresJs>('postgres')
  return [1, 100].map(pipeline => {
    const db = open(url, { max: CONNECTIONS, max_pipeline: pipeline })
    const ask: Ask = async (name, values) => ({ rows: await db.unsafe(sql[name], values, { prepare: true }) })
    return clientOf(`postgres.js, max_pipeline ${pipeline}`, ask, () => db.end())
  })
}

export async function closeAll (clients: readonly Client[]): Promise<void> {
  for (const { close } of clients) await close()
}
