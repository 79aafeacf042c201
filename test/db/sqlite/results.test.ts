/**
 * Rows and errors on their way from the threads: they are what they would be from the main thread, they come in pieces, and never more than were asked for. Cases 73
 * to 78 of the list of cases (README.md beside this file).
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { errorKind } from '../../../plugins/errors.ts'
import type { Database, Params, Row } from '../../../plugins/db/types.ts'
import { blobType, freshFolder, openTestDatabase, openUrl } from '../../helper/db.ts'
import { hasNative, skipWithoutNative } from '../../helper/native.ts'

const numbers = (last: number): string => `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${last})`

/** A file with so many rows in `big`: too large for scans on the main thread. */
function makeFile (t: Test, rows = 200_000): string {
  const path = join(freshFolder(t), 'big.db')
  const file = new Sqlite(path)
  file.exec(`CREATE TABLE big (id INTEGER PRIMARY KEY, s TEXT, f REAL, b BLOB);
    ${numbers(rows)} INSERT INTO big SELECT i, 'this is the row with number ' || i, i / 7.0, NULL FROM n`)
  file.close()
  return path
}

async function nextTurn (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

/** Counts the turns of the event loop until it is stopped. */
function countTurns (): () => number {
  let turns = 0
  let isOver = false
  const turn = (): void => {
    turns++
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  return () => {
    isOver = true
    return turns
  }
}

/** What is sent to threads while the test runs. */
function countMessages (t: Test): () => number {
  type Post = (this: Worker, ...args: Parameters<Worker['postMessage']>) => void
  const post = Object.getOwnPropertyDescriptor(Worker.prototype, 'postMessage')?.value as Post
  let sent = 0
  Worker.prototype.postMessage = function (this: Worker, ...args: Parameters<Post>) { sent++; post.apply(this, args) }
  t.teardown(() => { Worker.prototype.postMessage = post })
  return () => sent
}

async function collect (rows: AsyncIterable<Row>): Promise<Row[]> {
  const all = []
  for await (const row of rows) all.push(row)
  return all
}

// --- in pieces -------------------------------------------------------------------------------------------------------------------

void t.test('73: while a hundred thousand rows arrive the event loop turns after every few hundred', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t, 100_000)}`)
  const all = db.prepare('SELECT id, s, f, b FROM big')
  await db.prepare('SELECT count(s) AS n FROM big').get() // so that starting the thread is not counted
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const turns = countTurns()
  const rows = await all.all()
  const turned = turns()
  delay.disable()
  t.equal(rows.length, 100_000)
  t.strictSame(rows[99_999], { id: 100_000, s: 'this is the row with number 100000', f: 100_000 / 7, b: null })
  t.ok(turned > 150, `${turned} turns`)
  t.ok(delay.percentile(90) / 1e6 < 1000, `90 % of the turns within ${delay.percentile(90) / 1e6} ms`)
})

void t.test('73: large rows come in smaller pieces', async t => {
  const path = makeFile(t, 1)
  const file = new Sqlite(path)
  file.exec(`DELETE FROM big; ${numbers(100)} INSERT INTO big (id, b) SELECT i, zeroblob(200000 + i) FROM n`)
  file.close()
  const db = await openUrl(t, `sqlite:${path}`)
  await db.prepare('SELECT count(*) AS n FROM big WHERE length(b) > 0').get()
  const sent = countMessages(t)
  const rows = await collect(db.prepare('SELECT id, b FROM big').iterate())
  t.strictSame(rows.map(({ b }) => (b as Buffer).length), rows.map(({ id }) => 200_000 + Number(id)))
  t.ok(sent() > 40, `20 MB came in ${sent()} pieces`)
})

void t.test('74: a thread reads no further ahead than one piece', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`, { SQLITE_READERS: '1' })
  const sent = countMessages(t)
  const rows = db.prepare('SELECT id FROM big').iterate()
  await rows.next()
  for (let turn = 0; turn < 500; turn++) await nextTurn()
  t.equal(sent(), 2, 'one piece is here, and one is on its way')
  let most = 0
  for (let read = 1; read < 20_000; read++) {
    const next = await rows.next()
    most = Math.max(most, sent() - Math.ceil(Number(next.done === true ? 0 : next.value.id) / 500))
  }
  t.ok(most <= 2, `${most} ahead at most`)
  await rows.return?.()
})

void t.test('75: leaving a loop closes the cursor: its snapshot is gone, and its reader is free', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`, { SQLITE_READERS: '1', SQLITE_WAL_SIZE: '1MB' })
  for (let round = 0; round < 20; round++) {
    for await (const { id } of db.prepare('SELECT id FROM big').iterate()) if (Number(id) >= round * 100) break
    await db.prepare('UPDATE big SET s = ? WHERE id = 1').run(`round ${round}`)
    t.strictSame(await collect(db.prepare('SELECT s FROM big WHERE id = 1').iterate()), [{ s: `round ${round}` }])
  }
  await t.rejects(async () => { for await (const _ of db.prepare('SELECT id FROM big').iterate()) throw new Error('no more') }, { message: 'no more' })
  while (db.status().queues.threads?.used !== 0) await nextTurn() // until the thread has heard of it
  await db.prepare('UPDATE big SET s = s || \'!\'').run()
  while ((db.status().sqlite?.walBytes ?? 0) > 1e6) await nextTurn() // nothing keeps the WAL from being put away
  t.pass()
})

void t.test('75: leaving a loop does not wait for rows that take long to be found', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '1' })
  const twoPieces = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i <= 600' // and then it looks for more, for ever
  for await (const { i } of db.prepare(twoPieces).iterate()) if (i === 3) break
  for await (const { i } of db.prepare(twoPieces).iterate()) if (i === 499) break
  await db.tx(async tx => {
    for await (const { i } of tx.prepare(twoPieces).iterate()) if (i === 3) break
    t.strictSame(await tx.prepare('SELECT 1 AS one').get(), { one: 1 })
  }, { mode: 'read' })
  t.strictSame(await collect(db.prepare('SELECT 1 AS one').iterate()), [{ one: 1 }], 'the only reader is free')
})

void t.test('75: leaving the loop over a write that returns rows does not undo it', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t, 2000)}`, { SQLITE_SYNCHRONOUS: 'full' })
  for (let round = 0; round < 10; round++) {
    for await (const { id } of db.prepare('UPDATE big SET f = f + 1 RETURNING id').iterate()) if (id === 2) break
  }
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM big WHERE f >= 10').get(), { n: 2000 })
})

// --- the same from everywhere ------------------------------------------------------------------------------------------------------

async function first (rows: AsyncIterable<Row>): Promise<Row | undefined> {
  for await (const row of rows) return row
  return undefined
}

/** The ways from a row to the app. */
const ways: ReadonlyArray<readonly [string, (db: Database, sql: string, params: Params) => Promise<unknown>]> = [
  ['get', async (db, sql, params) => await db.prepare(sql).get(...params)],
  ['get again', async (db, sql, params) => await db.prepare(sql).get(...params)], // an integer may have been rounded the first time
  ['all', async (db, sql, params) => (await db.prepare(sql).all(...params))[0]],
  ['iterate', async (db, sql, params) => await first(db.prepare(sql).iterate(...params))],
  ['tx', async (db, sql, params) => await db.tx(async tx => await tx.prepare(sql).get(...params))],
  ['tx, all', async (db, sql, params) => await db.tx(async tx => (await tx.prepare(sql).all(...params))[0])],
  ['tx, read', async (db, sql, params) => await db.tx(async tx => await tx.prepare(sql).get(...params), { mode: 'read' })],
  ['tx, iterate', async (db, sql, params) => await db.tx(async tx => await first(tx.prepare(sql).iterate(...params)))]
]

const engines = [
  ['main thread', 'sqlite', {}],
  ['threads', 'sqlite', { SQLITE_WATCHDOG: 'off' }],
  ['PostgreSQL', 'postgres', {}]
] as const

for (const [where, engine, variables] of engines) {
  void t.test(`76: values are the same from everywhere (${where})`, async t => {
    const db = await openTestDatabase(t, engine, variables)
    await db.exec(`CREATE TABLE v (id BIGINT, i BIGINT, big BIGINT, small BIGINT, f DOUBLE PRECISION, whole DOUBLE PRECISION, inf DOUBLE PRECISION, s TEXT, b ${blobType(db)}, e ${blobType(db)}, n TEXT)`)
    const values = [1, 5, 2n ** 53n + 1n, -(2n ** 63n), 1.5, 3, Infinity, 'ä€😀\n', Buffer.from([0, 1, 255]), new Uint8Array(0), null] as const
    const returned = await db.prepare('INSERT INTO v (id, i, big, small, f, whole, inf, s, b, e, n) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *').get(...values)
    const row = { id: 1, i: 5, big: 2n ** 53n + 1n, small: -(2n ** 63n), f: 1.5, whole: 3, inf: Infinity, s: 'ä€😀\n', b: Buffer.from([0, 1, 255]), e: Buffer.alloc(0), n: null }
    t.strictSame(returned, row, 'RETURNING')
    for (const [how, read] of ways) {
      const found = await read(db, 'SELECT * FROM v WHERE id = ?', [1]) as typeof row
      t.strictSame(found, row, how)
      t.ok(Buffer.isBuffer(found.b) && Buffer.isBuffer(found.e), `${how}: a blob is a Buffer`)
      t.strictSame(await read(db, 'SELECT 1 AS a, 2 AS b, 3 AS a', []), { a: 3, b: 2 }, `${how}: of two columns with one name the last is kept`)
      t.strictSame(Object.keys(await read(db, 'SELECT 1 AS z, 2 AS a, 3 AS m', []) as object), ['z', 'a', 'm'], `${how}: the order of the columns`)
      t.strictSame(await read(db, 'SELECT b, e FROM v WHERE b = ? AND e = ?', [Buffer.from('xx\0\x01\xffyy', 'latin1').subarray(2, 5), new Uint8Array(0)]), { b: row.b, e: row.e }, `${how}: a part of a Buffer is bound`)
      t.equal(await read(db, 'SELECT id FROM v WHERE id = ?', [2]), undefined, `${how}: no row`)
      await t.rejects(read(db, 'SELECT id FROM v WHERE f = ?', [NaN]), { code: 'TDM_ERR_DB_BIND' }, `${how}: NaN`)
    }
    if (engine === 'sqlite') t.strictSame(new Set(db.status().statements.filter(({ sql }) => sql.startsWith('SELECT')).map(({ runs }) => runs)), new Set([where === 'main thread' && hasNative() ? 'inline' : 'apart']))
  })
}

// --- errors --------------------------------------------------------------------------------------------------------------------------

for (const [where, variables] of [['main thread', {}], ['threads', { SQLITE_WATCHDOG: 'off' }]] as const) {
  void t.test(`77: an error has its code, kind, SQL, cause, and the stack of its caller (${where})`, async t => {
    const db = await openTestDatabase(t, 'sqlite', variables)
    await db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n > 0))')
    await db.exec('INSERT INTO a VALUES (1, 1)')
    const cases = [
      ['INSERT INTO a VALUES (1, 1)', 'TDM_ERR_DB_UNIQUE', 'unique', 'SQLITE_CONSTRAINT_PRIMARYKEY', /UNIQUE constraint failed: a.id/],
      ['INSERT INTO a VALUES (2, NULL)', 'TDM_ERR_DB_NOT_NULL', 'notNull', 'SQLITE_CONSTRAINT_NOTNULL', /NOT NULL constraint failed: a.n/],
      ['INSERT INTO a VALUES (2, 0)', 'TDM_ERR_DB_CHECK', 'check', 'SQLITE_CONSTRAINT_CHECK', /CHECK constraint failed/],
      ['SELECT abs(-9223372036854775807 - n) AS x FROM a', 'TDM_ERR_DB_SYNTAX', 'syntax', 'SQLITE_ERROR', /integer overflow/]
    ] as const
    const methods = [
      ['get', async function viaGet (sql: string) { return await db.prepare(sql).get() }],
      ['all', async function viaAll (sql: string) { return await db.prepare(sql).all() }],
      ['run', async function viaRun (sql: string) { await db.prepare(sql).run() }],
      ['exec', async function viaExec (sql: string) { await db.exec(sql) }],
      ['tx', async function viaTx (sql: string) { await db.tx(async function inTx (tx) { await tx.prepare(sql).all() }) }]
    ] as const
    for (const [sql, code, kind, driverCode, driverMessage] of cases) {
      for (const [name, method] of methods) {
        const error = await method(sql).then(() => undefined, (error: unknown) => error as Error & { cause?: unknown })
        t.match(error, { code, kind, sql, message: /^[A-Z].*\.$/, cause: { code: driverCode, message: driverMessage } }, `${sql}: ${name}`)
        t.equal(errorKind(error), kind)
        t.ok(error instanceof Error && error.cause instanceof Sqlite.SqliteError, 'of the classes of this thread')
        t.match(error?.stack, name === 'tx' ? /inTx/ : new RegExp(`via${name[0]?.toUpperCase()}${name.slice(1)}`), `${name}: the stack`)
      }
    }
  })
}

void t.test('77: what ends a statement in a thread has the stack of its caller too', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openTestDatabase(t, 'sqlite')
  const forever = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n'
  async function whoAsks (): Promise<unknown> { return await db.prepare(forever).get() }
  for (let round = 0; round < 2; round++) { // the thread is started; it is there
    const timeout = await db.deadline(60, async () => await whoAsks()).then(() => undefined, (error: unknown) => error as Error)
    t.match(timeout, { code: 'TDM_ERR_DB_TIMEOUT', kind: 'timeout', sql: forever, stack: /whoAsks/ })
    t.notMatch(timeout?.message, /undefined/)
    const aborted = await db.signal(AbortSignal.timeout(60), async () => await whoAsks()).then(() => undefined, (error: unknown) => error as Error)
    t.match(aborted, { code: 'TDM_ERR_DB_ABORTED', kind: 'aborted', sql: forever, stack: /whoAsks/, cause: { name: 'TimeoutError' } })
  }
})

// --- the scope -------------------------------------------------------------------------------------------------------------------------

void t.test('78: what the app carries in AsyncLocalStorage is there after each kind of statement, also among many', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`, { SQLITE_READERS: '2' })
  const storage = new AsyncLocalStorage<number>()
  const scan = `SELECT count(*) AS n FROM big WHERE s LIKE '%number%'`
  const check = (id: number, what: string): void => { if (storage.getStore() !== id) t.fail(`${what}: ${storage.getStore()} instead of ${id}`) }
  const visit = async (id: number): Promise<void> => {
    await db.prepare(scan).get()
    check(id, 'get')
    for await (const _ of db.prepare(`SELECT id FROM big WHERE id < 1200`).iterate()) check(id, 'iterate')
    check(id, 'after iterate')
    await db.prepare('UPDATE big SET f = 0 WHERE id = ?').run(id)
    check(id, 'run')
    await db.tx(async tx => {
      await tx.prepare('SELECT id FROM big WHERE id = 1').get()
      check(id, 'tx')
      await tx.prepare(scan).get()
      check(id, 'tx that has moved')
      tx.afterCommit(() => { check(id, 'afterCommit') })
    }, { mode: 'read' })
    check(id, 'after tx')
    await db.deadline(1, async () => await db.prepare(`${scan} OR id < 0`).get()).catch(() => {})
    check(id, 'after an error')
  }
  await Promise.all(Array.from({ length: 12 }, async (_, id) => { await storage.run(id, async () => { await visit(id) }) }))
  t.equal(storage.getStore(), undefined)
})
