/** The deadline and the signal are ambient and hold for every statement. */
import { deferred, onEachEngine } from '../../helper/db.ts'
import { engines, openTestDatabase } from '../../helper/db.ts'
import t from 'tap'

onEachEngine('a deadline that has passed lets nothing be sent', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT)')
  await t.rejects(db.deadline(0, async () => await db.prepare('INSERT INTO a (id) VALUES (1)').run()), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 0 })
})

onEachEngine('the stricter of two deadlines holds', async (t, db) => {
  await t.rejects(db.deadline(0, () => db.deadline(60_000, async () => await db.prepare('SELECT 1 AS a').get())), { code: 'TDM_ERR_DB_TIMEOUT' })
  await t.resolves(db.deadline(60_000, async () => await db.prepare('SELECT 1 AS a').get()))
})

onEachEngine('an aborted signal lets nothing be sent; its reason is the cause', async (t, db) => {
  const reason = new Error('the client left')
  await t.rejects(db.signal(AbortSignal.abort(reason), async () => await db.prepare('SELECT 1 AS a').get()), { code: 'TDM_ERR_DB_ABORTED', cause: reason })
  const outer = new AbortController()
  await db.signal(outer.signal, () => db.signal(new AbortController().signal, async () => {
    outer.abort()
    await t.rejects(db.prepare('SELECT 1 AS a').get(), { code: 'TDM_ERR_DB_ABORTED' }, 'the outer one holds inside as well')
  }))
})

onEachEngine('a deadline ends a long read between its rows', async (t, db) => {
  const numbers = 'WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000000) SELECT i FROM c'
  await t.rejects(db.deadline(30, async () => await db.prepare(numbers).all()), { code: 'TDM_ERR_DB_TIMEOUT' }, 'all')
  await t.rejects(db.deadline(30, async () => { for await (const _ of db.prepare(numbers).iterate()); }), { code: 'TDM_ERR_DB_TIMEOUT' }, 'iterate')
  t.strictSame(await db.prepare('SELECT 1 AS a').get(), { a: 1 })
}, { DB_MAX_ROWS: '0', DB_MAX_RESULT: '0' }) // or that may come first

onEachEngine('an abort ends an iterate, and its connection is given back', async (t, db) => {
  const numbers = 'WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000000) SELECT i FROM c'
  const controller = new AbortController()
  await t.rejects(db.signal(controller.signal, async () => {
    let rows = 0
    for await (const _ of db.prepare(numbers).iterate()) if (++rows === 10) controller.abort()
  }), { code: 'TDM_ERR_DB_ABORTED' })
  t.strictSame(await db.tx(async tx => await tx.prepare('SELECT 1 AS a').get(), { mode: 'read' }), { a: 1 })
}, { DB_POOL_MAX: '1', SQLITE_READERS: '1' })

onEachEngine('the event loop turns while a long iterate runs', async (t, db) => {
  let turns = 0
  const count = (): void => { turns++; next = setImmediate(count) }
  let next = setImmediate(count)
  const numbers = 'WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 200000) SELECT i FROM c'
  for await (const _ of db.prepare(numbers).iterate());
  clearImmediate(next)
  t.ok(turns > 5, `${turns} turns`)
})

onEachEngine('141, 160: the time-out of a transaction rejects it at once, and what its function does later is refused', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT)')
  const { promise: hold, resolve: letGo } = deferred()
  const late = deferred<unknown>()
  await t.rejects(db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
    await hold
    await tx.prepare('INSERT INTO a (id) VALUES (2)').run().then(late.resolve, late.resolve)
  }, { timeout: 500 }), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame(await db.prepare('INSERT INTO a (id) VALUES (3)').run(), { changes: 1, lastInsertRowid: null }, 'the writer is free again')
  letGo()
  t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED' })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 3 }])
})

onEachEngine('the signal of a transaction ends it while it waits for something else', async (t, db) => {
  const controller = new AbortController()
  const begun = deferred()
  const tx = db.signal(controller.signal, () => db.tx(async tx => {
    await tx.prepare('SELECT 1 AS a').get()
    begun.resolve()
    await new Promise(() => {})
  }))
  await begun.promise
  controller.abort(new Error('gone'))
  await t.rejects(tx, { code: 'TDM_ERR_DB_ABORTED', cause: { message: 'gone' } })
})

onEachEngine('a transaction does not begin under a deadline that has passed or a signal that is aborted', async (t, db) => {
  const never = (): void => { t.fail('it was called') }
  await t.rejects(db.deadline(0, async () => { await db.tx(never) }), { code: 'TDM_ERR_DB_TIMEOUT' })
  await t.rejects(db.signal(AbortSignal.abort(), async () => { await db.tx(never) }), { code: 'TDM_ERR_DB_ABORTED' })
})

onEachEngine('140: a statement that waits for its turn is given up in time', async (t, db) => {
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const holder = db.tx(async tx => { await tx.exec('CREATE TABLE a (id BIGINT)'); begun.resolve(); await hold })
  await begun.promise
  await t.rejects(db.deadline(20, async () => await db.tx(async tx => await tx.exec('CREATE TABLE b (id BIGINT)'))), { code: 'TDM_ERR_DB_TIMEOUT' })
  const controller = new AbortController()
  const waiting = db.signal(controller.signal, async () => await db.exec('CREATE TABLE c (id BIGINT)'))
  controller.abort()
  await t.rejects(waiting, { code: 'TDM_ERR_DB_ABORTED' })
  await t.rejects(db.exec('CREATE TABLE d (id BIGINT)'), { code: 'TDM_ERR_POOL_TIMEOUT', message: /within 100 ms.*CREATE TABLE a/s })
  letGo()
  await holder
}, { DB_POOL_MAX: '1', DB_ACQUIRE_TIMEOUT: '100ms' })

for (const engine of engines) {
  void t.test(`${engine}: the listeners of a signal are removed`, async t => {
    const db = await openTestDatabase(t, engine)
    const { signal } = new AbortController()
    let listeners = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => { listeners++; add(...args) }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => { listeners--; remove(...args) }
    await db.signal(signal, async () => {
      for (let i = 0; i < 50; i++) await db.tx(async tx => await tx.prepare('SELECT 1 AS a').get())
    })
    t.equal(listeners, 0)
  })
}
