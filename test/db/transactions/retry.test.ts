/** Retry, deadlines and isolation (cases 131 to 149; those without a number here are in test/db/conformance, test/db/postgres and requests.test.ts). */
import t from 'tap'
import { databaseError, errorKind } from '../../../plugins/errors.ts'
import { deferred, freshUrl, onEachEngine, openUrl } from '../../helper/db.ts'
import { startProxy } from '../../helper/proxy.ts'
import { failure, ids, insert, nested, table, turns } from './common.ts'
import type { Transaction } from '../../../plugins/db/types.ts'

const conflict = (): Error => databaseError('serialization', 'SELECT 1')
/** What the server itself raises. */
const raise = (state: string): string => `DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '${state}'; END $$`

onEachEngine('131: the function is called again, in a transaction of its own, so many times and no more', async (t, db) => {
  await db.exec(table)
  const seen = new Set<Transaction>()
  t.equal(await db.tx(async tx => {
    t.equal(tx.state, 'open')
    for (const former of seen) t.equal(former.state, 'closed')
    seen.add(tx)
    await insert(db, seen.size)
    t.strictSame(await ids(db), [seen.size], 'what the former attempt did is gone')
    if (seen.size < 3) throw conflict()
    return 'value'
  }, { retry: 5 }), 'value')
  t.equal(seen.size, 3)
  t.strictSame(await ids(db), [3])
  let calls = 0
  await t.rejects(db.tx(async () => { calls++; throw conflict() }), { code: 'TDM_ERR_DB_SERIALIZATION' })
  t.equal(calls, 1, 'without the option never')
})

onEachEngine('131: there is a random pause between attempts', async (t, db) => {
  const random = Math.random
  let asked = 0
  Math.random = () => { asked++; return 0 }
  t.teardown(() => { Math.random = random })
  await t.rejects(db.tx(() => { throw conflict() }, { retry: 3 }), { code: 'TDM_ERR_DB_SERIALIZATION' })
  t.equal(asked, 3)
})

void t.test('131: two that meet are both committed', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await db.exec(table)
  const both = [deferred(), deferred()]
  let calls = 0
  await Promise.all([0, 1].map(async n => {
    await db.tx(async tx => {
      calls++
      const count = Number((await tx.prepare('SELECT count(*) AS n FROM a').get())?.n)
      both[n]?.resolve()
      await Promise.all(both.map(async ({ promise }) => { await promise }))
      await insert(tx, count)
    }, { isolation: 'serializable', retry: 3 })
  }))
  t.equal(calls, 3)
  t.strictSame(await ids(db), [0, 1])
})

void t.test('132: a deadlock is worth another attempt', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY, n BIGINT); INSERT INTO a (id, n) VALUES (1, 0), (2, 0)')
  const ready = [deferred(), deferred()]
  let calls = 0
  await Promise.all([[1, 2], [2, 1]].map(async ([mine = 0, other = 0]) => {
    await db.tx(async tx => {
      calls++
      await tx.prepare('UPDATE a SET n = n + 1 WHERE id = ?').run(mine)
      ready[mine - 1]?.resolve()
      await Promise.all(ready.map(async ({ promise }) => { await promise }))
      await tx.prepare('UPDATE a SET n = n + 1 WHERE id = ?').run(other)
    }, { retry: 3 })
  }))
  t.equal(calls, 3)
  t.strictSame(await db.prepare('SELECT sum(n) AS n FROM a').get(), { n: 4 })
})

onEachEngine('132: what would fail again is not tried again', async (t, db) => {
  await db.exec(table)
  await insert(db, 1)
  let calls = 0
  await t.rejects(db.tx(async tx => { calls++; await insert(tx, 1) }, { retry: 3 }), { code: 'TDM_ERR_DB_UNIQUE' })
  await t.rejects(db.tx(() => { calls++; throw new Error('mine') }, { retry: 3 }), { message: 'mine' })
  await t.rejects(db.tx(() => { calls++; throw databaseError('timeout', 'SELECT 1') }, { retry: 3 }), { code: 'TDM_ERR_DB_TIMEOUT' })
  await t.rejects(db.tx(() => { calls++; throw databaseError('connection', 'SELECT 1') }, { retry: 3 }), { code: 'TDM_ERR_DB_CONNECTION' })
  t.equal(calls, 4)
})

onEachEngine('133: the kind is found through three causes', async (t, db) => {
  let calls = 0
  t.equal(await db.tx(() => {
    if (++calls > 1) return 'done'
    throw new Error('service', { cause: new TypeError('store', { cause: new Error('helper', { cause: conflict() }) }) })
  }, { retry: 1 }), 'done')
})

void t.test('134: a failure that was caught comes back at COMMIT, and counts there', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await db.exec(table)
  for (const state of ['40001', '40P01']) {
    let calls = 0
    await db.tx(async tx => {
      await insert(tx, Number.parseInt(state, 10) + ++calls)
      if (calls === 1) await tx.exec(raise(state)).catch(() => {})
    }, { retry: 1 })
    t.equal(calls, 2, state)
  }
  t.strictSame(await ids(db), [42, 40003])
})

onEachEngine('135: a nested transaction is not tried again by itself', async (t, db) => {
  await db.exec(table)
  let outer = 0
  let inner = 0
  await db.tx(async tx => {
    outer++
    await tx.tx(async () => { inner++; if (inner === 1) throw conflict() }, nested)
  }, { retry: 1 })
  t.strictSame([outer, inner], [2, 2])
  for (const propagation of ['nested', 'required'] as const) {
    let calls = 0
    await t.rejects(db.tx(async tx => { await tx.tx(() => { calls++; throw conflict() }, { propagation, retry: 3 }) }))
    t.ok(calls <= 1, `${propagation}: ${calls} calls`)
  }
})

onEachEngine('136: the last error is told, and after how many attempts', async (t, db) => {
  let calls = 0
  const errors: Error[] = []
  const error = await failure<Error & { attempts: number }>(t, db.tx(() => {
    calls++
    errors.push(conflict())
    throw errors.at(-1) as Error
  }, { retry: 2 }))
  t.equal(calls, 3)
  t.equal(error, errors[2])
  t.equal(error.attempts, 3)
  t.equal(errorKind(error), 'serialization')
})

void t.test('117, 138: a COMMIT that is known to be lost is run again', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const db = await openUrl(t, proxy.url)
  await db.exec(table)
  let calls = 0
  await db.tx(async tx => {
    await insert(tx, ++calls)
    if (calls === 1) proxy.cutAt('COMMIT', 'before')
  }, { retry: 1 })
  t.strictSame(await ids(db), [2])
})

onEachEngine('105, 139: callbacks of attempts that failed: afterCommit never, afterRollback each once', async (t, db) => {
  await db.exec(table)
  const seen: string[] = []
  let calls = 0
  await db.tx(async tx => {
    const attempt = ++calls
    tx.afterCommit(() => { seen.push(`commit ${attempt}`) })
    tx.afterRollback(error => { seen.push(`rollback ${attempt} ${String(errorKind(error))}`) })
    await tx.tx(async inner => { inner.afterCommit(() => { seen.push(`inner ${attempt}`) }); await insert(inner, attempt) }, nested)
    if (attempt < 3) throw conflict()
  }, { retry: 3 })
  t.strictSame(seen, ['rollback 1 serialization', 'rollback 2 serialization', 'commit 3', 'inner 3'])
})

// --- deadlines --------------------------------------------------------------------------------------------------------------------

onEachEngine('140: who gave up waiting has left the queue, and loses no place', async (t, db) => {
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const holder = db.tx(async tx => { await tx.exec(table); begun.resolve(); await hold })
  await begun.promise
  const order: number[] = []
  const waiting = [1, 2, 3, 4].map(async n => {
    await db.tx(async tx => { await insert(tx, n); order.push(n) }, n % 2 === 0 ? { timeout: 20 } : {})
  })
  const results = Promise.allSettled(waiting)
  await Promise.allSettled([waiting[1], waiting[3]])
  letGo()
  await holder
  t.strictSame((await results).map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled', 'rejected'])
  t.strictSame(order, [1, 3])
  await db.tx(async tx => { await insert(tx, 5) })
  t.strictSame(await ids(db), [1, 3, 5])
}, { DB_POOL_MAX: '1' })

void t.test('142: a deadline that comes while COMMIT is on its way is too late', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const db = await openUrl(t, proxy.url)
  await db.exec(table)
  const answer = proxy.holdAnswer('COMMIT')
  const start = performance.now()
  const tx = db.tx(async tx => { await insert(tx, 1); return 'committed' }, { timeout: 400 })
  await answer.seen
  while (performance.now() < start + 450) await turns(1)
  answer.letGo()
  t.equal(await tx, 'committed')
  t.strictSame(await ids(db), [1])
  t.notOk(proxy.sent.some(text => text.includes('ROLLBACK')))
})

onEachEngine('142: a deadline that comes before the function returns is first', async (t, db) => {
  await db.exec(table)
  await t.rejects(db.tx(async tx => {
    const end = performance.now() + 40
    await insert(tx, 1)
    while (performance.now() < end) await turns(1)
  }, { timeout: 15 }), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame(await ids(db), [])
})

onEachEngine('142: also if the event loop was kept until then, and no timer could tell', async (t, db) => {
  await db.exec(table)
  const late = async (tx: Transaction): Promise<void> => {
    await insert(tx, 1)
    const end = performance.now() + 1000
    while (performance.now() < end);
  }
  await t.rejects(db.tx(late, { timeout: 999 }), { code: 'TDM_ERR_DB_TIMEOUT' })
  await db.tx(async tx => {
    await insert(tx, 2)
    await t.rejects(tx.tx(late, { ...nested, timeout: 999 }), { code: 'TDM_ERR_DB_TIMEOUT' })
  })
  t.strictSame(await ids(db), [2])
})

onEachEngine('143: of two deadlines, one in the other, the sooner holds', async (t, db) => {
  await db.exec(table)
  const never = new Promise<void>(() => {})
  await db.tx(async tx => {
    await t.rejects(tx.tx(async inner => { await insert(inner, 1); await never }, { ...nested, timeout: 20 }), { code: 'TDM_ERR_DB_TIMEOUT' })
    t.equal(tx.state, 'open')
    await insert(tx, 2)
  }, { timeout: 5000 })
  const start = performance.now()
  await t.rejects(db.tx(async tx => { await tx.tx(async inner => { await insert(inner, 3); await never }, { ...nested, timeout: 60_000 }) }, { timeout: 20 }), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.ok(performance.now() - start < 5000)
  t.strictSame(await ids(db), [2])
})

void t.test('141: the statement that runs at the deadline is cancelled on the server', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  const start = performance.now()
  await t.rejects(db.tx(async tx => { await tx.prepare('SELECT pg_sleep(30)').get() }, { timeout: 30 }), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.ok(performance.now() - start < 10_000)
  t.match(await db.prepare('SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND query LIKE \'%pg_sleep%\' AND state = \'active\' AND pid <> pg_backend_pid()').get(), { n: 0 })
})

// --- isolation --------------------------------------------------------------------------------------------------------------------

void t.test('145: SQLite is serializable whatever is asked for; what does not exist is refused', async t => {
  const db = await openUrl(t, await freshUrl(t, 'sqlite'))
  await db.exec(table)
  for (const isolation of ['read committed', 'repeatable read', 'serializable'] as const) {
    await db.tx(async tx => {
      t.strictSame(await ids(tx), [])
      await db.outsideTx(async () => { await insert(db, 1) })
      t.strictSame(await ids(tx), [], isolation)
    }, { isolation, mode: 'read' })
    await db.exec('DELETE FROM a')
  }
  await t.rejects(db.tx(() => {}, { isolation: 'read uncommitted' as 'serializable' }), { code: 'TDM_ERR_TX_OPTIONS' })
})

void t.test('149: time-outs of statements and transactions, and read only, are not there for the next borrower', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '1' })
  const settings = async (): Promise<unknown> => await db.prepare('SELECT name, setting FROM pg_settings WHERE name LIKE \'%timeout\' OR name LIKE \'%transaction_read_only\' ORDER BY name').all()
  const before = await settings()
  await db.tx(async tx => { await tx.prepare('SELECT 1').get() }, { statementTimeout: 1000, timeout: 2000, mode: 'read', isolation: 'serializable' })
  await db.tx(async tx => { await tx.exec('SET LOCAL lock_timeout = 77; SET LOCAL statement_timeout = 78') })
  await t.rejects(db.tx(async tx => { await tx.exec('SET LOCAL lock_timeout = 77'); throw new Error('mine') }))
  t.strictSame(await settings(), before)
})
