/** `tx.last`: a statement together with COMMIT. */
import { deferred, onEachEngine } from '../../helper/db.ts'
import type { Database } from '../../../plugins/db/types.ts'

const tables = `CREATE TABLE parent (id BIGINT PRIMARY KEY);
  CREATE TABLE child (id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)`
const insertParent = 'INSERT INTO parent (id) VALUES (?)'
const insertChild = 'INSERT INTO child (id, parent) VALUES (?, ?)'

async function counts (db: Database): Promise<unknown> {
  return await db.prepare('SELECT (SELECT count(*) FROM parent) AS parents, (SELECT count(*) FROM child) AS children').get()
}

onEachEngine('last: its call is resolved when the transaction is committed', async (t, db) => {
  await db.exec(tables)
  await db.tx(async tx => {
    await tx.prepare(insertParent).run(1)
    t.strictSame(await tx.last(tx.prepare(insertChild)).run(1, 1), { changes: 1, lastInsertRowid: null })
    t.strictSame(await db.outsideTx(async () => await counts(db)), { parents: 1, children: 1 })
    await t.rejects(tx.prepare(insertParent).run(2), { code: 'TDM_ERR_TX_CLOSED' })
  })
  t.strictSame(await counts(db), { parents: 1, children: 1 })
})

onEachEngine('last: as the only statement, with get, all and run, awaited or not', async (t, db) => {
  await db.exec(tables)
  t.strictSame(await db.tx(async tx => await tx.last(tx.prepare(`${insertParent} RETURNING id`)).get(1)), { id: 1 })
  t.strictSame(await db.tx(async tx => await tx.last(tx.prepare(`${insertParent} RETURNING id`)).all(2)), [{ id: 2 }])
  await db.tx(async tx => { void tx.last(tx.prepare(insertParent)).run(3) })
  t.strictSame(await counts(db), { parents: 3, children: 0 })
})

onEachEngine('last: a statement that fails undoes everything, whether or not it is awaited', async (t, db) => {
  await db.exec(tables)
  await db.prepare(insertParent).run(1)
  await t.rejects(db.tx(async tx => {
    await tx.prepare(insertParent).run(2)
    await tx.last(tx.prepare(insertParent)).run(1)
  }), { code: 'TDM_ERR_DB_UNIQUE' })
  await t.rejects(db.tx(async tx => {
    await tx.prepare(insertParent).run(2)
    void tx.last(tx.prepare(insertParent)).run(1)
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
  t.strictSame(await counts(db), { parents: 1, children: 0 })
  await db.tx(async tx => await tx.last(tx.prepare(insertParent)).run(2))
  t.strictSame(await counts(db), { parents: 2, children: 0 }, 'the connection is as good as new')
})

onEachEngine('last: what COMMIT refuses is told, whether or not it is awaited', async (t, db) => {
  await db.exec(tables)
  await t.rejects(db.tx(async tx => {
    await tx.prepare(insertParent).run(1)
    await tx.last(tx.prepare(insertChild)).run(1, 99)
  }), { code: 'TDM_ERR_DB_FOREIGN_KEY' })
  await t.rejects(db.tx(async tx => {
    await tx.prepare(insertParent).run(1)
    void tx.last(tx.prepare(insertChild)).run(1, 99)
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_FOREIGN_KEY' } })
  t.strictSame(await counts(db), { parents: 0, children: 0 })
})

onEachEngine('last: behind a failure, awaited or not, it is refused and nothing is committed', async (t, db) => {
  await db.exec(tables)
  await db.prepare(insertParent).run(1)
  await t.rejects(db.tx(async tx => {
    void tx.prepare(insertParent).run(1)
    await tx.last(tx.prepare(insertParent)).run(2)
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
  await t.rejects(db.tx(async tx => {
    await tx.prepare(insertParent).run(1).catch(() => {})
    await tx.last(tx.prepare(insertParent)).run(2)
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
  t.strictSame(await counts(db), { parents: 1, children: 0 })
})

onEachEngine('last: what is thrown after it was committed undoes nothing', async (t, db) => {
  await db.exec(tables)
  const seen: string[] = []
  await t.rejects(db.tx(async tx => {
    tx.afterCommit(() => { seen.push('committed') })
    tx.afterRollback(() => { seen.push('rolled back') })
    await tx.last(tx.prepare(insertParent)).run(1)
    throw new Error('afterwards')
  }), { message: 'afterwards' })
  t.strictSame(await counts(db), { parents: 1, children: 0 })
  t.strictSame(seen, ['committed'])
})

onEachEngine('last: in a joined or nested transaction it is a statement like any other', async (t, db) => {
  await db.exec(tables)
  await t.rejects(db.tx(async tx => {
    await tx.tx(async inner => await inner.last(inner.prepare(insertParent)).run(1))
    await tx.tx(async inner => await inner.last(inner.prepare(insertParent)).run(2), { propagation: 'nested' })
    t.equal(tx.state, 'open')
    throw new Error('all of it')
  }), { message: 'all of it' })
  t.strictSame(await counts(db), { parents: 0, children: 0 })
})

onEachEngine('last: what was called before it and is not awaited is done before it', async (t, db) => {
  await db.exec(tables)
  const done = deferred()
  await db.tx(async tx => {
    for (let i = 1; i <= 20; i++) void tx.prepare(insertParent).run(i).then(i === 20 ? () => { done.resolve() } : undefined)
    await tx.last(tx.prepare(insertChild)).run(1, 20)
  })
  await done.promise
  t.strictSame(await counts(db), { parents: 20, children: 1 })
})

onEachEngine('behind a statement that cannot be prepared the same one is refused, and it is not worth another attempt', async (t, db) => {
  let attempts = 0
  await t.rejects(db.tx(async tx => {
    attempts++
    const wrong = tx.prepare('SELECT nothing FROM nowhere')
    const first = t.rejects(wrong.get(), { code: 'TDM_ERR_DB_SYNTAX' })
    const second = wrong.get()
    await first
    await second
  }, { retry: 3 }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_SYNTAX' } })
  t.equal(attempts, 1)
})
