/** Transactions in transactions: joining, savepoints, and waits that could never end. */
import { deferred, onEachEngine } from '../../helper/db.ts'
import type { Database, Transaction } from '../../../plugins/db/types.ts'

const table = 'CREATE TABLE a (id BIGINT PRIMARY KEY)'
const insert = async (db: Pick<Database, 'prepare'>, id: number): Promise<unknown> => await db.prepare('INSERT INTO a (id) VALUES (?)').run(id)
const ids = async (db: Database): Promise<unknown[]> => (await db.prepare('SELECT id FROM a ORDER BY id').all()).map(row => row.id)
const nested = { propagation: 'nested' } as const

onEachEngine('by default an inner transaction joins', async (t, db) => {
  await db.exec(table)
  await db.tx(async outer => {
    await db.tx(async inner => { t.equal(inner, outer); await insert(db, 1) })
    await insert(db, 2)
  })
  t.strictSame(await ids(db), [1, 2])
})

onEachEngine('87: a joined one that throws dooms the whole, even if the error is caught', async (t, db) => {
  await db.exec(table)
  const mine = new Error('mine')
  await t.rejects(db.tx(async () => {
    await insert(db, 1)
    await t.rejects(db.tx(async () => { throw mine }), mine)
  }), { code: 'TDM_ERR_TX_DOOMED', cause: mine })
  t.strictSame(await ids(db), [])
})

onEachEngine('75, 162: nested: what fails inside is undone, the rest goes on', async (t, db) => {
  await db.exec(table)
  await db.tx(async tx => {
    await insert(tx, 1)
    await t.rejects(tx.tx(async inner => { await insert(inner, 2); await insert(inner, 1) }, nested), { code: 'TDM_ERR_DB_UNIQUE' })
    await t.rejects(db.tx(async () => { await insert(db, 3); await insert(db, 1).catch(() => {}) }, nested), { code: 'TDM_ERR_TX_DOOMED' }, 'caught inside')
    await tx.tx(async inner => { await insert(inner, 4) }, nested)
  })
  t.strictSame(await ids(db), [1, 4])
})

onEachEngine('93: nested before the outer has sent anything: BEGIN, then SAVEPOINT', async (t, db) => {
  await db.exec(table)
  await db.tx(async tx => {
    await t.rejects(tx.tx(async () => { await insert(db, 1); throw new Error('no') }, nested))
    await tx.tx(async inner => { await inner.tx(async () => await insert(db, 2), nested) }, nested)
    await tx.tx(() => {}, nested)
  })
  t.strictSame(await ids(db), [2])
})

onEachEngine('77: parallel siblings follow each other: exactly the failed one is undone', async (t, db) => {
  await db.exec(table)
  await db.tx(async tx => {
    const results = await Promise.allSettled([0, 1, 2, 3, 4, 5].map(async id => await tx.tx(async inner => {
      await insert(inner, id)
      await Promise.all([0, 1].map(async n => await inner.tx(async deep => { await insert(deep, 100 + id * 10 + n) }, nested)))
      if (id % 2 === 1) throw new Error('odd')
    }, nested)))
    t.strictSame(results.map(result => result.status), ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected'])
  })
  t.strictSame(await ids(db), [0, 2, 4, 100, 101, 120, 121, 140, 141])
})

onEachEngine('79, 80: the parent used from inside its child fails at once instead of hanging', async (t, db) => {
  await db.exec(table)
  await db.tx(async outer => {
    await t.rejects(outer.tx(async () => { await insert(outer, 1) }, nested), { code: 'TDM_ERR_TX_PARENT_IN_USE' })
    await t.rejects(outer.tx(async () => { await outer.tx(async () => {}, nested) }, nested), { code: 'TDM_ERR_TX_PARENT_IN_USE' })
    await insert(outer, 2)
  })
  t.strictSame(await ids(db), [2])
})

onEachEngine('81: an inner one that nobody awaited is done before COMMIT', async (t, db) => {
  await db.exec(table)
  await db.tx(tx => { void tx.tx(async inner => { await null; await insert(inner, 1) }, nested) })
  t.strictSame(await ids(db), [1])
})

onEachEngine('81: a rollback does not wait for an inner one that hangs', async (t, db) => {
  await db.exec(table)
  const begun = deferred()
  await t.rejects(db.tx(async tx => {
    void tx.tx(async inner => { await insert(inner, 1); begun.resolve(); await new Promise(() => {}) }, nested).catch(() => {})
    await begun.promise
    throw new Error('outer')
  }), { message: 'outer' })
  t.strictSame(await ids(db), [])
})

onEachEngine('hundreds of savepoints, one after the other and one in the other', async (t, db) => {
  await db.exec(table)
  const deeper = async (tx: Transaction, depth: number): Promise<void> => {
    await insert(tx, depth)
    if (depth < 60) await tx.tx(async inner => { await deeper(inner, depth + 1) }, nested)
  }
  await db.tx(async tx => {
    for (let n = 0; n < 200; n++) await tx.tx(async inner => { await insert(inner, 1000 + n); if (n % 2 === 0) throw new Error('even') }, nested).catch(() => {})
    await deeper(tx, 1)
  })
  t.equal((await ids(db)).length, 160)
})

onEachEngine('88, 91, 94: mandatory, never, and options that the outer one cannot give', async (t, db) => {
  await db.exec(table)
  await t.rejects(db.tx(() => {}, { propagation: 'mandatory' }), { code: 'TDM_ERR_TX_PROPAGATION' })
  await db.tx(async () => { t.equal(await db.tx(() => 1, { propagation: 'mandatory' }), 1) })
  await t.rejects(db.tx(async () => await db.tx(() => {}, { propagation: 'never' })), { code: 'TDM_ERR_TX_PROPAGATION' })
  t.equal(await db.tx(() => 1, { propagation: 'never' }), 1)
  await t.rejects(db.tx(async () => await db.tx(() => {}, { mode: 'write' }), { mode: 'read' }), { code: 'TDM_ERR_TX_OPTIONS' })
  await t.rejects(db.tx(async () => await db.tx(() => {}, { isolation: 'serializable' })), { code: 'TDM_ERR_TX_OPTIONS' })
})

onEachEngine('89, 165: a wait that could never end is an error at once', async (t, db) => {
  await db.exec(table)
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    await db.tx(async other => { await insert(other, 2) }, { propagation: 'new' })
  }), { code: 'TDM_ERR_POOL_DEADLOCK', message: /INSERT INTO a/ })
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    await db.outsideTx(async () => { await db.tx(async other => { await insert(other, 2) }) })
  }), { code: 'TDM_ERR_POOL_DEADLOCK' })
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    await db.outsideTx(async () => { await insert(db, 2) })
  }), { code: 'TDM_ERR_POOL_DEADLOCK' }, 'a statement on its own')
  t.strictSame(await ids(db), [])
}, { DB_POOL_MAX: '1', DB_ACQUIRE_TIMEOUT: '60s', DB_TX_TIMEOUT: '60s' })

onEachEngine('a joined one that nobody awaited and that fails after COMMIT does not make it a rollback', async (t, db) => {
  await db.exec(table)
  const { promise: later, resolve: fire } = deferred()
  const seen: string[] = []
  const joined = deferred<unknown>()
  await db.tx(async tx => {
    await insert(tx, 1)
    void db.tx(async () => { await later; throw new Error('late') }).then(joined.resolve, joined.resolve)
    tx.afterCommit(async () => { fire(); await joined.promise; seen.push('committed') })
    tx.afterRollback(() => { seen.push('rolled back') })
  })
  t.strictSame(seen, ['committed'])
  t.match(await joined.promise, { message: 'late' })
})

onEachEngine('a rollback that comes while the connection is waited for sends nothing more', async (t, db) => {
  await db.exec(table)
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const holder = db.tx(async tx => { await insert(tx, 1); begun.resolve(); await hold })
  await begun.promise
  const refused = deferred<unknown>()
  const failing = db.tx(async tx => {
    insert(tx, 2).then(refused.resolve, refused.resolve)
    throw new Error('mine')
  })
  letGo()
  await t.rejects(failing, { message: 'mine' })
  t.match(await refused.promise, { code: 'TDM_ERR_TX_CLOSED' })
  await holder
  t.strictSame(await ids(db), [1])
}, { DB_POOL_MAX: '1' })

onEachEngine('inner ones that nobody awaits do not end the process when the outer one is rolled back', async (t, db) => {
  await db.exec(table)
  const client = new AbortController()
  const begun = deferred()
  const outer = db.signal(client.signal, async () => {
    await db.tx(async tx => {
      await insert(tx, 1)
      void db.tx(async () => { await new Promise(() => {}) })
      void tx.tx(async () => { await new Promise(() => {}) })
      void db.tx(async inner => { await insert(inner, 2); begun.resolve(); await new Promise(() => {}) }, nested)
      void tx.tx(async inner => { await insert(inner, 3) }, nested)
      await new Promise(() => {})
    })
  })
  await begun.promise
  client.abort()
  await t.rejects(outer, { code: 'TDM_ERR_DB_ABORTED' })
  await new Promise(resolve => { setImmediate(resolve) })
  t.strictSame(await ids(db), [])
})
