/** Two databases side by side: what is the same on both engines has one checksum, and what is not is found, with its table and a key. */
import t, { type Test } from 'tap'
import { Checksum, digest } from '../../plugins/db/copy/checksum.ts'
import { compareDatabases, copyDatabase } from '../../plugins/db/copy/index.ts'
import type { Column, Database, EngineName } from '../../plugins/db/types.ts'
import { openTestDatabase } from '../helper/db.ts'

async function open (t: Test, engine: EngineName, sql: string): Promise<Database> {
  const db = await openTestDatabase(t, engine)
  await db.exec(sql)
  return db
}

const sumOf = (...rows: Column[][]): string => {
  const sum = new Checksum()
  for (const row of rows) sum.add(digest(row))
  return String(sum)
}

void t.test('a checksum is of the rows and not of their order, and tells all values apart', async t => {
  t.equal(sumOf([1, 'a'], [2, 'b'], [2, 'b']), sumOf([2, 'b'], [1, 'a'], [2, 'b']))
  t.equal(sumOf([5, -0, Buffer.from('ä😀')]), sumOf(['5', 0, 'ä😀']), 'in one form')
  const different: Column[][] = [
    [null], [''], ['n'], ['0:'], [0], ['a', ''], ['', 'a'], ['1:a'], ['ä'], ['a\u0308'], [Number.NaN], [Infinity], [-Infinity], [5e-324], [0.1], [0.1 + 0.2], [2 ** 53], [2n ** 53n + 1n],
    [2n ** 63n - 1n], [Buffer.from([0xff])], [Buffer.from([0xff, 0])], [Buffer.from('\0')], ['/w=='], ['b/w==;'], [null, null], []
  ]
  t.equal(new Set(different.map(row => sumOf(row))).size, different.length)
  t.not(sumOf([1], [1]), sumOf([1]), 'a row twice is not that row once')
  t.not(sumOf([1], [1]), sumOf([2], [2]), 'and no other one')
})

const tables = {
  sqlite: 'CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, doc TEXT, n TEXT, flag, r REAL, u TEXT, c TEXT, b BLOB)',
  postgres: 'CREATE TABLE v (id BIGINT PRIMARY KEY, at TIMESTAMPTZ, doc JSONB, n NUMERIC, flag BOOLEAN, r DOUBLE PRECISION, u UUID, c CHAR(5), b BYTEA)'
}
const written = `INSERT INTO v VALUES
  (1, '2026-03-01 12:00:00', '{"b":[1,2.50],"a":{"z":null,"é":"\\u00e9"}}', '1.50', 'true', -0.0, 'F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6', 'ab', X'00FF'),
  (2, '2026-03-01T13:00:00+01:00', '{"n":12345678901234567890.10,"m":1e5}', '1e3', 0, 9e999, NULL, '', X''),
  (3, '0044-03-15 12:00:00 BC', '"x"', '123456789012345678901234567890.123', 1, 0.1, NULL, NULL, X'61'),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`

void t.test('what PostgreSQL writes in another way is the same, in both directions', async t => {
  const source = await open(t, 'sqlite', `${tables.sqlite}; ${written}`)
  const target = await open(t, 'postgres', tables.postgres)
  const back = await open(t, 'sqlite', tables.sqlite)
  const summary = await copyDatabase(source, target)
  t.strictSame(await compareDatabases(target, source), summary)
  t.strictSame(await copyDatabase(target, back), summary)
})

void t.test('every change is found, with its table and key', async t => {
  const source = await open(t, 'sqlite', `${tables.sqlite}; ${written}; CREATE TABLE bag (x); INSERT INTO bag VALUES (1), (1), (2)`)
  const target = await open(t, 'postgres', `${tables.postgres}; CREATE TABLE bag (x BIGINT)`)
  await copyDatabase(source, target)
  const changes: Array<[change: string, undo: string, message: RegExp]> = [
    ['UPDATE v SET c = \'\' WHERE id = 3', 'UPDATE v SET c = NULL WHERE id = 3', /in v \(4 rows in both, first seen at id = 3\)/],
    ['UPDATE v SET doc = \'{"n":12345678901234567890.11,"m":1e5}\' WHERE id = 2', 'UPDATE v SET doc = \'{"n":12345678901234567890.10,"m":1e5}\' WHERE id = 2', /id = 2\)/],
    ['UPDATE v SET at = at + INTERVAL \'1 microsecond\' WHERE id = 1', 'UPDATE v SET at = at - INTERVAL \'1 microsecond\' WHERE id = 1', /id = 1\)/],
    ['INSERT INTO v (id) VALUES (9)', 'DELETE FROM v WHERE id = 9', /in v \(4 rows in the source, 5 in the target, first seen at id = 9 of the target\)/],
    ['DELETE FROM bag WHERE x = 2; INSERT INTO bag VALUES (1)', 'TRUNCATE bag; INSERT INTO bag VALUES (1), (1), (2)', /in bag \(3 rows in both, first seen at rowid = 3\)/]
  ]
  for (const [change, undo, message] of changes) {
    await target.exec(change)
    await t.rejects(compareDatabases(source, target), { code: 'TDM_ERR_COPY_DIFFERS', message }, change)
    await target.exec(undo)
    await compareDatabases(source, target)
  }
})

void t.test('what PostgreSQL would round, or cannot read, is not the same', async t => {
  const source = await open(t, 'sqlite', 'CREATE TABLE a (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO a VALUES (1, \'1.5\'), (2, \'1.555\'); CREATE TABLE b (id INTEGER PRIMARY KEY, at TEXT); INSERT INTO b VALUES (1, \'soon\'), (2, \'2026-03-01\')')
  const target = await open(t, 'postgres', 'CREATE TABLE a (id BIGINT PRIMARY KEY, n NUMERIC(12, 2)); CREATE TABLE b (id BIGINT PRIMARY KEY, at TIMESTAMPTZ); INSERT INTO b VALUES (1, NULL), (2, \'2026-03-01Z\')')
  await t.rejects(copyDatabase(source, target, { tables: ['a'] }), { code: 'TDM_ERR_COPY_DIFFERS', message: / in a \(2 rows in both, first seen at id = 2\)/ })
  await t.rejects(compareDatabases(source, target), { code: 'TDM_ERR_COPY_DIFFERS', message: / in a \(.*\); b \(2 rows in both, first seen at id = 1\)/ })
})
