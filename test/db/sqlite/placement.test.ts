/**
 * Where statements run, as db.status() tells it, and that nobody can tell from the rows: a statement or transaction that is moved from the main thread into another
 * takes effect once, and sees what it would have seen had it stayed. Cases 14, 15 and 36 of the list of cases (README.md beside this file).
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import type { Database, StatementStatus, Transaction } from '../../../plugins/db/types.ts'
import { configFor, deferred, freshFolder, openTestDatabase, openUrl } from '../../helper/db.ts'
import { skipWithoutNative } from '../../helper/native.ts'

const numbers = (last: number): string => `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${last})`
const ROWS = 200_000
/** Takes some 10 ms, and reads the whole table. */
const scan = 'SELECT count(*) AS n, max(id) AS last FROM big WHERE s LIKE \'%row%number%\''
const point = 'SELECT id FROM big WHERE id = ?'

/** A file that is too large for scans on the main thread. */
function makeFile (t: Test, rows = ROWS): string {
  const path = join(freshFolder(t), 'big.db')
  const file = new Sqlite(path)
  file.exec(`CREATE TABLE big (id INTEGER PRIMARY KEY, s TEXT); CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER);
    ${numbers(rows)} INSERT INTO big SELECT i, 'this is the row with number ' || i FROM n`)
  file.close()
  return path
}

/** What is known of a statement, by its text or how that begins. */
function statusOf (db: Database, sql: string): StatementStatus {
  const found = db.status().statements.find(statement => statement.sql.startsWith(sql))
  if (found === undefined) throw new Error(`nothing is known of ${sql}`)
  return found
}

const stalls = (db: Database): number => db.status().sqlite?.stalls.count ?? -1
const runningThreads = (db: Database): number => db.status().sqlite?.threads ?? -1
const places = (db: Database): { snapshots: number | undefined, threads: number | undefined } =>
  ({ snapshots: db.status().queues.snapshots?.used, threads: db.status().queues.threads?.used })

async function nextTurn (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

// --- one statement ---------------------------------------------------------------------------------------------------------------

void t.test('a new statement with a short plan runs on the main thread, a scan of a large table in a thread', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`)
  t.strictSame(await db.prepare(point).get(7), { id: 7 })
  t.match(statusOf(db, point), { runs: 'inline', why: 'new: a short plan', apart: { runs: 0, meanMs: 0 }, overruns: 0 })
  t.equal(runningThreads(db), 0)
  t.strictSame(await db.prepare(scan).get(), { n: ROWS, last: ROWS })
  t.match(statusOf(db, scan), { runs: 'apart', why: 'new: the plan reads a large table', apart: { runs: 1 }, overruns: 0 })
  t.ok(statusOf(db, scan).apart.meanMs > 0)
  t.equal(runningThreads(db), 1)
  t.equal(db.status().statements[0]?.sql, scan, 'the slowest first')
})

void t.test('what sorts, or builds an index for itself, counts as long; a table without rows, a value and a search do not', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`, { DB_EVENT_LOOP_BUDGET: '50ms' }) // it is the plan that counts here, and not how busy the machine is
  const long = [
    'SELECT id FROM big WHERE id < 100 ORDER BY s',
    'SELECT DISTINCT s FROM big WHERE id < 100',
    'SELECT count(*) FROM big b, a WHERE a.n = b.s',
    'SELECT id FROM big WHERE s = \'x\''
  ]
  const short = ['SELECT 1 AS one', 'SELECT max(id) FROM big WHERE id < 1000', 'SELECT id FROM big WHERE id IN (1, 2, 3)', 'VALUES (1), (2)']
  for (const sql of [...long, ...short]) await db.prepare(sql).all()
  for (const sql of long) t.match(statusOf(db, sql), { apart: { runs: 1 }, overruns: 0 }, sql)
  for (const sql of short) t.match(statusOf(db, sql), { runs: 'inline', apart: { runs: 0 } }, sql)
})

void t.test('15: a read that takes longer than the budget goes on in a thread, with the same rows', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openTestDatabase(t, 'sqlite') // small: every plan is taken for short
  const sql = `${numbers(90_000)} SELECT i, 'row ' || i AS s FROM n`
  const rows = await db.prepare(sql).all()
  t.equal(rows.length, 90_000)
  t.strictSame([rows[0], rows.at(-1)], [{ i: 1, s: 'row 1' }, { i: 90_000, s: 'row 90000' }])
  t.match(statusOf(db, sql), { runs: 'apart', why: 'took longer than the budget', apart: { runs: 1 }, overruns: 1 })
  await db.prepare(sql).all()
  t.match(statusOf(db, sql), { runs: 'apart', apart: { runs: 2 }, overruns: 1 }, 'and begins there from then on')
  t.equal(stalls(db), 0)
})

void t.test('a statement that was short often enough comes back to the main thread', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openTestDatabase(t, 'sqlite', { DB_EVENT_LOOP_BUDGET: '10ms' })
  const sql = `${numbers(1e9).replace('1000000000', '?')} SELECT count(*) AS n FROM n`
  t.strictSame(await db.prepare(sql).get(500_000), { n: 500_000 })
  t.match(statusOf(db, sql), { runs: 'apart', overruns: 1 })
  let runs = 0
  for (; statusOf(db, sql).runs === 'apart' && runs < 500; runs++) t.strictSame(await db.prepare(sql).get(2), { n: 2 })
  t.ok(runs > 1 && runs < 500, `after ${runs} runs`)
  t.match(statusOf(db, sql), { runs: 'inline', why: 'was short often enough' })
  const { apart } = statusOf(db, sql)
  t.strictSame(await db.prepare(sql).get(3), { n: 3 })
  t.strictSame(statusOf(db, sql).apart, apart, 'it ran on the main thread')
  t.strictSame(await db.prepare(sql).get(500_000), { n: 500_000 })
  t.match(statusOf(db, sql), { runs: 'apart', overruns: 2 })
})

void t.test('15: a write that the budget interrupts takes effect once', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openTestDatabase(t, 'sqlite')
  await db.exec(`CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE log (id INTEGER);
    CREATE TRIGGER seen AFTER UPDATE ON a BEGIN INSERT INTO log VALUES (NEW.id); END`)
  await db.exec(`${numbers(20_000)} INSERT INTO a SELECT i, 0 FROM n`)
  const update = `UPDATE a SET n = n + 1 + 0 * (${numbers(20)} SELECT count(*) FROM n)`
  t.strictSame(await db.prepare(update).run(), { changes: 20_000, lastInsertRowid: null })
  t.match(statusOf(db, update), { runs: 'apart', why: 'took longer than the budget', overruns: 1 })
  const returning = `UPDATE a SET n = n + 1 + 0 * (${numbers(21)} SELECT count(*) FROM n) RETURNING n`
  t.strictSame([...new Set((await db.prepare(returning).all()).map(({ n }) => n))], [2])
  t.match(statusOf(db, returning), { overruns: 1 })
  await db.exec(`UPDATE a SET n = n + 1 + 0 * (${numbers(22)} SELECT count(*) FROM n)`)
  await db.exec(`UPDATE a SET n = n + 1 WHERE id = 1; UPDATE a SET n = n + 1 + 0 * (${numbers(23)} SELECT count(*) FROM n) WHERE id > 1`)
  t.strictSame(await db.prepare('SELECT min(n) AS min, max(n) AS max FROM a').get(), { min: 4, max: 4 })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM log').get(), { n: 80_000 })
  t.equal(stalls(db), 0)
})

void t.test('an ALTER TABLE that the budget interrupts takes effect once', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openTestDatabase(t, 'sqlite', { DB_EVENT_LOOP_BUDGET: '1ms' })
  // each ALTER reads the whole schema, and is interrupted in one part of it or another
  const tables = Array.from({ length: 150 }, (_, i) => `CREATE TABLE t${i} (a, b); CREATE VIEW v${i} AS SELECT a, b FROM t${i} WHERE a > (SELECT max(b) FROM t${i});`)
  await db.exec(tables.join('\n'))
  for (let i = 0; i < 40; i++) await db.exec(`ALTER TABLE t${i} RENAME COLUMN a TO c${i}`)
  const [columns] = await db.prepare('SELECT count(*) AS n FROM pragma_table_list AS l JOIN pragma_table_info(l.name) AS c WHERE l.type = \'table\' AND c.name GLOB \'c[0-9]*\'').all()
  t.equal(columns?.n, 40)
})

void t.test('an EXPLAIN, which looks at the file first, does not meet the budget of the statement before it', async t => {
  const db = await openTestDatabase(t, 'sqlite')
  await db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY)')
  const read = db.prepare('SELECT id FROM a WHERE id = 1')
  for (let i = 0; i < 4000; i++) {
    await db.deadline(0.02, async () => await read.get()).catch(() => {}) // or too late already
    await db.prepare('EXPLAIN QUERY PLAN SELECT id FROM a').all()
  }
  t.match(await db.prepare('EXPLAIN QUERY PLAN SELECT id FROM a').all(), [{ detail: 'SCAN a' }])
})

void t.test('15: a write that waited for another process\' lock is still under the budget', async t => {
  const path = join(freshFolder(t), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`)
  await db.exec(`CREATE TABLE a (n INTEGER); ${numbers(20_000)} INSERT INTO a SELECT 0 FROM n`)
  const other = new Sqlite(path, { timeout: 0 })
  t.teardown(() => { other.close() })
  for (const write of [async (sql: string) => { await db.prepare(sql).run() }, async (sql: string) => { await db.exec(sql) }]) {
    other.exec('BEGIN IMMEDIATE')
    const done = write(`UPDATE a SET n = n + 1 + 0 * (${numbers(20)} SELECT count(*) FROM n)`)
    for (let turn = 0; turn < 20; turn++) await nextTurn()
    other.exec('COMMIT')
    await done
  }
  t.strictSame(await db.prepare('SELECT min(n) AS min, max(n) AS max FROM a').get(), { min: 2, max: 2 })
  t.equal(stalls(db), 0)
})

// --- a transaction that writes -----------------------------------------------------------------------------------------------------

const slowUpdate = `UPDATE big SET s = s || '!' WHERE s LIKE '%row%number%'`

void t.test('a transaction whose first statement is slow moves to the writer\'s thread and is atomic', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`)
  const marked = db.prepare('SELECT count(*) AS n FROM big WHERE s LIKE \'%!\'')
  const failure = new Error('no')
  await t.rejects(db.tx(async tx => {
    t.strictSame(await tx.prepare(slowUpdate).run(), { changes: ROWS, lastInsertRowid: null })
    await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
    t.strictSame(await marked.get(), { n: ROWS }, 'what follows is in it')
    t.strictSame(await db.outsideTx(async () => await marked.get()), { n: 0 }, 'and others do not see it')
    throw failure
  }), failure)
  t.strictSame(await marked.get(), { n: 0 })
  await db.tx(async tx => {
    await tx.prepare(slowUpdate).run()
    await tx.prepare('INSERT INTO a (id) VALUES (2)').run()
  })
  t.strictSame(await marked.get(), { n: ROWS })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 2 }])
  t.equal(stalls(db), 0)
  await db.tx(async tx => await tx.prepare('INSERT INTO a (id) VALUES (3)').run())
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 2 }, { id: 3 }], 'the next one begins on the main thread again')
})

for (const [what, first] of [['statement', `UPDATE a SET n = n + 1 + 0 * (${numbers(20)} SELECT count(*) FROM n)`], ['script', '']] as const) {
  void t.test(`15: a first ${what} that the budget interrupts is undone before its transaction goes on in the thread`, async t => {
    const db = await openTestDatabase(t, 'sqlite')
    await db.exec(`CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER); ${numbers(20_000)} INSERT INTO a SELECT i, 0 FROM n`)
    await db.tx(async tx => {
      if (first === '') await tx.exec(`UPDATE a SET n = 5 WHERE id = 1 AND n = 0; UPDATE a SET n = n + 1 + 0 * (${numbers(21)} SELECT count(*) FROM n)`)
      else await tx.prepare(first).run()
      await tx.prepare('UPDATE a SET n = n + 1 WHERE id = 2').run()
    })
    t.strictSame(await db.prepare('SELECT id, n FROM a WHERE id < 4').all(), [{ id: 1, n: first === '' ? 6 : 1 }, { id: 2, n: 2 }, { id: 3, n: 1 }])
    t.equal(stalls(db), 0)
  })
}

void t.test('a later statement of a transaction that writes stays where it is, is counted as a stall, and the next such transaction begins in the thread', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`)
  const run = async (second: (tx: Transaction) => Promise<unknown>): Promise<void> => {
    await db.tx(async tx => {
      await tx.prepare('INSERT INTO a (n) VALUES (1)').run()
      await second(tx)
    })
  }
  await run(async tx => await tx.prepare(slowUpdate).run())
  t.equal(stalls(db), 1)
  t.ok((db.status().sqlite?.stalls.longestMs ?? 0) > 2)
  t.match(statusOf(db, 'BEGIN; INSERT INTO a (n) VALUES (1)'), { runs: 'apart', why: 'took longer than the budget' })
  await run(async tx => await tx.prepare(slowUpdate).run())
  t.equal(stalls(db), 1, 'not again')
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM big WHERE s LIKE \'%!!\'').get(), { n: ROWS })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 2 })
})

void t.test('a slow script in a transaction is counted as a stall too', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`)
  await db.tx(async tx => {
    await tx.prepare('INSERT INTO a (n) VALUES (1)').run()
    await tx.exec(slowUpdate)
  })
  t.equal(stalls(db), 1)
})

void t.test('savepoints before the first statement of a transaction that writes are there in the thread', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`)
  await db.tx(async tx => {
    await tx.tx(async inner => {
      await inner.tx(async innermost => {
        await innermost.prepare(slowUpdate).run()
        throw new Error('undo this')
      }, { propagation: 'nested' }).catch(() => {})
      await inner.prepare('INSERT INTO a (id) VALUES (1)').run()
    }, { propagation: 'nested' })
    await tx.prepare('INSERT INTO a (id) VALUES (2)').run()
  })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM big WHERE s LIKE \'%!\'').get(), { n: 0 })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 1 }, { id: 2 }])
  t.equal(stalls(db), 0)
})

// --- a transaction that reads --------------------------------------------------------------------------------------------------------

void t.test('36: a transaction that reads and moves in the middle sees one snapshot', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`)
  await db.tx(async tx => {
    t.strictSame(await tx.prepare(point).get(1), { id: 1 })
    t.strictSame(places(db), { snapshots: 1, threads: 0 })
    t.strictSame(await tx.prepare(scan).get(), { n: ROWS, last: ROWS })
    t.strictSame(places(db), { snapshots: 1, threads: 1 }, 'it moved')
    await db.outsideTx(async () => await db.prepare('DELETE FROM big WHERE id <= 1000').run())
    t.strictSame(await tx.prepare(point).get(1), { id: 1 })
    t.strictSame(await tx.prepare(scan).get(), { n: ROWS, last: ROWS })
  }, { mode: 'read' })
  t.strictSame(places(db), { snapshots: 0, threads: 0 })
  t.strictSame(await db.prepare(scan).get(), { n: ROWS - 1000, last: ROWS })
  t.equal(stalls(db), 0)
})

void t.test('36: a transaction that reads moves although it begins right after a commit', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`)
  for (let id = 1; id <= 5; id++) {
    await db.tx(async tx => await tx.prepare(point).get(id), { mode: 'read' })
    await db.prepare('INSERT INTO a (id, n) VALUES (?, 0)').run(id)
    await db.tx(async tx => {
      await tx.prepare(point).get(id)
      await tx.prepare(`${scan} AND id > ${id}`).get()
      t.strictSame(places(db), { snapshots: 1, threads: 1 }, 'it moved')
    }, { mode: 'read' })
  }
  t.equal(stalls(db), 0)
})

/** Another process that runs each line of its input as SQL, and answers. */
function startProcess (t: Test, path: string): { exec: (sql: string) => Promise<void> } {
  const script = `import Sqlite from ${JSON.stringify(import.meta.resolve('better-sqlite3'))}
    import { createInterface } from 'node:readline'
    const db = new Sqlite(${JSON.stringify(path)})
    for await (const sql of createInterface({ input: process.stdin })) { db.exec(sql); console.log('done') }
    db.close()`
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: Interface = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  t.teardown(async () => {
    child.stdin?.end()
    if (child.exitCode === null) await once(child, 'exit')
  })
  return {
    exec: async sql => {
      child.stdin?.write(`${sql}\n`)
      await once(lines, 'line')
    }
  }
}

for (const who of ['another connection', 'another process']) {
  void t.test(`36: a transaction that reads stays where it is when ${who} has committed in between, and sees its own snapshot`, { skip: skipWithoutNative('runs on the main thread') }, async t => {
    const path = makeFile(t)
    const db = await openUrl(t, `sqlite:${path}`)
    const other = who === 'another process' ? startProcess(t, path) : { exec: async (sql: string) => { await db.outsideTx(async () => { await db.exec(sql) }) } }
    await db.tx(async tx => {
      t.strictSame(await tx.prepare(point).get(1), { id: 1 })
      await other.exec('DELETE FROM big WHERE id <= 1000')
      t.strictSame(await tx.prepare(scan).get(), { n: ROWS, last: ROWS })
      t.strictSame(places(db), { snapshots: 1, threads: 0 }, 'it did not move')
      await other.exec(`INSERT INTO big (id) VALUES (${ROWS + 1})`)
      t.strictSame(await tx.prepare(`${scan} AND id > 0`).get(), { n: ROWS, last: ROWS })
      const rows = []
      for await (const { id } of tx.prepare('SELECT id FROM big WHERE id < 5').iterate()) rows.push(id)
      t.strictSame(rows, [1, 2, 3, 4])
    }, { mode: 'read' })
    t.ok(stalls(db) > 0, 'which is counted')
    t.strictSame(await db.prepare(scan).get(), { n: ROWS - 1000, last: ROWS })
    t.strictSame(places(db), { snapshots: 0, threads: 0 })
  })
}

void t.test('36: transactions that read see one snapshot, whenever they move and whoever commits at that time', async t => {
  const path = makeFile(t, 30_000)
  const db = await openUrl(t, `sqlite:${path}`, { SQLITE_READERS: '2', DB_EVENT_LOOP_BUDGET: '1ms' })
  await db.exec('INSERT INTO a (id, n) VALUES (1, 0)')
  const done = new AbortController()
  const move = async (): Promise<void> => { // 1 from each row that has some, to a.n
    for (let id = 1; !done.signal.aborted; id++) {
      await db.tx(async tx => {
        await tx.prepare('DELETE FROM big WHERE id = ?').run(id)
        await tx.prepare('UPDATE a SET n = n + 1').run()
      })
      await nextTurn()
    }
  }
  const writer = move()
  let moved = 0
  for (let round = 0; round < 60; round++) {
    await db.tx(async tx => {
      const before = await tx.prepare('SELECT n FROM a WHERE id = 1').get()
      for (let turn = 0; turn < round % 4; turn++) await nextTurn()
      const there = await tx.prepare('SELECT count(*) AS n FROM big WHERE s LIKE \'%row%number%\'').get()
      if (places(db).threads === 1) moved++
      const after = await tx.prepare('SELECT n FROM a').get()
      if (Number(before?.n) + Number(there?.n) !== 30_000 || before?.n !== after?.n) t.fail(`${JSON.stringify([before, there, after])} in round ${round}`)
    }, { mode: 'read' })
  }
  done.abort()
  await writer
  t.pass(`${moved} of 60 moved`)
})

void t.test('savepoints of a transaction that reads are there in the thread', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`)
  const seen = await db.tx(async tx => {
    await tx.prepare(point).get(1)
    const inner = await tx.tx(async inner => {
      await inner.prepare(point).get(2)
      return await inner.tx(async innermost => await innermost.prepare(scan).get(), { propagation: 'nested' })
    }, { propagation: 'nested' })
    t.strictSame(places(db), { snapshots: 1, threads: 1 })
    await t.rejects(tx.tx(async inner => { await inner.prepare('SELECT no_such_column FROM big').get() }, { propagation: 'nested' }), { code: 'TDM_ERR_DB_SYNTAX' })
    return [inner, await tx.prepare(point).get(3)]
  }, { mode: 'read' })
  t.strictSame(seen, [{ n: ROWS, last: ROWS }, { id: 3 }])
  t.equal(stalls(db), 0)
})

void t.test('a transaction that reads, has moved and is idle gives its reader to those who wait', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`, { SQLITE_READERS: '1', DB_TX_IDLE_TIMEOUT: '50ms', DB_ACQUIRE_TIMEOUT: '5s' })
  const moved = deferred()
  const idle = db.tx(async tx => {
    await tx.prepare(point).get(1)
    await tx.prepare(scan).get()
    moved.resolve()
    await new Promise(() => {})
  }, { mode: 'read' })
  idle.catch(() => {})
  await moved.promise
  t.strictSame(await db.prepare(scan).get(), { n: ROWS, last: ROWS })
  await t.rejects(idle, { code: 'TDM_ERR_TX_IDLE' })
})

// --- the budget ------------------------------------------------------------------------------------------------------------------------

void t.test('with the smallest budget everything is right, and with a very long one nothing leaves the main thread', { skip: skipWithoutNative('runs on the main thread') }, async t => {
  const path = makeFile(t)
  for (const budget of ['1ms', '1h']) {
    const db = await openUrl(t, `sqlite:${path}`, { DB_EVENT_LOOP_BUDGET: budget })
    const sorted = `${numbers(50_000)} SELECT max(i) AS last FROM n`
    for (let i = 0; i < 3; i++) {
      t.strictSame(await db.prepare(point).get(5), { id: 5 })
      t.strictSame(await db.prepare(sorted).get(), { last: 50_000 })
      t.strictSame(await db.tx(async tx => [await tx.prepare(point).get(5), await tx.prepare(sorted).get()], { mode: 'read' }), [{ id: 5 }, { last: 50_000 }])
    }
    t.equal(stalls(db), 0)
    if (budget === '1h') t.match(statusOf(db, point), { runs: 'inline', overruns: 0 })
    await db.close()
  }
})

void t.test('a budget that is longer than a deadline does not keep it from being kept', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openTestDatabase(t, 'sqlite', { DB_EVENT_LOOP_BUDGET: '1h', DB_STATEMENT_TIMEOUT: '100ms' })
  const forever = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n'
  await t.rejects(db.prepare(forever).get(), { code: 'TDM_ERR_DB_TIMEOUT' })
  await t.rejects(db.tx(async tx => await tx.prepare(forever).get(), { mode: 'read' }), { code: 'TDM_ERR_DB_TIMEOUT' })
  await t.rejects(db.tx(async tx => await tx.prepare(forever).get()), { code: 'TDM_ERR_DB_TIMEOUT' })
})

void t.test('a budget of nothing is refused', async t => {
  for (const budget of ['0', '0ms', '-1ms', 'none']) {
    t.throws(() => configFor('sqlite::memory:', { DB_EVENT_LOOP_BUDGET: budget }), { code: 'TDM_ERR_CONFIG_INVALID', message: /DB_EVENT_LOOP_BUDGET/ }, budget)
  }
})

void t.test('without the watchdog nothing runs on the main thread but COMMIT\'s neighbours, and everything is right', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`, { SQLITE_WATCHDOG: 'off' })
  t.strictSame(await db.prepare(point).get(1), { id: 1 })
  t.strictSame(await db.prepare(scan).get(), { n: ROWS, last: ROWS })
  await db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id, n) VALUES (1, 1)').run()
    await tx.tx(async inner => { await inner.prepare('UPDATE a SET n = 2').run() }, { propagation: 'nested' })
  })
  t.strictSame(await db.tx(async tx => [await tx.prepare('SELECT n FROM a').get(), await tx.prepare(point).get(2)], { mode: 'read' }), [{ n: 2 }, { id: 2 }])
  t.strictSame(new Set(db.status().statements.map(({ runs }) => runs)), new Set(['apart']))
  t.equal(db.status().sqlite?.watchdog, 'off')
  t.equal(stalls(db), 0)
})
