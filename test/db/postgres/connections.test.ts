/** Connections that are cancelled, killed and cut: what the caller is told, and that nothing stays behind. */
import { setImmediate } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { openEngine } from '../../../plugins/db/open.ts'
import type { Database, Limits } from '../../../plugins/db/types.ts'
import { collectLog, configFor, deferred, freshUrl, openUrl } from '../../helper/db.ts'

const nameOf = (url: string): string => new URL(url).pathname.slice(1)

/** A client of the test's own, for what the layer must not see. */
async function admin (t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'admin' })
  await client.connect()
  t.teardown(async () => { await client.end() })
  return client
}

async function activeStatements (client: pg.Client, url: string): Promise<string[]> {
  const { rows } = await client.query<{ query: string }>(
    "SELECT query FROM pg_stat_activity WHERE datname = $1 AND state = 'active' AND application_name <> 'admin'", [nameOf(url)])
  return rows.map(row => row.query)
}

async function pidOf (db: Pick<Database, 'prepare'>): Promise<number> {
  return Number((await db.prepare('SELECT pg_backend_pid() AS pid').get())?.pid)
}

void t.test('a deadline cancels the statement on the server', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url)
  const client = await admin(t, url)
  await t.rejects(db.deadline(50, async () => await db.prepare('SELECT pg_sleep(60)').get()), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame(await activeStatements(client, url), [])
  t.strictSame(await db.prepare('SELECT 1 AS one').get(), { one: 1 })
})

void t.test('141: an abort cancels it too, also in a transaction, whose rollback frees its locks', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url)
  const client = await admin(t, url)
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY); INSERT INTO a (id) VALUES (1)')
  const abort = new AbortController()
  const locked = deferred()
  const tx = db.signal(abort.signal, async () => await db.tx(async tx => {
    await tx.prepare('UPDATE a SET id = 2').run()
    locked.resolve()
    await tx.prepare('SELECT pg_sleep(60)').get()
  }))
  await locked.promise
  abort.abort()
  await t.rejects(tx, { code: 'TDM_ERR_DB_ABORTED' })
  t.strictSame(await activeStatements(client, url), [])
  t.strictSame(await db.prepare('UPDATE a SET id = 3 WHERE id = 1').run(), { changes: 1, lastInsertRowid: null })
})

void t.test('cancels hit nobody else: many at once next to innocent statements', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '6' })
  const innocent = async (): Promise<unknown> => await db.prepare('SELECT 1 AS one FROM pg_sleep(0.002)').get()
  const cancelled = async (ms: number): Promise<string> =>
    await db.deadline(ms, async () => await db.prepare('SELECT pg_sleep(0.005)').get()).then(() => 'done', (error: { code: string }) => error.code)
  const results = await Promise.all(Array.from({ length: 120 }, async (_, i) => i % 3 === 0 ? await cancelled(1 + i % 7) : await innocent()))
  for (const [i, result] of results.entries()) {
    if (i % 3 === 0) t.match(String(result), /^(done|TDM_ERR_DB_TIMEOUT)$/)
    else t.strictSame(result, { one: 1 })
  }
})

void t.test('115: a backend that is killed while its client is idle in a transaction: one clear error, no crash', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url)
  const client = await admin(t, url)
  await db.exec('CREATE TABLE a (id BIGINT)')
  await t.rejects(db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
    await client.query('SELECT pg_terminate_backend($1, 5000)', [await pidOf(tx)])
    await tx.prepare('INSERT INTO a (id) VALUES (2)').run()
  }), { code: 'TDM_ERR_DB_CONNECTION', statusCode: 503 })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [])
})

void t.test('116: a backend that is killed while a read runs, which is run again, and while it is idle in the pool', async t => {
  const url = await freshUrl(t, 'postgres')
  const log = collectLog()
  const db = await openUrl(t, url, { DB_POOL_MAX: '1' }, log)
  const client = await admin(t, url)
  const pid = await pidOf(db)
  const read = db.prepare('SELECT 1 AS one FROM pg_sleep(0.3)').get()
  while ((await activeStatements(client, url)).length === 0) await setImmediate()
  await client.query('SELECT pg_terminate_backend($1, 5000)', [pid])
  t.strictSame(await read, { one: 1 })
  const idle = await pidOf(db)
  t.not(idle, pid)
  await client.query('SELECT pg_terminate_backend($1, 5000)', [idle])
  while (log.lines.length === 0) await client.query('SELECT 1')
  t.match(log.lines, [{ level: 'warn', message: /idle connection/ }])
  t.strictSame(await db.prepare('SELECT 1 AS one').get(), { one: 1 })
})

void t.test('116: a backend that is killed during a write: it did not happen, and is done on another connection; one that takes long is not run again', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url, { DB_POOL_MAX: '1' })
  const client = await admin(t, url)
  await db.exec('CREATE TABLE a (id BIGINT)')
  const pid = await pidOf(db)
  const write = db.prepare('INSERT INTO a (id) SELECT 1 FROM pg_sleep(0.3)').run()
  while ((await activeStatements(client, url)).length === 0) await setImmediate()
  await client.query('SELECT pg_terminate_backend($1, 5000)', [pid])
  t.strictSame(await write, { changes: 1, lastInsertRowid: null })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 1 }])
  const next = await pidOf(db)
  const long = t.rejects(db.prepare('SELECT pg_sleep(60)').get(), { code: 'TDM_ERR_DB_CONNECTION' })
  await client.query('SELECT pg_sleep(1.1)')
  await client.query('SELECT pg_terminate_backend($1, 5000)', [next])
  await long
})

void t.test('COMMIT that the server answers with ROLLBACK is an error', async t => {
  // the state machine never sends COMMIT after a failure; so the connection is asked directly
  const url = await freshUrl(t, 'postgres')
  const engine = await openEngine(configFor(url, { DB_POOL_MAX: '1' }), collectLog())
  t.teardown(async () => { await engine.close(100) })
  const limits: Limits = { deadline: Infinity, signal: undefined, held: [] }
  const connection = await engine.begin({ mode: 'write', isolation: undefined }, limits, 'SELECT nothing')
  await t.rejects(connection.execute('run', engine.parser.parseQuery('SELECT nothing'), [], limits), { code: 'TDM_ERR_DB_SYNTAX' })
  await t.rejects(connection.commit(limits), { code: 'TDM_ERR_TX_ROLLED_BACK' })
  t.equal(connection.inTransaction, false)
  connection.release()
})

void t.test('144: isolation is in BEGIN, and gone afterwards', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '1' })
  const level = async (): Promise<unknown> => (await db.prepare('SHOW transaction_isolation').get())?.transaction_isolation
  t.equal(await db.tx(level, { isolation: 'serializable' }), 'serializable')
  t.equal(await db.tx(level, { isolation: 'repeatable read' }), 'repeatable read')
  t.equal(await db.tx(level), 'read committed')
})

void t.test('two transactions that wait for each other: one is ended with kind deadlock, the other commits', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY, n BIGINT); INSERT INTO a (id, n) VALUES (1, 0), (2, 0)')
  const ready = [deferred(), deferred()]
  const update = async (mine: number, other: number): Promise<void> => {
    await db.tx(async tx => {
      await tx.prepare('UPDATE a SET n = n + 1 WHERE id = ?').run(mine)
      ready[mine - 1]?.resolve()
      await Promise.all(ready.map(async r => { await r.promise }))
      await tx.prepare('UPDATE a SET n = n + 1 WHERE id = ?').run(other)
    })
  }
  const results = await Promise.allSettled([update(1, 2), update(2, 1)])
  t.strictSame(results.map(result => result.status).sort(), ['fulfilled', 'rejected'])
  t.match(results.find(result => result.status === 'rejected'), { reason: { code: 'TDM_ERR_DB_DEADLOCK' } })
  t.strictSame(await db.prepare('SELECT sum(n) AS n FROM a').get(), { n: 2 })
})

void t.test('171: close ends what does not end by itself', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  const begun = deferred()
  const hanging = db.tx(async tx => { await tx.prepare('SELECT 1 AS one').get(); begun.resolve(); await tx.prepare('SELECT pg_sleep(60)').get() })
  await begun.promise
  await Promise.all([t.rejects(hanging, { code: 'TDM_ERR_DB_CLOSED' }), db.close({ graceMs: 50 })])
})

void t.test('what cannot be reached is told without the password', async t => {
  const url = new URL(await freshUrl(t, 'postgres'))
  const wrong = (change: (url: URL) => void): string => { const copy = new URL(url); change(copy); return copy.href }
  const cases: Array<[string, RegExp]> = [
    [wrong(url => { url.password = 'geheim' }), /does not accept this user or password/],
    [wrong(url => { url.pathname = '/no_such_database' }), /no database of this name/],
    [wrong(url => { url.port = '1' }), /nothing listens there/],
    [wrong(url => { url.hostname = 'no-such-host.invalid' }), /cannot be opened/]
  ]
  for (const [target, reason] of cases) {
    const error = await openUrl(t, target).then(() => undefined, (error: Error) => error)
    t.match(error, { code: 'TDM_ERR_DB_OPEN', message: reason })
    t.notMatch(error?.message, /geheim|test:test/)
  }
})
