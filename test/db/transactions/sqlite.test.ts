/** What only SQLite has (cases 150 to 164; those without a number here are in test/db/conformance and test/db/sqlite). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { GateLease } from '../../../plugins/db/gate.ts'
import { Placement } from '../../../plugins/db/placement.ts'
import { SqliteConnection, type Home } from '../../../plugins/db/sqlite/connection.ts'
import { Handle } from '../../../plugins/db/sqlite/handle.ts'
import { Inline } from '../../../plugins/db/sqlite/inline.ts'
import { Turns } from '../../../plugins/db/sqlite/turns.ts'
import { sqliteTokens, createParser } from '../../../plugins/db/sql.ts'
import { deferred, freshFolder, openUrl } from '../../helper/db.ts'
import { ids, insert, table, turns } from './common.ts'
import type { Database, Limits } from '../../../plugins/db/types.ts'

async function open (t: Test, variables: Record<string, string> = {}): Promise<{ db: Database, path: string }> {
  const path = join(freshFolder(t), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`, variables)
  await db.exec(table)
  return { db, path }
}

/** By a cursor. */
async function readAll (db: Database): Promise<unknown[]> {
  const rows = []
  for await (const row of db.prepare('SELECT id FROM a').iterate()) rows.push(row.id)
  return rows
}

/** Counts the turns of the event loop until it is stopped. */
function countTurns (): { stop: () => number } {
  let count = 0
  const turn = (): void => { count++; next = setImmediate(turn) }
  let next = setImmediate(turn)
  return { stop: () => { clearImmediate(next); return count } }
}

void t.test('150, 164: while one transaction writes, others wait in order, and the event loop turns', async t => {
  const { db } = await open(t)
  const begun = deferred()
  const order: number[] = []
  const first = db.tx(async tx => {
    await insert(tx, 0)
    begun.resolve()
    await turns(300)
    order.push(0)
  })
  await begun.promise
  const counted = countTurns()
  const others = [1, 2, 3].map(async n => { await db.tx(async tx => { await insert(tx, n); order.push(n) }) })
  await Promise.all([first, ...others])
  t.ok(counted.stop() >= 290, 'nobody kept it')
  t.strictSame(order, [0, 1, 2, 3])
  t.strictSame(await ids(db), [0, 1, 2, 3])
})

void t.test('152: a transaction reads, another process wants to write, and the first one writes all the same', async t => {
  const { db, path } = await open(t)
  const other = new Sqlite(path, { timeout: 0 })
  t.teardown(() => { other.close() })
  await db.tx(async tx => {
    t.strictSame(await ids(tx), [])
    t.throws(() => other.exec('INSERT INTO a (id) VALUES (1)'), { code: 'SQLITE_BUSY' }, 'IMMEDIATE: the lock is taken at the start')
    await insert(tx, 2)
  })
  other.exec('INSERT INTO a (id) VALUES (1)')
  t.strictSame(await ids(db), [1, 2])
})

void t.test('152: busy is worth another attempt of the whole', async t => {
  const { db, path } = await open(t)
  const other = new Sqlite(path, { timeout: 0 })
  t.teardown(() => { other.close() })
  other.exec('BEGIN IMMEDIATE')
  let calls = 0
  await db.tx(async tx => {
    if (++calls === 2) other.exec('COMMIT')
    await insert(tx, calls)
  }, { retry: 1, timeout: 200 })
  t.equal(calls, 2)
  t.strictSame(await ids(db), [2])
})

void t.test('153: RAISE(ROLLBACK) of a trigger ends the transaction: nothing that follows commits on its own', async t => {
  const { db } = await open(t)
  await db.exec('CREATE TRIGGER refuse BEFORE INSERT ON a WHEN new.id = 13 BEGIN SELECT RAISE(ROLLBACK, \'unlucky\'); END')
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    await insert(tx, 13).catch(() => {})
    await t.rejects(insert(tx, 2), { code: 'TDM_ERR_TX_DOOMED' })
  }), { code: 'TDM_ERR_TX_DOOMED' })
  t.strictSame(await ids(db), [])
})

void t.test('154: COMMIT that a reader keeps busy is tried again, in the same transaction', async t => {
  const path = join(freshFolder(t), 'journal.db')
  const file = new Sqlite(path, { timeout: 0 })
  t.equal(file.pragma('journal_mode', { simple: true }), 'delete', 'a file of WAL never has this')
  file.exec(table)
  const reader = new Sqlite(path, { timeout: 0 })
  t.teardown(() => { reader.close(); file.close() })
  reader.exec('INSERT INTO a (id) VALUES (100)')
  const placement = new Placement(1000)
  const cost = placement.costOf('', () => true)
  const home: Home = { placement, turns: new Turns(2), costOf: () => cost, costOfTransaction: () => cost, borrowThread: async () => { throw new Error('it has none') }, giveBack: () => {}, version: () => 0, recentVersion: () => 0, deliver: () => {}, noteStall: () => {} }
  const place = new Inline(new Handle(file, undefined), Infinity, { maxRows: Infinity, maxBytes: Infinity })
  const connection = new SqliteConnection(home, 'write', place, new GateLease(''), () => {})
  const limits: Limits = { deadline: performance.now() + 10_000, signal: undefined, held: [] }
  const { parseQuery } = createParser({ tokens: sqliteTokens, nestedComments: false, placeholder: () => '?' })
  await connection.begin(limits, 'INSERT')
  await connection.savepoint('a')
  await connection.execute('run', parseQuery('INSERT INTO a (id) VALUES (1)'), [], limits)
  reader.exec('BEGIN')
  reader.prepare('SELECT id FROM a').all()
  let isDone = false
  const commit = connection.commit(limits).then(() => { isDone = true })
  await turns(50)
  t.equal(isDone, false)
  t.equal(connection.inTransaction, true)
  reader.exec('COMMIT')
  await commit
  t.strictSame(reader.prepare('SELECT id FROM a ORDER BY id').pluck().all(), [1, 100])
})

void t.test('155: a loop that was left in the middle does not keep COMMIT', async t => {
  const { db } = await open(t)
  await db.tx(async tx => { for (let id = 0; id < 500; id++) await insert(tx, id) })
  await db.tx(async tx => {
    for await (const row of tx.prepare('SELECT id FROM a ORDER BY id').iterate()) if (row.id === 3) break
    await insert(tx, 1000)
  })
  await db.tx(async tx => { void tx.prepare('SELECT id FROM a ORDER BY id').iterate().next() })
  t.equal((await ids(db)).length, 501)
})

void t.test('156: a cursor of somebody else does not see what is not committed', async t => {
  const { db } = await open(t)
  await db.tx(async tx => {
    await insert(tx, 1)
    const seen = await db.outsideTx(async () => await readAll(db))
    t.strictSame(seen, [])
  })
  t.strictSame(await readAll(db), [1])
})

void t.test('157: :memory: has readers beside the writer; a second write from inside a transaction is an error and no wait', async t => {
  const db = await openUrl(t, 'sqlite::memory:')
  await db.exec(table)
  await db.tx(async tx => {
    await insert(tx, 1)
    t.strictSame(await db.outsideTx(async () => await ids(db)), [])
    await t.rejects(db.outsideTx(async () => { await insert(db, 2) }), { code: 'TDM_ERR_POOL_DEADLOCK' })
  })
  t.strictSame(await ids(db), [1])
})

void t.test('158: after a read transaction, committed or not, everything can be written', async t => {
  const { db } = await open(t, { SQLITE_READERS: '1' })
  for (let id = 1; id <= 3; id++) {
    await t.rejects(db.tx(async tx => { await insert(tx, 9) }, { mode: 'read' }), { code: 'TDM_ERR_DB_READONLY' })
    await db.tx(async tx => { await ids(tx) }, { mode: 'read' })
    await db.tx(async tx => { await insert(tx, id) })
    await insert(db, id + 10)
  }
  t.strictSame(await ids(db), [1, 2, 3, 11, 12, 13])
})

void t.test('159: PRAGMAs that do nothing inside of a transaction, or hold beyond it, are refused there', async t => {
  const { db } = await open(t)
  let id = 0
  for (const sql of ['PRAGMA foreign_keys = OFF', 'PRAGMA journal_mode = DELETE', 'PRAGMA synchronous = OFF']) {
    await t.rejects(async () => { await db.tx(async tx => { await insert(tx, ++id); await tx.prepare(sql).all() }) }, { message: /./ }, sql)
    await t.rejects(async () => { await db.tx(async tx => { await insert(tx, ++id); await tx.exec(sql) }) }, { message: /./ }, `exec: ${sql}`)
  }
  t.strictSame(await ids(db), [])
  t.strictSame(await db.tx(async tx => await tx.prepare('PRAGMA foreign_keys').all()), [{ foreign_keys: 1 }])
})

void t.test('161: a process that is killed in a transaction leaves what was committed, and nothing else', async t => {
  const { db, path } = await open(t)
  const program = `
    import Sqlite from 'better-sqlite3'
    const db = new Sqlite(${JSON.stringify(path)})
    db.exec('INSERT INTO a (id) VALUES (1)')
    db.pragma('cache_size = 1') // so that pages of the transaction are in the WAL before COMMIT
    db.exec('BEGIN IMMEDIATE')
    const insert = db.prepare('INSERT INTO a (id) VALUES (?)')
    for (let id = 2; id < 5000; id++) insert.run(id)
    console.log('written')
    setInterval(() => db.open, 1000)` // it names db: one that nobody can reach is collected, and closed
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'], cwd: new URL('../../../', import.meta.url) })
  await once(createInterface({ input: child.stdout }), 'line')
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.strictSame(await ids(db), [1])
  await db.tx(async tx => { await insert(tx, 2) })
  t.strictSame(await ids(db), [1, 2])
  t.strictSame(await db.prepare('PRAGMA integrity_check').all(), [{ integrity_check: 'ok' }])
})

void t.test('148: transactions that read wait for no writer, and keep none waiting', async t => {
  const { db } = await open(t, { SQLITE_READERS: '3' })
  await insert(db, 1)
  const { promise: hold, resolve: letGo } = deferred()
  const read = [deferred(), deferred()]
  const readers = read.map(({ resolve }) => db.tx(async tx => {
    const before = await ids(tx)
    resolve()
    await hold
    return [before, await ids(tx)]
  }, { mode: 'read' }))
  await Promise.all(read.map(async ({ promise }) => { await promise }))
  await db.tx(async tx => {
    await insert(tx, 2)
    t.strictSame(await db.tx(async reading => await ids(reading), { mode: 'read', propagation: 'new' }), [1], 'while a writer is open')
  })
  t.strictSame(await ids(db), [1, 2], 'the writer did not wait for the readers')
  letGo()
  t.strictSame(await Promise.all(readers), [[[1], [1]], [[1], [1]]], 'whose snapshot is that of their start')
})
