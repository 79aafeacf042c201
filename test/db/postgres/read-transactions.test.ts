/** Read transactions take a connection with their second statement; one of a single short read takes none. */
import t from 'tap'
import type { Database, Transaction, TxOptions } from '../../../plugins/db/types.ts'
import { openUrl, freshUrl } from '../../helper/db.ts'
import { learn } from './helper.ts'

const READ = { mode: 'read' } as const
const one = 'SELECT ?::int AS one'

/** How many connections a transaction has taken when `work` is done in it; the least of some, since a read that waits on a lane gets one as well. */
async function taken (db: Database, work: (tx: Transaction) => Promise<unknown>, options: TxOptions): Promise<number> {
  const counts: number[] = []
  for (let i = 0; i < 10; i++) counts.push(await db.tx(async tx => { await work(tx); return db.status().queues.connections?.used ?? NaN }, options))
  return Math.min(...counts)
}

void t.test('one short read takes no connection, the second statement does', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await learn(db, one, 1)
  const read = async (tx: Transaction): Promise<unknown> => await tx.prepare(one).get(1)
  t.equal(await taken(db, read, READ), 0)
  t.equal(await taken(db, async tx => [await read(tx), await read(tx)], READ), 1)
  t.equal(await taken(db, async tx => await Promise.all([read(tx), read(tx)]), READ), 1)
  t.equal(await taken(db, async () => {}, READ), 0)
  t.equal(await taken(db, read, { mode: 'write' }), 1, 'one that may write has one')
  t.equal(await taken(db, read, { ...READ, isolation: 'repeatable read' }), 1, 'one with a snapshot, too')
})

void t.test('from the second statement on: one connection, one transaction', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await learn(db, one, 1)
  const time = 'SELECT now() AS now, pg_backend_pid() AS pid'
  await db.tx(async tx => {
    t.strictSame(await tx.prepare(one).get(1), { one: 1 })
    const [second, third] = await Promise.all([tx.prepare(time).get(), tx.prepare(time).get()])
    t.strictSame(second, third)
    const rows = []
    for await (const row of tx.prepare('SELECT pg_backend_pid() AS pid FROM generate_series(1, 250)').iterate()) rows.push(row.pid)
    t.strictSame(new Set(rows), new Set([second?.pid]))
  }, READ)
})

void t.test('what is the same for all of a transaction is never asked on a lane', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  const time = 'SELECT now() AS now'
  await learn(db, time)
  await db.tx(async tx => { t.strictSame(await tx.prepare(time).get(), await tx.prepare(time).get()) }, READ)
})

void t.test('a failure dooms it, on a lane as anywhere', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  const divide = 'SELECT 1 / ?::int AS n'
  await learn(db, divide, 1)
  await t.rejects(db.tx(async tx => {
    await t.rejects(tx.prepare(divide).get(0), { code: 'TDM_ERR_DB_OTHER' })
    await t.rejects(tx.prepare(divide).get(1), { code: 'TDM_ERR_TX_DOOMED' })
  }, READ), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_OTHER' } })
})

void t.test('a function that writes, sometimes: refused in a read transaction, done once outside', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await db.exec(`CREATE TABLE a (n BIGINT);
    CREATE FUNCTION maybe (writes boolean) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN IF writes THEN INSERT INTO a VALUES (1); END IF; RETURN 1; END $$`)
  const maybe = 'SELECT maybe(?::boolean) AS n'
  const count = async (): Promise<unknown> => (await db.prepare('SELECT count(*) AS n FROM a').get())?.n
  await learn(db, maybe, false)
  await t.rejects(db.tx(async tx => await tx.prepare(maybe).get(true), READ), { code: 'TDM_ERR_DB_READONLY' })
  t.equal(await count(), 0)
  t.strictSame(await db.prepare(maybe).get(true), { n: 1 })
  t.equal(await count(), 1)
})

void t.test('the same if the lane is silent meanwhile, and it is run elsewhere, too', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await db.exec(`CREATE TABLE a (n BIGINT);
    CREATE FUNCTION maybe (writes boolean) RETURNS integer LANGUAGE plpgsql AS $$
      BEGIN IF writes THEN PERFORM pg_sleep(0.2); INSERT INTO a VALUES (1); PERFORM pg_sleep(0.2); END IF; RETURN 1; END $$`)
  const maybe = 'SELECT maybe(?::boolean) AS n'
  const count = async (): Promise<unknown> => (await db.prepare('SELECT count(*) AS n FROM a').get())?.n
  await learn(db, maybe, false)
  await t.rejects(db.tx(async tx => await tx.prepare(maybe).get(true), READ), { code: 'TDM_ERR_DB_READONLY' })
  t.equal(await count(), 0)
  t.strictSame(await db.prepare(maybe).get(true), { n: 1 })
  t.equal(await count(), 1)
})

void t.test('given up while it runs on a lane: told at once, and the next one is not delayed', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  const sleep = 'SELECT 1 AS one FROM pg_sleep(?)'
  await learn(db, sleep, 0)
  const client = new AbortController()
  const slow = db.signal(client.signal, async () => await db.tx(async tx => await tx.prepare(sleep).get(60), READ))
  const next = db.tx(async tx => await tx.prepare(sleep).get(0), READ)
  setImmediate(() => { client.abort() })
  await t.rejects(slow, { code: 'TDM_ERR_DB_ABORTED' })
  t.strictSame(await next, { one: 1 })
})
