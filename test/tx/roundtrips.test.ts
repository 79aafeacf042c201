/**
 * How often a request waits for PostgreSQL: BEGIN travels with the first statement, and a request that asks nothing of the database sends nothing. Counted by a proxy whose
 * answers are late, so that only what is sent after an answer begins another round trip.
 */
import type { FastifyInstance } from 'fastify'
import Fastify from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import config from '../../plugins/config/index.ts'
import db from '../../plugins/db/index.ts'
import tx from '../../plugins/tx/index.ts'
import { freshUrl } from '../helper/db.ts'
import { startProxy, type Proxy } from '../helper/proxy.ts'

const skip = process.env.TEST_POSTGRES === 'off' && 'TEST_POSTGRES=off'

/** An app with one connection, which is open. */
async function start (t: Test): Promise<{ app: FastifyInstance, proxy: Proxy }> {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: proxy.url, DB_POOL_MAX: '1' } })
  await app.register(db)
  await app.register(tx)
  await app.db.exec('CREATE TABLE a (id BIGINT)')
  proxy.delay(5)
  return { app, proxy }
}

/** The round trips of `fn`. */
async function count (proxy: Proxy, fn: () => Promise<unknown>): Promise<number> {
  const before = proxy.roundTrips
  await fn()
  return proxy.roundTrips - before
}

t.test('of a request', { skip }, async t => {
  const { app, proxy } = await start(t)
  const insert = app.db.prepare('INSERT INTO a (id) VALUES (?)')
  const addOne = async (): Promise<object> => await insert.run(1)
  const addTwo = async (): Promise<object> => {
    await insert.run(1)
    return await insert.run(2)
  }
  app.post('/one', addOne)
  app.post('/retry', { config: { tx: { retry: 2 } } }, addOne)
  app.post('/two', addTwo)
  app.post('/together', async () => await Promise.all([insert.run(1), insert.run(2)]))
  app.post('/inner', async () => await app.db.tx(addOne))
  app.post('/savepoint', async () => await app.db.tx(addOne, { propagation: 'nested' }))
  app.post('/own', { config: { tx: false } }, addOne)
  app.post('/refused', async (_request, reply) => {
    await addOne()
    return await reply.code(409).send({})
  })
  app.get('/read', async () => await app.db.prepare('SELECT count(*) AS n FROM a').get())
  app.get('/none', async () => ({}))
  app.post('/none', async () => ({}))
  const request = async (method: 'GET' | 'POST', url: string): Promise<number> => await count(proxy, async () => await app.inject({ method, url }))

  t.equal(await request('POST', '/one'), 2, 'one statement: BEGIN with it, then COMMIT')
  t.equal(await request('POST', '/retry'), 2, 'the same where it could be repeated')
  t.equal(await request('POST', '/two'), 3, 'each further statement is one more')
  t.equal(await request('POST', '/together'), 2, 'unless they are not awaited one by one: these travel together')
  t.equal(await request('POST', '/inner'), 2, 'an inner transaction that joins costs nothing')
  t.equal(await request('POST', '/savepoint'), 4, 'one that is nested: SAVEPOINT with BEGIN, the statement, RELEASE, COMMIT')
  t.equal(await request('POST', '/own'), 1, 'a route without a transaction: the statement alone')
  t.equal(await request('POST', '/refused'), 2, 'ROLLBACK as COMMIT')
  t.equal(await request('GET', '/read'), 2, 'a read: BEGIN READ ONLY with it, then COMMIT')
  t.equal(await request('GET', '/none'), 0, 'no statement, nothing is sent')
  t.equal(await request('POST', '/none'), 0, 'no statement, nothing is sent')
})

t.test('of db.tx() outside of a request, and of the same by hand', { skip }, async t => {
  const { app, proxy } = await start(t)
  t.equal(await count(proxy, async () => await app.db.tx(async tx => await tx.prepare('INSERT INTO a (id) VALUES (?)').run(1))), 2)
  const client = new pg.Client({ connectionString: proxy.url })
  await client.connect()
  t.equal(await count(proxy, async () => {
    await client.query('BEGIN')
    await client.query('INSERT INTO a (id) VALUES ($1)', [1])
    await client.query('COMMIT')
  }), 3)
  await client.end()
})

t.test('the id of a transaction is asked for once, behind the writes that go out together, or behind the first one that writes', { skip }, async t => {
  const { app: { db } } = await start(t)
  const insert = db.prepare('INSERT INTO a (id) VALUES (?)')
  const asked = db.prepare<{ n: number }>('SELECT coalesce(sum(generic_plans + custom_plans), 0)::int AS n FROM pg_prepared_statements WHERE statement LIKE \'SELECT pg_catalog.pg_current_xact_id%\'')
  const countAsked = async (fn: () => Promise<unknown>): Promise<number> => await db.tx(async () => {
    const before = await asked.get()
    await fn()
    const after = await asked.get()
    return (after?.n ?? NaN) - (before?.n ?? NaN)
  })
  await countAsked(async () => {}) // that this writes nothing is known from now on
  t.equal(await countAsked(async () => await Promise.all([insert.run(1), insert.run(2), insert.run(3)])), 1)
  t.equal(await countAsked(async () => { for (let id = 4; id <= 6; id++) await insert.run(id) }), 1)
  t.equal(await countAsked(async () => { await db.prepare('DELETE FROM a WHERE id = 0').run(); await insert.run(7); await insert.run(8) }), 2, 'what writes nothing has no id')
})
