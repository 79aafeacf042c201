/** What the native part knows of one connection, and what it sets: memory, limits, locks, the WAL. */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import tap from 'tap'
import { freshFolder } from '../helper/db.ts'
import { codeOf, endless, load, msOf, sqlOf } from './connection.ts'
import { onEachBinary, open } from './helper.ts'

const isLinux = process.platform === 'linux'
const MB = 1024 ** 2

onEachBinary('each connection has a slot of its own, and a closed one leaves it to the next, under another name', (t, binary) => {
  const first = open(t, binary)
  const second = open(t, binary)
  t.not(first.watchdog.slot, second.watchdog.slot)
  t.ok(Number.isSafeInteger(first.watchdog.slot))
  const { slots } = first.watchdog.stats()
  const { slot } = second.watchdog
  second.db.close()
  t.equal(first.watchdog.stats().slots, slots - 1)
  t.notOk(first.watchdog.cancel(slot, 1), 'the old name means nobody')
  const third = open(t, binary)
  t.not(third.watchdog.slot, slot)
  t.equal(third.watchdog.slot % 2 ** 20, slot % 2 ** 20, 'the place is the same')
  t.notOk(first.watchdog.cancel(slot, 1))
})

onEachBinary('handles that were never given are nobody', (t, binary) => {
  const { watchdog } = open(t, binary)
  for (const slot of [-1, 2 ** 20 - 1, 2 ** 52, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) t.notOk(watchdog.cancel(slot, 1), String(slot))
  for (const op of [0, -1]) t.notOk(watchdog.cancel(watchdog.slot, op), `operation ${op}`)
})

onEachBinary('plans do not depend on the values of parameters, so that no statement is compiled anew for a new one', (t, binary) => {
  const { db } = open(t, binary)
  db.exec('CREATE TABLE word (text TEXT COLLATE NOCASE); CREATE INDEX word_text ON word (text)')
  const planOf = (statement: Sqlite.Statement, ...values: string[]): string => (statement.all(...values) as Array<{ detail: string }>).map(({ detail }) => detail).join()
  t.match(planOf(db.prepare('EXPLAIN QUERY PLAN SELECT text FROM word WHERE text LIKE \'ab%\'')), /^SEARCH/, 'what stands in the text counts')
  t.match(planOf(db.prepare('EXPLAIN QUERY PLAN SELECT text FROM word WHERE text LIKE ?'), 'ab%'), /^SCAN/, 'what is bound does not')
  const plain = new Sqlite(':memory:')
  plain.exec('CREATE TABLE word (text TEXT COLLATE NOCASE); CREATE INDEX word_text ON word (text)')
  const bound = plain.prepare('EXPLAIN QUERY PLAN SELECT text FROM word WHERE text LIKE ?')
  planOf(bound, 'ab%')
  t.match(planOf(bound, 'ab%'), /^SEARCH/, 'without the native part it would')
  plain.close()
})

onEachBinary('loading it again changes nothing', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  const { slots } = watchdog.stats()
  watchdog.begin(1, undefined)
  t.equal(load(db, binary).slot, watchdog.slot)
  t.equal(watchdog.stats().slots, slots)
  t.ok(watchdog.cancel(watchdog.slot, 1), 'the operation is still open')
})

onEachBinary('18: 1500 connections have one thread together', (t, binary) => {
  const before = open(t, binary).watchdog.stats()
  const connections = Array.from({ length: 1500 }, () => open(t, binary))
  const { watchdog } = open(t, binary)
  t.equal(watchdog.stats().tickers, 1)
  t.equal(watchdog.stats().slots, before.slots + 1501)
  t.equal(new Set(connections.map(connection => connection.watchdog.slot)).size, 1500)
  const last = connections.at(-1)
  last?.watchdog.begin(1, 5)
  t.equal(codeOf(() => last?.db.prepare(endless).get()), 'SQLITE_INTERRUPT', 'the last one is watched')
  for (const { db } of connections) db.close()
  t.equal(watchdog.stats().slots, before.slots + 1)
})

onEachBinary('it counts what was stopped, and why', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  const before = watchdog.stats()
  watchdog.begin(1, 5)
  t.equal(codeOf(() => db.prepare(endless).get()), 'SQLITE_INTERRUPT')
  t.equal(watchdog.end(), 'time')
  watchdog.begin(2, undefined)
  watchdog.cancel(watchdog.slot, 2)
  watchdog.cancel(watchdog.slot, 2)
  t.equal(watchdog.end(), 'cancel')
  const after = watchdog.stats()
  t.strictSame([after.stoppedByTime - before.stoppedByTime, after.stoppedByCancel - before.stoppedByCancel, after.stoppedByMemory - before.stoppedByMemory], [1, 1, 0])
})

// --- memory ------------------------------------------------------------------------------------------------------------------

onEachBinary('a value or row cannot be longer than the limit', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  t.ok(watchdog.limitLength(1_000_000) > 100 * MB, 'the former one')
  t.equal(codeOf(() => db.prepare('SELECT hex(zeroblob(600000))').get()), 'SQLITE_TOOBIG')
  t.equal(codeOf(() => db.prepare('SELECT hex(zeroblob(400000))').get()), 'none')
  t.equal(codeOf(() => db.prepare('WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT group_concat(i) FROM n').get()), 'SQLITE_TOOBIG')
  t.equal(watchdog.limitLength(-1), 1_000_000, 'a negative number changes nothing')
})

onEachBinary('the memory of a connection is known, and given back', (t, binary) => {
  const { db, watchdog } = open(t, binary, join(freshFolder(t), 'test.db'))
  db.pragma('cache_size = -65536')
  const idle = watchdog.memory()
  db.exec(`CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
    INSERT INTO item SELECT i, randomblob(1000000) FROM n`)
  const full = watchdog.memory()
  t.ok(full.cacheBytes > idle.cacheBytes + 30 * MB, `${full.cacheBytes} bytes of cache`)
  t.ok(full.schemaBytes > idle.schemaBytes)
  t.ok(full.statementBytes > 0)
  const resident = watchdog.anonBytes() ?? 0
  watchdog.trim()
  t.ok(watchdog.memory().cacheBytes < idle.cacheBytes + MB)
  if (isLinux) t.ok((watchdog.anonBytes() ?? 0) < resident - 30 * MB, 'the system has it again')
})

onEachBinary('what a sort writes to temporary files is counted', (t, binary) => {
  const { db, watchdog } = open(t, binary, join(freshFolder(t), 'test.db'))
  db.pragma('cache_size = -100')
  db.pragma('temp_store = file')
  t.equal(watchdog.memory().spilledBytes, 0)
  db.exec(`CREATE TABLE item AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT hex(randomblob(50)) AS body FROM n`)
  db.prepare('SELECT body FROM item ORDER BY body').all()
  t.ok((watchdog.memory().spilledBytes ?? 0) > MB)
})

onEachBinary('the memory of the process is known on Linux; elsewhere and without glibc the same functions answer', (t, binary) => {
  const { watchdog } = open(t, binary)
  const bytes = watchdog.anonBytes()
  if (isLinux) t.ok(bytes !== undefined && bytes > 5 * MB && bytes < process.memoryUsage.rss(), `${bytes} bytes`)
  else t.equal(bytes, undefined)
  t.type(watchdog.trim(), 'boolean')
})

onEachBinary('above the heap limit the operation whose statement runs is stopped; a connection with only a short budget is not', (t, binary) => {
  if (!isLinux) return t.pass('the memory of the process is known on Linux only')
  const { db, watchdog } = open(t, binary)
  t.teardown(() => { watchdog.limitHeap(0) })
  const before = watchdog.anonBytes() ?? 0
  watchdog.limitHeap(before + 64 * MB)
  watchdog.begin(1, 60_000)
  t.equal(codeOf(() => { db.exec('WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT group_concat(hex(zeroblob(500))) FROM n') }), 'SQLITE_INTERRUPT')
  t.equal(watchdog.end(), 'memory')
  watchdog.trim()

  watchdog.limitHeap(1)
  watchdog.setBudget(99)
  t.equal(codeOf(() => { db.exec(sqlOf(20)) }), 'none', 'no operation, and no time to take much')
  watchdog.setBudget(60_000)
  t.equal(codeOf(() => { db.exec(endless) }), 'SQLITE_INTERRUPT', 'a long budget is a deadline')
  t.equal(watchdog.end(), 'memory')
  watchdog.begin(2, undefined)
  t.equal(codeOf(() => { db.exec(endless) }), 'SQLITE_INTERRUPT', 'an operation without a deadline')
  t.equal(watchdog.end(), 'memory')
  watchdog.limitHeap(0)
  watchdog.begin(3, undefined)
  t.equal(codeOf(() => { db.exec(sqlOf(60)) }), 'none', 'no limit')
  t.equal(watchdog.end(), undefined)
})

// --- locks -------------------------------------------------------------------------------------------------------------------

onEachBinary('the wait for the lock of somebody else ends with the deadline of the operation', (t, binary) => {
  const file = join(freshFolder(t), 'test.db')
  const holder = new Sqlite(file)
  t.teardown(() => { holder.close() })
  holder.exec('CREATE TABLE item (id INTEGER); BEGIN IMMEDIATE')
  const { db, watchdog } = open(t, binary, file)
  watchdog.useBusyHandler()

  const ms = msOf(() => {
    watchdog.begin(1, 100)
    t.match(codeOf(() => { db.exec('BEGIN IMMEDIATE') }), /SQLITE_BUSY|SQLITE_INTERRUPT/)
  })
  t.equal(watchdog.end(), 'time')
  t.ok(ms >= 99 && ms < 1000, `${ms.toFixed(1)} ms`)

  t.equal(codeOf(() => { db.exec('BEGIN IMMEDIATE') }), 'SQLITE_BUSY', 'without an operation it does not wait')

  watchdog.begin(2, undefined)
  watchdog.cancel(watchdog.slot, 2)
  t.match(codeOf(() => { db.exec('BEGIN IMMEDIATE') }), /SQLITE_BUSY|SQLITE_INTERRUPT/, 'nor when it is cancelled')
  t.equal(watchdog.end(), 'cancel')
  holder.exec('COMMIT')
  watchdog.begin(3, 60_000)
  t.equal(codeOf(() => { db.exec('BEGIN IMMEDIATE; COMMIT') }), 'none')
  t.equal(watchdog.end(), undefined)
})

// --- what is not in the driver -------------------------------------------------------------------------------------------------

onEachBinary('the length of the WAL is known after a commit, and SQLite makes no checkpoints from then on', (t, binary) => {
  const { db, watchdog } = open(t, binary, join(freshFolder(t), 'test.db'))
  db.pragma('journal_mode = WAL')
  t.equal(watchdog.walPages(), undefined)
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB)')
  const first = watchdog.walPages() ?? 0
  t.ok(first > 0)
  for (let i = 0; i < 12; i++) db.exec('INSERT INTO item (body) VALUES (randomblob(500000))')
  t.ok((watchdog.walPages() ?? 0) > first + 1200, `${watchdog.walPages()} pages, although SQLite would make a checkpoint at 1000`)
})

onEachBinary('deferred foreign keys that are violated are known', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  db.exec('CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)')
  t.notOk(watchdog.hasDeferred())
  db.exec('BEGIN; INSERT INTO child VALUES (1)')
  t.ok(watchdog.hasDeferred())
  db.exec('INSERT INTO parent VALUES (1)')
  t.notOk(watchdog.hasDeferred())
  db.exec('COMMIT')
})

onEachBinary('its functions cannot be used by what is stored in a database', (t, binary) => {
  const { db } = open(t, binary)
  db.exec('CREATE TABLE item (id INTEGER); CREATE VIEW trap AS SELECT tandem_budget(1)')
  t.throws(() => db.prepare('SELECT * FROM trap').get(), /unsafe use of tandem_budget/)
})

tap.test('40: SQL cannot load an extension', t => {
  const { db } = open(t, undefined)
  t.throws(() => db.prepare('SELECT load_extension(?)').get('watchdog'), /not authorized/)
  t.throws(() => db.prepare('SELECT load_extension(?, ?)').get('watchdog', 'sqlite3_watchdog_init'), /not authorized/)
  t.end()
})
