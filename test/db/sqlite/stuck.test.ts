/**
 * Without the native watchdog: what has begun goes on to its end, whoever has given it up; so nobody may wait for it (cases 7 and 23 of the engine's list). The rest of life
 * without it is in degraded.test.ts.
 *
 * What never ends also keeps its process from ending, so it runs in processes that are killed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { freshFolder, openTestDatabase, openUrl } from '../../helper/db.ts'
import { countTo, endless, numbers, until } from '../../helper/long.ts'
import { failure, ids, insert, nested, table } from '../transactions/common.ts'

const off = { SQLITE_WATCHDOG: 'off' }

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

void t.test('66: a backup that was given up has no name any more while it goes on, and gets none', async t => {
  const folder = freshFolder(t)
  const db = await openUrl(t, `sqlite:${join(folder, 'a.db')}`, off)
  await db.exec('CREATE TABLE a (b BLOB)')
  await db.exec(`INSERT INTO a (b) SELECT randomblob(2000) FROM (${numbers(60_000)})`) // enough that it takes a while
  const isThere = (end = ''): boolean => readdirSync(folder).some(name => name.startsWith('copy.db') && name.endsWith(end))
  const client = new AbortController()
  const backup = failure(t, db.signal(client.signal, async () => await db.backup(join(folder, 'copy.db'))))
  await until('it has begun', () => isThere('-journal'))
  client.abort()
  t.match(await backup, { code: 'TDM_ERR_DB_ABORTED' })
  t.notOk(isThere())
  t.equal(db.status().sqlite?.idleThreads, 0, 'it goes on')
  await until('it has ended', () => db.status().sqlite?.idleThreads === 1)
  t.notOk(isThere())
})

interface Told { readonly name: string, readonly code: string, readonly ms: number }

/** Runs a program that prints a line for each thing that it was told, until it is killed; it kills itself when nobody is there to do so. */
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
    process.stdin.on('end', () => { process.kill(process.pid, 'SIGKILL') }).resume()
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
  const child: ChildProcess = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
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
/** Each was to be told after 300 ms, or 1500. */
const longest = (told: readonly Told[]): number => Math.max(...told.map(({ ms }) => ms))

void t.test('7, 23: reads that never end: each caller is told in time, also those who find every thread taken; writes go on, and close() comes to an end', async t => {
  const told = await runStuck(t, `
    for (const name of ['first', 'second']) await tell(name, () => db.deadline(1500, () => db.prepare(endless).get())) // time to start a thread
    for (const name of ['third', 'fourth']) await tell(name, () => db.deadline(300, () => db.prepare(endless).get()))
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

void t.test('7, 23: read transactions and cursors that never end, one after the other: in place of their reader there is another one, also for who waits already', async t => {
  const twoPieces = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i <= 600' // and then it looks for more, for ever
  for (const [name, run] of [
    ['a transaction', 'db.tx(tx => tx.prepare(endless).get(), { mode: \'read\', timeout: 300 })'],
    ['a cursor', `(async () => { for await (const { i } of db.prepare(${JSON.stringify(twoPieces)}).iterate()) if (i === 3) break })()`]
  ] as const) {
    const told = await runStuck(t, `
      await tell(${JSON.stringify(name)}, () => ${run})
      await tell('next', () => db.deadline(2000, () => db.prepare('SELECT id FROM a').all()))
      await tell('a transaction', () => db.tx(tx => tx.prepare('SELECT id FROM a').all(), { mode: 'read', timeout: 2000 }))`)
    t.strictSame(codes(told), [[name, name === 'a cursor' ? 'done' : 'TDM_ERR_DB_TIMEOUT'], ['next', 'done'], ['a transaction', 'done']])
  }
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
