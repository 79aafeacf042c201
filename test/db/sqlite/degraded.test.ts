/**
 * Without the native watchdog: off by configuration, or because no binary fits (case 81 of the engine's list). Answers and errors are the same; what differs is that everything
 * runs in threads, and that nothing can be stopped (stuck.test.ts).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { collectLog, freshFolder, openTestDatabase } from '../../helper/db.ts'
import { countTo, numbers, until, watchLoop } from '../../helper/long.ts'
import { hasNative, skipWithoutNative } from '../../helper/native.ts'
import { start, waitFor } from '../../rules/run.ts'
import { ids, insert, table } from '../transactions/common.ts'
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
async function runTests (folder: string, file: string): Promise<{ code: number | null, output: string, passed: number }> {
  const { PATH = '', TMPDIR = '' } = process.env
  const env = { PATH, ...(TMPDIR === '' ? {} : { TMPDIR }), TAP_GREP: file.endsWith('sqlite.test.ts') ? '.' : 'sqlite', TAP_TIMEOUT: '60' }
  const { code, output, stdout } = await waitFor(start(process.execPath, [file], { cwd: folder, env }))
  return { code, output, passed: [...stdout.matchAll(/^ok (?!.*# SKIP)/gm)].length }
}

void t.test('81: without a binary that fits the promises are kept', { timeout: 100_000, skip: hasNative() ? false : 'this very run shows it' }, async t => {
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

void t.test('the same answers, values and errors with the watchdog and without', { skip: skipWithoutNative('is there to compare with') }, async t => {
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

void t.test('a reader is there from the start, so that no statement has to wait for that, and stays', async t => {
  const db = await openTestDatabase(t, 'sqlite', { ...off, DB_IDLE_TIMEOUT: '100ms', SQLITE_READERS: '3' })
  const readers = (): unknown[] => [db.status().sqlite?.threads, db.status().sqlite?.idleThreads]
  t.strictSame(readers(), [1, 1])
  const reads = [1, 2, 3].map(async i => await db.prepare(`SELECT ${i} AS i, (${countTo(300_000)}) AS n`).get())
  await until('others are there', () => Number(db.status().sqlite?.threads) > 1)
  await Promise.all(reads)
  await until('the others have ended', () => db.status().sqlite?.threads === 1)
  const since = performance.now()
  await until('it was idle for longer than DB_IDLE_TIMEOUT', () => performance.now() - since > 500)
  t.strictSame(readers(), [1, 1])
})

// --- threads that cannot be started --------------------------------------------------------------------------------------------------

/** What a program tells that opens a database, runs `start`, and goes on with `body` when it has as many descriptors as it may. */
async function runWithoutDescriptors (t: Test, env: Record<string, string>, body: string, start = ''): Promise<unknown> {
  const folder = freshFolder(t)
  const program = join(folder, 'program.mjs')
  const at = (file: string): string => JSON.stringify(new URL(`../../../${file}`, import.meta.url).href)
  writeFileSync(program, `
    import { openSync, closeSync } from 'node:fs'
    const { readConfig } = await import(${at('plugins/config/index.ts')})
    const { openDatabase } = await import(${at('plugins/db/open.ts')})
    const env = ${JSON.stringify({ DATABASE_URL: `sqlite:${join(folder, 'a.db')}`, ...env })}
    const db = await openDatabase(readConfig(env), { info () {}, warn () {}, error () {} })
    const tell = async promise => await promise.then(() => 'done', error => error.code)
    ${start}
    const descriptors = []
    try { for (;;) descriptors.push(openSync('/dev/null')) } catch {}
    const letGo = () => { for (const descriptor of descriptors) closeSync(descriptor) }
    const seen = []
    ${body}
    await db.close()
    console.log(JSON.stringify(seen))`)
  const child = spawn('sh', ['-c', 'ulimit -n 200; exec "$0" "$1"', process.execPath, program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>])
  t.equal(code, 0)
  return JSON.parse(output)
}

const needsShell = process.platform === 'win32' ? 'needs a shell' : false

void t.test('threads that cannot be started: whoever needs one is told, and as soon as it can be, it is', { skip: needsShell || skipWithoutNative('starts a thread later') }, async t => {
  const seen = await runWithoutDescriptors(t, { DB_EVENT_LOOP_BUDGET: '50ms' }, `
    const slow = ${JSON.stringify(countTo(1_000_000))} // twice the budget, at least
    const ways = [
      () => db.prepare(slow).get(),
      () => db.prepare('CREATE TABLE x AS ' + slow).run(),
      () => db.exec('CREATE TABLE x AS ' + slow),
      () => db.tx(tx => tx.prepare('CREATE TABLE x AS ' + slow).run()),
      () => db.tx(tx => tx.prepare(slow).get(), { mode: 'read' }),
      async () => { for await (const row of db.prepare(slow).iterate()); }
    ]
    for (const run of ways) seen.push(await tell(run()))
    letGo()
    for (const run of ways) {
      seen.push(await tell(run()))
      await db.exec('DROP TABLE IF EXISTS x')
    }`, 'await db.exec(\'CREATE TABLE a (id BIGINT)\')') as string[]
  for (const [i, told] of seen.slice(0, 6).entries()) t.match(told, /^TDM_ERR_DB_/, `${i}`)
  t.strictSame(seen.slice(6), Array(6).fill('done'))
})

void t.test('threads that cannot be started: the writer and one reader are there from the start, and who needs another one is told', { skip: needsShell }, async t => {
  const seen = await runWithoutDescriptors(t, { ...off, SQLITE_READERS: '2' }, `
    const slow = ${JSON.stringify(countTo(300_000))}
    const two = async () => (await Promise.all([1, 2].map(i => tell(db.prepare('SELECT ' + i + ' AS i, (' + slow + ') AS n').get())))).sort()
    seen.push(await tell(db.exec('CREATE TABLE a (id BIGINT)')), ...await two())
    letGo()
    seen.push(...await two())`)
  t.match(seen, ['done', /^TDM_ERR_DB_/, 'done', 'done', 'done'])
})
