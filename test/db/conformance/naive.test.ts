/**
 * The four mistakes for which this layer exists. Each is shown twice: red in the naive design (test/helper/naive.ts), and how it is here, on both engines.
 */
import t from 'tap'
import { deferred, onEachEngine } from '../../helper/db.ts'
import { openNaive } from '../../helper/naive.ts'

// --- 1. two concurrent transactions ------------------------------------------------------------------------------------

void t.test('naive: the second of two concurrent transactions fails', async t => {
  const db = openNaive(t)
  await db.run('CREATE TABLE a (id INTEGER)')
  const first = db.tx(async () => { await null; await db.run('INSERT INTO a VALUES (1)') })
  await t.rejects(db.tx(async () => { await db.run('INSERT INTO a VALUES (2)') }), { message: 'cannot start a transaction within a transaction' })
  await first
})

onEachEngine('150: two concurrent transactions both commit, in order', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT)')
  const order: number[] = []
  await Promise.all([1, 2, 3].map(id => db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (?)').run(id)
    await null
    await tx.prepare('INSERT INTO a (id) VALUES (?)').run(id + 10)
    order.push(id)
  })))
  t.strictSame(await db.prepare('SELECT id FROM a ORDER BY id').all(), [1, 2, 3, 11, 12, 13].map(id => ({ id })))
  if (db.engine === 'sqlite') t.strictSame(order, [1, 2, 3])
})

// --- 2. somebody else's write during an open transaction that rolls back -------------------------------------------------

void t.test('naive: another request\'s write is lost with a rollback that is none of its business', async t => {
  const db = openNaive(t)
  await db.run('CREATE TABLE a (id INTEGER)')
  const { promise: hold, resolve: fail } = deferred()
  const first = db.tx(async () => { await hold; throw new Error('roll back') })
  await db.run('INSERT INTO a VALUES (2)') // acknowledged
  fail()
  await t.rejects(first)
  t.strictSame(await db.rows('SELECT id FROM a'), [], 'the acknowledged row is gone')
})

onEachEngine('156: another request\'s write survives a rollback', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT)')
  const { promise: hold, resolve: fail } = deferred()
  const begun = deferred()
  const first = db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
    begun.resolve()
    await hold
    throw new Error('roll back')
  })
  await begun.promise
  const second = db.prepare('INSERT INTO a (id) VALUES (2)').run()
  t.strictSame(await db.prepare('SELECT id FROM a WHERE id = 1').all(), [], 'a read of another request does not see what is not committed')
  fail()
  await t.rejects(first, { message: 'roll back' })
  await second
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 2 }])
})

// --- 3. a caught failure, then COMMIT ----------------------------------------------------------------------------------------

void t.test('naive: a caught failure, and half of the work is committed (on PostgreSQL: none of it, and nobody is told)', async t => {
  const db = openNaive(t)
  await db.run('CREATE TABLE a (id INTEGER PRIMARY KEY)')
  await db.tx(async () => {
    await db.run('INSERT INTO a VALUES (1)')
    await db.run('INSERT INTO a VALUES (1)').catch(() => {})
    await db.run('INSERT INTO a VALUES (2)')
  })
  t.strictSame(await db.rows('SELECT id FROM a'), [{ id: 1 }, { id: 2 }])
})

onEachEngine('a caught failure dooms the transaction: nothing is committed, and the caller is told why', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY)')
  await t.rejects(db.tx(async tx => {
    const insert = tx.prepare('INSERT INTO a (id) VALUES (?)')
    await insert.run(1)
    await insert.run(1).catch(() => {})
    await insert.run(2).catch(error => { t.match(error, { code: 'TDM_ERR_TX_DOOMED' }, 'a later statement is refused') })
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [])
})

// --- 4. a late timer that uses a finished transaction ----------------------------------------------------------------------

void t.test('naive: a late timer of a finished transaction writes into somebody else\'s', async t => {
  const db = openNaive(t)
  await db.run('CREATE TABLE a (id INTEGER)')
  const { promise: later, resolve: fire } = deferred()
  const late = deferred()
  await db.tx(async () => { void later.then(async () => await db.tx(async () => { await db.run('INSERT INTO a VALUES (1)') })).then(late.resolve) })
  await t.rejects(db.tx(async () => {
    fire()
    await late.promise // "committed": its flag says that it is inside a transaction
    throw new Error('roll back')
  }))
  t.strictSame(await db.rows('SELECT id FROM a'), [], 'and lost with it')
})

onEachEngine('65: a late timer of a finished transaction is refused, whatever else is open', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT)')
  const { promise: later, resolve: fire } = deferred()
  const late = deferred<unknown>()
  const lateTx = deferred<unknown>()
  await db.tx(async tx => {
    void later.then(async () => { await db.prepare('INSERT INTO a (id) VALUES (1)').run() }).then(late.resolve, late.resolve)
    void later.then(async () => { await db.tx(async () => {}) }).then(lateTx.resolve, lateTx.resolve)
    await tx.prepare('INSERT INTO a (id) VALUES (0)').run()
  })
  await db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (3)').run()
    fire()
    t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED', message: /committed.*INSERT INTO a \(id\) VALUES \(1\)/s })
    t.match(await lateTx.promise, { code: 'TDM_ERR_TX_CLOSED' })
  })
  t.strictSame(await db.prepare('SELECT id FROM a ORDER BY id').all(), [{ id: 0 }, { id: 3 }])
})
