/** Where statements run while something is wrong with them: ones that write, wait, are slow, are given up, or whose table changes. */
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Random } from '../../../bench/faults/random.ts'
import { deferred, freshUrl, openTestDatabase, openUrl } from '../../helper/db.ts'
import { until } from '../../helper/long.ts'
import { ask } from '../../helper/pg.ts'
import { learn, openSession, parser, statusOf, TestLane } from './helper.ts'

const value = 'SELECT CAST(? AS int) AS n'
const codeOf = (error: { code: string }): string => error.code

void t.test('R9: what outlives its statement is never on a lane', async t => {
  const db = await openTestDatabase(t, 'postgres')
  await learn(db, value, 1)
  const texts = ["SET application_name = 'x'", 'LISTEN a', 'UNLISTEN a', 'SELECT pg_advisory_lock(1)', 'SELECT pg_try_advisory_lock(2)', 'SELECT pg_advisory_unlock_all()',
    'CREATE TEMP TABLE IF NOT EXISTS a (id INT)', "SELECT set_config('a.b', 'c', false)", 'NOTIFY a', "SELECT pg_notify('a', 'b')", 'DISCARD PLANS', 'SELECT pg_cancel_backend(0)']
  for (let i = 0; i < 6; i++) for (const text of texts) await db.prepare(text).all()
  for (const text of texts) t.equal(statusOf(db, text)?.runs, 'apart', text)
})

void t.test('R9: a lane that is left in a transaction is thrown away', async t => {
  const lane = new TestLane(await openSession(t, await freshUrl(t, 'postgres'), true))
  t.match(await lane.runQuery({ ...parser.parseQuery('SELECT 1'), text: 'BEGIN READ ONLY' }).catch((error: unknown) => error), { why: 'lost' })
  t.equal(lane.lane.session.isOpen, false)
})

void t.test('R10: a read that has come to a lane and then writes is done once, elsewhere', async t => {
  const db = await openTestDatabase(t, 'postgres')
  await db.exec(`CREATE TABLE a (id INT);
    CREATE FUNCTION maybe (n INT) RETURNS INT LANGUAGE plpgsql AS 'BEGIN IF n > 0 THEN INSERT INTO a VALUES (n); END IF; RETURN n; END'`)
  const sql = 'SELECT maybe(?) AS n'
  await learn(db, sql, 0)
  const answers = await Promise.all(Array.from({ length: 40 }, async (_, n) => await db.prepare(sql).get(n)))
  t.strictSame(answers, answers.map((_, n) => ({ n })))
  t.strictSame(await db.prepare('SELECT count(*) AS n, count(DISTINCT id) AS ids FROM a').get(), { n: 39, ids: 39 })
  t.equal(statusOf(db, sql)?.why, 'writes')
})

void t.test('R11: after values that cannot be bound a statement on a lane works as before', async t => {
  const db = await openTestDatabase(t, 'postgres')
  await learn(db, value, 1)
  for (const wrong of [{ n: 1n }, 2n ** 64n, NaN, undefined, () => 1]) await t.rejects(db.prepare(value).get(wrong as unknown as number), { code: 'TDM_ERR_DB_BIND' })
  await t.rejects(db.prepare(value).get(1, 2), { code: 'TDM_ERR_DB_BIND' })
  t.strictSame(await db.prepare(value).get(2), { n: 2 })
  t.equal(statusOf(db, value)?.runs, 'lane')
})

void t.test('R12: a table that is altered again and again under load: no error, and the columns are those of then or now', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url)
  await db.exec('CREATE TABLE a (id INT); INSERT INTO a VALUES (1)')
  const sql = 'SELECT * FROM a'
  await learn(db, sql)
  let isOver = false
  const alter = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await ask(url, i % 2 === 0 ? 'ALTER TABLE a ADD COLUMN more INT DEFAULT 2' : 'ALTER TABLE a DROP COLUMN more')
    isOver = true
  }
  const seen = new Set<string>()
  const read = async (): Promise<void> => { while (!isOver) seen.add(JSON.stringify(await db.prepare(sql).get())) }
  await Promise.all([alter(), ...Array.from({ length: 20 }, read)])
  t.strictSame([...seen].sort(), ['{"id":1,"more":2}', '{"id":1}'])
})

void t.test('R16: a read on a lane waits for a lock, and who has the lock waits for a read behind it', async t => {
  const db = await openTestDatabase(t, 'postgres')
  await db.exec('CREATE TABLE a (id INT); CREATE TABLE b (id INT); INSERT INTO b VALUES (7)')
  await learn(db, 'SELECT id FROM a')
  await learn(db, 'SELECT id FROM b')
  let blocked: Promise<unknown> | undefined
  await db.tx(async tx => {
    await tx.exec('LOCK TABLE a')
    await db.outsideTx(async () => {
      blocked = db.prepare('SELECT id FROM a').all()
      await turn()
      t.strictSame(await db.prepare('SELECT id FROM b').all(), [{ id: 7 }])
    })
    await tx.prepare('INSERT INTO a VALUES (1)').run()
  })
  t.strictSame(await blocked, [{ id: 1 }])
})

void t.test('R17: what waits behind a slow one is answered, once, while that still runs', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url)
  const sleeps = 'SELECT CAST(? AS float8) AS s, pg_sleep(?) AS v'
  await learn(db, value, 1)
  await learn(db, sleeps, 0, 0)
  const order: string[] = []
  const slow = db.prepare(sleeps).get(1, 1).then(row => { order.push('slow'); return row?.s })
  await turn()
  const behind = await Promise.all(Array.from({ length: 30 }, async (_, i) => await db.prepare(value).get(i)))
  order.push('behind')
  t.strictSame(behind, behind.map((_, n) => ({ n })))
  t.equal(await slow, 1)
  t.strictSame(order, ['behind', 'slow'])
})

void t.test('R17: of what was handed over for rescue, what is aborted is told so, and the others are answered', async t => {
  const db = await openTestDatabase(t, 'postgres')
  const sleeps = 'SELECT CAST(? AS float8) AS s, pg_sleep(?) AS v'
  await learn(db, sleeps, 0, 0)
  const abort = new AbortController()
  const aborted = db.signal(abort.signal, async () => await db.prepare(sleeps).get(2, 2)).catch(codeOf)
  const other = db.prepare(sleeps).get(0, 0)
  t.match(await other, { s: 0 }) // by now the slow one was handed over, or runs elsewhere
  abort.abort()
  t.equal(await aborted, 'TDM_ERR_DB_ABORTED')
  t.match(await db.prepare(sleeps).get(0, 0), { s: 0 })
})

void t.test('R17: a process that is busy itself does not take the server for silent', async t => {
  const lane = new TestLane(await openSession(t, await freshUrl(t, 'postgres'), true))
  await lane.run(value, [0])
  for (let i = 0; i < 5; i++) {
    const read = lane.run(value, [i])
    await turn() // sent
    for (const end = performance.now() + 100; performance.now() < end;);
    t.strictSame(await read, [{ n: i }])
  }
  t.strictSame(lane.silent, [])
})

void t.test('R18: an abort before the write, after it, and after the answer', async t => {
  const lane = new TestLane(await openSession(t, await freshUrl(t, 'postgres'), true))
  const limits = (signal: AbortSignal): { deadline: number, signal: AbortSignal, held: [] } => ({ deadline: Infinity, signal, held: [] })
  const sleeps = 'SELECT 1 AS n FROM pg_sleep(0.1)'
  const [queued, written, late] = [new AbortController(), new AbortController(), new AbortController()]
  const reads = [lane.run(sleeps, [], limits(queued.signal)), lane.run(sleeps, [], limits(written.signal)), lane.run(sleeps, [], limits(late.signal))].map(async read => await read.catch(codeOf))
  queued.abort()
  await turn()
  written.abort()
  t.strictSame(await Promise.all(reads), ['TDM_ERR_DB_ABORTED', 'TDM_ERR_DB_ABORTED', [{ n: 1 }]])
  late.abort()
  t.strictSame(await lane.run(value, [5]), [{ n: 5 }])
})

void t.test('R18: a thousand cancels at random moments hit nobody who is innocent', async t => {
  const db = await openTestDatabase(t, 'postgres', { DB_POOL_MAX: '8' })
  await learn(db, value, 1)
  const random = new Random(18)
  let cancels = 0
  const guilty = async (): Promise<string> => {
    const abort = new AbortController()
    const result = db.signal(abort.signal, async () => await db.prepare('SELECT 1 AS one FROM pg_sleep(0.003)').get()).then(() => 'done', codeOf)
    for (let turns = random.between(0, 30); turns > 0; turns--) await turn()
    abort.abort()
    cancels++
    return await result
  }
  const innocent = async (i: number): Promise<boolean> => {
    const sql = i % 2 === 0 ? value : 'SELECT CAST(? AS int) AS n FROM pg_sleep(0.001)'
    return (await db.prepare(sql).get(i))?.n === i
  }
  while (cancels < 1000) {
    const [told, fine] = await Promise.all([Promise.all(Array.from({ length: 20 }, guilty)), Promise.all(Array.from({ length: 20 }, async (_, i) => await innocent(i)))])
    const wrong = told.filter(code => code !== 'done' && code !== 'TDM_ERR_DB_ABORTED')
    if (wrong.length > 0 || fine.includes(false)) t.fail(`${wrong.join()} ${fine.join()}`)
  }
  t.equal(cancels, 1000)
})

void t.test('R19: a deadline on a lane: neighbours are answered, the connection stays; what runs apart is gone from the server', async t => {
  const url = await freshUrl(t, 'postgres')
  const lane = new TestLane(await openSession(t, url, true))
  const deadline = { deadline: performance.now() + 20, signal: undefined, held: [] }
  const late = lane.run('SELECT 1 AS n FROM pg_sleep(0.1)', [], deadline).catch(codeOf)
  const neighbours = Promise.all(Array.from({ length: 5 }, async (_, i) => await lane.run(value, [i])))
  t.equal(await late, 'TDM_ERR_DB_TIMEOUT')
  t.strictSame(await neighbours, [[{ n: 0 }], [{ n: 1 }], [{ n: 2 }], [{ n: 3 }], [{ n: 4 }]])
  t.ok(lane.lane.session.isOpen)
  const db = await openUrl(t, url)
  await t.rejects(db.deadline(30, async () => await db.prepare('SELECT pg_sleep(60)').get()), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame(await ask(url, "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(60)'"), [])
})

void t.test('an iterate that is left, or given up in the middle, in a transaction and outside', async t => {
  const db = await openTestDatabase(t, 'postgres', { DB_POOL_MAX: '1' })
  const rows = db.prepare('SELECT i FROM generate_series(1, 1000) AS g (i)')
  const some = async (signal?: AbortController): Promise<number> => {
    let sum = 0
    for await (const { i } of rows.iterate()) {
      sum += Number(i)
      if (i === 150) signal?.abort()
      if (i === 150 && signal === undefined) break
    }
    return sum
  }
  t.equal(await some(), 150 * 151 / 2)
  t.equal(await db.tx(async tx => { const sum = await some(); await tx.prepare('SELECT 1').get(); return sum }), 150 * 151 / 2)
  const abort = new AbortController()
  await t.rejects(db.signal(abort.signal, async () => await some(abort)), { code: 'TDM_ERR_DB_ABORTED' })
  const inTx = new AbortController()
  await t.rejects(db.signal(inTx.signal, async () => await db.tx(async () => await some(inTx))), { code: 'TDM_ERR_DB_ABORTED' })
  t.strictSame(await db.prepare(value).get(1), { n: 1 })
  await until('the connection is back', () => db.status().queues.connections?.used === 0)
  t.equal(db.status().queues.connections?.used, 0)
})

void t.test('statements that nobody awaits, with a failure in the middle and COMMIT behind them', async t => {
  const db = await openTestDatabase(t, 'postgres')
  await db.exec('CREATE TABLE a (id INT PRIMARY KEY)')
  const codes: Array<Promise<string>> = []
  const done = deferred()
  await t.rejects(db.tx(async tx => {
    for (const id of [1, 2, 2, 3, 4]) codes.push(tx.prepare('INSERT INTO a (id) VALUES (?)').run(id).then(() => 'done', codeOf))
    done.resolve()
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
  await done.promise
  t.strictSame(await Promise.all(codes), ['done', 'done', 'TDM_ERR_DB_UNIQUE', 'TDM_ERR_TX_DOOMED', 'TDM_ERR_TX_DOOMED'])
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [])
})
