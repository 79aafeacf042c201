/** Tests of an app, each in a transaction that is never kept (cases 178 to 180). */
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import config from '../../../plugins/config/index.ts'
import db from '../../../plugins/db/index.ts'
import { sandbox } from '../../../plugins/testing/index.ts'
import tx from '../../../plugins/tx/index.ts'
import { deferred, engines, freshUrl, onEachEngine } from '../../helper/db.ts'
import { failure, ids, insert, nested, table } from './common.ts'

async function startApp (t: Test, engine: 'sqlite' | 'postgres'): Promise<FastifyInstance> {
  const url = await freshUrl(t, engine)
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: url, DB_POOL_MAX: '2' } })
  await app.register(db)
  await app.register(tx)
  await app.db.exec(`${table}; CREATE TABLE c (a BIGINT REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)`)
  return app
}

onEachEngine('178: what is done in a sandbox is gone afterwards, whatever its function answers', async (t, db) => {
  await db.exec(table)
  t.equal(await sandbox(db, async () => {
    await insert(db, 1)
    await db.tx(async tx => { await insert(tx, 2) })
    t.strictSame(await ids(db), [1, 2])
    return 'value'
  }), 'value')
  const mine = new Error('mine')
  t.equal(await failure(t, sandbox(db, async () => { await insert(db, 3); throw mine })), mine)
  t.strictSame(await ids(db), [])
  await insert(db, 4)
  t.strictSame(await ids(db), [4])
})

onEachEngine('178: a transaction in it is kept or undone on its own, and its callbacks run', async (t, db) => {
  await db.exec(table)
  await sandbox(db, async () => {
    const seen: string[] = []
    await db.tx(async tx => {
      tx.afterCommit(async () => { seen.push(`committed ${JSON.stringify(await ids(db))}`) })
      await tx.tx(async inner => { inner.afterCommit(() => { seen.push('nested') }); await insert(inner, 1) }, nested)
      t.strictSame(seen, [], 'not before the outermost transaction of the app has ended')
    })
    t.strictSame(seen, ['committed [1]', 'nested'])
    await t.rejects(db.tx(async tx => {
      tx.afterCommit(() => { seen.push('wrong') })
      tx.afterRollback(() => { seen.push('rolled back') })
      await insert(tx, 2)
      await insert(tx, 2)
    }), { code: 'TDM_ERR_DB_UNIQUE' })
    t.strictSame(seen, ['committed [1]', 'nested', 'rolled back'])
    t.strictSame(await ids(db), [1], 'and the test goes on')
    await db.tx(async tx => { await insert(tx, 3) })
    t.strictSame(await ids(db), [1, 3])
  })
  t.strictSame(await ids(db), [])
})

for (const engine of engines) {
  void t.test(`${engine}: 178: requests in a sandbox see what it has written, and leave nothing`, async t => {
    const app = await startApp(t, engine)
    const seen: string[] = []
    app.post<{ Params: { id: string } }>('/:id', async request => {
      request.tx?.afterCommit(() => { seen.push(`after ${request.params.id}`) })
      await insert(app.db, Number(request.params.id))
      return { state: request.tx?.state }
    })
    app.post('/fails', async () => { await insert(app.db, 99); throw new Error('mine') })
    app.get('/', async () => await ids(app.db))
    await sandbox(app.db, async () => {
      await insert(app.db, 1)
      t.equal((await app.inject({ method: 'POST', url: '/2' })).statusCode, 200)
      t.equal((await app.inject({ method: 'POST', url: '/fails' })).statusCode, 500)
      t.equal((await app.inject({ method: 'POST', url: '/2' })).statusCode, 409)
      t.strictSame((await app.inject('/')).json(), [1, 2])
      t.strictSame(seen, ['after 2'])
    })
    t.strictSame((await app.inject('/')).json(), [])
    t.equal((await app.inject({ method: 'POST', url: '/3' })).statusCode, 200)
    t.strictSame((await app.inject('/')).json(), [3], 'outside of it requests are kept again')
  })

  void t.test(`${engine}: 179: what COMMIT would refuse is refused in a sandbox too`, async t => {
    const app = await startApp(t, engine)
    app.post('/', async () => { await app.db.prepare('INSERT INTO c (a) VALUES (99)').run(); return {} })
    await sandbox(app.db, async () => {
      await t.rejects(app.db.tx(async tx => { await tx.prepare('INSERT INTO c (a) VALUES (99)').run() }), { code: 'TDM_ERR_DB_FOREIGN_KEY' })
      t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 409)
      t.strictSame(await app.db.prepare('SELECT count(*) AS n FROM c').get(), { n: 0 })
      await app.db.tx(async tx => {
        await tx.prepare('INSERT INTO c (a) VALUES (7)').run()
        await insert(tx, 7)
      })
      t.strictSame(await app.db.prepare('SELECT count(*) AS n FROM c').get(), { n: 1 }, 'deferred inside of each')
    })
  })
}

onEachEngine('180: a transaction of its own in a sandbox leaves nothing either, or is an error', async (t, db) => {
  await db.exec(table)
  await sandbox(db, async () => {
    await db.tx(async tx => {
      await insert(tx, 1)
      await db.tx(async other => { await insert(other, 2) }, { propagation: 'new' }).catch((error: { code: string }) => { t.match(error.code, /^TDM_ERR_/) })
    }).catch((error: { code: string }) => { t.match(error.code, /^TDM_ERR_/) })
  })
  t.strictSame(await ids(db), [])
})

onEachEngine('in a sandbox a read transaction cannot write, and the next one can', async (t, db) => {
  await db.exec(table)
  await sandbox(db, async () => {
    await t.rejects(db.tx(async tx => { await insert(tx, 1) }, { mode: 'read' }), { code: 'TDM_ERR_DB_READONLY' })
    t.strictSame(await db.tx(async tx => await ids(tx), { mode: 'read' }), [])
    await db.tx(async tx => { await insert(tx, 2) })
    t.strictSame(await ids(db), [2])
  })
  t.strictSame(await ids(db), [])
})

onEachEngine('a cursor and a script in a sandbox leave nothing, and a failed statement leaves the sandbox as it was', async (t, db) => {
  await db.exec(table)
  await sandbox({ db }, async () => {
    await db.exec('INSERT INTO a (id) VALUES (1); INSERT INTO a (id) VALUES (2)')
    await t.rejects(insert(db, 2), { code: 'TDM_ERR_DB_UNIQUE' })
    await t.rejects(db.exec('INSERT INTO a (id) VALUES (3); INSERT INTO a (id) VALUES (1)'), { code: 'TDM_ERR_DB_UNIQUE' })
    const seen = []
    for await (const { id } of db.prepare('SELECT id FROM a ORDER BY id').iterate()) seen.push(id)
    t.strictSame(seen, [1, 2])
    for await (const { id } of db.prepare('SELECT id FROM a ORDER BY id').iterate()) if (id === 1) break
    t.strictSame(await ids(db), [1, 2], 'after a loop that was left')
  })
  t.strictSame(await ids(db), [])
})

onEachEngine('what is sent in a sandbox is not delivered, since nothing of it is committed; listening goes on', async (t, db) => {
  const events: unknown[] = []
  const done = deferred()
  const listener = await sandbox(db, async () => {
    const inside = await db.listen('news', ({ payload }) => { events.push(payload); if (payload === 'last') done.resolve() })
    await db.notify('news', 'alone')
    await db.tx(async tx => { await tx.notify('news', 'in a transaction') })
    await t.rejects(db.notify('news', 'x'.repeat(8000)), { code: 'TDM_ERR_EVENTS_PAYLOAD' })
    return inside
  })
  await db.notify('news', 'last')
  await done.promise
  t.strictSame(events, ['last'])
  await listener.close()
})

onEachEngine('a database is in one sandbox at a time, and may be closed in it', async (t, db) => {
  await db.exec(table)
  await sandbox(db, async () => { await t.rejects(sandbox(db, async () => {}), { code: 'TDM_ERR_TESTING_SANDBOX' }) })
  await sandbox(db, async () => {
    await insert(db, 1)
    await db.close()
    await t.rejects(ids(db), { code: 'TDM_ERR_DB_CLOSED' })
  })
  await t.rejects(ids(db), { code: 'TDM_ERR_DB_CLOSED' })
  await t.rejects(sandbox(db, async () => {}), { code: 'TDM_ERR_DB_CLOSED' })
})
