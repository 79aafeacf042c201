/**
 * Without the native watchdog: off by configuration, or because no binary fits (cases 81, 23 and 7 of the engine's list). Answers and errors are the same; what differs is that
 * everything runs in threads, and that what has begun goes on to its end, so that nobody may wait for it.
 *
 * What never ends also keeps its process from ending, so it runs in processes that are killed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { collectLog, freshFolder, openTestDatabase } from '../../helper/db.ts'
import { countTo, endless, numbers, until, watchLoop } from '../../helper/long.ts'
import { failure, ids, insert, nested, table } from '../transactions/common.ts'
import type { Database } from '../../../plugins/db/types.ts'

const repository = fileURLToPath(new URL('../../../', import.meta.url))
const off = { SQLITE_WATCHDOG: 'off' }

// --- the promises -----------------------------------------------------------------------------------------------------------------

/** The plugins and their tests as they are, without the folder of the binaries. */
function copyWithoutNative (t: Test): string {
  const folder = freshFolder(t)
  for (const name of ['package.json', 'plugins', 'test/helper', 'test/tx', 'test/db/conformance', 'test/db/transactions']) cpSync(join(repository, name), join(folder, name), { recursive: true })
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'), 'dir')
  return folder
}

/** Runs those tests of a file that are for SQLite. */
async function runTests (folder: string, file: string): Promise<{ code: number, output: string, passed: number }> {
  const { PATH = '', TMPDIR = '' } = process.env
  const env = { PATH, ...(TMPDIR === '' ? {} : { TMPDIR }), TAP_GREP: file.endsWith('sqlite.test.ts') ? '.' : 'sqlite', TAP_TIMEOUT: '60' }
  const child = spawn(process.execPath, [file], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>])
  return { code, output, passed: [...output.matchAll(/^ok (?!.*# SKIP)/gm)].length }
}

void t.test('81: without a binary that fits the promises are kept', { timeout: 100_000 }, async t => {
  const folder = copyWithoutNative(t)
  const files = [...['errors', 'limits', 'nested', 'statements', 'transactions'].map(name => `test/db/conformance/${name}.test.ts`), 'test/db/transactions/sqlite.test.ts']
  const queue = files.values()
  const work = async (): Promise<void> => {
    for (const file of queue) {
      const { code, output, passed } = await runTests(folder, file)
      t.equal(code, 0, `${file}\n${code === 0 ? '' : output.split('\n').filter(line => /^\s*not ok/.test(line)).join('\n')}`)
      t.ok(passed > 0, `${file}: ${passed}`)
    }
  }
  await Promise.all([work(), work()])
})

void t.test('81: the log says once why, and status() too', async t => {
  const folder = copyWithoutNative(t)
  const program = join(folder, 'program.ts')
  writeFileSync(program, `
    import { readConfig } from './plugins/config/index.ts'
    import { openDatabase } from './plugins/db/open.ts'
    const lines: unknown[] = []
    const log = { info () {}, warn (details: object, message: string) { lines.push({ ...details, message }) }, error () {} }
    const db = await openDatabase(readConfig({ DATABASE_URL: 'sqlite:' + ${JSON.stringify(join(folder, 'a.db'))} }), log)
    await db.exec('CREATE TABLE a (id BIGINT)')
    await db.prepare('SELECT id FROM a').all()
    console.log(JSON.stringify({ lines, watchdog: db.status().sqlite?.watchdog }))
    await db.close()`)
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')])
  t.match(JSON.parse(output), { lines: [{ message: /without its watchdog/, reason: /native/ }], watchdog: /native/ })
  t.equal((JSON.parse(output) as { lines: unknown[] }).lines.length, 1)
})

void t.test('the same answers, values and errors with the watchdog and without', async t => {
  const log = collectLog()
  const both = [await openTestDatabase(t, 'sqlite'), await openTestDatabase(t, 'sqlite', off, log)]
  t.strictSame(both.map(db => db.status().sqlite?.watchdog), ['on', 'off'])
  t.strictSame(log.lines, [], 'that it is off was asked for')
  for (const db of both) await db.exec('CREATE TABLE p (id BIGINT PRIMARY KEY); CREATE TABLE c (id BIGINT PRIMARY KEY, p BIGINT REFERENCES p (id), n TEXT NOT NULL CHECK (n <> \'\'))')
  const tell = async (promise: Promise<unknown>): Promise<unknown> => await promise.then(value => ({ value }), (error: Error & { code: string, kind: string, cause?: { code?: string, message?: string } }) =>
    ({ name: error.name, message: error.message, code: error.code, kind: error.kind, cause: error.cause?.code }))
  const asks: Array<(db: Database) => Promise<unknown>> = [
    async db => await db.prepare('SELECT 1 AS a, 2.5 AS b, \'x\' AS c, NULL AS d, x\'00ff\' AS e, 9007199254740993 AS f, -9223372036854775808 AS g, 1 AS a').get(),
    async db => await db.prepare('SELECT ? AS a, ? AS b, ? AS c').all(2n ** 62n, new Date(0), Buffer.from([1, 2])),
    async db => await db.prepare('SELECT :x AS a').all({ x: true }),
    async db => await db.prepare(numbers(2000)).all(),
    async db => await db.prepare('SELECT * FROM c').get(),
    async db => await db.prepare('SELECT * FROM nowhere').get(),
    async db => await db.prepare('SELEC 1').get(),
    async db => await db.prepare('SELECT 1; SELECT 2').get(),
    async db => await db.tx(async tx => await tx.prepare('SELECT 1; SELECT 2').get()),
    async db => await db.prepare('').get(),
    async db => await db.prepare('SELECT ?').get(NaN),
    async db => await db.prepare('SELECT ?').get(),
    async db => await db.prepare('INSERT INTO c (id, p, n) VALUES (1, 1, \'x\')').run(),
    async db => await db.prepare('INSERT INTO c (id, p, n) VALUES (1, NULL, NULL)').run(),
    async db => await db.prepare('INSERT INTO c (id, p, n) VALUES (1, NULL, \'\')').run(),
    async db => await db.tx(async tx => { await tx.exec('INSERT INTO p (id) VALUES (1); INSERT INTO p (id) VALUES (1)') }),
    async db => await db.prepare('DELETE FROM p').run(),
    async db => await db.prepare('INSERT INTO p (id) VALUES (7) RETURNING *').get(),
    async db => await db.prepare('DELETE FROM p RETURNING id').all(),
    async db => await db.prepare('SELECT count(*) AS n FROM p').run(),
    async db => await db.tx(async tx => await tx.prepare('DELETE FROM p').run(), { mode: 'read' }),
    async db => await db.exec('PRAGMA foreign_keys = OFF'),
    async db => await db.deadline(150, async () => await db.prepare(countTo(20_000_000)).get()),
    async db => await db.prepare('SELECT CAST(\'x\' AS INTEGER) AS a, 1/0 AS b, 1e999 AS c, typeof(1e3) AS d').get()
  ]
  for (const ask of asks) {
    const [on, without] = await Promise.all(both.map(async db => await tell(ask(db))))
    t.strictSame(without, on, ask.toString().slice(0, 120))
  }
})

void t.test('nothing runs on the main thread', async t => {
  const db = await openTestDatabase(t, 'sqlite', { ...off, DB_EVENT_LOOP_BUDGET: '10s' })
  await db.exec(table)
  await insert(db, 1)
  const work: Array<() => Promise<unknown>> = [
    async () => await db.prepare(countTo(500_000)).get(),
    async () => await db.prepare(`UPDATE a SET id = (${countTo(500_000)})`).run(),
    async () => { await db.exec(`UPDATE a SET id = (${countTo(500_000)}) + 1`) },
    async () => await db.tx(async tx => { await insert(tx, 2); await tx.prepare(countTo(500_000)).get() }),
    async () => await db.tx(async tx => { await ids(tx); await tx.prepare(countTo(500_000)).get() }, { mode: 'read' }),
    async () => { for await (const _ of db.prepare(countTo(500_000)).iterate()); }
  ]
  for (const run of work) {
    const loop = watchLoop()
    await run()
    const { turns } = loop.stop()
    t.ok(turns > 50, `${turns} turns`)
  }
  t.equal(db.status().sqlite?.stalls.count, 0)
  t.ok(db.status().statements.every(({ runs }) => runs === 'apart'))
})

// --- what cannot be stopped ---------------------------------------------------------------------------------------------------------

void t.test('23: what was given up goes on to its end, and then its place is there again', async t => {
  const db = await openTestDatabase(t, 'sqlite', { ...off, SQLITE_READERS: '1' })
  await db.exec(table)
  await insert(db, 1)
  const long = countTo(5_000_000)
  await db.prepare(countTo(10)).get() // the thread is there
  for (let i = 0; i < 2; i++) t.match(await failure(t, db.deadline(150, async () => await db.prepare(`SELECT ${i} AS i, (${long}) AS n`).get())), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame(await db.prepare(countTo(10)).get(), { n: 10 }, 'it has to wait for one of them')
  await until('only one thread is left', () => db.status().sqlite?.threads === 1 && db.status().sqlite?.idleThreads === 1)
  const tx = failure(t, db.tx(async tx => {
    await insert(tx, 2)
    await tx.prepare(`SELECT (${long}) AS n`).get()
  }, { statementTimeout: 200 }))
  t.match(await tx, { code: 'TDM_ERR_DB_TIMEOUT' })
  await insert(db, 3)
  t.strictSame(await ids(db), [1, 3], 'and a transaction is rolled back then')
  t.match(await failure(t, db.tx(async tx => {
    await insert(tx, 4)
    await tx.tx(async inner => {
      await insert(inner, 5)
      await inner.prepare(`SELECT (${long}) AS n`).get()
    }, nested).catch(() => {})
    await insert(tx, 6)
  }, { statementTimeout: 200 })), { code: /^TDM_ERR_(?:TX_DOOMED|DB_TIMEOUT)$/ })
  await insert(db, 7)
  t.strictSame(await ids(db), [1, 3, 7], 'nested or not')
})

void t.test('23: a write that was given up does not take effect later', async t => {
  const db = await openTestDatabase(t, 'sqlite', off)
  await db.exec(table)
  await insert(db, 1)
  t.match(await failure(t, db.deadline(150, async () => await db.prepare(`UPDATE a SET id = (${countTo(8_000_000)})`).run())), { code: 'TDM_ERR_DB_TIMEOUT' })
  await insert(db, 2) // behind it
  t.strictSame(await ids(db), [1, 2])
})

interface Told { readonly name: string, readonly code: string, readonly ms: number }

/** Runs a program that prints a line for each thing that it was told, until it is killed. */
async function runStuck (t: Test, body: string): Promise<Told[]> {
  const folder = freshFolder(t)
  const program = join(folder, 'program.mjs')
  const at = (file: string): string => JSON.stringify(new URL(`../../../${file}`, import.meta.url).href)
  writeFileSync(program, `
    const { readConfig } = await import(${at('plugins/config/index.ts')})
    const { openDatabase } = await import(${at('plugins/db/open.ts')})
    const env = { DATABASE_URL: ${JSON.stringify(`sqlite:${join(folder, 'a.db')}`)}, SQLITE_WATCHDOG: 'off', SQLITE_READERS: '1' }
    const db = await openDatabase(readConfig(env), { info () {}, warn () {}, error () {} })
    const endless = ${JSON.stringify(endless)}
    const alive = setInterval(() => {}, 1000)
    const tell = async (name, run) => {
      const start = performance.now()
      const code = await run().then(() => 'done', error => error.code ?? String(error))
      console.log(JSON.stringify({ name, code, ms: performance.now() - start }))
    }
    await db.exec('CREATE TABLE a (id BIGINT)')
    await db.exec('INSERT INTO a (id) VALUES (1)')
    await db.prepare('SELECT id FROM a').all()
    ${body}
    console.log('end')`)
  const child: ChildProcess = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const told: Told[] = []
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    if (line === 'end') break
    told.push(JSON.parse(line) as Told)
  }
  child.kill('SIGKILL')
  await once(child, 'exit')
  return told
}

const codes = (told: readonly Told[]): Array<[string, string]> => told.map(({ name, code }) => [name, code])
/** Each was to be told after 300 ms. */
const longest = (told: readonly Told[]): number => Math.max(...told.map(({ ms }) => ms))

void t.test('7, 23: reads that never end: each caller is told in time, also those who find every thread taken; writes go on, and close() comes to an end', async t => {
  const told = await runStuck(t, `
    for (const name of ['first', 'second', 'third', 'fourth']) await tell(name, () => db.deadline(300, () => db.prepare(endless).get()))
    await tell('a cursor', () => db.deadline(300, async () => { for await (const row of db.prepare('SELECT id FROM a').iterate()); }))
    await tell('a read transaction', () => db.tx(tx => tx.prepare('SELECT id FROM a').all(), { mode: 'read', timeout: 300 }))
    const client = new AbortController()
    setTimeout(() => { client.abort() }, 300)
    await tell('an abort', () => db.signal(client.signal, () => db.prepare('SELECT id FROM a').all()))
    await tell('a write', () => db.prepare('INSERT INTO a (id) VALUES (2)').run())
    await tell('a transaction', () => db.tx(tx => tx.prepare('SELECT id FROM a').all()))
    await tell('close', () => db.close({ graceMs: 100 }))
    await tell('after it', () => db.prepare('SELECT id FROM a').all())`)
  const late = 'TDM_ERR_DB_TIMEOUT'
  t.strictSame(codes(told), [['first', late], ['second', late], ['third', late], ['fourth', late], ['a cursor', late], ['a read transaction', late], ['an abort', 'TDM_ERR_DB_ABORTED'],
    ['a write', 'done'], ['a transaction', 'done'], ['close', 'done'], ['after it', 'TDM_ERR_DB_CLOSED']])
  t.ok(longest(told) < 5000, `${longest(told)} ms`)
})

void t.test('7, 23: a write that never ends: each caller is told in time; reads go on, and close() comes to an end', async t => {
  const told = await runStuck(t, `
    const forever = 'UPDATE a SET id = (' + endless + ')'
    await tell('on its own', () => db.deadline(300, () => db.prepare(forever).run()))
    await tell('next', () => db.deadline(300, () => db.prepare('INSERT INTO a (id) VALUES (2)').run()))
    await tell('exec', () => db.deadline(300, () => db.exec('INSERT INTO a (id) VALUES (2)')))
    await tell('a transaction', () => db.tx(tx => tx.prepare('INSERT INTO a (id) VALUES (2)').run(), { timeout: 300 }))
    await tell('a read', () => db.prepare('SELECT id FROM a').all())
    await tell('a read transaction', () => db.tx(tx => tx.prepare('SELECT id FROM a').all(), { mode: 'read' }))
    await tell('close', () => db.close({ graceMs: 100 }))`)
  const late = 'TDM_ERR_DB_TIMEOUT'
  t.strictSame(codes(told), [['on its own', late], ['next', late], ['exec', late], ['a transaction', late], ['a read', 'done'], ['a read transaction', 'done'], ['close', 'done']])
  t.ok(longest(told) < 5000, `${longest(told)} ms`)
})

void t.test('7, 23: a statement that never ends in a transaction, in a nested one, in one that reads: it is given up in time, and close() comes to an end', async t => {
  const cases: Array<[name: string, run: string]> = [
    ['a transaction', 'tx => tx.prepare(endless).get(), { timeout: 300 }'],
    ['a statement of it', 'tx => tx.prepare(endless).get(), { statementTimeout: 300 }'],
    ['nested', 'async tx => { await tx.tx(inner => inner.prepare(endless).get(), { propagation: \'nested\' }).catch(() => {}); await tx.prepare(\'SELECT 1\').get() }, { statementTimeout: 300 }'],
    ['reads', 'tx => tx.prepare(endless).get(), { mode: \'read\', timeout: 300 }']
  ]
  await Promise.all(cases.map(async ([name, run]) => {
    const told = await runStuck(t, `
      await tell(${JSON.stringify(name)}, () => db.tx(${run}))
      await tell('close', () => db.close({ graceMs: 100 }))`)
    t.match(codes(told), [[name, /^TDM_ERR_(?:DB_TIMEOUT|TX_DOOMED)$/], ['close', 'done']])
    t.ok(longest(told) < 5000, `${name}: ${longest(told)} ms`)
  }))
})

void t.test('threads that cannot be started: whoever needs one is told, and as soon as it can be, it is', { skip: process.platform === 'win32' ? 'needs a shell' : false }, async t => {
  const folder = freshFolder(t)
  const program = join(folder, 'program.mjs')
  const at = (file: string): string => JSON.stringify(new URL(`../../../${file}`, import.meta.url).href)
  writeFileSync(program, `
    import { openSync, closeSync } from 'node:fs'
    const { readConfig } = await import(${at('plugins/config/index.ts')})
    const { openDatabase } = await import(${at('plugins/db/open.ts')})
    const env = { DATABASE_URL: ${JSON.stringify(`sqlite:${join(folder, 'a.db')}`)}, SQLITE_WATCHDOG: process.argv[2], DB_EVENT_LOOP_BUDGET: '50ms' }
    const db = await openDatabase(readConfig(env), { info () {}, warn () {}, error () {} })
    const slow = ${JSON.stringify(countTo(3_000_000))}
    if (process.argv[2] === 'on') await db.exec('CREATE TABLE a (id BIGINT)')
    const descriptors = []
    try { for (;;) descriptors.push(openSync('/dev/null')) } catch {}
    const ways = [
      () => db.prepare(slow).get(),
      () => db.prepare('CREATE TABLE x AS ' + slow).run(),
      () => db.exec('CREATE TABLE x AS ' + slow),
      () => db.tx(tx => tx.prepare('CREATE TABLE x AS ' + slow).run()),
      () => db.tx(tx => tx.prepare(slow).get(), { mode: 'read' }),
      async () => { for await (const row of db.prepare(slow).iterate()); }
    ]
    const seen = []
    for (const run of ways) seen.push(await run().then(() => 'done', error => error.code))
    for (const descriptor of descriptors) closeSync(descriptor)
    for (const run of ways) {
      seen.push(await run().then(() => 'done', error => error.code))
      await db.exec('DROP TABLE IF EXISTS x')
    }
    await db.close()
    console.log(JSON.stringify(seen))`)
  for (const watchdog of ['on', 'off']) {
    const child = spawn('sh', ['-c', 'ulimit -n 200; exec "$0" "$1" "$2"', process.execPath, program, watchdog], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>])
    t.equal(code, 0, watchdog)
    const seen = JSON.parse(output) as string[]
    for (const [i, told] of seen.slice(0, 6).entries()) t.match(told, /^TDM_ERR_DB_/, `${watchdog}: ${i}`)
    t.strictSame(seen.slice(6), Array(6).fill('done'), watchdog)
  }
})
