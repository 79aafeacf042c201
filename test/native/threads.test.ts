/** Ending statements from another thread: the right one, and none else, however the two threads meet. */
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { freshFolder } from '../helper/db.ts'
import { endless, sqlOf } from './connection.ts'
import { onEachBinary, open, Thread } from './helper.ts'

onEachBinary('an operation on another thread is stopped', async (t, binary) => {
  const { watchdog } = open(t, binary)
  const thread = await Thread.start(t, binary)
  for (let op = 1; op <= 20; op++) {
    t.strictSame(await thread.ask({ do: 'run', op, sql: endless }), { is: 'started' })
    t.ok(watchdog.cancel(thread.slot, op))
    t.match(await thread.next(), { is: 'ended', code: 'SQLITE_INTERRUPT', reason: 'cancel' })
  }
  t.notOk(watchdog.cancel(thread.slot, 20), 'it is over')
})

onEachBinary('of operations on several threads only the one that is meant is stopped', async (t, binary) => {
  const { watchdog } = open(t, binary)
  const threads = await Promise.all([1, 2, 3].map(() => Thread.start(t, binary)))
  const [first, second, third] = threads as [Thread, Thread, Thread]
  for (const thread of threads) await thread.ask({ do: 'run', op: 1, sql: endless })
  for (const thread of [second, first, third]) {
    t.ok(watchdog.cancel(thread.slot, 1))
    t.match(await thread.next(), { is: 'ended', code: 'SQLITE_INTERRUPT', reason: 'cancel' })
  }
})

onEachBinary('3: a cancel at any time hits the operation that it names, and no statement behind it (10 000 operations)', async (t, binary) => {
  const file = join(freshFolder(t), 'test.db')
  prepareRace(file)
  const { watchdog } = open(t, binary)
  const thread = await Thread.start(t, binary, file)
  const operations = binary === undefined ? 10_000 : 1000
  const shared = new Int32Array(new SharedArrayBuffer(4))
  const sql = [sqlOf(0.3), sqlOf(0.1), 'SELECT count(*) FROM item a, item b', 'INSERT INTO item VALUES (1) RETURNING id', 'SELECT rowid FROM note WHERE note MATCH \'two\'', sqlOf(1)]
  thread.send({ do: 'race', operations, sql, shared })
  while (!thread.hasAnswered) {
    for (let i = 0; i < 100; i++) {
      spin(Math.random() * 2000)
      watchdog.cancel(thread.slot, Atomics.load(shared, 0))
    }
    await nextTurn()
  }
  const answer = await thread.next()
  t.match(answer, { is: 'raced', unexplained: 0, innocentsHit: 0 })
  const stopped = answer.is === 'raced' ? answer.stopped : 0
  if (binary === undefined) t.ok(stopped > operations / 100, `${stopped} of ${operations} were stopped`)
})

function prepareRace (file: string): void {
  const db = new Sqlite(file)
  db.exec(`PRAGMA journal_mode = WAL; CREATE TABLE item (id INTEGER); CREATE TABLE log (id INTEGER);
    CREATE TRIGGER item_log AFTER INSERT ON item BEGIN INSERT INTO log VALUES (new.id); DELETE FROM item; END;
    CREATE VIRTUAL TABLE note USING fts5 (body); INSERT INTO note VALUES ('one two'), ('two three')`)
  db.close()
}

/** Passes some time, less than a timer could. */
function spin (steps: number): void {
  for (let i = 0, x = 0; i < steps; i++) x += Math.sqrt(i + x)
}

onEachBinary('20: a cancel races a close 10 000 times, and another connection in the same place is not hit', async (t, binary) => {
  const { watchdog } = open(t, binary)
  const thread = await Thread.start(t, binary)
  const shared = new Int32Array(new SharedArrayBuffer(8))
  thread.send({ do: 'reopen', times: binary === undefined ? 10_000 : 1000, shared })
  let hits = 0
  while (!thread.hasAnswered) {
    for (let i = 0; i < 100; i++) {
      spin(Math.random() * 500)
      const slot = Atomics.load(shared, 1) * 2 ** 20 + Atomics.load(shared, 0) - 1
      if (slot >= 0 && watchdog.cancel(slot, 1)) hits++
    }
    await nextTurn()
  }
  t.strictSame(await thread.next(), { is: 'reopened', innocentsHit: 0 })
  if (binary === undefined) t.ok(hits > 0, `${hits} were open`)
})

onEachBinary('a wait for a lock ends when it is cancelled, and when the lock is free', async (t, binary) => {
  const file = join(freshFolder(t), 'test.db')
  const { db, watchdog } = open(t, binary, file)
  db.pragma('journal_mode = WAL') // with a rollback journal COMMIT fails if it comes just when the other one looks at the lock
  db.exec('CREATE TABLE item (id INTEGER)')
  const thread = await Thread.start(t, binary, file)
  for (let op = 1; op <= 10; op++) {
    db.exec('BEGIN IMMEDIATE')
    await thread.ask({ do: 'run', op, ms: 60_000, sql: 'BEGIN IMMEDIATE; INSERT INTO item VALUES (1); COMMIT' })
    for (let turns = 0; turns < op * 20; turns++) await nextTurn()
    if (op % 2 === 0) t.ok(watchdog.cancel(thread.slot, op))
    else db.exec('COMMIT')
    const answer = await thread.next()
    if (op % 2 === 0) t.match(answer, { is: 'ended', code: /SQLITE_BUSY|SQLITE_INTERRUPT/, reason: 'cancel' })
    else t.match(answer, { is: 'ended', code: 'none', reason: undefined })
    if (db.inTransaction) db.exec('ROLLBACK')
  }
})

onEachBinary('above the heap limit one operation after the other is stopped, the one that runs the longest first', async (t, binary) => {
  if (process.platform !== 'linux') return t.pass('the memory of the process is known on Linux only')
  const { watchdog } = open(t, binary)
  const [first, second] = await Promise.all([Thread.start(t, binary), Thread.start(t, binary)])
  t.teardown(() => { watchdog.limitHeap(0) })
  for (const thread of [first, second]) {
    t.strictSame(await thread.ask({ do: 'run', op: 1, sql: `SELECT tell() UNION ALL SELECT * FROM (${endless})` }), { is: 'started' })
    t.strictSame(await thread.next(), { is: 'running' })
  }
  watchdog.limitHeap(1)
  const answers = [await first.next(), await second.next()]
  for (const answer of answers) t.match(answer, { is: 'ended', code: 'SQLITE_INTERRUPT', reason: 'memory' })
  const [firstAt = 0, secondAt = 0] = answers.map(answer => answer.is === 'ended' ? answer.at : 0)
  t.ok(secondAt - firstAt > 15, `the other one has some time yet: ${(secondAt - firstAt).toFixed(1)} ms`)
})
