// `exec(sql, input)`: what COPY reads goes with it, in transactions and outside; what goes wrong in it is an error like any other, and nothing is out of step afterwards.
import t, { type Test } from 'tap'
import type { Database } from '../../../plugins/db/types.ts'
import { freshUrl, openTestDatabase } from '../../helper/db.ts'
import { startProxy } from '../../helper/proxy.ts'
import { openSession } from './helper.ts'

const copy = 'COPY a (id, name) FROM STDIN'
const lines = (from: number, to: number): Buffer => Buffer.from(Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\tname ${from + i}\n`).join(''))

async function openTable (t: Test): Promise<Database> {
  const db = await openTestDatabase(t, 'postgres')
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY, name TEXT)')
  return db
}

async function count (db: Database): Promise<unknown> {
  return (await db.prepare('SELECT COUNT(*) AS count FROM a').get())?.count
}

void t.test('on its own it is a transaction', async t => {
  const db = await openTable(t)
  await db.exec(copy, lines(1, 1000))
  await db.exec(copy, lines(1001, 60_000)) // more than the socket takes at once
  t.equal(await count(db), 60_000)
  t.strictSame(await db.prepare('SELECT name FROM a WHERE id = 60000').get(), { name: 'name 60000' })
  await t.rejects(db.exec(copy, Buffer.concat([lines(70_000, 70_001), lines(5, 5)])), { code: 'TDM_ERR_DB_UNIQUE', kind: 'unique' })
  t.equal(await count(db), 60_000, 'all of it or nothing')
})

void t.test('it belongs to the transaction around it, also as its first statement', async t => {
  const db = await openTable(t)
  await db.tx(async tx => {
    await tx.exec(copy, lines(1, 10))
    t.equal((await tx.prepare('SELECT COUNT(*) AS count FROM a').get())?.count, 10)
    await tx.exec(copy, lines(11, 20))
  })
  await t.rejects(db.tx(async tx => {
    await tx.exec(copy, lines(21, 30))
    throw new Error('enough')
  }), { message: 'enough' })
  t.equal(await count(db), 20)
})

void t.test('data that cannot be read is an error, and what comes behind it has its own answer', async t => {
  const db = await openTable(t)
  await t.rejects(db.exec(copy, Buffer.from('1\tone\ntwo\ttwo\n')), { code: /^TDM_ERR_DB_/, cause: { message: /invalid input syntax for type bigint/ } })
  await t.rejects(db.exec('COPY nothing FROM STDIN', lines(1, 5000)), { code: /^TDM_ERR_DB_/, cause: { message: /"nothing" does not exist/ } })
  await t.rejects(db.tx(async tx => {
    await tx.exec(copy, Buffer.from('x\n')).catch(() => {})
    await tx.exec(copy, lines(1, 10))
  }), { code: 'TDM_ERR_TX_DOOMED' })
  t.equal(await count(db), 0)
})

void t.test('a script that asks for nothing, or for more than there is, whatever pieces the answers come in', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const session = await openSession(t, proxy.url)
  await session.runScript('CREATE TABLE a (id BIGINT PRIMARY KEY, name TEXT)')
  proxy.split(1)
  t.equal((await session.runScript('SELECT 1', lines(1, 10))).error, undefined, 'it is passed over')
  t.match((await session.runScript(`${copy}; ${copy}`, lines(1, 10))).error, { code: '57014' }, 'the second COPY is refused')
  t.equal((await session.runScript(copy, lines(1, 10))).error, undefined)
  t.equal((await session.runScript('SELECT 1')).error, undefined)
})

void t.test('it is given up with its signal', async t => {
  const db = await openTable(t)
  const giveUp = new AbortController()
  await db.exec('CREATE FUNCTION wait() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$; CREATE TRIGGER wait BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION wait()')
  const copying = db.signal(giveUp.signal, async () => await db.exec(copy, lines(1, 10)))
  copying.catch(() => {})
  while ((await db.prepare('SELECT 1 FROM pg_stat_activity WHERE wait_event = \'PgSleep\'').get()) === undefined) await new Promise(resolve => { setImmediate(resolve) })
  giveUp.abort()
  await t.rejects(copying, { code: 'TDM_ERR_DB_ABORTED' })
  t.equal(await count(db), 0)
})
