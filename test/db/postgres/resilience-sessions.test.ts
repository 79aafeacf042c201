/** One session with the server: what it makes of answers that come in pieces, of failures behind each other, and of its own end. */
import { once } from 'node:events'
import t from 'tap'
import { Call, Repeatable } from '../../../plugins/db/postgres/call.ts'
import { freshUrl, openUrl } from '../../helper/db.ts'
import { startProxy } from '../../helper/proxy.ts'
import { openSession, TestLane } from './helper.ts'

void t.test('R3: a lane whose session ends between the call and the write: the call may be run again elsewhere', async t => {
  const session = await openSession(t, await freshUrl(t, 'postgres'), true)
  const reader = new TestLane(session)
  const read = reader.run('SELECT 1 AS one')
  session.destroy(new Error('gone'))
  const refusal = await read.catch((error: unknown) => error)
  t.ok(refusal instanceof Repeatable)
  t.match(refusal, { why: 'lost' })
  t.equal(reader.lane.depth, 0)
})

void t.test('COPY FROM STDIN in a script is refused with one answer, whatever pieces it comes in', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const session = await openSession(t, proxy.url)
  await session.runScript('CREATE TABLE a (id BIGINT)')
  proxy.split(1)
  const copy = await session.runScript('COPY a FROM STDIN')
  t.match(copy.error, { code: '57014' })
  for (let i = 0; i < 3; i++) {
    const call = new Call('SELECT $1::int8 AS i', [String(i)], 'get')
    const { error } = await session.run(call)
    t.equal(error, undefined)
    t.strictSame(call.answer, { i })
  }
})

void t.test('COPY FROM STDIN in the extended protocol, with others behind it in the same turn', async t => {
  const session = await openSession(t, await freshUrl(t, 'postgres'))
  await session.runScript('CREATE TABLE a (id BIGINT)')
  const behind = new Call('SELECT 1 AS one', [], 'get')
  const copied = await session.run(new Call('COPY a FROM STDIN', [], 'run'))
  t.match(copied.error, { code: '57014' })
  await session.run(behind)
  t.strictSame(behind.answer, { one: 1 })
})

void t.test('what is waiting to be written when COPY asks for data comes behind the refusal', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const session = await openSession(t, proxy.url)
  await session.runScript('CREATE TABLE a (id BIGINT)')
  const held = proxy.holdAnswer('COPY a')
  const copied = session.run(new Call('COPY a FROM STDIN', [], 'run'))
  await held.seen
  const behind = new Call('SELECT 1 AS one', [], 'get')
  // in the turn in which the server's answer is read, nothing was written yet
  session.client.connection.stream.prependOnceListener('data', () => { void session.run(behind) })
  held.letGo()
  t.match((await copied).error, { code: '57014' })
  await session.run(new Call('SELECT 2 AS two', [], 'get'))
  t.strictSame(behind.answer, { one: 1 })
})

void t.test('a session that ends leaves no socket behind, also if the server does not answer any more', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const session = await openSession(t, proxy.url)
  const { stream } = session.client.connection
  proxy.silence()
  session.end()
  if (!stream.closed) await once(stream, 'close')
  t.ok(stream.destroyed)
})

void t.test('R12: a write whose statement has become stale is run again on the same connection', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const db = await openUrl(t, proxy.url, { DB_POOL_MAX: '1' })
  await db.exec('CREATE TABLE a (id BIGINT)')
  const insert = db.prepare('INSERT INTO a (id) VALUES (1) RETURNING *')
  await insert.all()
  const { connections } = proxy
  for (let i = 0; i < 3; i++) {
    await db.exec(`ALTER TABLE a ADD COLUMN c${i} BIGINT`)
    t.equal(Object.keys(await insert.get() ?? {}).length, 2 + i)
  }
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 4 })
  t.equal(proxy.connections, connections)
})

void t.test('R13: when the server has forgotten all statements each connection finds it out once', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const db = await openUrl(t, proxy.url, { DB_POOL_MAX: '3' })
  await db.exec("CREATE FUNCTION forget () RETURNS INT LANGUAGE plpgsql AS 'BEGIN EXECUTE ''DEALLOCATE ALL''; RETURN 1; END'")
  const reads = async (sql: string): Promise<unknown[]> => await Promise.all([1, 2, 3].map(async () => await db.prepare(sql).get()))
  for (let i = 0; i < 5; i++) {
    await reads('SELECT 1 AS one')
    await db.tx(async tx => await tx.prepare('SELECT forget()').get())
    t.strictSame(await reads('SELECT 1 AS one'), [{ one: 1 }, { one: 1 }, { one: 1 }])
  }
})
