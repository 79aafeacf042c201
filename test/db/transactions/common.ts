/** What the tests of transactions share: one table, a client of the test's own, and a database whose calls to its engine are written down. */
import pg from 'pg'
import type { Test } from 'tap'
import { createDatabase } from '../../../plugins/db/database.ts'
import { openEngine as openEngineOf } from '../../../plugins/db/open.ts'
import type { Connection, Database, Engine } from '../../../plugins/db/types.ts'
import { collectLog, configFor } from '../../helper/db.ts'

export const table = 'CREATE TABLE a (id BIGINT PRIMARY KEY)'
export const nested = { propagation: 'nested' } as const
export const insert = async (db: Pick<Database, 'prepare'>, id: number): Promise<unknown> => await db.prepare('INSERT INTO a (id) VALUES (?)').run(id)
export const ids = async (db: Pick<Database, 'prepare'>): Promise<unknown[]> => (await db.prepare('SELECT id FROM a ORDER BY id').all()).map(row => row.id)

/** What a promise was rejected with; fails the test if it was not. */
export async function failure<E = Error & { code?: string }> (t: Test, promise: Promise<unknown>): Promise<E> {
  const outcome = await promise.then(value => ({ value }), (error: unknown) => ({ error }))
  if ('value' in outcome) t.fail('expected to reject')
  return ('error' in outcome ? outcome.error : undefined) as E
}

/** Lets the event loop turn so many times. */
export async function turns (count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => { setImmediate(resolve) })
}

/** A client of the test's own, for what the layer must not see. */
export async function admin (t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'admin' })
  await client.connect()
  t.teardown(async () => { await client.end() })
  return client
}

export async function pidOf (db: Pick<Database, 'prepare'>): Promise<number> {
  return Number((await db.prepare('SELECT pg_backend_pid() AS pid').get())?.pid)
}

/** Ends a backend and waits until it is gone. */
export async function kill (client: pg.Client, pid: number): Promise<void> {
  await client.query('SELECT pg_terminate_backend($1, 5000)', [pid])
}

/** The engine itself, without the transactions over it. */
export async function openEngine (url: string, connections = 2): Promise<Engine> {
  return await openEngineOf(configFor(url, { SQLITE_READERS: String(connections), DB_POOL_MAX: String(connections) }), collectLog())
}

const WATCHED = ['commit', 'rollback', 'release', 'savepoint', 'releaseSavepoint', 'rollbackToSavepoint'] as const

/** A database over a real engine; what its transactions ask of their connections is in `calls`, and behind it ' done' when it was answered. */
export async function openRecorded (t: Test, url: string): Promise<{ db: Database, calls: string[] }> {
  const opened = await openEngine(url)
  const calls: string[] = []
  const begin: Engine['begin'] = async (...args) => {
    calls.push('begin')
    return watch(await opened.begin(...args), calls)
  }
  const db = createDatabase(new Proxy(opened, { get: (target, name) => name === 'begin' ? begin : bound(target, name) }),
    { statementTimeoutMs: 30_000, txTimeoutMs: 30_000, log: collectLog() })
  t.teardown(async () => { await db.close({ graceMs: 200 }) })
  return { db, calls }
}

function watch (connection: Connection, calls: string[]): Connection {
  return new Proxy(connection, {
    get: (target, name) => {
      const value = bound(target, name)
      if (!(WATCHED as readonly unknown[]).includes(name)) return value
      return (...args: unknown[]): unknown => {
        const call = [String(name), ...args.filter(arg => typeof arg === 'string')].join(' ')
        calls.push(call)
        const answer: unknown = (value as (...args: unknown[]) => unknown)(...args)
        return answer instanceof Promise ? answer.finally(() => { calls.push(`${call} done`) }) : answer
      }
    }
  })
}

function bound (target: object, name: PropertyKey): unknown {
  const value: unknown = Reflect.get(target, name, target)
  return typeof value === 'function' ? value.bind(target) : value
}
