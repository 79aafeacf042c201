/** Errors, and what becomes of a connection (cases 113 to 130; those without a number here are in test/db/conformance and test/db/postgres). */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { deferred, engines, freshUrl, onEachEngine, openUrl } from '../../helper/db.ts'
import { startProxy, type Proxy } from '../../helper/proxy.ts'
import { admin, failure, ids, insert, kill, nested, openRecorded, pidOf, table, turns } from './common.ts'
import type { Database, Transaction } from '../../../plugins/db/types.ts'

async function openByProxy (t: Test, variables: Record<string, string> = {}): Promise<{ url: string, proxy: Proxy, db: Database }> {
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url)
  const db = await openUrl(t, proxy.url, variables)
  await db.exec(table)
  return { url, proxy, db }
}

// --- BEGIN and ROLLBACK -----------------------------------------------------------------------------------------------------

void t.test('113: BEGIN that fails twenty times leaves all connections usable', async t => {
  const { proxy, db } = await openByProxy(t, { DB_POOL_MAX: '2', DB_ACQUIRE_TIMEOUT: '2s' })
  for (let i = 0; i < 20; i++) {
    proxy.cutAt('BEGIN', 'before')
    t.match(await failure(t, db.tx(async tx => { await insert(tx, i) })), { code: 'TDM_ERR_DB_CONNECTION' })
  }
  for (let i = 0; i < 20; i++) {
    await t.rejects(db.tx(async tx => { await tx.prepare('SELECT * FROM nowhere').get() }), { code: 'TDM_ERR_DB_SYNTAX' }, 'BEGIN travels with a statement that fails')
  }
  await Promise.all([db.tx(async tx => { await insert(tx, 100) }), db.tx(async tx => { await insert(tx, 101) })])
  t.strictSame(await ids(db), [100, 101])
})

void t.test('113: on SQLite BEGIN fails while another process holds the lock, and works afterwards', async t => {
  const path = join(t.testdir(), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`)
  await db.exec(table)
  const other = new Sqlite(path, { timeout: 0 })
  t.teardown(() => { other.close() })
  other.exec('BEGIN IMMEDIATE')
  for (let i = 0; i < 20; i++) t.match(await failure(t, db.tx(async tx => { await insert(tx, i) }, { timeout: 5 })), { code: /^TDM_ERR_DB_(?:BUSY|TIMEOUT)$/ })
  other.exec('COMMIT')
  await db.tx(async tx => { await insert(tx, 100) })
  t.strictSame(await ids(db), [100])
})

void t.test('114: ROLLBACK that fails: the first error is told, and the connection is not used again', async t => {
  const { proxy, db } = await openByProxy(t, { DB_POOL_MAX: '1' })
  const mine = new Error('mine')
  let pid = 0
  t.equal(await failure(t, db.tx(async tx => {
    await insert(tx, 1)
    pid = await pidOf(tx)
    proxy.cutAt('ROLLBACK', 'before')
    throw mine
  })), mine)
  t.not(await pidOf(db), pid)
  t.strictSame(await ids(db), [])
})

void t.test('114: ROLLBACK that the server refuses: what is still open on the connection goes with it', async t => {
  const { proxy, db } = await openByProxy(t, { DB_POOL_MAX: '1' })
  const mine = new Error('mine')
  proxy.replace('ROLLBACK', 'ROLLBAKC')
  t.equal(await failure(t, db.tx(async tx => { await insert(tx, 1); throw mine })), mine)
  t.strictSame(await ids(db), [], 'this is not asked in the transaction that could not be ended')
  await insert(db, 2)
  t.strictSame(await ids(db), [2])
})

void t.test('115: the server ends a transaction that is idle for too long: one clear error, no crash', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url, { DB_POOL_MAX: '1' })
  const client = await admin(t, url)
  await db.exec(table)
  const error = await failure(t, db.tx(async tx => {
    await tx.exec('SET LOCAL idle_in_transaction_session_timeout = 20')
    await insert(tx, 1)
    const pid = await pidOf(tx)
    while ((await client.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [pid])).rowCount === 1);
    await turns(3)
  }))
  t.match(error, { code: /^TDM_ERR_(?:DB_CONNECTION|TX_LOST|TX_ROLLED_BACK)$/, statusCode: 503 })
  t.strictSame(await ids(db), [])
})

// --- COMMIT -------------------------------------------------------------------------------------------------------------------

void t.test('117: COMMIT was done and its answer is lost: the server is asked, and it is a success', async t => {
  const { proxy, db } = await openByProxy(t)
  const seen: string[] = []
  t.equal(await db.tx(async tx => {
    tx.afterCommit(() => { seen.push('committed') })
    await insert(tx, 1)
    proxy.cutAt('COMMIT')
    return 'value'
  }), 'value')
  t.strictSame(seen, ['committed'])
  t.strictSame(await ids(db), [1])
  t.ok(proxy.sent.some(text => text.includes('pg_xact_status')), 'it was asked')
})

void t.test('117: the backend is killed before COMMIT arrives: it can be run again', async t => {
  const { url, proxy, db } = await openByProxy(t)
  const client = await admin(t, url)
  const seen: string[] = []
  const commit = proxy.holdRequest('COMMIT')
  let pid = 0
  const lost = failure(t, db.tx(async tx => {
    tx.afterCommit(() => { seen.push('committed') })
    tx.afterRollback(error => { seen.push((error as { code: string }).code) })
    await insert(tx, 1)
    pid = await pidOf(tx)
  }))
  await commit.seen
  await kill(client, pid)
  t.match(await lost, { code: 'TDM_ERR_TX_LOST', statusCode: 503 })
  t.strictSame(seen, ['TDM_ERR_TX_LOST'])
  t.strictSame(await ids(db), [])
  commit.letGo()
})

void t.test('117: nobody can be asked: the outcome is unknown, and the id is told', { timeout: 90_000 }, async t => {
  const { url, proxy, db } = await openByProxy(t)
  const client = await admin(t, url)
  const answer = proxy.holdAnswer('COMMIT')
  let xid: unknown
  const unknown = failure<Error & { xid: unknown }>(t, db.tx(async tx => {
    await insert(tx, 1)
    xid = (await tx.prepare('SELECT pg_current_xact_id()::text AS id').get())?.id
  }))
  await answer.seen
  proxy.cutOff()
  const error = await unknown
  t.match(error, { code: 'TDM_ERR_TX_OUTCOME_UNKNOWN', statusCode: 503 })
  t.equal(error.xid, xid)
  t.match((await client.query('SELECT pg_xact_status($1::xid8) AS status', [error.xid])).rows, [{ status: 'committed' }], 'who looks later, finds out')
  proxy.restore()
  t.strictSame(await ids(db), [1])
})

const writes: Array<[name: string, write: (tx: Transaction) => Promise<unknown>]> = [
  ['exec', async tx => { await tx.exec('INSERT INTO a (id) VALUES (1)') }],
  ['a cursor', async tx => { for await (const _ of tx.prepare('INSERT INTO a (id) VALUES (1) RETURNING id').iterate()); }],
  ['a nested transaction', async tx => { await tx.tx(async inner => { await insert(inner, 1) }, nested) }],
  ['exec in a nested transaction', async tx => { await tx.tx(async inner => { await inner.exec('INSERT INTO a (id) VALUES (1)') }, nested) }],
  ['the last statement of several', async tx => { await ids(tx); await ids(tx); await insert(tx, 1) }],
  ['a SELECT that calls a function that writes', async tx => { await tx.prepare('SELECT writes()').get() }]
]
for (const [name, write] of writes) {
  void t.test(`117: COMMIT never arrived, and what was written was written by ${name}: it is not taken for committed`, async t => {
    const { proxy, db } = await openByProxy(t)
    await db.exec('CREATE FUNCTION writes () RETURNS void LANGUAGE sql AS \'INSERT INTO a (id) VALUES (1)\'')
    const error = await failure(t, db.tx(async tx => { await write(tx); proxy.cutAt('COMMIT', 'before') }))
    t.match(error, { code: 'TDM_ERR_TX_LOST', statusCode: 503 })
    t.strictSame(await ids(db), [])
  })
}

void t.test('117: COMMIT never arrived, and nothing was written: there is nothing that could be lost', async t => {
  const { proxy, db } = await openByProxy(t)
  t.strictSame(await db.tx(async tx => { proxy.cutAt('COMMIT', 'before'); return await ids(tx) }), [])
})

void t.test('117: COMMIT never arrived, and a notification would have been sent with it: it is not taken for committed', { timeout: 90_000 }, async t => {
  const { proxy, db } = await openByProxy(t)
  const notify: Array<(tx: Transaction) => Promise<unknown>> = [
    async tx => { await tx.exec('NOTIFY somebody') },
    async tx => await tx.prepare('NOTIFY somebody').run(),
    async tx => await tx.prepare('SELECT pg_notify(\'somebody\', \'something\')').get()
  ]
  for (const send of notify) {
    const outcome = db.tx(async tx => { await send(tx); proxy.cutAt('COMMIT', 'before') }).then(() => 'resolved', (error: { code: string }) => error.code)
    t.match(await outcome, /^TDM_ERR_TX_(?:LOST|OUTCOME_UNKNOWN)$/, String(send))
  }
})

void t.test('118: a COMMIT that failed: the connection is given back only when the server is ready', async t => {
  const { db } = await openByProxy(t, { DB_POOL_MAX: '1' })
  await db.exec('CREATE TABLE c (a BIGINT REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)')
  const results = await Promise.allSettled(Array.from({ length: 10 }, async (_, i) => {
    await db.tx(async tx => { await tx.prepare(i % 2 === 0 ? 'INSERT INTO c (a) VALUES (7)' : `INSERT INTO a (id) VALUES (${100 + i})`).run() })
  }))
  t.strictSame(results.map(result => result.status), Array.from({ length: 10 }, (_, i) => i % 2 === 0 ? 'rejected' : 'fulfilled'))
  t.strictSame(await ids(db), [101, 103, 105, 107, 109])
})

void t.test('119: a server that has gone silent is waited for once, and not again for ROLLBACK', { timeout: 90_000 }, async t => {
  const { proxy, db } = await openByProxy(t)
  const rescue = setTimeout(() => { proxy.cutOff() }, 9000)
  const start = performance.now()
  const error = await failure(t, db.tx(async tx => {
    await insert(tx, 1)
    proxy.goSilent()
    await insert(tx, 2)
  }, { statementTimeout: 50 }))
  clearTimeout(rescue)
  t.match(error, { code: 'TDM_ERR_DB_TIMEOUT' })
  t.ok(performance.now() - start < 8000, `${Math.round(performance.now() - start)} ms`)
  t.notOk(proxy.sent.some(text => text.includes('ROLLBACK')))
})

void t.test('121: a serialization failure that COMMIT raises has its kind', async t => {
  const { db } = await openByProxy(t)
  await db.exec('INSERT INTO a (id) VALUES (1), (2)')
  const both = [deferred(), deferred()]
  const results = await Promise.allSettled([0, 1].map(async n => {
    await db.tx(async tx => {
      await tx.prepare('SELECT count(*) AS n FROM a').get()
      await insert(tx, 10 + n)
      both[n]?.resolve()
      await Promise.all(both.map(async ({ promise }) => { await promise }))
    }, { isolation: 'serializable' })
  }))
  t.strictSame(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  t.match(results.find(({ status }) => status === 'rejected'), { reason: { code: 'TDM_ERR_DB_SERIALIZATION', kind: 'serialization', sql: 'COMMIT' } })
})

onEachEngine('122: the stack leads to the caller, and the constraint has its name where the engine tells it', async (t, db) => {
  await db.exec('CREATE TABLE c (n BIGINT, CONSTRAINT is_small CHECK (n < 10))')
  async function whoCalled (): Promise<void> {
    await db.tx(async tx => { await tx.prepare('INSERT INTO c (n) VALUES (11)').run() })
  }
  const error = await failure<Error & { constraint?: string }>(t, whoCalled())
  t.match(error.stack, /whoCalled|health\.test/)
  if (db.engine === 'postgres') t.equal(error.constraint, 'is_small')
})

// --- release ------------------------------------------------------------------------------------------------------------------

for (const engine of engines) {
  void t.test(`${engine}: 124: a connection is given back once, after COMMIT or ROLLBACK was answered`, async t => {
    const { db, calls } = await openRecorded(t, await freshUrl(t, engine))
    await db.exec(table)
    await db.tx(async tx => { await insert(tx, 1) })
    t.strictSame(calls, ['begin', 'commit', 'commit done', 'release'])
    calls.length = 0
    await t.rejects(db.tx(async tx => { await insert(tx, 1) }))
    t.strictSame(calls, ['begin', 'rollback', 'rollback done', 'release'])
    calls.length = 0
    await db.tx(() => {})
    t.strictSame(calls, [])
  })
}

void t.test('124: while the answer to COMMIT or ROLLBACK is out, nobody else gets the connection', async t => {
  const { proxy, db } = await openByProxy(t, { DB_POOL_MAX: '1' })
  for (const ending of ['COMMIT', 'ROLLBACK']) {
    const answer = proxy.holdAnswer(ending)
    const tx = db.tx(async tx => { await insert(tx, 1); if (ending === 'ROLLBACK') throw new Error('mine') }).catch(() => {})
    await answer.seen
    let isServed = false
    const next = db.prepare('DELETE FROM a').run().then(() => { isServed = true })
    await turns(20)
    t.equal(isServed, false, ending)
    answer.letGo()
    await Promise.all([tx, next])
  }
})

const sessionState: Array<[name: string, set: string, ask: string]> = [
  ['a setting', 'SET statement_timeout = 12345', 'SHOW statement_timeout'],
  ['a setting of the app', 'SELECT set_config(\'app.tenant\', \'seven\', false)', 'SELECT coalesce(current_setting(\'app.tenant\', true), \'\') AS value'],
  ['a role', 'SET ROLE pg_monitor', 'SELECT current_user = session_user AS value'],
  ['search_path', 'SET search_path = pg_catalog', 'SHOW search_path'],
  ['a temporary table', 'CREATE TEMP TABLE left_behind (id BIGINT)', 'SELECT to_regclass(\'pg_temp.left_behind\')::text AS value'],
  ['an advisory lock', 'SELECT pg_advisory_lock(4711)', 'SELECT count(*) AS value FROM pg_locks WHERE locktype = \'advisory\' AND pid = pg_backend_pid()'],
  ['LISTEN', 'LISTEN somebody', 'SELECT count(*) AS value FROM pg_listening_channels()']
]
for (const [name, set, ask] of sessionState) {
  void t.test(`125: ${name} of a transaction is not there for the next borrower`, async t => {
    const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '1' })
    const before = await db.prepare(ask).get()
    await db.tx(async tx => { await tx.exec(set) })
    t.strictSame(await db.prepare(ask).get(), before)
  })
}

void t.test('126: SET LOCAL ends with the transaction, and with the savepoint that is undone', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '1' })
  const tenant = async (): Promise<unknown> => (await db.prepare('SELECT coalesce(current_setting(\'app.tenant\', true), \'\') AS tenant').get())?.tenant
  const become = db.prepare('SELECT set_config(\'app.tenant\', ?, true)')
  await db.tx(async tx => {
    await become.get('one')
    await t.rejects(tx.tx(async () => { await become.get('two'); t.equal(await tenant(), 'two'); throw new Error('undone') }, nested))
    t.equal(await tenant(), 'one')
    await tx.tx(async () => { await become.get('three') }, nested)
    t.equal(await tenant(), 'three')
  })
  t.equal(await tenant(), '')
  await t.rejects(db.tx(async () => { await become.get('four'); throw new Error('rolled back') }))
  t.equal(await tenant(), '')
})

onEachEngine('127: what is thrown need not be an Error', async (t, db) => {
  await db.exec(table)
  for (const thrown of ['a text', undefined, null, 0]) {
    for (const propagation of ['required', 'nested'] as const) {
      const outcome = await db.tx(async tx => { await tx.tx(async inner => { await insert(inner, 1); throw thrown }, { propagation }) }).then(() => 'resolved', (error: unknown) => ({ error })) // eslint-disable-line no-throw-literal
      t.strictSame(outcome, { error: thrown })
    }
  }
  t.strictSame(await ids(db), [])
})

onEachEngine('129: a function may answer a value, a promise or a thenable', async (t, db) => {
  await db.exec(table)
  t.equal(await db.tx(() => 7), 7)
  t.equal(await db.tx(() => {}), undefined)
  // oxlint-disable-next-line unicorn/no-thenable -- what a query builder answers
  const thenable = { then: (resolve: (value: string) => void): void => { setImmediate(() => { resolve('later') }) } }
  t.equal(await db.tx(tx => { void insert(tx, 1); return thenable as unknown as Promise<string> }), 'later')
  t.strictSame(await ids(db), [1])
})

void t.test('130: a transaction that somebody left open on a connection: nothing of others gets into it', async t => {
  const { url, proxy, db } = await openByProxy(t, { DB_POOL_MAX: '1' })
  const client = await admin(t, url)
  const committed = async (): Promise<unknown[]> => (await client.query<{ id: string }>('SELECT id FROM a ORDER BY id')).rows.map(row => Number(row.id))
  const pid = await pidOf(db)
  proxy.replace('SELECT 4711 ', 'BEGIN; --   ')
  await db.exec('SELECT 4711 ').catch(() => {}) // what the server gets is BEGIN
  t.not(await pidOf(db), pid, 'the connection is not used again')
  await insert(db, 1)
  t.strictSame(await committed(), [1], 'what is acknowledged is committed')
})
