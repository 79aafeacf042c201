/** Ending statements: what is stopped, and above all what is not. */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { freshFolder } from '../helper/db.ts'
import { codeOf, endless, msOf, sqlOf } from './connection.ts'
import { onEachBinary, open } from './helper.ts'

onEachBinary('a statement that takes longer than the budget of its connection is stopped, on time', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  const statement = db.prepare(endless)
  watchdog.setBudget(2)
  const times = Array.from({ length: 10 }, () => msOf(() => {
    t.equal(codeOf(() => statement.get()), 'SQLITE_INTERRUPT')
    t.equal(watchdog.end(), 'time')
  }))
  // the best of ten: how long a busy machine takes to let the thread run is not ours
  t.ok(Math.min(...times) >= 2 && Math.min(...times) < 5, `${times.map(ms => ms.toFixed(1)).join(', ')} ms`)
})

onEachBinary('a budget is that of each statement, an operation has one deadline for all', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  const statement = db.prepare(sqlOf(3))
  watchdog.setBudget(2000)
  for (let i = 0; i < 20; i++) statement.get()
  t.equal(watchdog.end(), undefined)
  watchdog.begin(1, 15)
  t.equal(codeOf(() => { for (let i = 0; i < 2000; i++) statement.get() }), 'SQLITE_INTERRUPT')
  t.equal(watchdog.end(), 'time')
})

onEachBinary('within an operation the budget holds as well', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  watchdog.setBudget(5)
  watchdog.begin(1, 60_000)
  t.equal(codeOf(() => db.prepare(endless).get()), 'SQLITE_INTERRUPT')
  t.equal(watchdog.end(), 'time')
})

onEachBinary('a budget of 0 is none', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  watchdog.setBudget(1)
  watchdog.setBudget(0)
  db.prepare(sqlOf(30)).get()
  t.equal(watchdog.end(), undefined)
})

onEachBinary('what is stopped stays stopped until the operation ends, and not longer', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY)')
  const statements = ['SELECT 1', 'SELECT * FROM item', 'INSERT INTO item VALUES (1)', sqlOf(1)].map(sql => db.prepare(sql))
  watchdog.begin(1, 0)
  for (const statement of statements) {
    t.equal(codeOf(() => statement.reader ? statement.all() : statement.run()), 'SQLITE_INTERRUPT', statement.source)
  }
  t.equal(watchdog.end(), 'time')
  for (const statement of statements) t.equal(codeOf(() => statement.reader ? statement.all() : statement.run()), 'none', statement.source)
  t.equal(watchdog.end(), undefined)
})

onEachBinary('an operation can be cancelled before it begins, while it is open, and not afterwards', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  const canceller = open(t, binary).watchdog
  t.ok(canceller.cancel(watchdog.slot, 2), 'before it began')
  t.ok(watchdog.begin(1, undefined), 'another one is not hit')
  t.ok(canceller.cancel(watchdog.slot, 2), 'nor while that one is open')
  t.equal(codeOf(() => db.prepare('SELECT 1').get()), 'none')
  t.equal(watchdog.end(), undefined)
  t.notOk(watchdog.begin(2, undefined), 'it does not begin')
  t.equal(codeOf(() => db.prepare('SELECT 1').get()), 'none')
  t.ok(watchdog.begin(3, undefined))
  t.notOk(canceller.cancel(watchdog.slot, 1), 'one that is over is not the one that is open')
  t.equal(codeOf(() => db.prepare('SELECT 1').get()), 'none')
  t.ok(canceller.cancel(watchdog.slot, 3), 'while it is open')
  t.equal(codeOf(() => db.prepare('SELECT 1').get()), 'SQLITE_INTERRUPT')
  t.equal(watchdog.end(), 'cancel')
  for (const over of [1, 2, 3]) t.notOk(canceller.cancel(watchdog.slot, over), `operation ${over} is over`)
  t.ok(watchdog.begin(4, undefined))
  t.equal(codeOf(() => db.prepare('SELECT 1').get()), 'none')
  t.equal(watchdog.end(), undefined)
})

onEachBinary('numbers of operations grow; one that does not is refused', (t, binary) => {
  const { watchdog } = open(t, binary)
  watchdog.begin(5, undefined)
  watchdog.end()
  t.throws(() => watchdog.begin(5, undefined), /above that of the last operation/)
  t.throws(() => watchdog.begin(0, undefined), /above that of the last operation/)
  t.ok(watchdog.begin(6, undefined))
})

onEachBinary('only so many operations can be cancelled in advance', (t, binary) => {
  const { watchdog } = open(t, binary)
  const answers = Array.from({ length: 20 }, (_, i) => watchdog.cancel(watchdog.slot, 1 + i))
  t.strictSame(answers.filter(answer => answer).length, 16)
  t.ok(watchdog.cancel(watchdog.slot, 1), 'the same one again takes no place')
  t.notOk(watchdog.begin(16, undefined), 'those before it are forgotten, too')
  t.ok(watchdog.cancel(watchdog.slot, 17))
})

onEachBinary('5: a time-out does not leak into a prepare, an EXPLAIN or a statement behind it', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT)')
  const statement = db.prepare(endless)
  for (let op = 1; op <= 5; op++) {
    watchdog.begin(op, 10)
    t.equal(codeOf(() => statement.get()), 'SQLITE_INTERRUPT')
    t.equal(watchdog.end(), 'time')
    for (let i = 0; i < 200; i++) {
      db.prepare(`SELECT item.id, ${i} FROM item, json_each('[1]') WHERE body LIKE ?`).all('x')
      db.prepare(`EXPLAIN SELECT ${i} FROM item ORDER BY body`).all()
    }
  }
})

onEachBinary('6: a cursor that was read to its end is not watched any more, collected or not', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY); INSERT INTO item VALUES (1), (2), (3)')
  watchdog.setBudget(20)
  t.equal([...db.prepare('SELECT id FROM item').iterate()].length, 3)
  watchdog.setBudget(0)
  db.prepare(sqlOf(60)).get()
  watchdog.begin(1, 20)
  t.equal([...db.prepare('SELECT id FROM item').iterate()].length, 3)
  watchdog.end()
  db.prepare(sqlOf(60)).get()
  t.equal(watchdog.end(), undefined)
})

onEachBinary('an interrupt while a cursor is parked between rows ends it once, and the connection goes on', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  const canceller = open(t, binary).watchdog
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY); INSERT INTO item VALUES (1), (2), (3)')
  for (let op = 1; op <= 100; op++) {
    watchdog.begin(op, undefined)
    const rows = db.prepare('SELECT a.id FROM item a, item b').iterate()
    rows.next()
    canceller.cancel(watchdog.slot, op)
    t.equal(codeOf(() => rows.next()), 'SQLITE_INTERRUPT')
    t.strictSame(rows.next(), { value: undefined, done: true })
    t.equal(watchdog.end(), 'cancel')
    t.equal(db.prepare('SELECT a.id FROM item a, item b').all().length, 9)
  }
})

onEachBinary('13: statements of triggers and of FTS5 do not end the watch over the one that runs them', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  db.exec(`CREATE TABLE item (id INTEGER); CREATE TABLE log (id INTEGER);
    CREATE TRIGGER item_log AFTER INSERT ON item BEGIN INSERT INTO log SELECT new.id WHERE new.id % 1000 = 0; END;
    CREATE VIRTUAL TABLE note USING fts5 (body); INSERT INTO note VALUES ('one two'), ('two three')`)
  const many = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n'
  const statements = [
    `INSERT INTO item ${many}`,
    `SELECT count(*) FROM note, (${many}) WHERE note MATCH 'two'`,
    `SELECT count(*) FROM (${many}) CROSS JOIN note('two')`
  ]
  for (const [i, sql] of statements.entries()) {
    const ms = msOf(() => {
      watchdog.begin(1 + i, 30)
      t.equal(codeOf(() => { db.exec(sql) }), 'SQLITE_INTERRUPT', sql)
    })
    t.equal(watchdog.end(), 'time')
    t.ok(ms >= 29, `not before its deadline: after ${ms.toFixed(1)} ms`)
  }
  t.equal(codeOf(() => { db.exec('INSERT INTO item VALUES (1000)') }), 'none')
})

onEachBinary('a statement that SQLite compiles again, because the schema has changed, is watched too', (t, binary) => {
  const file = join(freshFolder(t), 'test.db')
  const other = new Sqlite(file)
  t.teardown(() => { other.close() })
  other.exec(`CREATE TABLE item (id INTEGER PRIMARY KEY, size INTEGER); CREATE INDEX item_size ON item (size); INSERT INTO item VALUES (1, 1); ANALYZE;
    CREATE VIRTUAL TABLE note USING fts5 (body); INSERT INTO note VALUES ('one')`)
  const { db, watchdog } = open(t, binary, file)
  const canceller = open(t, binary).watchdog
  const many = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n'
  const statements = [`SELECT count(*) FROM item, (${many})`, `INSERT INTO item (size) SELECT i FROM item, (${many})`, `SELECT count(*) FROM note, (${many}) WHERE note MATCH 'one'`]
    .map(sql => db.prepare(sql))
  let op = 0
  for (const statement of statements) {
    const start = (): unknown => statement.reader ? statement.get() : statement.run()
    const change = (): void => { other.exec(`CREATE TABLE other_${++op} (id INTEGER)`) }

    change()
    watchdog.setBudget(10)
    t.equal(codeOf(start), 'SQLITE_INTERRUPT', `budget: ${statement.source}`)
    t.equal(watchdog.end(), 'time')
    watchdog.setBudget(0)

    change()
    watchdog.begin(op, 10)
    t.equal(codeOf(start), 'SQLITE_INTERRUPT', `deadline: ${statement.source}`)
    t.equal(watchdog.end(), 'time')

    change()
    watchdog.begin(op, undefined)
    canceller.cancel(watchdog.slot, op)
    t.not(codeOf(start), 'none', `stopped already: ${statement.source}`)
    t.equal(watchdog.end(), 'cancel')

    change()
    t.equal(codeOf(() => db.prepare('SELECT count(*) FROM item, note').get()), 'none')
  }
})

onEachBinary('an interrupted write rolls its transaction back', (t, binary) => {
  const { db, watchdog } = open(t, binary)
  db.exec('CREATE TABLE item (id INTEGER)')
  watchdog.begin(1, 20)
  db.exec('BEGIN; INSERT INTO item VALUES (1)')
  t.equal(codeOf(() => { db.exec('INSERT INTO item WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n') }), 'SQLITE_INTERRUPT')
  t.equal(watchdog.end(), 'time')
  t.notOk(db.inTransaction)
  t.strictSame(db.prepare('SELECT * FROM item').all(), [])
})
