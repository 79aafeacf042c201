/** close() in every state that a database can be in: whoever is under way is told, nothing goes on afterwards, and nothing but the file is left (cases 19, 23 and 65). */
import { existsSync, readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { collectLog, deferred, freshUrl, openUrl, type LogLine } from '../../helper/db.ts'
import { countTo, endless, numbers, until } from '../../helper/long.ts'
import { skipWithoutNative } from '../../helper/native.ts'
import { failure, insert, table, turns } from '../transactions/common.ts'
import type { Database } from '../../../plugins/db/types.ts'

interface Opened { readonly db: Database, readonly path: string, readonly lines: LogLine[] }

async function open (t: Test, variables: Record<string, string> = {}): Promise<Opened> {
  const url = await freshUrl(t, 'sqlite')
  const log = collectLog()
  const db = await openUrl(t, url, variables, log)
  await db.exec(table)
  await insert(db, 1)
  return { db, path: url.slice('sqlite:'.length), lines: log.lines }
}

/** What is left when a database was closed. */
function checkLeft (t: Test, { db, path, lines }: Opened, ids: readonly number[]): void {
  t.strictSame(readdirSync(dirname(path)), ['test.db'], 'nothing but the file is left')
  const file = new Sqlite(path, { readonly: true })
  t.strictSame(file.prepare('SELECT id FROM a ORDER BY id').pluck().all(), ids)
  file.close()
  t.equal(db.status().sqlite?.threads, 0)
  t.strictSame(lines, [], 'nothing was logged')
}

void t.test('19: close ends the statements that run in threads, reads and a write, after the grace', { skip: skipWithoutNative('ends statements') }, async t => {
  const opened = await open(t, { SQLITE_READERS: '3' })
  const { db } = opened
  const running = [0, 1, 2].map(async n => await failure(t, db.prepare(`SELECT ${n} AS a, (${endless}) AS b`).get()))
  const writing = failure(t, db.prepare(`UPDATE a SET id = (${endless})`).run())
  const waiting = failure(t, db.prepare(`SELECT 'waits' AS a, (${endless}) AS b`).get())
  await until('they run', () => db.status().sqlite?.threads === 3 && db.status().queues.threads?.waiting === 1)
  const start = performance.now()
  await db.close({ graceMs: 50 })
  t.ok(performance.now() - start < 5000, 'the design says 500 ms')
  for (const error of await Promise.all([...running, writing, waiting])) t.match(error, { code: 'TDM_ERR_DB_CLOSED', statusCode: 503 })
  checkLeft(t, opened, [1])
})

void t.test('19: close with no grace at all, at each moment in which a thread may be: it is started, it opens, it runs', { skip: skipWithoutNative('ends statements') }, async t => {
  for (const wait of [0, 1, 2, 5, 20, 100, 500, 2000]) {
    const opened = await open(t)
    const read = failure(t, opened.db.prepare(endless).get())
    const write = failure(t, opened.db.prepare(`UPDATE a SET id = (${endless})`).run())
    await turns(wait)
    await opened.db.close({ graceMs: 0 })
    for (const error of await Promise.all([read, write])) t.match(error, { code: /^TDM_ERR_DB_(?:CLOSED|ABORTED)$/ }, `after ${wait} turns`)
    checkLeft(t, opened, [1])
  }
})

void t.test('close waits for what ends within the grace', async t => {
  const opened = await open(t)
  const { db } = opened
  const begun = deferred()
  const read = db.prepare(countTo(2_000_000)).get()
  const tx = db.tx(async tx => {
    await insert(tx, 2)
    begun.resolve()
    await turns(50)
    await insert(tx, 3)
    await tx.prepare(countTo(1_000_000)).get()
    return 'committed'
  })
  await begun.promise
  await db.close({ graceMs: 30_000 })
  t.strictSame(await Promise.all([read, tx]), [{ n: 2_000_000 }, 'committed'])
  checkLeft(t, opened, [1, 2, 3])
})

for (const [where, variables] of [['on the main thread', {}], ['in the writer\'s thread', { SQLITE_SYNCHRONOUS: 'full' }]] as const) {
  void t.test(`a transaction that is open ${where}: it is rolled back, and what its function does later is refused`, async t => {
    const opened = await open(t, variables)
    const { db } = opened
    const { promise: hold, resolve: letGo } = deferred()
    const begun = [deferred(), deferred()]
    const late = deferred<unknown>()
    const write = failure(t, db.tx(async tx => {
      await insert(tx, 2)
      begun[0]?.resolve()
      await hold
      await insert(tx, 3).then(late.resolve, late.resolve)
    }))
    const read = failure(t, db.tx(async tx => {
      await tx.prepare('SELECT id FROM a').all()
      begun[1]?.resolve()
      await hold
    }, { mode: 'read' }))
    await Promise.all(begun.map(async ({ promise }) => { await promise }))
    await db.close({ graceMs: 50 })
    letGo()
    t.match(await late.promise, { code: /^TDM_ERR_(?:DB|TX)_CLOSED$/ })
    t.match(await write, { code: /^TDM_ERR_/ })
    t.match(await read, { code: /^TDM_ERR_DB_CLOSED$/ }, 'not even one that has only read is said to be committed')
    checkLeft(t, opened, [1])
  })

  void t.test(`a cursor that is open ${where}, in a transaction that has written: its reader gets an error, and not what looks like the end`, async t => {
    const opened = await open(t, variables)
    const { db } = opened
    const { promise: hold, resolve: letGo } = deferred()
    const begun = deferred()
    const read = deferred<unknown>()
    const write = failure(t, db.tx(async tx => {
      await insert(tx, 2)
      const rows = tx.prepare(numbers(100_000)).iterate()
      await rows.next()
      begun.resolve()
      await hold
      await (async () => { for await (const _ of rows); return 'to its end' })().then(read.resolve, read.resolve)
    }))
    await begun.promise
    await db.close({ graceMs: 50 })
    letGo()
    t.match(await read.promise, { code: /^TDM_ERR_/ })
    t.match(await write, { code: /^TDM_ERR_/ })
    checkLeft(t, opened, [1])
  })
}

void t.test('a cursor outside of transactions', async t => {
  const opened = await open(t)
  const { db } = opened
  const rows = db.prepare(numbers(100_000)).iterate()
  const written = db.prepare(`INSERT INTO a (id) SELECT i + 10 FROM (${numbers(5000)}) RETURNING id`).iterate()
  await rows.next()
  await written.next()
  await db.close({ graceMs: 50 })
  const readOn = async (cursor: AsyncIterable<unknown>): Promise<unknown> => { for await (const _ of cursor); return 'to its end' }
  t.match(await failure(t, readOn(rows)), { code: /^TDM_ERR_/ })
  t.match(await failure(t, readOn(written)), { code: /^TDM_ERR_/ })
  t.strictSame(readdirSync(dirname(opened.path)), ['test.db'])
})

void t.test('who waits for the writer is told at once', async t => {
  const opened = await open(t)
  const { db } = opened
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const holder = db.tx(async tx => { await insert(tx, 2); begun.resolve(); await hold })
  await begun.promise
  const waiting = [insert(db, 3), db.exec('INSERT INTO a (id) VALUES (4)'), db.tx(async tx => { await insert(tx, 5) })].map(async promise => await failure(t, promise))
  const closing = db.close({ graceMs: 30_000 })
  for (const error of await Promise.all(waiting)) t.match(error, { code: 'TDM_ERR_DB_CLOSED' })
  await t.rejects(insert(db, 6), { code: 'TDM_ERR_DB_CLOSED' })
  await t.rejects(db.prepare('SELECT 1 AS a').get(), { code: 'TDM_ERR_DB_CLOSED' })
  letGo()
  await holder
  await closing
  checkLeft(t, opened, [1, 2])
})

void t.test('while threads are looked after (their memory is given back, the WAL is put away)', { skip: skipWithoutNative('ends statements') }, async t => {
  const opened = await open(t, { SQLITE_WAL_SIZE: '1MB' })
  const { db } = opened
  await db.exec('CREATE TABLE b (t TEXT)')
  await db.prepare(countTo(500_000)).get()
  for (let i = 0; i < 5; i++) await db.prepare(`INSERT INTO b (t) SELECT printf('%.500c', 'x') FROM (${numbers(2000)})`).run()
  const endlessly = failure(t, db.prepare(`UPDATE a SET id = (${endless})`).run()) // behind which the writer's thread cannot be looked after
  await until('it runs, and it is time to look after the threads', async () => { await turns(200); return db.status().queues.writer?.used === 1 })
  setTimeout(() => { void db.close({ graceMs: 50 }) }, 300)
  t.match(await endlessly, { code: 'TDM_ERR_DB_CLOSED' })
  await db.close()
  checkLeft(t, opened, [1])
})

void t.test('twice, and from two sides, is once', async t => {
  const opened = await open(t)
  const { db } = opened
  await Promise.all([db.close(), db.close({ graceMs: 0 })])
  await db.close()
  t.equal(db.status().sqlite?.walBytes, 0, 'status() answers all the same')
  checkLeft(t, opened, [1])
})

void t.test('20, 21: opened, used and closed in mid-query many times', { skip: skipWithoutNative('ends statements') }, async t => {
  const url = await freshUrl(t, 'sqlite')
  for (let i = 0; i < 48; i++) {
    const db = await openUrl(t, url, { SQLITE_READERS: '1' })
    const reads = i % 4 === 0 ? [failure(t, db.prepare(endless).get())] : []
    await db.prepare('SELECT 1 AS a').get()
    await turns(i % 7)
    await db.close({ graceMs: 0 })
    await Promise.all(reads)
  }
  t.notOk(existsSync(`${url.slice('sqlite:'.length)}-wal`))
})
