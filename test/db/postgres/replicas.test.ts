/**
 * Reads on a streaming standby: what goes there, that nobody misses what they have written, and that nobody is told when the standby fails.
 *
 * All tests share one primary and one standby, one after the other; each has a table of its own.
 */
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import config from '../../../plugins/config/index.ts'
import { createDatabase } from '../../../plugins/db/database.ts'
import db from '../../../plugins/db/index.ts'
import { openPostgres } from '../../../plugins/db/postgres/engine.ts'
import { runInScope, type Scope } from '../../../plugins/db/scope.ts'
import type { Database, Queryable } from '../../../plugins/db/types.ts'
import tx from '../../../plugins/tx/index.ts'
import { collectLog, openUrl, type LogLine } from '../../helper/db.ts'
import { until } from '../../helper/long.ts'
import { ask } from '../../helper/pg.ts'
import { skip, startPostgres, type PostgresServer } from '../../helper/postgres-server.ts'
import { startProxy, type Proxy } from '../../helper/proxy.ts'
import { startStandby, type Standby } from '../../helper/standby.ts'

interface Cluster { readonly primary: PostgresServer, readonly standby: Standby }

let tables = 0
/** An empty table, on the standby as well. */
async function freshTable ({ primary, standby }: Cluster): Promise<string> {
  const table = `a${++tables}`
  await ask(primary.url, `CREATE TABLE ${table} (id BIGINT)`)
  await standby.catchUp()
  return table
}

const read = { mode: 'read' } as const

/** Where a statement on its own runs, or one in a transaction. */
async function isOnStandby (db: Queryable): Promise<boolean> {
  return (await db.prepare('SELECT pg_is_in_recovery() AS is').get())?.is === 1
}

/** Where a read transaction runs. */
async function readsStandby (db: Database): Promise<boolean> {
  return await db.tx(isOnStandby, read)
}

/** As a request does it. */
async function inRequest<R> (fn: () => Promise<R>): Promise<R> {
  const scope: Scope = { deadline: Infinity, signal: undefined, request: {}, link: undefined }
  return await runInScope(scope, fn)
}

async function open (t: Test, { primary, standby }: { primary: { url: string }, standby: { url: string } }, variables: Record<string, string> = {}, log = collectLog()): Promise<Database> {
  return await openUrl(t, primary.url, { DATABASE_REPLICA_URL: standby.url, ...variables }, log)
}

/** Until a read goes to the standby, or no more. */
async function untilReadsStandby (db: Database, is = true): Promise<void> {
  await until(is ? 'the standby is read' : 'the primary is read', async () => await readsStandby(db) === is)
}

const messages = (lines: readonly LogLine[]): string[] => lines.map(({ level, message }) => `${level}: ${message.split(';')[0]}`)

t.test('reads on a standby', { skip, timeout: 150_000 }, async t => {
  const primary = await startPostgres(t)
  const cluster: Cluster = { primary, standby: await startStandby(t, primary, { max_standby_streaming_delay: '0', hot_standby_feedback: 'off' }) }
  const { standby } = cluster

  await t.test('read transactions go to the standby, all else to the primary', async t => {
    const table = await freshTable(cluster)
    const log = collectLog()
    const db = await open(t, cluster, {}, log)
    t.equal(await readsStandby(db), true)
    t.equal(await db.tx(isOnStandby), false)
    t.equal(await isOnStandby(db), false)
    t.equal(await db.tx(isOnStandby, { mode: 'read', isolation: 'repeatable read' }), true)
    t.equal(await db.tx(isOnStandby, { mode: 'read', isolation: 'serializable' }), false, 'of which a standby has none')
    await t.rejects(db.tx(async tx => await tx.prepare(`INSERT INTO ${table} (id) VALUES (1)`).run(), read), { code: 'TDM_ERR_DB_READONLY' })
    await t.rejects(db.tx(async tx => await tx.prepare('SELECT 1 / 0 AS n').get(), read), { code: 'TDM_ERR_DB_OTHER' })
    t.equal(await readsStandby(db), true, 'what the primary refuses as well is not the replica\'s fault')
    t.match(db.status(), { replica: { state: 'ready' }, queues: { connections: {}, 'replica connections': {} } })
    t.strictSame(messages(log.lines), ['info: reads go to the replica'])
  })

  await t.test('with DB_REPLICA_READS=all reads on their own, too', async t => {
    const table = await freshTable(cluster)
    const db = await open(t, cluster, { DB_REPLICA_READS: 'all' })
    for (let i = 0; i < 40; i++) t.equal(await inRequest(async () => await isOnStandby(db)), true)
    await until('it is on a lane', async () => { await inRequest(async () => await isOnStandby(db)); return db.status().statements.some(({ runs }) => runs === 'lane') })
    await db.prepare(`INSERT INTO ${table} (id) VALUES (?)`).run(1)
    t.strictSame(await db.prepare(`SELECT id FROM ${table}`).all(), [{ id: 1 }])
    await ask(primary.url, `CREATE SEQUENCE ${table}_ids`)
    const next = db.prepare(`SELECT nextval('${table}_ids') AS id`)
    t.strictSame([await next.get(), await next.get(), await next.get()], [{ id: 1 }, { id: 2 }, { id: 3 }], 'what begins like a read and is none')
    await t.rejects(db.prepare('SELECT nothing FROM nowhere').get(), { code: 'TDM_ERR_DB_SYNTAX' })
  })

  await t.test('who has written reads the primary until it is replayed; others go on to read the standby', async t => {
    const table = await freshTable(cluster)
    const db = await open(t, cluster)
    const count = async (): Promise<unknown> => await db.tx(async tx => ({ ...await tx.prepare(`SELECT count(*) AS n FROM ${table}`).get(), standby: await isOnStandby(tx) }), read)
    const insert = async (): Promise<unknown> => await db.prepare(`INSERT INTO ${table} (id) VALUES (?)`).run(1)
    await standby.holdReplay()
    const writes: Array<[string, () => Promise<unknown>]> = [
      ['a transaction', async () => await db.tx(insert)],
      ['a statement on its own', insert],
      ['a script', async () => { await db.exec(`INSERT INTO ${table} (id) VALUES (1); SELECT 1`) }],
      ['a last statement', async () => await db.tx(async tx => await tx.last(db.prepare(`INSERT INTO ${table} (id) VALUES (1)`)).run())],
      ['a cursor', async () => { for await (const _ of db.prepare(`INSERT INTO ${table} (id) VALUES (1) RETURNING id`).iterate()); }]
    ]
    let n = 0
    for (const [name, write] of writes) {
      await inRequest(async () => {
        t.strictSame(await count(), { n: 0, standby: true }, `before ${name}`)
        await write()
        t.strictSame(await count(), { n: ++n, standby: false }, name)
      })
      t.strictSame(await inRequest(count), { n: 0, standby: true }, 'another request')
    }
    t.strictSame(await count(), { n: 0, standby: true }, 'code outside of requests, which has written nothing')
    await insert()
    n++
    t.strictSame(await count(), { n, standby: false }, 'and now has')
    t.strictSame(await inRequest(count), { n: 0, standby: true })
    await standby.letReplay()
    await untilReadsStandby(db)
    t.strictSame(await count(), { n, standby: true })
  })

  await t.test('what has just been written is waited for, if it comes at once', async t => {
    const table = await freshTable(cluster)
    const db = await open(t, cluster)
    let onStandby = 0
    for (let i = 1; i <= 20; i++) {
      await inRequest(async () => {
        await db.prepare(`INSERT INTO ${table} (id) VALUES (?)`).run(i)
        const row = await db.tx(async tx => await tx.prepare(`SELECT count(*) AS n, pg_is_in_recovery() AS standby FROM ${table}`).get(), read)
        t.equal(row?.n, i)
        onStandby += Number(row?.standby)
      })
    }
    t.ok(onStandby > 0, `${onStandby} of 20 were read on the standby`)
  })

  await t.test('in requests', async t => {
    const table = await freshTable(cluster)
    const app = await startApp(t, cluster)
    const insert = app.db.prepare(`INSERT INTO ${table} (id) VALUES (?)`)
    app.get('/where', async () => ({ standby: await isOnStandby(app.db) }))
    app.get('/own', { config: { tx: false } }, async () => {
      const before = await readsStandby(app.db)
      await insert.run(1)
      return { before, after: await readsStandby(app.db) }
    })
    let after: boolean | undefined
    app.post('/write', async request => {
      const standby = await isOnStandby(app.db)
      await insert.run(2)
      request.tx?.afterCommit(async () => { after = await app.db.outsideTx(async () => await readsStandby(app.db)) })
      return { standby }
    })
    const json = async (method: 'GET' | 'POST', url: string): Promise<unknown> => (await app.inject({ method, url })).json()
    t.strictSame(await json('GET', '/where'), { standby: true })
    await standby.holdReplay()
    t.strictSame(await json('GET', '/own'), { before: true, after: false })
    t.strictSame(await json('POST', '/write'), { standby: false })
    t.equal(after, false)
    t.strictSame(await json('GET', '/where'), { standby: true })
    await standby.letReplay()
  })

  await t.test('a conflict with what is replayed is not told', async t => {
    const table = await freshTable(cluster)
    await ask(primary.url, `INSERT INTO ${table} SELECT generate_series(1, 100)`)
    await standby.catchUp()
    const db = await open(t, cluster)
    const truncate = async (): Promise<void> => { await ask(primary.url, `TRUNCATE ${table}`) }
    await untilReadsStandby(db)
    const where = await db.tx(async tx => {
      t.equal(await isOnStandby(tx), true)
      await truncate()
      const rows = tx.prepare(`SELECT count(*) AS n FROM ${table}, pg_sleep(0.2)`).get()
      t.strictSame(await rows, { n: 0 })
      return await isOnStandby(tx)
    }, read)
    t.type(where, 'boolean')
    await ask(primary.url, `INSERT INTO ${table} SELECT generate_series(1, 100)`)
    await standby.catchUp()
    await untilReadsStandby(db)
    const moved = await db.tx(async tx => {
      t.equal((await tx.prepare(`SELECT count(*) AS n FROM ${table}`).get())?.n, 100)
      t.equal(await isOnStandby(tx), true)
      await truncate()
      await until('the lock of the transaction was in the way', async () => (await ask(standby.url, "SELECT 1 FROM pg_stat_database_conflicts WHERE datname = 'postgres' AND confl_lock > 0")).length === 1)
      t.equal((await tx.prepare(`SELECT count(*) AS n FROM ${table}`).get())?.n, 0)
      return await isOnStandby(tx)
    }, read)
    t.equal(moved, false)
    let attempts = 0
    await untilReadsStandby(db)
    const rows = await db.tx(async tx => {
      const { pid } = await tx.prepare('SELECT pg_backend_pid() AS pid').get() ?? {}
      if (++attempts === 1) await ask(standby.url, 'SELECT pg_terminate_backend($1, 5000)', [pid])
      return await tx.prepare('SELECT 1 AS one').all()
    }, { mode: 'read', isolation: 'repeatable read', retry: 1 })
    t.strictSame([attempts, rows], [2, [{ one: 1 }]], 'a snapshot that was seen cannot be moved, but such a transaction can be run again')
  })

  await t.test('connections that are lost on the way', async t => {
    const table = await freshTable(cluster)
    await ask(primary.url, `INSERT INTO ${table} SELECT generate_series(1, 1000)`)
    await standby.catchUp()
    const proxy = await startProxy(t, standby.url)
    const db = await open(t, { primary, standby: proxy }, { DB_REPLICA_READS: 'all' })
    const rows = db.prepare(`SELECT id FROM ${table}`)
    const actions: Array<[string, () => Promise<unknown>]> = [
      ['a statement on its own', async () => (await rows.all()).length],
      ['a transaction', async () => (await db.tx(async () => await rows.all(), read)).length],
      ['its last statement', async () => (await db.tx(async tx => await tx.last(rows).all(), read)).length],
      ['its last statement, with COMMIT', async () => (await db.tx(async tx => await tx.last(db.prepare(`SELECT count(*) AS n FROM ${table}`)).get(), read))?.n],
      ['some at once', async () => {
        const all = await db.tx(async () => await Promise.all([rows.all(), rows.all(), rows.all()]), read)
        return Math.min(...all.map(({ length }) => length))
      }],
      ['a cursor', async () => await db.tx(async () => { let n = 0; for await (const _ of rows.iterate()) n++; return n }, read).catch((error: { code: string }) => error.code)]
    ]
    for (const bytes of [0, 1, 40, 150, 400, 3000, 9000]) {
      for (const [name, action] of actions) {
        await untilReadsStandby(db)
        proxy.cutAfter(bytes, 'server')
        const answer = await inRequest(action)
        if (name !== 'a cursor' || answer === 1000) t.equal(answer, 1000, `${name}, cut after ${bytes} bytes`)
        else t.equal(answer, 'TDM_ERR_DB_SERIALIZATION', 'rows of the cursor were seen')
      }
    }
  })

  await t.test('a standby that is down, that is silent, and that comes back', async t => {
    const log = collectLog()
    const proxy = await startProxy(t, standby.url)
    const db = await open(t, { primary, standby: proxy }, { DB_REPLICA_READS: 'all' }, log)
    const sleeping = (ms: number): Promise<unknown[]> => Promise.all([
      db.prepare('SELECT 1 AS one FROM pg_sleep(?)').get(ms / 1000), db.tx(async tx => await tx.prepare('SELECT 1 AS one FROM pg_sleep(?)').get(ms / 1000), read)])
    for (const how of ['fast', 'kill'] as const) {
      await untilReadsStandby(db)
      const reads = sleeping(300)
      await standby.server.down(how)
      t.strictSame(await reads, [{ one: 1 }, { one: 1 }], how)
      t.strictSame([await isOnStandby(db), await readsStandby(db)], [false, false])
      await until('it is known to be down', async () => db.status().replica?.state === 'down')
      await standby.server.up()
      await untilReadsStandby(db)
    }
    const reads = sleeping(50)
    proxy.goSilent()
    t.strictSame(await reads, [{ one: 1 }, { one: 1 }], 'silent')
    t.strictSame([await isOnStandby(db), await readsStandby(db)], [false, false])
    proxy.restore()
    await untilReadsStandby(db)
    t.strictSame(messages(log.lines).filter(line => line.includes('replica')), [
      'info: reads go to the replica', ...['', '', ''].flatMap(() => ['warn: the replica cannot be used', 'info: reads go to the replica'])])
  })

  await t.test('one that is further behind than may be', async t => {
    const table = await freshTable(cluster)
    const log = collectLog()
    const common = { maxConnections: 10, acquireTimeoutMs: 5000, result: { maxRows: Infinity, maxBytes: Infinity }, statementTimeoutMs: 30_000, txTimeoutMs: 60_000, txIdleTimeoutMs: 10_000 }
    const db = createDatabase(await openPostgres({
      ...common, url: primary.url, displayUrl: '', idleTimeoutMs: 60_000, lifetimeMs: 60_000, compatibility: 'postgres', preparedStatements: 10,
      replica: { url: standby.url, displayUrl: '', reads: 'transactions', mostLagMs: 300 }
    }, log), { ...common, log })
    t.teardown(async () => { await db.close() })
    await untilReadsStandby(db)
    await standby.holdReplay()
    await ask(primary.url, `INSERT INTO ${table} (id) VALUES (1)`)
    await until('it lags', async () => { await readsStandby(db); return db.status().replica?.state === 'lagging' })
    t.equal(await readsStandby(db), false)
    t.ok((db.status().replica?.lagMs ?? 0) > 300)
    await standby.letReplay()
    await untilReadsStandby(db)
    t.strictSame(messages(log.lines), ['info: reads go to the replica', 'warn: the replica lags', 'info: reads go to the replica'])
  })

  await t.test('one that cannot be reached at the start, or is none: the app starts, and says so', async t => {
    const cases: Array<[string, RegExp]> = [['postgres://test:test@127.0.0.1:1/postgres', /nothing listens there/], [primary.url, /standby/],
      [standby.url.replace('test:test', 'test:wrong'), /password/]]
    for (const [url, reason] of cases) {
      const log = collectLog()
      const db = await open(t, { primary, standby: { url } }, {}, log)
      t.equal(await readsStandby(db), false)
      t.match(log.lines, [{ level: 'warn', details: { reason }, message: /replica cannot be used/ }])
      t.notMatch(JSON.stringify(log.lines), /test:test|wrong/)
      t.equal(db.status().replica?.state, 'down')
    }
    await t.rejects(open(t, { primary, standby: { url: 'postgres://h/d?sslmode=verify-ca&sslrootcert=/nowhere' } }), { code: 'TDM_ERR_DB_OPEN' })
  })

  await t.test('of several servers the one that is a standby; and one whose transactions are serializable by default, which a standby has not', async t => {
    const { port } = new URL(standby.url)
    const list = primary.url.replace(/@[^/]*/, `@127.0.0.1:1,127.0.0.1:${primary.port},127.0.0.1:${port}`)
    await untilReadsStandby(await open(t, { primary, standby: { url: list } }))
    const db = await open(t, { primary, standby: { url: `${standby.url}?options=${encodeURIComponent('-c default_transaction_isolation=serializable')}` } })
    t.equal(await readsStandby(db), false)
  })

  await t.test('the position travels with COMMIT', async t => {
    const table = await freshTable(cluster)
    const proxy = await startProxy(t, primary.url)
    const db = await open(t, { primary: proxy, standby }, { DB_POOL_MAX: '1' })
    proxy.delay(5)
    const insert = db.prepare(`INSERT INTO ${table} (id) VALUES (?)`)
    t.equal(await roundTrips(proxy, async () => await insert.run(1)), 1, 'a write on its own')
    t.equal(await roundTrips(proxy, async () => await db.tx(async () => await insert.run(1))), 2, 'a transaction')
    t.equal(await roundTrips(proxy, async () => await db.tx(async tx => await tx.last(insert).run(1))), 1, 'a transaction with its last statement')
    t.equal(await roundTrips(proxy, async () => await readsStandby(db)), 0, 'a read on the standby')
  })

  await t.test('a standby that is promoted is no replica any more', async t => {
    const log = collectLog()
    const db = await open(t, cluster, {}, log)
    await untilReadsStandby(db)
    await standby.promote()
    await until('it is noticed', async () => { await readsStandby(db); return db.status().replica?.state === 'down' })
    t.equal(await db.tx(async tx => (await tx.prepare('SELECT inet_server_port() AS port').get())?.port, read), primary.port)
    t.match(log.lines.at(-1), { level: 'warn', details: { reason: /no standby any more/ } })
  })
})

/** The round trips of `fn`. */
async function roundTrips (proxy: Proxy, fn: () => Promise<unknown>): Promise<number> {
  await fn() // prepares
  const before = proxy.roundTrips
  await fn()
  return proxy.roundTrips - before
}

async function startApp (t: Test, { primary, standby }: Cluster): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: primary.url, DATABASE_REPLICA_URL: standby.url } })
  await app.register(db)
  await app.register(tx)
  return app
}
