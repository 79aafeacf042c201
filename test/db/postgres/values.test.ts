/** PostgreSQL's types in the forms that types.ts promises, whatever the time zone of the process. */
import t from 'tap'
import { freshUrl, openTestDatabase, openUrl } from '../../helper/db.ts'
import { ask } from '../../helper/pg.ts'

const forms: ReadonlyArray<readonly [sql: string, value: unknown]> = [
  ['true', 1],
  ['false', 0],
  ['32767::int2', 32767],
  ['2147483647::int4', 2147483647],
  ['9007199254740991::int8', 9007199254740991],
  ['9007199254740992::int8', 9007199254740992n],
  ['(-9223372036854775808)::int8', -9223372036854775808n],
  ['1.5::float8', 1.5],
  ['0.1::float4', 0.1],
  ["'Infinity'::float8", Infinity],
  ['1.50::numeric', 1.5],
  ['100::numeric', 100],
  ['-0.25::numeric', -0.25],
  ['12345678901234567890::numeric', 12345678901234567890n],
  ['1.0::numeric(20,10)', 1],
  ['0.12345678901234567890::numeric', '0.12345678901234567890'],
  ['12345678901234567.89::numeric', '12345678901234567.89'],
  ["'NaN'::numeric", NaN],
  ["timestamptz '2026-03-29 03:30:00+02'", '2026-03-29T01:30:00.000Z'],
  ["timestamptz '2026-03-29 01:30:00.123456+00'", '2026-03-29T01:30:00.123456Z'],
  ["timestamptz '2026-03-29 01:30:00.5+00'", '2026-03-29T01:30:00.500Z'],
  ["timestamp '2026-03-29 02:30:00'", '2026-03-29T02:30:00.000Z'],
  ["timestamptz 'infinity'", 'infinity'],
  ["timestamp '0044-03-15 12:00:00 BC'", '0044-03-15 12:00:00 BC'],
  ["date '2026-03-29'", '2026-03-29'],
  ["time '12:34:56'", '12:34:56'],
  ["'{\"a\": [1, 2]}'::jsonb", '{"a": [1, 2]}'],
  ["'{\"a\":1}'::json", '{"a":1}'],
  ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ["'\\x00ff'::bytea", Buffer.from([0, 255])],
  ['ARRAY[1, 2]', '{1,2}'],
  ["interval '1 day'", '1 day'],
  ['NULL::int8', null]
]

void t.test('every type has its form', async t => {
  const db = await openTestDatabase(t, 'postgres')
  for (const [sql, value] of forms) t.strictSame((await db.prepare(`SELECT ${sql} AS v`).get())?.v, value, sql)
})

void t.test('parameters take the type that the statement needs', async t => {
  const db = await openTestDatabase(t, 'postgres')
  await db.exec('CREATE TABLE v (flag BOOLEAN, doc JSONB, at TIMESTAMPTZ, day DATE, amount NUMERIC(12, 2), id UUID, bin BYTEA)')
  const at = new Date(Date.UTC(2026, 9, 25, 0, 30))
  const insert = db.prepare('INSERT INTO v (flag, doc, at, day, amount, id, bin) VALUES (?, ?, ?, ?, ?, ?, ?)')
  await insert.run(true, '{"a":1}', at, '2026-10-25', 12.5, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', Buffer.from('x'))
  t.strictSame(await db.prepare('SELECT flag, doc, at, day, amount, bin FROM v WHERE at = ? AND flag = ?').get(at, true),
    { flag: 1, doc: '{"a": 1}', at: at.toISOString(), day: '2026-10-25', amount: 12.5, bin: Buffer.from('x') })
  await t.rejects(db.prepare('SELECT flag FROM v WHERE amount = ?').get('x'), { code: 'TDM_ERR_DB_OTHER' })
})

void t.test('a number of a hundred thousand digits takes no time to read', async t => {
  const db = await openTestDatabase(t, 'postgres')
  t.equal((await db.prepare('SELECT 1e131071::numeric + 0.5 AS v').get())?.v, `1${'0'.repeat(131_071)}.5`)
  t.equal((await db.prepare('SELECT 1e131071::numeric + 0.0 AS v').get())?.v, 10n ** 131_071n)
})

void t.test('bytes are bytes, also where the database prints them in the older form', async t => {
  const url = await freshUrl(t, 'postgres')
  await ask(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET bytea_output = 'escape'`)
  const db = await openUrl(t, url)
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  t.strictSame(await db.prepare('SELECT CAST(? AS bytea) AS v').get(all), { v: all })
  t.strictSame(await db.prepare("SELECT CAST('' AS bytea) AS v").get(), { v: Buffer.alloc(0) })
})

void t.test('COPY FROM STDIN and COPY TO STDOUT: the first is refused, the second has no rows', async t => {
  const db = await openTestDatabase(t, 'postgres')
  await db.exec('CREATE TABLE a (id BIGINT); INSERT INTO a VALUES (1), (2)')
  for (let i = 0; i < 3; i++) {
    await t.rejects(db.exec('COPY a FROM STDIN'), { code: 'TDM_ERR_DB_OTHER' })
    await t.rejects(db.prepare('COPY a FROM STDIN').run(), { code: 'TDM_ERR_DB_OTHER' })
    await db.exec('COPY a TO STDOUT')
    t.strictSame(await db.prepare('COPY a TO STDOUT').all(), [])
    await t.rejects(db.tx(async tx => await tx.exec('COPY a FROM STDIN')), { code: 'TDM_ERR_DB_OTHER' })
    t.strictSame(await db.tx(async tx => { await tx.exec('COPY a TO STDOUT'); return await tx.prepare('SELECT sum(id) AS n FROM a').get() }), { n: 3 })
  }
})
