/**
 * The write-ahead log and what is done between the statements: cases 59 to 72 of the engine's list in short forms (66 is backup.test.ts, 69 file.test.ts; the long runs
 * are in bench/sqlite).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { createInterface } from 'node:readline'
import Sqlite from 'better-sqlite3'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import config from '../../../plugins/config/index.ts'
import { smallConnections } from '../../../plugins/config/rules.ts'
import dbPlugin from '../../../plugins/db/index.ts'
import { openSqlite } from '../../../plugins/db/sqlite/engine.ts'
import { collectLog, configFor, freshFolder, freshUrl, openUrl } from '../../helper/db.ts'
import { countTo, numbers, until, watchLoop } from '../../helper/long.ts'
import { failure, ids, insert, table } from '../transactions/common.ts'
import type { Database } from '../../../plugins/db/types.ts'

const MB = 1e6

async function open (t: Test, variables: Record<string, string> = {}): Promise<{ db: Database, path: string }> {
  const url = await freshUrl(t, 'sqlite')
  const db = await openUrl(t, url, variables)
  await db.exec('CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT)')
  return { db, path: url.slice('sqlite:'.length) }
}

const walBytes = (db: Database): number => db.status().sqlite?.walBytes ?? NaN

/** Some `megabytes` in one transaction. */
async function write (db: Pick<Database, 'prepare'>, megabytes: number): Promise<void> {
  await db.prepare(`INSERT INTO b (t) SELECT printf('%.1000c', 'x') FROM (${numbers(Math.round(megabytes * 1000))})`).run()
}

// --- checkpoints ------------------------------------------------------------------------------------------------------------------

void t.test('59: while there is writing the WAL is put away, again and again, and afterwards too', async t => {
  const { db } = await open(t, { SQLITE_WAL_SIZE: '1MB' })
  let largest = 0
  let fell = 0
  let last = 0
  const end = performance.now() + 3000
  for (let written = 0; written < 40 || performance.now() < end; written++) {
    await write(db, 0.5)
    const bytes = walBytes(db)
    if (bytes < last) fell++
    last = bytes
    largest = Math.max(largest, bytes)
  }
  t.ok(fell >= 3, `it began anew ${fell} times, ${Math.round(largest / MB)} MB at most`)
  await until('nothing of it is left', () => walBytes(db) < MB)
})

void t.test('59: below SQLITE_WAL_SIZE nothing is done', async t => {
  const { db } = await open(t, { SQLITE_WAL_SIZE: '64MB' })
  for (let i = 0; i < 10; i++) await write(db, 1)
  await until('there was time to look after it', async () => { await db.prepare(countTo(200_000)).get(); return db.status().sqlite?.idleThreads === 1 })
  t.ok(walBytes(db) > 10 * MB)
})

void t.test('60, 62: a reader that takes long keeps the WAL, and no writer: each writes at once, and when it has gone the WAL begins anew', async t => {
  const { db } = await open(t, { SQLITE_WAL_SIZE: '1MB' })
  await write(db, 2)
  const rows = db.prepare('SELECT id FROM b ORDER BY id').iterate()
  await rows.next()
  const before = performance.now()
  for (let i = 0; i < 12; i++) {
    await write(db, 0.5)
    await insert200(db)
  }
  t.ok(performance.now() - before < 20_000, 'a checkpoint does not wait for it')
  t.ok(walBytes(db) > 5 * MB, 'it is kept')
  let count = 1
  for await (const _ of rows) count++
  t.equal(count, 2000, 'and its reader sees what was there when it began')
  await until('the WAL begins anew', () => walBytes(db) < MB)
})

async function insert200 (db: Database): Promise<void> {
  await db.tx(async tx => { for (let i = 0; i < 20; i++) await tx.prepare('INSERT INTO b (t) VALUES (?)').run(`${i}`) })
}

void t.test('61: a client that does not read its reply: the cursor is given up after DB_CURSOR_TIMEOUT, the reply is cut off, and the WAL begins anew', async t => {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: await freshUrl(t, 'sqlite'), SQLITE_WAL_SIZE: '1MB', DB_CURSOR_TIMEOUT: '600ms' } })
  await app.register(dbPlugin)
  const { db } = app
  await db.exec('CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT)')
  for (let i = 0; i < 30; i++) await write(db, 1)
  const { promise: ended, resolve: end } = Promise.withResolvers<unknown>()
  app.get('/rows', (_request, reply) => {
    const lines = Readable.from((async function * () { for await (const row of db.prepare('SELECT id, t FROM b').iterate()) yield `${JSON.stringify(row)}\n` })())
    lines.on('error', end).on('end', () => { end('to its end') })
    return reply.send(lines)
  })
  const port = Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
  const socket: Socket = connect(port, '127.0.0.1')
  t.teardown(() => { socket.destroy() })
  socket.on('error', () => {})
  socket.write('GET /rows HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(socket, 'readable') // nothing is read from it
  await write(db, 2)
  await until('the WAL begins anew', () => walBytes(db) < MB)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  await once(socket, 'close')
  t.match(await ended, { code: 'TDM_ERR_DB_CURSOR_EXPIRED', statusCode: 503 })
  const text = Buffer.concat(chunks).toString('latin1')
  t.notOk(text.endsWith('0\r\n\r\n'), 'the reply does not look complete')
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM b').get(), { n: 32_000 }, 'and everything goes on')
})

void t.test('61: an iterate that writes gives the writer\'s place up in time as well; what it has written stays', async t => {
  const { db } = await open(t, { DB_CURSOR_TIMEOUT: '1500ms' })
  const rows = db.prepare(`INSERT INTO b (t) SELECT printf('%.1000c', 'x') FROM (${numbers(3000)}) RETURNING id`).iterate()
  await rows.next()
  await db.prepare('INSERT INTO b (t) VALUES (\'next\')').run()
  t.match(await failure(t, (async () => { for await (const _ of rows); })()), { code: 'TDM_ERR_DB_CURSOR_EXPIRED' })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM b').get(), { n: 3001 })
})

void t.test('61: a cursor that is read fast enough is left alone, and so is one in a transaction', async t => {
  const { db } = await open(t, { DB_CURSOR_TIMEOUT: '400ms' })
  await write(db, 5)
  let count = 0
  for await (const _ of db.prepare('SELECT id FROM b').iterate()) count++
  await db.tx(async tx => {
    const start = performance.now()
    for await (const _ of tx.prepare('SELECT id FROM b').iterate()) {
      count++
      if (count % 1000 === 0) await until('time has passed', () => performance.now() - start > (count - 5000) / 5)
    }
  }, { mode: 'read' })
  t.equal(count, 10_000)
})

// --- opening and closing ----------------------------------------------------------------------------------------------------------

void t.test('63: a WAL that a killed process has left is recovered without the event loop', async t => {
  const path = join(freshFolder(t), 'a.db')
  const program = `
    import Sqlite from 'better-sqlite3'
    const db = new Sqlite(${JSON.stringify(path)})
    db.pragma('journal_mode = WAL')
    db.pragma('wal_autocheckpoint = 0')
    db.exec('CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT)')
    for (let i = 0; i < 20; i++) db.exec("INSERT INTO b (t) SELECT printf('%.1000c', 'x') FROM (${numbers(4000)})")
    console.log('written')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'], cwd: new URL('../../../', import.meta.url) })
  await once(createInterface({ input: child.stdout }), 'line')
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.ok(statSync(`${path}-wal`).size > 80 * MB)
  const loop = watchLoop()
  const db = await openUrl(t, `sqlite:${path}`, { SQLITE_WAL_SIZE: '1MB' })
  const { turns } = loop.stop()
  t.ok(turns > 50, `${turns} turns`)
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM b').get(), { n: 80_000 })
  await write(db, 0.1)
  await until('it is put away', () => walBytes(db) < MB)
  t.strictSame(await db.prepare('PRAGMA integrity_check').get(), { integrity_check: 'ok' })
})

void t.test('64, 65: a WAL that is large is put away by close() without the event loop, and nothing of it is left', async t => {
  const { db, path } = await open(t, { SQLITE_WAL_SIZE: '512MB' })
  for (let i = 0; i < 40; i++) await write(db, 2)
  await Promise.all([1, 2, 3].map(async n => await db.prepare(`SELECT ${n} AS a, (${countTo(200_000)}) AS n`).get()))
  t.ok(walBytes(db) > 80 * MB)
  const loop = watchLoop()
  await db.close()
  const { turns } = loop.stop()
  t.ok(turns > 50, `${turns} turns`)
  t.strictSame(readdirSync(dirname(path)), ['test.db'])
  const file = new Sqlite(path, { readonly: true })
  t.teardown(() => { file.close() })
  t.equal(file.prepare('SELECT count(*) FROM b').pluck().get(), 80_000)
})

void t.test('65: another process that has it open keeps the WAL, and close() does not mind', async t => {
  const { db, path } = await open(t)
  const other = new Sqlite(path)
  await write(db, 2)
  other.exec('BEGIN')
  other.prepare('SELECT count(*) FROM b').get()
  await db.close()
  t.ok(existsSync(`${path}-wal`))
  other.exec('COMMIT')
  other.close()
  t.strictSame(readdirSync(dirname(path)), ['test.db'])
})

// --- what takes long --------------------------------------------------------------------------------------------------------------

for (const [name, sql] of [['VACUUM', 'VACUUM'], ['CREATE INDEX', 'CREATE INDEX b_t ON b (t, id)']] as const) {
  void t.test(`67: ${name}: who wants to write meets its deadline, who reads reads, and the event loop turns`, async t => {
    const { db } = await open(t, { SQLITE_CACHE_SIZE: '1MB' })
    for (let i = 0; i < 10; i++) await write(db, 4)
    const loop = watchLoop()
    let isDone = false
    const work = db.exec(sql).then(() => { isDone = true })
    let reads = 0
    let refused = 0
    while (!isDone) {
      await db.prepare('SELECT id FROM b WHERE id = ?').get(1 + reads % 100)
      reads++
      await db.deadline(20, async () => await db.prepare('INSERT INTO b (t) VALUES (?)').run('x')).catch((error: unknown) => {
        t.match(error, { code: 'TDM_ERR_DB_TIMEOUT' })
        refused++
      })
    }
    await work
    const { turns } = loop.stop()
    t.ok(refused > 0 && reads > refused / 2 && turns > 50, `${reads} reads, ${refused} writes refused, ${turns} turns`)
    await db.prepare('INSERT INTO b (t) VALUES (?)').run('x')
    t.strictSame(await db.prepare('PRAGMA integrity_check').get(), { integrity_check: 'ok' })
  })
}

void t.test('71: the planner\'s statistics are made without being asked for', async t => {
  const folder = freshFolder(t)
  const path = join(folder, 'a.db')
  const { sqlite, acquireTimeoutMs, idleTimeoutMs, txIdleTimeoutMs, cursorTimeoutMs, eventLoopBudgetMs, result } = configFor(`sqlite:${path}`)
  const log = collectLog()
  const settings = { path, readonly: false, acquireTimeoutMs, idleTimeoutMs, txIdleTimeoutMs, cursorTimeoutMs, eventLoopBudgetMs, result, ...sqlite, smallConnections }
  const engine = await openSqlite({ ...settings, optimizeAfterMs: 1 }, log)
  t.teardown(async () => { await engine.close(200) })
  const unlimited = { deadline: Infinity, signal: undefined, held: [] }
  const exec = async (sql: string): Promise<void> => { await engine.exec(engine.parser.parseScript(sql), unlimited) }
  await exec('CREATE TABLE a (id INTEGER PRIMARY KEY, x BIGINT); CREATE INDEX a_x ON a (x)')
  await exec(`INSERT INTO a (x) SELECT i % 100 FROM (${numbers(20_000)})`)
  const statistics = async (): Promise<unknown[]> => await engine.execute('all', engine.parser.parseQuery('SELECT tbl FROM sqlite_schema, sqlite_stat1'), [], unlimited).catch(() => []) as unknown[]
  await until('there are statistics', async () => (await statistics()).length > 0)
  t.strictSame(log.lines, [])
})

void t.test('72: what another process does to the schema is met by statements that are prepared, in each place', async t => {
  const { db, path } = await open(t, { SQLITE_READERS: '1' })
  await db.exec('CREATE TABLE s (id BIGINT); INSERT INTO s (id) VALUES (1)')
  const other = new Sqlite(path)
  t.teardown(() => { other.close() })
  const inline = db.prepare('SELECT * FROM s')
  const apart = db.prepare(`SELECT *, (${countTo(100_000)}) AS slow FROM s`)
  const insertion = db.prepare('INSERT INTO s (id) VALUES (2) RETURNING *')
  const byCursor = async (): Promise<unknown> => { for await (const row of inline.iterate()) return row; return undefined }
  await Promise.all([inline.get(), apart.get(), byCursor()])
  await db.tx(async tx => { await insertion.get(); await tx.prepare('DELETE FROM s WHERE id = 2').run() })
  for (const column of ['x', 'y', 'z']) {
    other.exec(`ALTER TABLE s ADD COLUMN ${column} TEXT DEFAULT '${column}'`)
    t.match(await inline.get(), { id: 1, [column]: column }, 'on the main thread')
    t.match(await apart.get(), { id: 1, [column]: column, slow: 100_000 }, 'in a thread')
    t.match(await byCursor(), { id: 1, [column]: column }, 'by a cursor')
    await db.tx(async tx => {
      t.match(await insertion.get(), { id: 2, [column]: column }, 'in a transaction')
      await tx.prepare('DELETE FROM s WHERE id = 2').run()
    })
  }
  other.exec('DROP TABLE s')
  for (const send of [async () => await inline.get(), async () => await apart.get(), byCursor, async () => await insertion.get()]) t.match(await failure(t, send()), { code: 'TDM_ERR_DB_SYNTAX' })
})

void t.test('70: nothing but SQLite ever opens the file', { skip: canTrace() ? false : 'needs Linux and strace' }, async t => {
  const folder = freshFolder(t)
  const path = join(folder, 'a.db')
  const at = (file: string): string => JSON.stringify(new URL(`../../../${file}`, import.meta.url).href)
  const program = `
    const { readConfig } = await import(${at('plugins/config/index.ts')})
    const { openDatabase } = await import(${at('plugins/db/open.ts')})
    const db = await openDatabase(readConfig({ DATABASE_URL: ${JSON.stringify(`sqlite:${path}`)} }), { info () {}, warn () {}, error () {} })
    await db.exec('CREATE TABLE a (id BIGINT); INSERT INTO a (id) VALUES (1)')
    await db.prepare(${JSON.stringify(countTo(100_000))}).get()
    for await (const row of db.prepare('SELECT id FROM a').iterate());
    await db.tx(async tx => await tx.prepare('SELECT id FROM a').all(), { mode: 'read' })
    await db.backup(${JSON.stringify(join(folder, 'copy.db'))})
    db.status()
    await db.close()`
  const trace = join(folder, 'trace')
  const child = spawn('strace', ['-f', '-qq', '-e', 'trace=open,openat,openat2,creat', '-o', trace, process.execPath, '--input-type=module', '-e', program], { stdio: 'inherit' })
  const [code] = await once(child, 'exit') as [number]
  t.equal(code, 0)
  const opened = readFileSync(trace, 'utf8').split('\n').filter(line => line.includes(`"${path}`))
  t.ok(opened.length > 5)
  t.strictSame(opened.filter(line => !line.includes('O_NOFOLLOW')), [], 'as SQLite does, and Node.js does not')
})

function canTrace (): boolean {
  return process.platform === 'linux' && (process.env.PATH ?? '').split(':').some(folder => existsSync(join(folder, 'strace')))
}

void t.test('62: a checkpoint that never comes to its end hurts nobody and is not reported', async t => {
  const url = await freshUrl(t, 'sqlite')
  const log = collectLog()
  const db = await openUrl(t, url, { SQLITE_WAL_SIZE: '1MB' }, log)
  await db.exec(table)
  await db.exec('CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT)')
  await insert(db, 1)
  const other = new Sqlite(url.slice('sqlite:'.length))
  other.exec('BEGIN')
  other.prepare('SELECT id FROM a').get()
  for (let i = 0; i < 6; i++) await write(db, 1)
  const written = performance.now()
  await until('there was time for one or two attempts', () => performance.now() - written > 1500)
  await insert(db, 2)
  t.strictSame(await ids(db), [1, 2])
  t.strictSame(other.prepare('SELECT id FROM a').pluck().all(), [1])
  other.exec('COMMIT')
  other.close()
  await until('it comes to its end', () => walBytes(db) < MB)
  t.strictSame(log.lines, [])
})
