/**
 * DB_TX_IDLE_TIMEOUT on both engines: a transaction that does nothing, while others wait for its connection, is rolled back (cases 32 to 34 of the SQLite engine's list,
 * which hold for PostgreSQL as well).
 *
 * The case is about time, so some tests let time pass; none says how long something may take.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import t from 'tap'
import { deferred, freshFolder, onEachEngine, openTestDatabase, openUrl } from '../helper/db.ts'
import { countTo, endless, until } from '../helper/long.ts'
import { skipWithoutNative } from '../helper/native.ts'
import { listen, onEngines, send, type Server } from '../tx/helper.ts'
import { failure, ids, insert, nested, table } from './transactions/common.ts'
import type { Database, Transaction } from '../../plugins/db/types.ts'

const short = { DB_POOL_MAX: '1', DB_TX_IDLE_TIMEOUT: '100ms', DB_ACQUIRE_TIMEOUT: '30s' }
/** Much longer than the time-out above. */
const LONG_MS = 400

/** A transaction that has the only connection (of SQLite the writer's), and does nothing until it is let go. */
async function holdConnection (db: Database, id: number, goOn: (tx: Transaction) => unknown = () => {}): Promise<{ end: Promise<unknown>, letGo: () => void }> {
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const end = db.tx(async tx => {
    await insert(tx, id)
    begun.resolve()
    await hold
    await goOn(tx)
  })
  end.catch(() => {})
  await begun.promise
  return { end, letGo }
}

const queueOf = (db: Database): { used: number, waiting: number } | undefined => {
  const { queues } = db.status()
  return queues.writer ?? queues.connections
}

onEachEngine('32: a transaction whose function does not go on is rolled back when others wait, and what it does later is refused', async (t, db) => {
  await db.exec(table)
  const late = deferred<unknown>()
  const idle = await holdConnection(db, 1, async tx => { await insert(tx, 2).then(late.resolve, late.resolve) })
  await insert(db, 3)
  t.match(await failure(t, idle.end), { code: 'TDM_ERR_TX_IDLE', statusCode: 503, message: /no statement for 100 ms/ })
  idle.letGo()
  t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED', statusCode: 503, cause: { code: 'TDM_ERR_TX_IDLE' } })
  t.strictSame(await ids(db), [3])
}, short)

onEachEngine('32: one after the other, each that is idle makes room', async (t, db) => {
  await db.exec(table)
  const first = await holdConnection(db, 1)
  const second = await holdConnection(db, 2)
  const third = await holdConnection(db, 3)
  third.letGo()
  await third.end
  for (const { end } of [first, second]) t.match(await failure(t, end), { code: 'TDM_ERR_TX_IDLE' })
  t.strictSame(await ids(db), [3])
}, short)

onEachEngine('32: a nested function that does not go on takes the whole with it; callbacks are told', async (t, db) => {
  await db.exec(table)
  const seen: unknown[] = []
  const begun = deferred()
  const end = db.tx(async tx => {
    await insert(tx, 1)
    tx.afterRollback(error => { seen.push((error as { code: string }).code) })
    await tx.tx(async inner => {
      await insert(inner, 2)
      begun.resolve()
      await new Promise(() => {})
    }, nested)
  })
  end.catch(() => {})
  await begun.promise
  await insert(db, 3)
  t.match(await failure(t, end), { code: 'TDM_ERR_TX_IDLE' })
  t.strictSame(seen, ['TDM_ERR_TX_IDLE'])
  t.strictSame(await ids(db), [3])
}, short)

onEachEngine('32: an open cursor whose reader does something else is no work', async (t, db) => {
  await db.exec(table)
  await db.exec(`INSERT INTO a (id) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i FROM n`)
  const begun = deferred()
  const { promise: hold, resolve: letGo } = deferred()
  const read = deferred<unknown>()
  const end = db.tx(async tx => {
    await insert(tx, 0)
    const rows = tx.prepare('SELECT id FROM a ORDER BY id').iterate()
    await rows.next()
    begun.resolve()
    await hold
    await (async () => { for await (const _ of rows); return 'to its end' })().then(read.resolve, read.resolve)
  })
  end.catch(() => {})
  await begun.promise
  await insert(db, 3000)
  t.match(await failure(t, end), { code: 'TDM_ERR_TX_IDLE' })
  letGo()
  t.match(await read.promise, { code: /^TDM_ERR_TX_/ }, 'and it does not look as if that were all rows')
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 2001 })
}, short)

onEachEngine('a statement that takes longer than that is no idleness', async (t, db) => {
  await db.exec(table)
  const begun = deferred()
  const start = performance.now()
  const working = db.tx(async tx => {
    await insert(tx, 1)
    begun.resolve()
    await tx.prepare(countTo(3_000_000)).get()
    return performance.now() - start
  })
  await begun.promise
  const waiting = insert(db, 2)
  t.ok(await working > 200, 'it took longer')
  await waiting
  t.strictSame(await ids(db), [1, 2])
}, short)

onEachEngine('a transaction that sends one statement after the other may take longer than that', async (t, db) => {
  await db.exec(table)
  const begun = deferred()
  const busy = db.tx(async tx => {
    const until = performance.now() + LONG_MS
    for (let id = 0; performance.now() < until; id++) {
      await insert(tx, -id)
      begun.resolve()
    }
    return 'done'
  })
  await begun.promise
  const waiting = insert(db, 1)
  t.equal(await busy, 'done')
  await waiting
}, short)

onEachEngine('33: nobody waits, and nobody is rolled back', async (t, db) => {
  await db.exec(table)
  const idle = await holdConnection(db, 1, async tx => { await insert(tx, 2) })
  setTimeout(idle.letGo, LONG_MS)
  await idle.end
  t.strictSame(await ids(db), [1, 2])
}, short)

onEachEngine('33: who has waited and gone counts no more', async (t, db) => {
  await db.exec(table)
  const idle = await holdConnection(db, 1, async tx => { await insert(tx, 2) })
  const client = new AbortController()
  const gone = failure(t, db.signal(client.signal, async () => { await insert(db, 3) }))
  await until('it waits', () => queueOf(db)?.waiting === 1)
  client.abort()
  t.match(await gone, { code: 'TDM_ERR_DB_ABORTED' })
  setTimeout(idle.letGo, 2 * LONG_MS)
  await idle.end
  t.strictSame(await ids(db), [1, 2])
}, { ...short, DB_TX_IDLE_TIMEOUT: '300ms' })

onEachEngine('33: DB_TX_IDLE_TIMEOUT=0 is never', async (t, db) => {
  await db.exec(table)
  const idle = await holdConnection(db, 1)
  t.match(await failure(t, insert(db, 2)), { code: 'TDM_ERR_POOL_TIMEOUT' })
  idle.letGo()
  await idle.end
  t.strictSame(await ids(db), [1])
}, { ...short, DB_TX_IDLE_TIMEOUT: '0', DB_ACQUIRE_TIMEOUT: '400ms' })

onEachEngine('34: who ends in time hands over at once, to those who wait in their order', async (t, db) => {
  await db.exec(table)
  const order: number[] = []
  const holder = await holdConnection(db, 0)
  const waiting = [1, 2, 3].map(async id => { await db.tx(async tx => { await insert(tx, id); order.push(id) }) })
  holder.letGo()
  await Promise.all([holder.end, ...waiting])
  t.strictSame(order, [1, 2, 3])
}, { ...short, DB_TX_IDLE_TIMEOUT: '60s', DB_ACQUIRE_TIMEOUT: '60s', DB_TX_TIMEOUT: '60s' })

// --- what only SQLite has -----------------------------------------------------------------------------------------------------

void t.test('32: a read transaction in a thread that is idle makes room for another statement that needs one', async t => {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '1', ...short })
  const slow = countTo(300_000)
  const cases: Array<[name: string, statements: string[]]> = [['it has moved there', ['SELECT 1 AS a', slow]], ['it has begun there', [slow]]]
  for (const [name, statements] of cases) {
    const begun = deferred()
    const idle = failure(t, db.tx(async tx => {
      for (const sql of statements) await tx.prepare(sql).get()
      begun.resolve()
      await new Promise(() => {})
    }, { mode: 'read' }))
    await begun.promise
    t.equal(db.status().queues.threads?.used, 1)
    t.strictSame(await db.prepare(slow).get(), { n: 300_000 }, name)
    t.match(await idle, { code: 'TDM_ERR_TX_IDLE' }, name)
  }
})

void t.test('32: the wait for another process at BEGIN is no idleness', async t => {
  const path = join(freshFolder(t), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`, short)
  await db.exec(table)
  const other = new Sqlite(path, { timeout: 0 })
  t.teardown(() => { other.close() })
  other.exec('BEGIN IMMEDIATE')
  const both = [1, 2].map(async id => { await db.tx(async tx => { await insert(tx, id) }) })
  setTimeout(() => { other.exec('COMMIT') }, LONG_MS)
  await Promise.all(both)
  t.strictSame(await ids(db), [1, 2])
})

void t.test('32: a statement that cannot be told to be idle is ended by its own time-out, and then the next one writes', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openTestDatabase(t, 'sqlite', short)
  await db.exec(table)
  await insert(db, 1)
  const stuck = failure(t, db.tx(async tx => await tx.prepare(`UPDATE a SET id = (${endless})`).run(), { statementTimeout: 300 }))
  await until('it runs', () => queueOf(db)?.used === 1)
  await insert(db, 2)
  t.match(await stuck, { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame(await ids(db), [1, 2])
})

// --- transactions of requests --------------------------------------------------------------------------------------------------

/** The helper's pool has two connections: one of them works until the answer is called. The writer of SQLite is one anyway. */
async function occupyOther ({ db, nextOutcome }: Server): Promise<() => Promise<void>> {
  if (db.engine === 'sqlite') return async () => {}
  const client = new AbortController()
  const working = db.signal(client.signal, async () => { await db.tx(async tx => await tx.prepare('SELECT pg_sleep(60)').get()) }).catch(() => {})
  await until('it works', () => db.status().queues.connections?.used === 1)
  return async () => {
    client.abort()
    await working
    await nextOutcome()
  }
}

const ofRequests = { DB_TX_IDLE_TIMEOUT: '100ms', DB_ACQUIRE_TIMEOUT: '30s' }

onEngines('32: the transaction of a request that does not go on makes room, and its reply says so', async (t, server) => {
  const { app, insert, ids, nextOutcome } = server
  const begun = deferred()
  const { promise: hold, resolve: letGo } = deferred()
  app.post('/idle', async () => {
    await insert(1)
    begun.resolve()
    await hold
    return { done: true }
  })
  app.post('/next', async () => {
    await insert(2)
    return { done: true }
  })
  const port = await listen({ app })
  const free = await occupyOther(server)
  const idle = send(port, '/idle', { method: 'POST' })
  await begun.promise
  t.equal((await send(port, '/next', { method: 'POST' })).status, 200)
  t.match([await nextOutcome(), await nextOutcome()].map(({ route, outcome }) => [route, outcome]).toSorted(), [['/idle', 'rolledback'], ['/next', 'committed']])
  letGo()
  const answer = await idle
  t.equal(answer.status, 503)
  t.match(JSON.parse(answer.body), { code: 'TDM_ERR_TX_IDLE' })
  await free()
  t.strictSame(await ids(), [2])
}, { env: ofRequests })

onEngines('32: a handler that asks again after its transaction was given up is refused with a 503', async (t, server) => {
  const { app, insert, ids, nextOutcome } = server
  const begun = deferred()
  const { promise: hold, resolve: letGo } = deferred()
  app.post('/idle', async () => {
    await insert(1)
    begun.resolve()
    await hold
    await insert(2)
    return { done: true }
  })
  app.post('/next', async () => { await insert(3); return {} })
  const port = await listen({ app })
  const free = await occupyOther(server)
  const idle = send(port, '/idle', { method: 'POST' })
  await begun.promise
  t.equal((await send(port, '/next', { method: 'POST' })).status, 200)
  letGo()
  const answer = await idle
  t.equal(answer.status, 503)
  t.match(JSON.parse(answer.body), { code: 'TDM_ERR_TX_CLOSED' })
  await nextOutcome()
  await nextOutcome()
  await free()
  t.strictSame(await ids(), [3])
}, { env: ofRequests })

onEngines('33: a request that takes long is left alone as long as nobody waits', async (t, server) => {
  const { app, insert, ids, nextOutcome } = server
  app.post('/idle', async () => {
    await insert(1)
    const { promise: answered, resolve: answer } = deferred() // of another server, say
    setTimeout(answer, LONG_MS)
    await answered
    await insert(2)
    return {}
  })
  const port = await listen({ app })
  const free = await occupyOther(server)
  t.equal((await send(port, '/idle', { method: 'POST' })).status, 200)
  t.equal((await nextOutcome()).outcome, 'committed')
  await free()
  t.strictSame(await ids(), [1, 2])
}, { env: ofRequests })
