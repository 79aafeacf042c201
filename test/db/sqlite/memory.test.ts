/**
 * What statements may take, and that it comes back: cases 43 to 58 of the engine's list in short forms (bench/sqlite has the long ones, on 20 million rows).
 * Memory is that of the whole process, test and all, so these are read with wide margins; what is exact is which statement was ended, why, and what goes on.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setFlagsFromString } from 'node:v8'
import t, { type Test } from 'tap'
import { freshFolder, openTestDatabase } from '../../helper/db.ts'
import { countTo, endless, numbers, until, watchLoop } from '../../helper/long.ts'
import { hasNative, skipWithoutNative } from '../../helper/native.ts'
import { failure, ids, insert, table } from '../transactions/common.ts'
import type { Database } from '../../../plugins/db/types.ts'

const MB = 1e6
const ROWS = 200_000

/** A table of some 25 MB that no index helps with. */
async function openLarge (t: Test, variables: Record<string, string> = {}): Promise<Database> {
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_SOFT_HEAP_LIMIT: '200MB', SQLITE_CACHE_SIZE: '8MB', ...variables })
  await db.exec('CREATE TABLE big (id INTEGER PRIMARY KEY, a BIGINT, b TEXT)')
  await db.exec(`INSERT INTO big (id, a, b) SELECT i, (i * 7919) % 1000003, printf('%.90c', 'x') || i FROM (${numbers(ROWS)})`)
  return db
}

const anonymous = (db: Database): number => db.status().sqlite?.anonymousBytes ?? 0
const unknown = process.platform === 'linux' ? false : 'the memory of a process is not known here'
const skip = unknown === false ? skipWithoutNative('measures and limits memory') : unknown
const canMeasure = skip === false
/** Readers that are there also when nobody needs them. */
const least = hasNative() ? 0 : 1

/** The most that the process had meanwhile, and how it ended. */
async function watchPeak (db: Database, run: Promise<unknown>): Promise<{ peak: number, outcome: unknown }> {
  let peak = anonymous(db)
  const timer = setInterval(() => { peak = Math.max(peak, anonymous(db)) }, 1)
  const outcome = await run.then(value => ({ value }), (error: unknown) => ({ error }))
  clearInterval(timer)
  return { peak: Math.max(peak, anonymous(db)), outcome }
}

// --- what comes back ------------------------------------------------------------------------------------------------------------

void t.test('43, 44: after scans, sorts and groups that were ended by their deadline the memory goes back to the system', { skip }, async t => {
  const db = await openLarge(t, { SQLITE_READERS: '4' })
  const ending = [
    'SELECT sum(length(b)) AS n FROM big x, (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)',
    'SELECT b FROM big ORDER BY b, a LIMIT 1 OFFSET 150000',
    'SELECT b, count(*) AS n FROM big GROUP BY b LIMIT 1 OFFSET 150000'
  ]
  const round = async (ms: number): Promise<void> => {
    await Promise.all([0, 1, 2, 3].map(async i => {
      const sql = `${ending[i % ending.length] ?? ''} -- ${i}`
      await db.deadline(ms, async () => await db.prepare(sql).all()).catch((error: unknown) => { t.match(error, { code: 'TDM_ERR_DB_TIMEOUT' }) })
    }))
  }
  await until('all threads are there', async () => {
    await round(100)
    return db.status().sqlite?.threads === 4
  })
  await until('they have nothing to do', () => db.status().sqlite?.idleThreads === 4)
  const baseline = anonymous(db)
  for (let i = 0; i < 8; i++) await round(120)
  await until('the memory is back', () => anonymous(db) < baseline + 40 * MB)
  await until('what could not be stopped in time has left no further threads', () => (db.status().sqlite?.threads ?? 0) <= 4)
})

void t.test('54, 53: threads that are not needed end after DB_IDLE_TIMEOUT, those that work do not; the next statement starts one', async t => {
  const db = await openTestDatabase(t, 'sqlite', { DB_IDLE_TIMEOUT: '300ms', SQLITE_READERS: '3' })
  const slow = db.prepare(`SELECT ? AS a, (${countTo(300_000)}) AS n`)
  t.strictSame(await Promise.all([1, 2, 3].map(async a => await slow.get(a))), [1, 2, 3].map(a => ({ a, n: 300_000 })))
  t.ok((db.status().sqlite?.threads ?? 0) > 1)
  const rows = db.prepare(numbers(5000)).iterate() // has one for itself
  await rows.next()
  await until('only that one is left', () => db.status().sqlite?.threads === 1)
  let count = 1
  for await (const _ of rows) count++
  t.equal(count, 5000, 'and it was not ended')
  await until('none is left that is not needed', () => db.status().sqlite?.threads === least)
  t.equal(db.status().sqlite?.idleThreads, least)
  t.strictSame(await slow.get(4), { a: 4, n: 300_000 })
  t.equal(db.status().sqlite?.threads, 1)
})

void t.test('52: a cursor that is open goes on while other threads give their memory back', { skip: unknown }, async t => {
  const db = await openLarge(t, { SQLITE_READERS: '2' })
  const rows = db.prepare('SELECT id, b FROM big ORDER BY id LIMIT 50000').iterate()
  let count = 0
  for (; count < 1000; count++) await rows.next()
  await db.prepare('SELECT b FROM big ORDER BY b, a LIMIT 1 OFFSET 150000').all()
  await until('the other thread was looked after', () => db.status().sqlite?.idleThreads === 1)
  for await (const row of rows) if (row.id !== ++count) t.fail(`row ${count}`)
  t.equal(count, 50_000)
})

// --- what is ended --------------------------------------------------------------------------------------------------------------

void t.test('45: a statement that takes more than SQLITE_HARD_HEAP_LIMIT is ended, and all others go on', { skip }, async t => {
  const db = await openLarge(t, { SQLITE_READERS: '3', SQLITE_MAX_LENGTH: '100MB' })
  const limit = Math.round(anonymous(db) / MB) + 150
  const hungry = await openTestDatabase(t, 'sqlite', { SQLITE_SOFT_HEAP_LIMIT: '100MB', SQLITE_CACHE_SIZE: '2MB', SQLITE_HARD_HEAP_LIMIT: `${limit}MB`, SQLITE_READERS: '2', SQLITE_MAX_LENGTH: '100MB' })
  const columns = Array.from({ length: 40 }, (_, i) => `length(group_concat(printf('%.9000c', 'x') || ${i})) AS c${i}`) // each grows up to 100 MB
  const innocent = hungry.prepare(`SELECT count(*) AS n FROM (${numbers(300_000)})`)
  const { peak, outcome } = await watchPeak(hungry, hungry.prepare(`SELECT ${columns.join(', ')} FROM (${numbers(10_000_000)})`).get())
  t.match(outcome, { error: { code: 'TDM_ERR_DB_MEMORY', kind: 'memory', statusCode: 503 } })
  t.ok(peak < (limit + 200) * MB, `limit ${limit} MB, peak ${Math.round(peak / MB)} MB`)
  t.strictSame(await innocent.get(), { n: 300_000 })
  await until('the memory is given back', () => anonymous(hungry) < limit * MB)
  const inTransaction = await failure(t, hungry.tx(async tx => {
    await tx.prepare(`SELECT ${columns.join(', ')} FROM (${numbers(10_000_000)})`).get()
  }))
  t.match(inTransaction, { code: 'TDM_ERR_DB_MEMORY' })
  t.strictSame(await innocent.get(), { n: 300_000 })
})

void t.test('45: also one that runs on the main thread, as a later one of its transaction', { skip }, async t => {
  const before = await openTestDatabase(t, 'sqlite')
  const limit = Math.round(anonymous(before) / MB) + 100
  const hungry = await openTestDatabase(t, 'sqlite', { SQLITE_SOFT_HEAP_LIMIT: '100MB', SQLITE_CACHE_SIZE: '2MB', SQLITE_HARD_HEAP_LIMIT: `${limit}MB`, SQLITE_READERS: '2' })
  await hungry.exec(table)
  const columns = Array.from({ length: 40 }, (_, i) => `length(group_concat(printf('%.900c', 'x') || ${i})) AS c${i}`) // each up to 16 MB
  t.match(await failure(t, hungry.tx(async tx => {
    await insert(tx, 1)
    await tx.prepare(`SELECT ${columns.join(', ')} FROM (${numbers(10_000_000)})`).get()
  }, { timeout: 3000 })), { code: 'TDM_ERR_DB_MEMORY', cause: { code: 'SQLITE_INTERRUPT' } })
})

void t.test('46: a value that is built up beyond SQLITE_MAX_LENGTH ends its statement', { skip: skipWithoutNative('limits the length of values') }, async t => {
  const db = await openLarge(t, { SQLITE_MAX_LENGTH: '2MB' })
  const before = anonymous(db)
  for (const sql of ['SELECT group_concat(b) AS x FROM big', 'SELECT json_group_array(b) AS x FROM big', 'SELECT hex(zeroblob(1500000)) AS x', 'SELECT replace(hex(zeroblob(500000)), \'0\', \'0000\') AS x', 'SELECT printf(\'%.3000000c\', \'x\') AS x']) {
    const { peak, outcome } = await watchPeak(db, db.prepare(sql).get())
    t.match(outcome, { error: { code: 'TDM_ERR_DB_MEMORY', kind: 'memory' } }, sql)
    if (canMeasure) t.ok(peak < before + 64 * MB, sql)
  }
  const rows = db.prepare('SELECT group_concat(b) AS x FROM big').iterate()
  t.match(await failure(t, rows.next()), { code: 'TDM_ERR_DB_MEMORY' }, 'a cursor')
  await db.exec('CREATE TABLE v (t TEXT)')
  t.match(await failure(t, db.prepare('INSERT INTO v (t) VALUES (?)').run('x'.repeat(2.5 * MB))), { code: 'TDM_ERR_DB_MEMORY' }, 'what is bound')
  t.match(await failure(t, db.tx(async tx => await tx.prepare('INSERT INTO v (t) SELECT group_concat(b) FROM big').run())), { code: 'TDM_ERR_DB_MEMORY' }, 'what is written')
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM v').get(), { n: 0 })
})

for (const [place, variables] of [['as it comes', {}], ['all in threads', { SQLITE_WATCHDOG: 'off' }], ['as much as possible on the main thread', { DB_EVENT_LOOP_BUDGET: '10s' }]] as const) {
  void t.test(`47: ${place}: all() of more rows than DB_MAX_ROWS is refused, wherever it runs; get and iterate are not`, async t => {
    const db = await openTestDatabase(t, 'sqlite', { DB_MAX_ROWS: '100', ...variables })
    await db.exec('CREATE TABLE a (id BIGINT)')
    for (const count of [101, 1000, 300_000]) {
      const sql = numbers(count)
      t.match(await failure(t, db.prepare(sql).all()), { code: 'TDM_ERR_DB_RESULT_TOO_LARGE', message: /more than 100 rows.*DB_MAX_ROWS/ }, `${count}`)
      t.match(await failure(t, db.tx(async tx => await tx.prepare(sql).all(), { mode: 'read' })), { code: 'TDM_ERR_DB_RESULT_TOO_LARGE' }, `${count} in a read transaction`)
      t.match(await failure(t, db.tx(async tx => {
        await insert(tx, 1)
        await tx.prepare(sql).all()
      })), { code: 'TDM_ERR_DB_RESULT_TOO_LARGE' }, `${count} in a transaction that has written`)
      t.strictSame(await db.prepare(sql).get(), { i: 1 })
    }
    t.equal((await db.prepare(numbers(100)).all()).length, 100, 'exactly so many are allowed')
    let rows = 0
    for await (const _ of db.prepare(numbers(1000)).iterate()) rows++
    t.equal(rows, 1000)
    t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 0 }, 'a transaction that has asked for too much is rolled back')
  })

  void t.test(`48: ${place}: all() of more bytes than DB_MAX_RESULT is refused`, async t => {
    const db = await openTestDatabase(t, 'sqlite', { DB_MAX_RESULT: '1MB', ...variables })
    const before = anonymous(db)
    const { peak, outcome } = await watchPeak(db, db.prepare(`SELECT randomblob(200000) AS b FROM (${numbers(1000)})`).all())
    t.match(outcome, { error: { code: 'TDM_ERR_DB_RESULT_TOO_LARGE', message: /DB_MAX_RESULT/ } })
    if (canMeasure && place === 'as it comes') t.ok(peak < before + 100 * MB, `${Math.round((peak - before) / MB)} MB more at most, of 200`)
    t.match(await failure(t, db.prepare(`SELECT printf('%.5000c', 'x') AS t FROM (${numbers(300)})`).all()), { code: 'TDM_ERR_DB_RESULT_TOO_LARGE' }, 'texts, and not many rows')
    t.equal((await db.prepare(`SELECT randomblob(100000) AS b FROM (${numbers(5)})`).all()).length, 5)
  })
}

void t.test('47: the limits 0 are none', async t => {
  const db = await openTestDatabase(t, 'sqlite', { DB_MAX_ROWS: '0', DB_MAX_RESULT: '0' })
  t.equal((await db.prepare(numbers(150_000)).all()).length, 150_000)
})

void t.test('73, 47: a large result that is allowed does not keep the event loop', async t => {
  const db = await openTestDatabase(t, 'sqlite')
  const loop = watchLoop()
  t.equal((await db.prepare(numbers(100_000)).all()).length, 100_000)
  t.ok(loop.stop().turns > 50, 'it comes in pieces')
})

// --- how connections are set -----------------------------------------------------------------------------------------------------

void t.test('49: sorts go to files on every connection, also of threads that are started anew', async t => {
  const db = await openTestDatabase(t, 'sqlite', { DB_IDLE_TIMEOUT: '200ms', SQLITE_SYNCHRONOUS: 'full' })
  const inThread = async (from: Pick<Database, 'prepare'>): Promise<unknown> => {
    for await (const row of from.prepare('PRAGMA temp_store').iterate()) return row
    return undefined
  }
  for (let round = 0; round < 2; round++) {
    t.strictSame(await db.prepare('PRAGMA temp_store').get(), { temp_store: 1 }, 'the main thread')
    t.strictSame(await inThread(db), { temp_store: 1 }, 'a reader')
    t.strictSame(await db.tx(async tx => await inThread(tx)), { temp_store: 1 }, 'the writer')
    await until('the reader has ended', () => db.status().sqlite?.threads === least)
  }
  t.match(await failure(t, db.exec('PRAGMA temp_store = MEMORY')), { code: 'TDM_ERR_DB_SESSION' })
  const other = await openTestDatabase(t, 'sqlite', { SQLITE_TEMP_STORE: 'memory' })
  t.strictSame(await inThread(other), { temp_store: 2 }, 'unless it is asked for')
})

void t.test('58: no room for temporary files: an error, the transaction is undone, and everything goes on', { skip: process.platform === 'win32' ? 'needs a shell' : false }, async t => {
  const program = join(freshFolder(t), 'sort.mjs')
  const at = (path: string): string => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href)
  writeFileSync(program, `
    const { readConfig } = await import(${at('plugins/config/index.ts')})
    const { openDatabase } = await import(${at('plugins/db/open.ts')})
    const log = { info () {}, warn () {}, error () {} }
    const db = await openDatabase(readConfig({ DATABASE_URL: 'sqlite:${program}.db', SQLITE_CACHE_SIZE: '1MB', SQLITE_SOFT_HEAP_LIMIT: '100MB' }), log)
    await db.exec('CREATE TABLE a (id BIGINT)')
    const sort = 'SELECT i FROM (SELECT i, randomblob(500) AS r FROM (${numbers(100_000)})) ORDER BY r LIMIT 1 OFFSET 90000'
    const seen = []
    for (let i = 0; i < 2; i++) seen.push(await db.prepare(sort).all().then(() => 'sorted', error => error.code))
    seen.push(await db.tx(async tx => {
      await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
      await tx.prepare('INSERT INTO a (id) ' + sort).run()
    }).then(() => 'committed', error => error.code))
    seen.push((await db.prepare('SELECT count(*) AS n FROM a').get()).n)
    await db.prepare('INSERT INTO a (id) VALUES (2)').run()
    seen.push((await db.prepare('SELECT count(*) AS n FROM a').get()).n)
    await db.close()
    console.log(JSON.stringify(seen))`)
  // a file may have 4 MB: SQLite sees a write that fails, as on a disk that is full; what tap would add to the program writes files, too
  const child = spawn('/bin/sh', ['-c', 'unset NODE_OPTIONS; trap "" XFSZ; ulimit -f 8000; exec "$0" "$1"', process.execPath, program], { env: {}, stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  t.equal(errors, '')
  const [first, second, tx, none, one] = JSON.parse(output) as unknown[]
  for (const code of [first, second, tx]) t.match(code, /^TDM_ERR_DB_(?:MEMORY|OTHER)$/)
  t.strictSame([none, one], [0, 1])
})

void t.test('56: a thread whose heap is exhausted ends, its statement with it, and the next one gets a new thread', async t => {
  // one row of many long texts: the limits of SQLite are for each value
  setFlagsFromString('--max-old-space-size=64')
  t.teardown(() => { setFlagsFromString('--max-old-space-size=4096') })
  const db = await openTestDatabase(t, 'sqlite', { SQLITE_READERS: '1' })
  await db.exec(table)
  await insert(db, 1)
  const wide = Array.from({ length: 250 }, (_, i) => `hex(randomblob(500000 + ${i})) AS c${i}`).join(', ')
  t.match(await failure(t, db.prepare(`SELECT ${wide}, (${countTo(100_000)}) AS n`).get()), { code: /^TDM_ERR_DB_(?:CONNECTION|MEMORY)$/, statusCode: 503 })
  t.strictSame(await db.prepare(countTo(100_000)).get(), { n: 100_000 })
  t.equal(db.status().sqlite?.threads, 1)
  const error = await failure(t, db.tx(async tx => {
    await tx.prepare(`SELECT (${countTo(100_000)}) AS n`).get() // so that it is in a thread
    await insert(tx, 2)
    await tx.prepare(`SELECT ${wide}`).get()
  }))
  t.match(error, { code: /^TDM_ERR_DB_(?:CONNECTION|MEMORY)$/ }, 'a transaction is lost with the writer\'s thread')
  t.strictSame(await ids(db), [1])
  await db.tx(async tx => {
    await tx.prepare(`SELECT (${countTo(100_000)}) AS n`).get()
    await insert(tx, 3)
  })
  t.strictSame(await ids(db), [1, 3], 'and the lock with it')
  await t.test('the new thread is watched', { skip: skipWithoutNative('ends statements') }, async t => {
    t.match(await failure(t, db.deadline(200, async () => await db.prepare(endless).get())), { code: 'TDM_ERR_DB_TIMEOUT' })
  })
})
