/** What goes in and what comes out: the same on both engines. */
import { blobType, onEachEngine } from '../../helper/db.ts'

onEachEngine('every kind of value comes back as it went in', async (t, db) => {
  await db.exec(`CREATE TABLE v (id BIGINT PRIMARY KEY, i BIGINT, f DOUBLE PRECISION, s TEXT, b ${blobType(db)})`)
  const insert = db.prepare('INSERT INTO v (id, i, f, s, b) VALUES (?, ?, ?, ?, ?)')
  await insert.run(1, 5, 1.5, 'ä€😀\n\'"\\', Buffer.from([0, 1, 255]))
  await insert.run(2, null, null, null, null)
  await insert.run(3, true, 5, '', new Uint8Array(0))
  const rows = await db.prepare('SELECT i, f, s, b FROM v ORDER BY id').all()
  t.strictSame(rows, [
    { i: 5, f: 1.5, s: 'ä€😀\n\'"\\', b: Buffer.from([0, 1, 255]) },
    { i: null, f: null, s: null, b: null },
    { i: 1, f: 5, s: '', b: Buffer.alloc(0) }
  ])
})

onEachEngine('integers are never rounded: beyond 2^53-1 they are bigint', async (t, db) => {
  await db.exec('CREATE TABLE v (id BIGINT PRIMARY KEY, i BIGINT)')
  const edges = [2n ** 53n - 1n, -(2n ** 53n) + 1n, 2n ** 53n, -(2n ** 53n), 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 0n]
  const expected = edges.map(edge => Number.isSafeInteger(Number(edge)) ? Number(edge) : edge)
  const insert = db.prepare('INSERT INTO v (id, i) VALUES (?, ?)')
  for (const [id, edge] of edges.entries()) await insert.run(id, edge)
  t.strictSame((await db.prepare('SELECT i FROM v ORDER BY id').all()).map(row => row.i), expected, 'all')
  const one = db.prepare('SELECT i FROM v WHERE id = ?')
  for (const [id, value] of expected.entries()) t.equal((await one.get(id))?.i, value, 'get')
  const seen = []
  for await (const row of db.prepare('SELECT i FROM v ORDER BY id').iterate()) seen.push(row.i)
  t.strictSame(seen, expected, 'iterate')
  t.strictSame(await db.prepare('INSERT INTO v (id, i) VALUES (?, ?) RETURNING i').get(100, 2n ** 53n + 1n), { i: 2n ** 53n + 1n }, 'RETURNING')
})

onEachEngine('a number in a text column is written without a decimal point', async (t, db) => {
  await db.exec('CREATE TABLE v (s TEXT)')
  await db.prepare('INSERT INTO v (s) VALUES (?)').run(5)
  t.strictSame(await db.prepare('SELECT s FROM v').get(), { s: '5' })
})

onEachEngine('a Date is ISO-8601 text in UTC with milliseconds', async (t, db) => {
  await db.exec('CREATE TABLE v (s TEXT)')
  await db.prepare('INSERT INTO v (s) VALUES (?)').run(new Date(Date.UTC(2026, 2, 29, 1, 30)))
  t.strictSame(await db.prepare('SELECT s FROM v').get(), { s: '2026-03-29T01:30:00.000Z' })
})

onEachEngine('what cannot be bound is refused by position, and its value is not told', async (t, db) => {
  await db.exec('CREATE TABLE v (a BIGINT, b TEXT)')
  const insert = db.prepare('INSERT INTO v (a, b) VALUES (?, ?)')
  const unbindable: unknown[] = [undefined, NaN, () => 1, Symbol('x'), {}, [], 2n ** 63n, -(2n ** 63n) - 1n, new Date(NaN)]
  for (const value of unbindable) {
    await t.rejects(insert.run(1, value as string), { code: 'TDM_ERR_DB_BIND', message: /Parameter 2 / }, String(value))
  }
  await t.rejects(insert.run(1), { code: 'TDM_ERR_DB_BIND', message: /2 value\(s\), got 1/ })
  await t.rejects(db.prepare('INSERT INTO v (a) VALUES (:a)').run({ b: 'secret' }), { code: 'TDM_ERR_DB_BIND' })
  await t.rejects(db.prepare('INSERT INTO v (a) VALUES (:a)').run(7), { code: 'TDM_ERR_DB_BIND' })
  await t.rejects(db.prepare('INSERT INTO v (a, b) VALUES (:a, :b)').run({ a: 1, b: undefined as unknown as string }), { code: 'TDM_ERR_DB_BIND', message: /:b/ })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM v').get(), { n: 0 })
})

onEachEngine('placeholders by position, by number and by name', async (t, db) => {
  await db.exec('CREATE TABLE v (a BIGINT, b TEXT)')
  await db.prepare('INSERT INTO v (a, b) VALUES (?, ?)').run(1, 'one')
  await db.prepare('INSERT INTO v (b, a) VALUES ($2, $1)').run(2, 'two')
  await db.prepare('INSERT INTO v (a, b) VALUES (:a, :b)').run({ b: 'three', a: 3 })
  t.strictSame(await db.prepare('SELECT a, b FROM v WHERE a = :x OR a = :x + 1 ORDER BY a').all({ x: 2 }), [{ a: 2, b: 'two' }, { a: 3, b: 'three' }])
  t.strictSame(await db.prepare("SELECT b FROM v WHERE b <> ':no ? $1' /* ? :no */ AND a = ? -- ?").all(1), [{ b: 'one' }])
  t.throws(() => db.prepare('SELECT a FROM v WHERE a = ? OR a = :x'), { code: 'TDM_ERR_DB_PLACEHOLDER' })
})

onEachEngine('of two columns with one name the last is kept', async (t, db) => {
  t.strictSame(await db.prepare('SELECT 1 AS a, 2 AS a').get(), { a: 2 })
})

onEachEngine('count, sum and comparison come back as numbers', async (t, db) => {
  await db.exec('CREATE TABLE v (i BIGINT); INSERT INTO v (i) VALUES (1), (2), (9007199254740991)')
  t.strictSame(await db.prepare('SELECT count(*) AS n, max(i) AS m, sum(i) AS s, count(*) > 2 AS t FROM v').get(),
    { n: 3, m: 9007199254740991, s: 9007199254740994n, t: 1 })
})
