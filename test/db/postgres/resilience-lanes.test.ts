/** Lanes: groups with failures in them, servers that go away or go silent, and callers that give up. */
import t from 'tap'
import { Repeatable } from '../../../plugins/db/postgres/call.ts'
import type { Column, Database } from '../../../plugins/db/types.ts'
import { freshUrl, openUrl } from '../../helper/db.ts'
import { until } from '../../helper/long.ts'
import { ask } from '../../helper/pg.ts'
import { startProxy } from '../../helper/proxy.ts'
import { learn, openSession, TestLane } from './helper.ts'

const GROUP = 16

/** What became of each: the value of the only column, or the SQLSTATE of the error, or why it may be run again. */
async function outcomes (results: ReadonlyArray<Promise<unknown>>): Promise<Array<Column | undefined>> {
  return (await Promise.allSettled(results)).map(result => {
    if (result.status === 'fulfilled') return Object.values((result.value as Array<Record<string, Column>>)[0] ?? {})[0]
    return result.reason instanceof Repeatable ? result.reason.why : (result.reason as { code: string }).code
  })
}

void t.test('R2: a failure at each position of a group: every caller gets its own answer, and the lane goes on', async t => {
  const lane = new TestLane(await openSession(t, await freshUrl(t, 'postgres'), true))
  for (let at = 0; at < GROUP; at++) {
    const results = Array.from({ length: GROUP }, async (_, i) => await lane.run('SELECT 10 / $1::int4 AS n', [i === at ? 0 : i + 1]))
    t.strictSame(await outcomes(results), results.map((_, i) => i === at ? '22012' : Math.trunc(10 / (i + 1))), `at ${at}`)
  }
})

void t.test('R2: two failures, one that is no read, one that cannot be parsed, in one group', async t => {
  const lane = new TestLane(await openSession(t, await freshUrl(t, 'postgres'), true))
  const texts = ['SELECT 1 AS n', 'SELECT 1 / 0', 'SELECT 2 AS n', 'CREATE TEMP TABLE a (id INT)', 'SELECT nothing', 'SELECT 3 AS n', 'SELECT', 'SELECT 4 AS n']
  t.strictSame(await outcomes(texts.map(async text => await lane.run(text))), [1, '22012', 2, 'writes', '42703', 3, undefined, 4])
  t.strictSame(await outcomes(texts.map(async text => await lane.run(text))), [1, '22012', 2, 'writes', '42703', 3, undefined, 4])
})

void t.test('R2: a failure that comes with Sync, when each statement of the group seemed to be done', async t => {
  // a session that may write, since what Sync can refuse is a write
  const session = await openSession(t, await freshUrl(t, 'postgres'))
  await session.runScript('CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE b (id INT REFERENCES a DEFERRABLE INITIALLY DEFERRED)')
  const lane = new TestLane(session)
  const texts = ['SELECT 1 AS n', 'INSERT INTO b VALUES (9) RETURNING id', 'SELECT 2 AS n']
  t.strictSame(await outcomes(texts.map(async text => await lane.run(text))), [1, '23503', 2])
  t.strictSame(await outcomes([lane.run('SELECT count(*) FROM b')]), [0])
})

void t.test('a lane whose server has gone without a word is thrown away, and what it owes is run elsewhere', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const lane = new TestLane(await openSession(t, proxy.url, true))
  t.strictSame(await outcomes([lane.run('SELECT 1 AS n')]), [1])
  proxy.silence()
  const read = lane.run('SELECT 2 AS n')
  await lane.becameSilent
  t.equal(lane.silent[0]?.length, 1)
  t.strictSame(await outcomes([read]), ['lost'])
  t.equal(lane.lane.session.isOpen, false)
})

void t.test('R5: the server ends a lane with groups in flight: each may be run again elsewhere', async t => {
  const url = await freshUrl(t, 'postgres')
  const lane = new TestLane(await openSession(t, url, true))
  const [pid] = await outcomes([lane.run('SELECT pg_backend_pid() AS pid')])
  // together 1.6 s, so that the order to end it comes in between on a busy machine too
  const reads = outcomes(Array.from({ length: 5 * GROUP }, async (_, i) => await lane.run('SELECT $1::int4 AS n FROM pg_sleep(0.02)', [i])))
  await ask(url, 'SELECT pg_terminate_backend($1, 5000)', [pid])
  const answers = await reads
  t.ok(answers.includes('lost'))
  for (const [i, answer] of answers.entries()) t.ok(answer === i || answer === 'lost', `${i}: ${String(answer)}`)
})

void t.test('R14: 50 times the same text that cannot be prepared: each gets the real error, and it works once the table is there', async t => {
  const url = await freshUrl(t, 'postgres')
  const lane = new TestLane(await openSession(t, url, true))
  const fifty = async (): Promise<unknown[]> => await outcomes(Array.from({ length: 50 }, async () => await lane.run('SELECT count(*) AS n FROM a')))
  const fill = <T>(value: T): T[] => Array.from({ length: 50 }, () => value)
  t.strictSame(await fifty(), fill('42P01'))
  await ask(url, 'CREATE TABLE a (id INT)')
  t.strictSame(await fifty(), fill(0))
  await ask(url, 'DROP TABLE a')
  t.strictSame(await fifty(), fill('42P01'))
  await ask(url, 'CREATE TABLE a (id INT, other INT)')
  t.strictSame(await fifty(), fill(0))
})

/**
 * Reads until there is a second lane. On a busy machine a read may take so long that it leaves the lane for a while, and then those beside it wait for connections; nobody must
 * have waited for ten seconds when the second lane is opened, so in between it is read by one alone.
 */
async function openSecondLane (db: Database): Promise<void> {
  const read = db.prepare('SELECT count(*) AS n FROM generate_series(1, 200)')
  const isThere = (): boolean => db.status().queues.lanes?.used === 2
  for (let attempt = 0; attempt < 8 && !isThere(); attempt++) {
    const calmAt = performance.now() + (attempt === 0 ? 0 : 10_500)
    while (performance.now() < calmAt) await read.get()
    await learn(db, read.sql)
    for (let i = 0; i < 50 && !isThere(); i++) await Promise.all(Array.from({ length: 200 }, async () => await read.get()))
  }
}

void t.test('a second lane that is idle gives its place to whoever wants it', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '4' })
  await openSecondLane(db)
  t.equal(db.status().queues.lanes?.used, 2)
  await until('nobody but the lanes has a connection', () => db.status().queues.connections?.used === 0) // a read that took long had one
  const three = Promise.withResolvers<void>()
  let held = 0
  await Promise.all(Array.from({ length: 3 }, async () => {
    await db.tx(async tx => {
      await tx.prepare('SELECT 1').all()
      if (++held === 3) three.resolve()
      await three.promise
    }, { mode: 'write' })
  }))
  t.equal(db.status().queues.lanes?.used, 1)
})

void t.test('a lane without reads gives its connection to whoever wants it, and gets one again when there are reads', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url, { DB_POOL_MAX: '4' })
  const read = 'SELECT CAST(? AS int) AS n'
  await db.exec('CREATE TABLE a (id int)')
  await learn(db, read, 1)
  const four = Promise.withResolvers<void>()
  let held = 0
  const settings = await Promise.all(Array.from({ length: 4 }, async (_, id) => await db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (?)').run(id)
    if (++held === 4) four.resolve()
    await four.promise
    return await tx.prepare("SELECT current_setting('default_transaction_read_only') AS readonly, current_setting('statement_timeout') AS timeout").get()
  }, { mode: 'write' })))
  t.strictSame(new Set(settings.map(row => JSON.stringify(row))).size, 1, 'whatever was a lane is as the others are')
  t.equal(db.status().queues.lanes?.used, 0)
  t.strictSame(await ask(url, 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()'), [{ n: 4 }])
  await learn(db, read, 1)
  t.equal(db.status().queues.lanes?.used, 1)
  t.strictSame(await ask(url, 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()'), [{ n: 4 }], 'it is one of those')
})

void t.test('a second lane that is idle does not hold up the end', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '4' })
  await openSecondLane(db)
  t.equal(db.status().queues.lanes?.used, 2)
  await until('nobody but the lanes has a connection', () => db.status().queues.connections?.used === 0) // a read that took long had one
  await db.close()
  t.equal(db.status().queues.connections?.used, 0)
})
