/** Transactions: commit, rollback, the gate in front of statements, and what follows after the end. */
import { deferred, onEachEngine } from '../../helper/db.ts'
import type { Database, Transaction } from '../../../plugins/db/types.ts'

const table = 'CREATE TABLE a (id BIGINT PRIMARY KEY)'
const insert = async (db: Pick<Database, 'prepare'>, id: number): Promise<unknown> => await db.prepare('INSERT INTO a (id) VALUES (?)').run(id)
const ids = async (db: Database): Promise<unknown[]> => (await db.prepare('SELECT id FROM a ORDER BY id').all()).map(row => row.id)

onEachEngine('127, 128: resolved means committed, rejected means rolled back, with the same error object', async (t, db) => {
  await db.exec(table)
  t.equal(await db.tx(async tx => { await insert(tx, 1); return 'value' }), 'value')
  const mine = new Error('mine')
  await t.rejects(db.tx(async tx => { await insert(tx, 2); throw mine }), mine)
  t.equal(await db.tx(async () => { throw mine }).catch((error: unknown) => error), mine)
  t.equal(await db.tx(() => { throw mine }).catch((error: unknown) => error), mine, 'thrown synchronously')
  t.equal(await db.tx(() => { throw undefined }).catch((error: unknown) => error), undefined, 'not an error at all') // eslint-disable-line no-throw-literal
  t.strictSame(await ids(db), [1])
})

onEachEngine('db itself follows the transaction', async (t, db) => {
  await db.exec(table)
  await t.rejects(db.tx(async () => {
    await insert(db, 1)
    t.strictSame(await ids(db), [1], 'sees its own writes')
    throw new Error('no')
  }))
  t.strictSame(await ids(db), [])
})

onEachEngine('61: order of calls is order of execution', async (t, db) => {
  await db.exec('CREATE TABLE a (n BIGINT, id BIGINT PRIMARY KEY)')
  await db.tx(async tx => {
    const next = tx.prepare('INSERT INTO a (id, n) SELECT ?, count(*) FROM a')
    await Promise.all(Array.from({ length: 20 }, async (_, id) => await next.run(id)))
  })
  t.strictSame((await db.prepare('SELECT n FROM a ORDER BY id').all()).map(row => row.n), Array.from({ length: 20 }, (_, n) => n))
})

onEachEngine('66: what was called and not awaited is done before COMMIT', async (t, db) => {
  await db.exec(table)
  await db.tx(tx => { for (let id = 0; id < 5; id++) void insert(tx, id) })
  t.strictSame(await ids(db), [0, 1, 2, 3, 4])
})

onEachEngine('67: a failure that nobody awaited dooms the transaction and nothing else', async (t, db) => {
  await db.exec(table)
  await t.rejects(db.tx(tx => {
    void tx.prepare('INSERT INTO a (id) VALUES (1)').run()
    void tx.prepare('INSERT INTO a (id) VALUES (1)').run()
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
  t.strictSame(await ids(db), [])
})

onEachEngine('62: when one of several fails, what the others do next is undone too', async (t, db) => {
  await db.exec(table)
  const later = deferred<unknown>()
  await t.rejects(db.tx(async tx => {
    await Promise.all([
      insert(tx, 1).then(async () => await insert(tx, 1)),
      insert(tx, 2).then(() => {}).then(async () => await insert(tx, 3)).then(later.resolve, later.resolve)
    ])
  }), { code: 'TDM_ERR_DB_UNIQUE' })
  await later.promise
  t.strictSame(await ids(db), [])
})

onEachEngine('63, 65, 109: a statement called while COMMIT is under way is refused', async (t, db) => {
  await db.exec(table)
  let handle: Transaction | undefined
  const late = deferred<unknown>()
  const done = db.tx(async tx => {
    handle = tx
    await insert(tx, 1)
    queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => { insert(tx, 2).then(late.resolve, late.resolve) })))
  })
  await done
  t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED' })
  t.equal(handle?.state, 'closed')
  await t.rejects(insert(handle as Transaction, 3), { code: 'TDM_ERR_TX_CLOSED' }, 'and so is a handle that was kept')
  t.throws(() => { handle?.afterCommit(() => {}) }, { code: 'TDM_ERR_TX_CLOSED' })
  t.strictSame(await ids(db), [1])
})

onEachEngine('a transaction without statements waits for nobody', async (t, db) => {
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const holder = db.tx(async tx => { await tx.exec(table); begun.resolve(); await hold })
  await begun.promise
  t.equal(await db.tx(() => 'free'), 'free')
  letGo()
  await holder
}, { DB_POOL_MAX: '1' })

onEachEngine('118, 120: COMMIT that fails leaves nothing, and the connection is clean', async (t, db) => {
  await db.exec(`CREATE TABLE p (id BIGINT PRIMARY KEY);
    CREATE TABLE c (id BIGINT, p BIGINT REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)`)
  for (let round = 0; round < 3; round++) {
    await t.rejects(db.tx(async tx => { await tx.prepare('INSERT INTO c (id, p) VALUES (1, 99)').run() }), { code: 'TDM_ERR_DB_FOREIGN_KEY' })
  }
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM c').get(), { n: 0 })
  t.equal(await db.tx(async tx => (await tx.prepare('INSERT INTO p (id) VALUES (1)').run()).changes), 1)
}, { DB_POOL_MAX: '1' })

onEachEngine('a read transaction sees one state throughout', async (t, db) => {
  await db.exec(table)
  await db.tx(async tx => {
    t.equal(tx.mode, 'read')
    t.strictSame(await tx.prepare('SELECT count(*) AS n FROM a').get(), { n: 0 })
    await db.outsideTx(async () => await insert(db, 1))
    t.strictSame(await tx.prepare('SELECT count(*) AS n FROM a').get(), { n: 0 })
  }, { mode: 'read', isolation: 'repeatable read' })
  t.strictSame(await ids(db), [1])
})

onEachEngine('91: outsideTx leaves the transaction, and is back in it afterwards', async (t, db) => {
  await db.exec(table)
  await t.rejects(db.tx(async () => {
    await db.prepare('SELECT id FROM a').all()
    await t.rejects(db.outsideTx(async () => { throw new Error('inside') }), { message: 'inside' })
    await insert(db, 1)
    t.strictSame(await db.outsideTx(async () => await ids(db)), [], 'does not see what is not committed')
    throw new Error('no')
  }))
  t.strictSame(await ids(db), [])
})

onEachEngine('72: an iterate in a transaction has the connection to itself', async (t, db) => {
  await db.exec(table)
  await db.tx(async tx => { for (let id = 0; id < 300; id++) await insert(tx, id) })
  await db.tx(async tx => {
    let rows = 0
    for await (const _ of tx.prepare('SELECT id FROM a').iterate()) rows++
    t.equal(rows, 300)
    t.equal((await tx.prepare('DELETE FROM a WHERE id >= 250').run()).changes, 50, 'and gives it back')
  })
  await t.rejects(db.tx(async tx => {
    for await (const _ of tx.prepare('SELECT id FROM a').iterate()) await insert(tx, 1000)
  }), { code: 'TDM_ERR_TX_CURSOR_OPEN' })
  t.equal((await ids(db)).length, 250)
})

onEachEngine('155: an iterate that outlives its transaction ends with an error, not as if it were done', async (t, db) => {
  await db.exec(table)
  await db.tx(async tx => { for (let id = 0; id < 300; id++) await insert(tx, id) })
  const rows = await db.tx(async tx => {
    const rows = tx.prepare('SELECT id FROM a').iterate()
    await rows.next()
    return { rows }
  })
  await t.rejects(rows.rows.next(), { code: 'TDM_ERR_TX_CLOSED' })
  t.equal((await ids(db)).length, 300)
})

onEachEngine('wrong options are refused before anything is sent', async (t, db) => {
  for (const options of [{ mode: 'wirte' }, { propagation: 'maybe' }, { isolation: 'chaos' }, { timeout: -1 }, { retries: 3 }]) {
    await t.rejects(db.tx(() => {}, options as object), { code: 'TDM_ERR_TX_OPTIONS' }, JSON.stringify(options))
  }
  await t.rejects(db.tx('x' as unknown as () => void), { code: 'TDM_ERR_TX_OPTIONS' })
})

// --- callbacks -----------------------------------------------------------------------------------------------------------

onEachEngine('96, 98, 102, 103: afterCommit runs in order, after COMMIT, outside of the transaction, with the connection free', async (t, db) => {
  await db.exec(table)
  const seen: unknown[] = []
  await db.tx(async tx => {
    await insert(tx, 1)
    tx.afterCommit(async () => { seen.push(await ids(db)) })
    await tx.tx(async inner => { inner.afterCommit(() => { seen.push('nested') }); await insert(inner, 2) }, { propagation: 'nested' })
    tx.afterCommit(async () => { await insert(db, 3); seen.push('last') })
    tx.afterRollback(() => { seen.push('never') })
  })
  t.strictSame(seen, [[1, 2], 'nested', 'last'])
  t.strictSame(await ids(db), [1, 2, 3])
}, { DB_POOL_MAX: '1' })

onEachEngine('97, 99: afterRollback runs with the error; afterCommit of what was undone does not', async (t, db) => {
  await db.exec(table)
  const seen: unknown[] = []
  await db.tx(async tx => {
    tx.afterCommit(() => { seen.push('outer commit') })
    await t.rejects(tx.tx(async inner => {
      inner.afterCommit(() => { seen.push('inner commit') })
      inner.afterRollback(error => { seen.push(`inner: ${String((error as Error).message)}`) })
      await insert(inner, 1)
      throw new Error('inner')
    }, { propagation: 'nested' }), { message: 'inner' })
  })
  t.strictSame(seen, ['outer commit', 'inner: inner'])
  seen.length = 0
  await t.rejects(db.tx(async tx => {
    tx.afterCommit(() => { seen.push('commit') })
    await tx.tx(async inner => { inner.afterRollback(() => { seen.push('kept, then undone') }); await insert(inner, 1) }, { propagation: 'nested' })
    tx.afterRollback(error => { seen.push((error as Error).message) })
    throw new Error('outer')
  }))
  t.strictSame(seen, ['kept, then undone', 'outer'])
})

onEachEngine('100, 101: a callback that fails is logged and changes nothing; the others run', async (t, db) => {
  await db.exec(table)
  const seen: string[] = []
  await t.resolves(db.tx(async tx => {
    await insert(tx, 1)
    tx.afterCommit(() => { throw new Error('sync') })
    tx.afterCommit(async () => { throw new Error('async') })
    tx.afterCommit(() => { seen.push('ran') })
  }))
  t.strictSame(seen, ['ran'])
  t.strictSame(await ids(db), [1])
})
