/** The server itself: it ends sessions, restarts, stands still, is behind a bad network, refuses serialization; and what is at the edge of its protocol. */
import t from 'tap'
import { Random } from '../../../bench/faults/random.ts'
import { collectLog, freshUrl, openTestDatabase, openUrl } from '../../helper/db.ts'
import { until } from '../../helper/long.ts'
import { ask } from '../../helper/pg.ts'
import { skip, startPostgres } from '../../helper/postgres-server.ts'
import { startProxy } from '../../helper/proxy.ts'
import { learn, openSession, TestLane } from './helper.ts'

const value = 'SELECT CAST(? AS int) AS n'
const codeOf = (error: { code: string }): string => error.code

void t.test('R5: idle_session_timeout ends idle connections and lanes: they are replaced, and nobody is told', async t => {
  const url = await freshUrl(t, 'postgres')
  const log = collectLog()
  await ask(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET idle_session_timeout = 100`)
  const db = await openUrl(t, url, {}, log)
  for (let i = 1; i <= 3; i++) {
    await learn(db, value, i)
    await until('all have been ended', async () => {
      const [row] = await ask<{ n: number }>(url, "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'ask'")
      return row?.n === 0
    })
    t.strictSame(await Promise.all([1, 2, 3].map(async n => await db.prepare(value).get(n))), [{ n: 1 }, { n: 2 }, { n: 3 }])
  }
  t.match(log.lines, [{ details: { code: '57P05' } }])
})

void t.test('R5: transaction_timeout ends a pinned connection: one typed error, and nothing is kept', async t => {
  const db = await openTestDatabase(t, 'postgres', { DB_POOL_MAX: '1' })
  await db.exec('CREATE TABLE a (id INT)')
  await t.rejects(db.tx(async tx => {
    await tx.prepare('INSERT INTO a VALUES (1)').run()
    await tx.exec('SET LOCAL transaction_timeout = 0; SET LOCAL transaction_timeout = 50') // what was set runs already
    await tx.prepare('SELECT pg_sleep(60)').get()
  }), { code: 'TDM_ERR_DB_TIMEOUT', cause: { code: '25P04' } })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [])
})

void t.test('R20: a server that restarts, by each way of its end: whoever waits is served when it is back', { skip }, async t => {
  const server = await startPostgres(t)
  const db = await openUrl(t, server.url)
  await learn(db, value, 1)
  for (const how of ['fast', 'immediate', 'kill'] as const) {
    const ended = server.restart(how)
    const reads = await Promise.all(Array.from({ length: 30 }, async (_, n) => await db.prepare(value).get(n)))
    await ended
    t.strictSame(reads, reads.map((_, n) => ({ n })), how)
  }
})

void t.test('R20: while nobody listens attempts are few, however many wait; the queue has its deadline', { skip }, async t => {
  const server = await startPostgres(t)
  const proxy = await startProxy(t, server.url)
  const db = await openUrl(t, proxy.url, { DB_ACQUIRE_TIMEOUT: '2s' })
  await server.down('fast')
  const { connections } = proxy
  const since = performance.now()
  const codes = await Promise.all(Array.from({ length: 100 }, async () => await db.prepare(value).get(1).then(() => 'done', codeOf)))
  const attempts = proxy.connections - connections
  t.strictSame([...new Set(codes)].filter(code => code !== 'TDM_ERR_DB_CONNECTION' && code !== 'TDM_ERR_POOL_TIMEOUT'), [])
  t.ok(attempts < 10 + (performance.now() - since) / 35, `${attempts} attempts`)
  await server.up()
  t.strictSame(await db.prepare(value).get(2), { n: 2 })
})

void t.test('R17: the whole server stands still: what waits is bounded, and answered when it goes on', { skip }, async t => {
  const server = await startPostgres(t)
  const proxy = await startProxy(t, server.url)
  const db = await openUrl(t, proxy.url)
  await learn(db, value, 1)
  await server.pause()
  const reads = Promise.all(Array.from({ length: 300 }, async (_, n) => await db.prepare(value).get(n)))
  await until('it is rescued', () => (db.status().queues.connections?.waiting ?? 0) > 0)
  t.ok(proxy.open <= 10, `${proxy.open} connections`)
  await server.resume()
  const answers = await reads
  t.strictSame(answers, answers.map((_, n) => ({ n })))
})

void t.test('R21: a large row in pieces of any size, and messages in single bytes', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'), { records: false })
  const db = await openUrl(t, proxy.url, { DB_MAX_RESULT: '64MB' })
  proxy.split(1_000_000)
  const big = await db.prepare("SELECT repeat('ab', 8000000) AS big, 1 AS one").get()
  t.equal(String(big?.big), 'ab'.repeat(8_000_000))
  t.equal(big?.one, 1)
  for (const from of ['client', 'server'] as const) proxy.split(1, from)
  t.strictSame(await db.prepare("SELECT i, repeat('x', i) AS s FROM generate_series(0, 3) AS g (i)").all(), [{ i: 0, s: '' }, { i: 1, s: 'x' }, { i: 2, s: 'xx' }, { i: 3, s: 'xxx' }])
})

void t.test('R24: a bank under serialization failures and deadlocks: the sum stays, each transfer is done once', async t => {
  const db = await openTestDatabase(t, 'postgres', { DB_POOL_MAX: '8' })
  const accounts = 4
  await db.exec(`CREATE TABLE account (id INT PRIMARY KEY, n INT); INSERT INTO account SELECT i, 100 FROM generate_series(1, ${accounts}) AS g (i);
    CREATE TABLE transfer (id INT PRIMARY KEY)`)
  let attempts = 0
  const transfer = async (id: number, random: Random): Promise<void> => {
    const from = random.between(1, accounts)
    const to = from % accounts + 1
    await db.tx(async tx => {
      attempts++
      await tx.prepare('UPDATE account SET n = n - 1 WHERE id = ?').run(from)
      const row = await tx.prepare('SELECT n FROM account WHERE id = ?').get(to)
      await tx.prepare('UPDATE account SET n = ? WHERE id = ?').run(Number(row?.n) + 1, to)
      await tx.last(tx.prepare('INSERT INTO transfer (id) VALUES (?)')).run(id)
    }, { isolation: 'serializable', retry: 1000 })
  }
  const teller = async (teller: number): Promise<void> => { for (let i = 0; i < 15; i++) await transfer(teller * 100 + i, new Random(teller * 100 + i)) }
  await Promise.all(Array.from({ length: 8 }, async (_, i) => { await teller(i) }))
  t.strictSame(await db.prepare('SELECT (SELECT sum(n) FROM account) AS sum, (SELECT count(*) FROM transfer) AS transfers').get(), { sum: 100 * accounts, transfers: 8 * 15 })
  t.ok(attempts > 8 * 15, `${attempts} attempts`)
})

void t.test('R25: 65,535 values, and one more', async t => {
  const db = await openTestDatabase(t, 'postgres')
  const list = (count: number): string => `SELECT count(*) AS n FROM (VALUES ${'(CAST(? AS int)), '.repeat(count - 1)}(CAST(? AS int))) AS v (i)`
  const values = Array.from({ length: 65_536 }, (_, i) => i)
  t.strictSame(await db.prepare(list(65_535)).get(...values.slice(1)), { n: 65_535 })
  await t.rejects(db.prepare(list(65_536)).get(...values), { code: 'TDM_ERR_DB_BIND' })
  t.strictSame(await db.prepare(value).get(1), { n: 1 })
})

void t.test('R25: a zero byte in SQL or in a value is refused, and the connection is as good as before', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url, { DB_POOL_MAX: '1' })
  for (let i = 0; i < 2; i++) {
    await t.rejects(db.prepare("SELECT 'a\0b'").get(), { code: 'TDM_ERR_DB_SYNTAX' })
    await t.rejects(db.exec('SELECT 1;\0 SELECT 2'), { code: 'TDM_ERR_DB_SYNTAX' })
    await t.rejects(db.tx(async tx => { for await (const row of tx.prepare('SELECT 1 \0').iterate()) t.fail(JSON.stringify(row)) }), { code: 'TDM_ERR_DB_SYNTAX' })
    await t.rejects(db.prepare('SELECT CAST(? AS text) AS s').get('a\0b'), { code: 'TDM_ERR_DB_OTHER', cause: { code: '22021' } })
    t.strictSame(await db.prepare('SELECT CAST(? AS text) AS s').get('ab'), { s: 'ab' })
  }
  const lane = new TestLane(await openSession(t, url, true))
  t.match(await lane.run('SELECT CAST(? AS text) AS s', ['a\0b']).catch((error: unknown) => error), { code: '22021' })
  t.strictSame(await lane.run('SELECT CAST(? AS text) AS s', ['ab']), [{ s: 'ab' }])
})
