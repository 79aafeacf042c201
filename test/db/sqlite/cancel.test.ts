/**
 * Statements that are given up: by a signal, a deadline, a client that leaves, or close(). Each ends for its caller in time, what it has begun ends too, and nobody
 * else notices. Cases 1 to 24 of the list of cases (README.md beside this file); what the watchdog itself keeps is in test/native.
 */
import { spawn } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import config from '../../../plugins/config/index.ts'
import dbPlugin from '../../../plugins/db/index.ts'
import txPlugin from '../../../plugins/tx/index.ts'
import type { Database } from '../../../plugins/db/types.ts'
import { deferred, freshFolder, freshUrl, openTestDatabase, openUrl } from '../../helper/db.ts'
import { until as waitUntil } from '../../helper/long.ts'
import { skipWithoutNative } from '../../helper/native.ts'

/** Numbers up to `last`; without one, for ever. Each text is a statement of its own. */
const numbers = (last?: number): string => `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n${last === undefined ? '' : ` WHERE i < ${last}`})`
const forever = `${numbers()} SELECT count(*) AS n FROM n`
/** Some ms: more than the smallest budget, so that it stays in a thread. */
const slow = `${numbers(60_000)} SELECT count(*) AS n FROM n`

/** The large file of makeFile, which is made once. */
let large: Buffer | undefined

/** A file with so many rows in `big`: too large for scans on the main thread. */
function makeFile (t: Test, rows = 200_000): string {
  const path = join(freshFolder(t), 'big.db')
  if (rows !== 200_000) writeRows(path, rows)
  else if (large === undefined) {
    writeRows(path, rows)
    large = readFileSync(path)
  } else writeFileSync(path, large)
  return path
}

function writeRows (path: string, rows: number): void {
  const file = new Sqlite(path)
  file.exec(`CREATE TABLE big (id INTEGER PRIMARY KEY, s TEXT); ${numbers(rows)} INSERT INTO big SELECT i, 'this is the row with number ' || i FROM n`)
  file.close()
}

async function nextTurn (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

/** Looks every few ms, and leaves the processor to what is waited for. */
async function until (isSo: () => boolean): Promise<void> {
  await waitUntil('it is so', isSo, 60_000)
}

const threads = (db: Database): { used: number, waiting: number } => db.status().queues.threads ?? { used: -1, waiting: -1 }

/** Rejections with the given code; anything else throws. */
async function countRejected (promises: readonly Promise<unknown>[], code: RegExp): Promise<number> {
  const results = await Promise.allSettled(promises)
  const reasons = results.flatMap(result => result.status === 'rejected' ? [result.reason as Error & { code?: string }] : [])
  const other = reasons.find(reason => !code.test(reason.code ?? ''))
  if (other !== undefined) throw other
  return reasons.length
}

/** `fn` under a signal that is aborted after so many turns of the event loop. */
async function abortAfter<T> (db: Database, turns: number, fn: () => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const result = db.signal(controller.signal, fn)
  result.catch(() => {})
  for (let turn = 0; turn < turns; turn++) await nextTurn()
  controller.abort()
  return await result
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

// --- signals -------------------------------------------------------------------------------------------------------------------

void t.test('1: a scan whose signal is aborted rejects soon after, and its connection goes on', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '1' })
  const methods: Array<() => Promise<unknown>> = [
    async () => await db.prepare(forever).get(),
    async () => await db.prepare(forever).all(),
    async () => { for await (const _ of db.prepare(forever).iterate()); },
    async () => await db.tx(async tx => await tx.prepare(forever).get(), { mode: 'read' }),
    async () => await db.tx(async tx => await tx.prepare(forever).get(), { mode: 'write' })
  ]
  for (const method of methods) {
    const controller = new AbortController()
    const reason = new Error('the client left')
    let abortedAt = Infinity
    const query = db.signal(controller.signal, method)
    setTimeout(() => { abortedAt = performance.now(); controller.abort(reason) }, 50)
    await t.rejects(query, { code: 'TDM_ERR_DB_ABORTED', cause: reason })
    t.ok(performance.now() - abortedAt < 5000, `${Math.round(performance.now() - abortedAt)} ms after the abort`)
    t.strictSame(await db.prepare(slow).get(), { n: 60_000 })
  }
  t.ok((db.status().sqlite?.threads ?? 0) <= 2) // another one is started for who comes while the first is just about to be idle
})

void t.test('2: under a signal that is aborted already nothing is sent anywhere', async t => {
  const db = await openTestDatabase(t, 'sqlite')
  await db.exec('CREATE TABLE a (id BIGINT)')
  const { statements, sqlite } = db.status()
  const sent = countMessages(t)
  const reason = new Error('before')
  await db.signal(AbortSignal.abort(reason), async () => {
    for (const sql of [forever, 'SELECT 1 AS one', 'INSERT INTO a (id) VALUES (1)']) {
      const statement = db.prepare(sql)
      const calls: Array<() => Promise<unknown>> = [
        async () => await statement.get(),
        async () => await statement.all(),
        async () => await statement.run(),
        async () => await statement.iterate().next(),
        async () => { await db.exec(sql) },
        async () => await db.tx(async tx => await tx.prepare(sql).get())
      ]
      for (const call of calls) await t.rejects(call(), { code: 'TDM_ERR_DB_ABORTED', cause: reason })
    }
  })
  t.equal(sent(), 0)
  t.equal(db.status().sqlite?.threads, sqlite?.threads)
  t.equal(db.status().statements.length, statements.length, 'no statement was looked at')
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 0 })
})

void t.test('3, 5: an abort or a deadline at the end of a statement ends that one or none', async t => {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '1', DB_EVENT_LOOP_BUDGET: '1ms' })
  await db.prepare(slow).get() // the thread is there
  const startedAt = performance.now()
  await db.prepare(slow).get()
  const takesMs = performance.now() - startedAt
  let ended = 0
  for (let round = 0; round < 100; round++) {
    const query = round % 2 === 0
      ? abortAfter(db, round % 50, async () => await db.prepare(slow).get())
      : db.deadline(1 + takesMs * (round % 20) / 8, async () => await db.prepare(slow).get())
    ended += await countRejected([query], /^TDM_ERR_DB_(?:ABORTED|TIMEOUT)$/)
    t.strictSame(await db.prepare(slow).get(), { n: 60_000 })
    for await (const row of db.prepare('SELECT 1 AS one').iterate()) t.strictSame(row, { one: 1 })
  }
  t.ok(ended > 0 && ended < 100, `${ended} of 100 were ended`)
})

void t.test('4: queries that are cancelled do not harm those beside them', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '4' })
  for (let round = 0; round < 8; round++) {
    const cancelled = Array.from({ length: 8 }, async (_, i) => await abortAfter(db, i * 20, async () => await db.prepare(forever).get()))
    const others = Array.from({ length: 8 }, async () => await db.prepare(slow).get())
    t.equal(await countRejected(cancelled, /^TDM_ERR_DB_ABORTED$/), 8)
    t.strictSame(await Promise.all(others), Array.from({ length: 8 }, () => ({ n: 60_000 })))
  }
  await until(() => threads(db).used + threads(db).waiting === 0)
})

void t.test('6: the deadline of a cursor that was read to its end ends nothing later', async t => {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '1' })
  await db.prepare(slow).get() // so that the thread is there
  const cursor = db.deadline(300, () => db.prepare(numbers(2000) + ' SELECT i FROM n').iterate())
  await db.deadline(300, async () => { for await (const _ of cursor); })
  const later = performance.now() + 400
  while (performance.now() < later) t.strictSame(await db.prepare(slow).get(), { n: 60_000 })
})

void t.test('13: a deadline holds for a statement with a trigger, and for nothing after it', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openTestDatabase(t, 'sqlite')
  await db.exec(`CREATE TABLE a (id INTEGER); CREATE TABLE seen (id INTEGER);
    CREATE TRIGGER see AFTER INSERT ON a BEGIN INSERT INTO seen SELECT NEW.id WHERE NOT EXISTS (SELECT 1 FROM seen WHERE id = NEW.id); END`)
  await t.rejects(db.deadline(150, async () => await db.prepare(`${numbers()} INSERT INTO a SELECT i FROM n`).run()), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame(await db.prepare('SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM seen) AS seen').get(), { a: 0, seen: 0 })
  await db.prepare('INSERT INTO a (id) VALUES (1)').run()
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM seen').get(), { n: 1 })
})

void t.test('24: ten thousand queries on one signal leave no listener and no warning', async t => {
  const db = await openTestDatabase(t, 'sqlite')
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => { process.removeListener('warning', onWarning) })
  const { signal } = new AbortController()
  const one = db.prepare('SELECT 1 AS one')
  await db.signal(signal, async () => {
    for (let i = 0; i < 9950; i++) await one.get()
    await Promise.all(Array.from({ length: 50 }, async () => await db.prepare(slow).get()))
  })
  await nextTurn()
  t.strictSame(warnings, [])
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

// --- deadlines -------------------------------------------------------------------------------------------------------------------

void t.test('7: a deadline includes the time in the queue: a thousand endless queries on two readers end at theirs', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '2' })
  const startedAt = performance.now()
  const queries = Array.from({ length: 1000 }, async (_, i) => await db.deadline(500, async () => await db.prepare(`${forever} WHERE i > ${i % 10}`).get()))
  t.equal(await countRejected(queries, /^TDM_ERR_DB_TIMEOUT$/), 1000)
  t.ok(performance.now() - startedAt < 5000)
  await until(() => threads(db).used + threads(db).waiting === 0)
  t.strictSame(await db.prepare(slow).get(), { n: 60_000 }, 'and the readers are free')
  t.ok((db.status().sqlite?.threads ?? 0) <= 2)
})

/** Another process that holds the write lock until the test ends. */
async function lockElsewhere (t: Test, path: string): Promise<void> {
  const script = `import Sqlite from ${JSON.stringify(import.meta.resolve('better-sqlite3'))}
    const db = new Sqlite(${JSON.stringify(path)})
    db.exec('BEGIN IMMEDIATE')
    console.log('locked')
    process.stdin.on('end', () => { db.close(); process.exit() }).resume() // it names db: one that nobody can reach is collected, and closed`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(async () => {
    child.stdin.end()
    if (child.exitCode === null) await once(child, 'exit')
  })
  await once(createInterface({ input: child.stdout }), 'line')
}

for (const synchronous of ['normal', 'full']) { // full: writes in a thread
  void t.test(`8, 9: a deadline and an abort end the wait for another process' lock (synchronous=${synchronous})`, async t => {
    const path = makeFile(t, 1)
    const db = await openUrl(t, `sqlite:${path}`, { SQLITE_SYNCHRONOUS: synchronous })
    await lockElsewhere(t, path)
    const insert = db.prepare('INSERT INTO big (s) VALUES (\'x\')')
    const writes: Array<() => Promise<unknown>> = [
      async () => await insert.run(),
      async () => { await db.exec('DELETE FROM big') },
      async () => { await db.exec('DELETE FROM big; DELETE FROM big') },
      async () => await db.tx(async tx => await tx.prepare('DELETE FROM big').run()),
      async () => await insert.iterate().next()
    ]
    for (const write of writes) {
      const startedAt = performance.now()
      await t.rejects(db.deadline(200, write), { code: /^TDM_ERR_DB_(?:BUSY|TIMEOUT)$/ })
      const ms = performance.now() - startedAt
      t.ok(ms > 20 && ms < 2000, `${Math.round(ms)} ms`) // the last attempt may be up to 150 ms before the deadline

      const controller = new AbortController()
      const waiting = db.signal(controller.signal, write)
      let abortedAt = Infinity
      setTimeout(() => { abortedAt = performance.now(); controller.abort() }, 50)
      await t.rejects(waiting, { code: 'TDM_ERR_DB_ABORTED' })
      t.ok(performance.now() - abortedAt < 5000, `${Math.round(performance.now() - abortedAt)} ms after the abort`)
    }
    t.strictSame(await db.prepare('SELECT count(*) AS n FROM big').get(), { n: 1 })
  })
}

void t.test('10: what is stopped while it is prepared or begins is told as a time-out or an abort, whatever SQLite says', async t => {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '2' })
  const read = async (i: number): Promise<void> => { for await (const _ of db.prepare(`SELECT e.value, ${i} AS i FROM json_each('[1, 2, 3]') e, json_tree('{"a": [1]}') t`).iterate()); }
  let ended = 0
  for (let i = 0; i < 200; i++) {
    const query = i % 2 === 0 ? db.deadline(i % 50 / 2, async () => { await read(i) }) : abortAfter(db, i % 50 * 4, async () => { await read(i) })
    ended += await countRejected([query], /^TDM_ERR_DB_(?:ABORTED|TIMEOUT)$/)
  }
  t.ok(ended > 0 && ended < 200, `${ended} of 200 were ended`)
  await t.resolves(read(1000))
})

void t.test('11: a deadline that passes during COMMIT: what is told is what happened, and the writer is free afterwards', async t => {
  const cache = { SQLITE_CACHE_SIZE: '150MB', SQLITE_SOFT_HEAP_LIMIT: '2GB', SQLITE_HARD_HEAP_LIMIT: '2GB' } // so that COMMIT has all of it to write
  const db = await openUrl(t, `sqlite:${makeFile(t, 120_000)}`, { SQLITE_SYNCHRONOUS: 'full', ...cache })
  for (const leftMs of [4, 20]) {
    const timeout = 800
    const outcome = await db.tx(async tx => {
      const deadline = performance.now() + timeout
      await tx.prepare('UPDATE big SET s = substr(s, 1, 30) || hex(randomblob(100))').run()
      while (performance.now() < deadline - leftMs); // no timer is as exact
    }, { timeout }).then(() => 'committed', (error: unknown) => error)
    const isThere = (await db.prepare('SELECT max(length(s)) > 200 AS is_there FROM big').get())?.is_there === 1
    if (outcome === 'committed') t.ok(isThere, 'it was committed')
    else {
      t.match(outcome, { code: 'TDM_ERR_DB_TIMEOUT' })
      t.notOk(isThere, 'it was rolled back')
    }
    await db.prepare('UPDATE big SET s = \'short\'').run()
    t.strictSame(await db.prepare('INSERT INTO big (s) VALUES (\'x\')').run(), { changes: 1, lastInsertRowid: null })
  }
})

// --- cursors -----------------------------------------------------------------------------------------------------------------------

for (const [how, give] of [['an abort', 'abort'], ['a deadline', 'deadline']] as const) {
  void t.test(`12: ${how} while nobody asks a cursor for rows ends it once, and its connection sees what was committed meanwhile`, async t => {
    const db = await openUrl(t, `sqlite:${makeFile(t)}`, { SQLITE_READERS: '1' })
    const controller = new AbortController()
    for await (const _ of db.prepare('SELECT 1').iterate()); // the thread is there
    const read = async (): Promise<void> => {
      const rows = db.prepare('SELECT id FROM big').iterate()
      t.strictSame(await rows.next(), { done: false, value: { id: 1 } })
      const pausedUntil = performance.now() + 1050
      await until(() => performance.now() >= pausedUntil) // the next rows are fetched, and then nothing runs
      if (give === 'abort') controller.abort()
      await t.rejects(async () => { for await (const _ of rows); }, { code: give === 'abort' ? 'TDM_ERR_DB_ABORTED' : 'TDM_ERR_DB_TIMEOUT' })
      t.strictSame(await rows.next(), { done: true, value: undefined }, 'once')
    }
    await (give === 'abort' ? db.signal(controller.signal, read) : db.deadline(1000, read))
    await db.prepare('DELETE FROM big WHERE id > 10').run()
    t.strictSame(await db.prepare('SELECT count(*) AS n FROM big WHERE s <> \'\'').get(), { n: 10 })
    for await (const row of db.prepare('SELECT count(*) AS n FROM big').iterate()) t.strictSame(row, { n: 10 })
    t.equal(db.status().sqlite?.threads, 1)
  })
}

// --- many at a time ----------------------------------------------------------------------------------------------------------------

void t.test('14: a few long scans among many short reads do not keep the event loop', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`, { SQLITE_READERS: '2' })
  const point = db.prepare<{ id: number }>('SELECT id FROM big WHERE id = ?')
  const scan = `SELECT count(*) AS n FROM big a, (${numbers(5)} SELECT i FROM n) WHERE s LIKE '%number ' || i || '%7%'`
  await db.prepare(scan).get() // so that starting a thread is not measured
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const scans = [1, 2, 3, 4, 5].map(async i => await db.prepare(`${scan} AND i <> -${i}`).get())
  for (let i = 1; i <= 500; i++) {
    t.equal((await point.get(i))?.id, i)
    if (i % 10 === 0) await nextTurn()
  }
  t.ok((await Promise.all(scans)).every(row => Number(row?.n) > 0))
  delay.disable()
  t.ok(delay.percentile(99) / 1e6 < 1000, `99 % of the turns within ${delay.percentile(99) / 1e6} ms`)
  t.strictSame(db.status().sqlite?.stalls, { count: 0, longestMs: 0 })
  t.ok(db.status().statements.filter(({ sql }) => sql.startsWith('SELECT count(*) AS n FROM big a')).every(({ runs }) => runs === 'apart'))
})

void t.test('16: a client that leaves ends the queries of its request, again and again', { timeout: 90_000, skip: skipWithoutNative('ends statements') }, async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: await freshUrl(t, 'sqlite'), SQLITE_READERS: '4' } })
  await app.register(dbPlugin)
  await app.register(txPlugin)
  const { db } = app
  const entered: Array<PromiseWithResolvers<void>> = []
  app.get('/', async () => {
    entered.shift()?.resolve()
    return await db.prepare(forever).get()
  })
  const port = Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown): void => { unhandled.push(reason) }
  process.on('unhandledRejection', onUnhandled)
  t.teardown(() => { process.removeListener('unhandledRejection', onUnhandled) })
  let slowest = 0
  for (let round = 0; round < 20; round++) {
    const arrived = Array.from({ length: 10 }, () => deferred())
    entered.push(...arrived)
    const sockets = arrived.map(() => connect(port, '127.0.0.1').on('error', () => {}))
    for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    await Promise.all(arrived.map(async ({ promise }) => { await promise }))
    if (round % 2 === 0) await until(() => threads(db).used === 4 && threads(db).waiting === 6) // every other time they leave while all this begins
    const leftAt = performance.now()
    for (const socket of sockets) socket.destroy()
    await until(() => threads(db).used + threads(db).waiting === 0 && db.status().sqlite?.idleThreads === db.status().sqlite?.threads)
    slowest = Math.max(slowest, performance.now() - leftAt)
  }
  t.ok(slowest < 2000, `the readers were idle after ${Math.round(slowest)} ms at most`)
  t.strictSame(unhandled, [])
  t.strictSame(await db.prepare(slow).get(), { n: 60_000 })
})

void t.test('17: nothing is given to a reader that is busy', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '4' })
  const controller = new AbortController()
  let endless = 2
  const scans = [1, 2].map(async i => {
    await db.signal(controller.signal, async () => await db.prepare(`${forever} WHERE i > ${i}`).get()).catch(() => {})
    endless--
  })
  await until(() => threads(db).used === 2)
  const times: number[] = []
  for (let i = 0; i < 100; i++) {
    const startedAt = performance.now()
    for await (const row of db.prepare(`SELECT ${i} AS i`).iterate()) t.strictSame(row, { i })
    times.push(performance.now() - startedAt)
  }
  t.equal(endless, 2)
  times.sort((a, b) => a - b)
  t.ok((times[97] ?? 0) < 5000, `97 of 100 within ${times[97]} ms`) // the first ones start a thread
  controller.abort()
  await Promise.all(scans)
})

// --- what cannot be stopped, and close -------------------------------------------------------------------------------------------------

void t.test('19: close() ends what runs, wherever it runs', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`, { SQLITE_READERS: '4' })
  const running = [
    db.prepare(forever).get(),
    db.prepare(`${forever} WHERE i > 1`).all(),
    (async () => { for await (const _ of db.prepare(`${forever} WHERE i > 2`).iterate()); })(),
    db.tx(async tx => await tx.prepare(`${forever} WHERE i > 3`).get(), { mode: 'read' }),
    db.prepare(`${numbers()} INSERT INTO big (s) SELECT i FROM n`).run(),
    db.prepare('SELECT count(*) FROM big').get() // may be done, or wait for its turn
  ]
  const rejected = countRejected(running.slice(0, 5), /^TDM_ERR_(?:DB_CLOSED|DB_ABORTED|TX_DOOMED)$/)
  const last = running[5]?.catch((error: unknown) => error)
  await until(() => threads(db).used === 4 && db.status().queues.writer?.used === 1)
  const startedAt = performance.now()
  await db.close({ graceMs: 0 })
  t.ok(performance.now() - startedAt < 5000, `closed after ${Math.round(performance.now() - startedAt)} ms`)
  t.equal(await rejected, 5)
  await last
  await t.rejects(db.prepare('SELECT 1').get(), { code: 'TDM_ERR_DB_CLOSED' })
})

void t.test('19: a transaction that is open on the main thread at close() is told so, and rolled back', async t => {
  const path = makeFile(t, 1)
  const db = await openUrl(t, `sqlite:${path}`)
  const [begun, closed] = [deferred(), deferred()]
  const tx = db.tx(async tx => {
    await tx.prepare('DELETE FROM big').run()
    begun.resolve()
    await closed.promise
    await tx.prepare('DELETE FROM big').run()
  })
  const rejected = t.rejects(tx, { code: 'TDM_ERR_DB_CLOSED' })
  await begun.promise
  await db.close({ graceMs: 0 })
  closed.resolve()
  await rejected
  const file = new Sqlite(path, { readonly: true })
  t.teardown(() => { file.close() })
  t.strictSame(file.prepare('SELECT count(*) AS n FROM big').get(), { n: 1 })
})

void t.test('23: what SQLite does not let be stopped is left to itself: its caller is told in time, and others have other readers', async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t)}`, { SQLITE_READERS: '1', SQLITE_MAX_LENGTH: '500MB' })
  const [first, second] = [1, 2].map(i => `SELECT length(hex(zeroblob(200000000 + ${i} + (SELECT count(*) FROM big WHERE s = 'none')))) AS n`) as [string, string]
  await db.prepare('SELECT count(*) AS n FROM big WHERE s = \'none\'').get() // so that the thread is there
  await t.rejects(db.deadline(150, async () => await db.prepare(first).get()), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame([db.status().sqlite?.threads, db.status().sqlite?.idleThreads], [1, 0], 'it still runs')
  await until(() => threads(db)?.used === 0)
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM big WHERE s LIKE \'%number 77\'').get(), { n: 1 })
  const { signal } = new AbortController()
  await t.rejects(db.signal(signal, async () => await db.deadline(150, async () => await db.tx(async tx => await tx.prepare(second).get(), { mode: 'read' }))), { code: 'TDM_ERR_DB_TIMEOUT' })
  await until(() => db.status().sqlite?.idleThreads === 1 && db.status().sqlite?.threads === 1)
  t.pass('in the end there are as many as before')
})

void t.test('a writer\'s thread that was there before everything else, to recover the file, can be stopped as well', { skip: skipWithoutNative('ends statements') }, async t => {
  const path = makeFile(t, 1)
  const crashed = new Sqlite(path)
  t.teardown(() => { crashed.close() })
  crashed.exec(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; ${numbers(100_000)} INSERT INTO big (s) SELECT 'a row in the WAL: ' || i FROM n`)
  const db = await openUrl(t, `sqlite:${path}`)
  const controller = new AbortController()
  const write = db.signal(controller.signal, async () => await db.prepare(`${numbers()} INSERT INTO big (s) SELECT i FROM n WHERE i < 0`).run())
  setTimeout(() => { controller.abort() }, 100)
  await t.rejects(write, { code: 'TDM_ERR_DB_ABORTED' })
  t.strictSame(await db.deadline(5000, async () => await db.prepare('INSERT INTO big (s) VALUES (1)').run()), { changes: 1, lastInsertRowid: null }, 'the writer is free')
})

void t.test('a read transaction that ends with its result half read leaves no cursor behind, which would fail whoever is next on that reader', { skip: skipWithoutNative('ends statements') }, async t => {
  const db = await openUrl(t, `sqlite:${makeFile(t, 60_000)}`, { SQLITE_READERS: '1' })
  const all = db.prepare('SELECT id, s FROM big')
  let stopped = 0
  for (let round = 0; round < 300; round++) {
    // the rollback follows at once, and asks for what runs to be stopped, which by then is the end of the cursor
    const result = db.tx(async () => await db.deadline(1 + round % 30, async () => await all.all()), { mode: 'read' })
    stopped += await countRejected([result], /^TDM_ERR_DB_TIMEOUT$/)
  }
  t.ok(stopped > 0, 'some were')
  t.equal(await db.tx(async () => (await all.all()).length, { mode: 'read' }), 60_000)
})
