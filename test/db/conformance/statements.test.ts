/** get, all, run, iterate, exec: one test a promise of types.ts. */
import { bigintKey, onEachEngine } from '../../helper/db.ts'
import type { Database } from '../../../plugins/db/types.ts'

async function withRows (db: Database, count: number): Promise<void> {
  await db.exec(`CREATE TABLE r (id ${bigintKey}, s TEXT)`)
  await db.tx(async tx => {
    const insert = tx.prepare('INSERT INTO r (id, s) VALUES (?, ?)')
    for (let id = 1; id <= count; id++) await insert.run(id, `row ${id}`)
  })
}

onEachEngine('prepare is synchronous and touches nothing', async (t, db) => {
  const statement = db.prepare('SELECT id FROM does_not_exist_yet WHERE id = ?')
  t.equal(statement.sql, 'SELECT id FROM does_not_exist_yet WHERE id = ?')
  await t.rejects(statement.get(1), { code: 'TDM_ERR_DB_SYNTAX', kind: 'syntax' })
  await db.exec('CREATE TABLE does_not_exist_yet (id BIGINT)')
  t.equal(await statement.get(1), undefined, 'and is not spoilt by a failure')
})

onEachEngine('get answers the first row or undefined', async (t, db) => {
  await withRows(db, 2)
  t.strictSame(await db.prepare('SELECT id, s FROM r ORDER BY id').get(), { id: 1, s: 'row 1' })
  t.equal(await db.prepare('SELECT id FROM r WHERE id = ?').get(9), undefined)
  t.equal(await db.prepare('UPDATE r SET s = s').get(), undefined, 'also for a statement without rows')
})

onEachEngine('all answers every row, or []', async (t, db) => {
  await withRows(db, 300)
  const rows = await db.prepare('SELECT id FROM r ORDER BY id').all()
  t.equal(rows.length, 300)
  t.strictSame(rows.at(-1), { id: 300 })
  t.strictSame(await db.prepare('SELECT id FROM r WHERE id < 0').all(), [])
  t.strictSame(await db.prepare('DELETE FROM r WHERE id < 0').all(), [])
})

onEachEngine('run counts the rows that it changed', async (t, db) => {
  await withRows(db, 3)
  const changes = async (sql: string): Promise<number> => (await db.prepare(sql).run()).changes
  t.strictSame(await db.prepare('UPDATE r SET s = ? WHERE id < 3').run('x'), { changes: 2, lastInsertRowid: null })
  t.equal(await changes('UPDATE r SET s = s WHERE id = 99'), 0)
  t.equal(await changes("INSERT INTO r (id, s) VALUES (4, 'a'), (5, 'b') RETURNING id"), 2)
  t.equal(await changes('SELECT id FROM r'), 0, 'a SELECT changes nothing')
  t.equal(await changes('CREATE TABLE other (id BIGINT)'), 0)
  t.equal(await changes('DELETE FROM r'), 5)
})

onEachEngine('RETURNING works with get, all and iterate', async (t, db) => {
  await withRows(db, 2)
  t.strictSame(await db.prepare('INSERT INTO r (id, s) VALUES (?, ?) RETURNING id').get(3, 'c'), { id: 3 })
  t.strictSame(await db.prepare('UPDATE r SET s = ? RETURNING s').all('z'), [{ s: 'z' }, { s: 'z' }, { s: 'z' }])
  const deleted = []
  for await (const row of db.prepare('DELETE FROM r RETURNING s').iterate()) deleted.push(row.s)
  t.strictSame(deleted, ['z', 'z', 'z'])
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM r').get(), { n: 0 })
})

onEachEngine('iterate yields every row once, in order', async (t, db) => {
  await withRows(db, 1234)
  const ids = []
  for await (const { id } of db.prepare<{ id: number }>('SELECT id FROM r WHERE id > ? ORDER BY id').iterate(4)) ids.push(id)
  t.equal(ids.length, 1230)
  t.ok(ids.every((id, i) => id === i + 5))
})

onEachEngine('leaving an iterate early closes its cursor and gives the connection back', async (t, db) => {
  await withRows(db, 500)
  for (let round = 0; round < 30; round++) { // more often than there are connections
    for await (const row of db.prepare('SELECT id FROM r').iterate()) { if (row.id !== null) break }
  }
  await t.rejects(async () => { for await (const _ of db.prepare('SELECT id FROM r').iterate()) throw new Error('mine') }, { message: 'mine' })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM r').get(), { n: 500 })
}, { DB_POOL_MAX: '2', SQLITE_READERS: '1', DB_ACQUIRE_TIMEOUT: '1s' })

onEachEngine('iterate sees one state of the data, writers go on meanwhile', async (t, db) => {
  await withRows(db, 1000)
  let seen = 0
  for await (const _ of db.prepare('SELECT id FROM r ORDER BY id').iterate()) {
    if (seen++ === 10) await db.prepare('DELETE FROM r WHERE id > 500').run()
  }
  t.equal(seen, 1000)
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM r').get(), { n: 500 }, 'and later reads see the new one')
})

onEachEngine('iterate fails like any statement', async (t, db) => {
  await t.rejects(async () => { for await (const _ of db.prepare('SELECT id FROM nowhere').iterate()) t.fail('a row') }, { code: 'TDM_ERR_DB_SYNTAX' })
})

onEachEngine('exec runs several statements as one transaction', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY); CREATE TABLE b (id BIGINT);')
  await t.rejects(db.exec('INSERT INTO a (id) VALUES (1); INSERT INTO b (id) VALUES (1); INSERT INTO a (id) VALUES (1)'), { code: 'TDM_ERR_DB_UNIQUE' })
  t.strictSame(await db.prepare('SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b').get(), { a: 0, b: 0 })
  await db.exec('-- nothing but a comment')
  await db.exec('VACUUM')
})

onEachEngine('68, 69: BEGIN and its like are refused, wherever they stand', async (t, db) => {
  for (const sql of ['BEGIN', ' begin immediate', '/* x */ COMMIT', 'ROLLBACK', 'SAVEPOINT a', 'RELEASE a', 'END']) {
    t.throws(() => db.prepare(sql), { code: 'TDM_ERR_DB_TRANSACTION_CONTROL' }, sql)
  }
  await db.exec('CREATE TABLE a (id BIGINT)')
  await t.rejects(db.exec('INSERT INTO a (id) VALUES (1); COMMIT'), { code: 'TDM_ERR_DB_TRANSACTION_CONTROL' })
  await t.rejects(db.tx(async tx => { await tx.exec('INSERT INTO a (id) VALUES (2); COMMIT; SELECT 1') }), { code: 'TDM_ERR_DB_TRANSACTION_CONTROL' })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 0 })
})

onEachEngine('a script may hold a trigger with statements of its own', async (t, db) => {
  const trigger = db.engine === 'sqlite'
    ? 'CREATE TRIGGER tr AFTER INSERT ON a BEGIN UPDATE a SET n = CASE WHEN n > 1 THEN 2 ELSE 0 END; END;'
    : `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN UPDATE a SET n = CASE WHEN n > 1 THEN 2 ELSE 0 END; RETURN NULL; END; $body$;
       CREATE TRIGGER tr AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();`
  await db.exec(`CREATE TABLE a (n BIGINT); ${trigger} INSERT INTO a (n) VALUES (7);`)
  t.strictSame(await db.prepare('SELECT n FROM a').all(), [{ n: 2 }])
})

onEachEngine('73: after close every call is refused with our error', async (t, db) => {
  await db.close()
  await db.close()
  await t.rejects(db.prepare('SELECT 1 AS a').get(), { code: 'TDM_ERR_DB_CLOSED' })
  await t.rejects(db.exec('SELECT 1'), { code: 'TDM_ERR_DB_CLOSED' })
  await t.rejects(db.tx(async tx => await tx.prepare('SELECT 1 AS a').get()), { code: 'TDM_ERR_DB_CLOSED' })
  await t.rejects(async () => { for await (const _ of db.prepare('SELECT 1 AS a').iterate()) t.fail('a row') }, { code: 'TDM_ERR_DB_CLOSED' })
})

onEachEngine('171: close waits for what is running', async (t, db) => {
  await withRows(db, 1)
  const running = db.tx(async tx => {
    await tx.prepare('UPDATE r SET s = ?').run('changed')
    const closed = db.close()
    await tx.prepare('UPDATE r SET id = ?').run(2)
    return { closed }
  })
  const { closed } = await running
  await closed
  t.pass('the transaction was committed and then the database closed')
})
