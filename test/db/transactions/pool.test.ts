/** Waiting for connections, shutdown, several databases (cases 165 to 173; those without a number here are in test/db/gate.test.ts, test/db/conformance and requests.test.ts). */
import Fastify from 'fastify'
import t from 'tap'
import config from '../../../plugins/config/index.ts'
import dbPlugin from '../../../plugins/db/index.ts'
import { deferred, engines, freshUrl, onEachEngine, openUrl } from '../../helper/db.ts'
import { admin, failure, ids, insert, table } from './common.ts'
import type { Database } from '../../../plugins/db/types.ts'

const own = { propagation: 'new' } as const

onEachEngine('165: a statement outside of the transaction that holds the only connection: an error at once', async (t, db) => {
  await db.exec(table)
  const start = performance.now()
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    await db.outsideTx(async () => { await insert(db, 2) })
  }), { code: 'TDM_ERR_POOL_DEADLOCK' })
  t.ok(performance.now() - start < 5000)
  await insert(db, 3)
  t.strictSame(await ids(db), [3])
}, { DB_POOL_MAX: '1', DB_ACQUIRE_TIMEOUT: '60s' })

void t.test('166: as many as there are connections, and each wants another one: the newest is refused, the others finish', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '3', DB_ACQUIRE_TIMEOUT: '60s' })
  await db.exec(table)
  const ready = [1, 2, 3].map(() => deferred())
  const start = performance.now()
  const results = await Promise.allSettled([1, 2, 3].map(async n => {
    await db.tx(async tx => {
      await insert(tx, n)
      ready[n - 1]?.resolve()
      await Promise.all(ready.map(async ({ promise }) => { await promise }))
      await db.tx(async other => { await insert(other, 10 + n) }, own)
    })
  }))
  t.strictSame(results.map(({ status }) => status).sort(), ['fulfilled', 'fulfilled', 'rejected'])
  t.match(results.find(({ status }) => status === 'rejected'), { reason: { code: 'TDM_ERR_POOL_DEADLOCK' } })
  t.ok(performance.now() - start < 10_000)
  t.equal((await ids(db)).length, 4)
})

void t.test('167: one connection that is free, or will be, is no deadlock', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '3' })
  await db.exec(table)
  const ready = [1, 2].map(() => deferred())
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const third = db.tx(async tx => { await insert(tx, 100); begun.resolve(); await hold }) // wants no other one
  await begun.promise
  const pairs = [1, 2].map(async n => {
    await db.tx(async tx => {
      await insert(tx, n)
      ready[n - 1]?.resolve()
      await Promise.all(ready.map(async ({ promise }) => { await promise }))
      const inner = db.tx(async other => { await insert(other, 10 + n) }, own)
      if (n === 2) letGo()
      await inner
    })
  })
  await Promise.all([third, ...pairs])
  t.strictSame(await ids(db), [1, 2, 11, 12, 100])
})

void t.test('168: transactions of their own under ten times the load of the pool: each ends, and soon', { timeout: 30_000 }, async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '4', DB_ACQUIRE_TIMEOUT: '60s', DB_TX_TIMEOUT: '60s' })
  await db.exec(table)
  const results = await Promise.allSettled(Array.from({ length: 40 }, async (_, n) => {
    await db.tx(async tx => {
      await insert(tx, n)
      await db.tx(async other => { await insert(other, 100 + n) }, own)
    })
  }))
  const rejected = results.filter(result => result.status === 'rejected')
  for (const { reason } of rejected) t.match(reason, { code: 'TDM_ERR_POOL_DEADLOCK' })
  const expected = results.flatMap((result, n) => result.status === 'fulfilled' ? [n, 100 + n] : []).toSorted((x, y) => x - y)
  t.ok(expected.length > 0, `${rejected.length} of 40 refused`)
  t.strictSame(await ids(db), expected)
})

onEachEngine('169: whoever is aborted while waiting has left the queue', async (t, db) => {
  await db.exec(table)
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const holder = db.tx(async tx => { await insert(tx, 0); begun.resolve(); await hold })
  await begun.promise
  const client = new AbortController()
  const aborted = Array.from({ length: 20 }, async (_, n) => await failure(t, db.signal(client.signal, async () => { await db.tx(async tx => { await insert(tx, n) }) })))
  const next = db.tx(async tx => { await insert(tx, 100) })
  client.abort()
  for (const error of await Promise.all(aborted)) t.match(error, { code: 'TDM_ERR_DB_ABORTED' })
  letGo()
  await holder
  await next
  t.strictSame(await ids(db), [0, 100])
}, { DB_POOL_MAX: '1' })

onEachEngine('171: close waits for transactions so long, and then rolls them back', async (t, db) => {
  await db.exec(table)
  const begun = deferred()
  const hanging = failure(t, db.tx(async tx => { await insert(tx, 1); begun.resolve(); await new Promise(() => {}) }, { timeout: 1500 }))
  await begun.promise
  const start = performance.now()
  await db.close({ graceMs: 60 })
  t.ok(performance.now() - start < 5000)
  t.match(await hanging, { code: /^TDM_ERR_/ })
})

for (const engine of engines) {
  void t.test(`${engine}: 171: what a close has ended is not there afterwards`, async t => {
    const url = await freshUrl(t, engine)
    const db = await openUrl(t, url)
    await db.exec(table)
    const begun = deferred()
    const hanging = failure(t, db.tx(async tx => { await insert(tx, 1); begun.resolve(); await new Promise(() => {}) }, { timeout: 1500 }))
    await begun.promise
    await db.close({ graceMs: 20 })
    await hanging
    const again = await openUrl(t, url)
    t.strictSame(await ids(again), [])
    await insert(again, 2)
  })
}

for (const [first, second] of [['sqlite', 'sqlite'], ['postgres', 'postgres'], ['sqlite', 'postgres'], ['postgres', 'sqlite']] as const) {
  void t.test(`172: two databases (${first}, ${second}): a transaction on one is none on the other`, async t => {
    const one = await openUrl(t, await freshUrl(t, first), { DB_POOL_MAX: '1' })
    const two = await openUrl(t, await freshUrl(t, second), { DB_POOL_MAX: '1' })
    await one.exec(table)
    await two.exec(table)
    await t.rejects(one.tx(async () => {
      await insert(one, 1)
      await insert(two, 1)
      await two.tx(async tx => { await insert(one, 2); await insert(tx, 2) })
      throw new Error('mine')
    }), { message: 'mine' })
    t.strictSame(await ids(one), [])
    t.strictSame(await ids(two), [1, 2], 'each commits on its own: there is no transaction over both')
    await t.rejects(one.tx(async () => { await two.tx(() => {}, { propagation: 'mandatory' }) }), { code: 'TDM_ERR_TX_PROPAGATION' })
  })
}

for (const engine of engines) {
  void t.test(`${engine}: 173: the plugin twice in one app is refused, and leaves nothing open; in encapsulated parts each has its own`, async t => {
    const url = await freshUrl(t, engine)
    const env = { DATABASE_URL: url }
    const app = Fastify()
    await app.register(config, { env })
    await app.register(dbPlugin)
    await t.rejects(async () => { await app.register(dbPlugin) }, { code: 'FST_ERR_DEC_ALREADY_PRESENT' as never })
    await app.close()
    const parts = Fastify()
    const found: Database[] = []
    for (let i = 0; i < 2; i++) {
      await parts.register(async part => {
        await part.register(config, { env })
        await part.register(dbPlugin)
        found.push(part.db)
      })
    }
    await parts.ready()
    t.equal(new Set(found).size, 2)
    await parts.close()
    if (engine === 'postgres') {
      const client = await admin(t, url)
      const open = async (): Promise<unknown> => (await client.query('SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()')).rowCount
      const until = performance.now() + 3000
      while (await open() !== 0 && performance.now() < until);
      t.equal(await open(), 0, 'no connection is left')
    }
  })
}
