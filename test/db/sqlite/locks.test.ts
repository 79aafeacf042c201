/** Other processes on the same file: their locks are waited for without keeping the event loop, and nothing is lost. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { openUrl } from '../../helper/db.ts'

/** Another connection, as another process would have it. */
function lockFile (t: Test, path: string): Sqlite.Database {
  const other = new Sqlite(path, { timeout: 0 })
  t.teardown(() => { other.close() })
  other.exec('BEGIN IMMEDIATE')
  return other
}

void t.test('151: a write waits for another process, and the event loop turns meanwhile', async t => {
  const path = join(t.testdir(), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`)
  await db.exec('CREATE TABLE a (id BIGINT)')
  const other = lockFile(t, path)
  let turns = 0
  const turn = (): void => {
    if (++turns < 200) setImmediate(turn)
    else other.exec('COMMIT')
  }
  setImmediate(turn)
  await Promise.all([
    db.prepare('INSERT INTO a (id) VALUES (1)').run(),
    db.exec('INSERT INTO a (id) VALUES (2)'),
    db.exec('INSERT INTO a (id) VALUES (3); INSERT INTO a (id) VALUES (4)'),
    db.tx(async tx => await tx.prepare('INSERT INTO a (id) VALUES (5)').run())
  ])
  t.equal(turns, 200)
  t.strictSame((await db.prepare('SELECT id FROM a ORDER BY id').all()).map(row => row.id), [1, 2, 3, 4, 5])
})

void t.test('151: a lock that is not given up ends with kind busy at the deadline', async t => {
  const path = join(t.testdir(), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`)
  await db.exec('CREATE TABLE a (id BIGINT)')
  lockFile(t, path)
  const writes: Array<() => Promise<unknown>> = [
    async () => await db.prepare('INSERT INTO a (id) VALUES (1)').run(),
    async () => { await db.exec('INSERT INTO a (id) VALUES (1)') }
  ]
  for (const write of writes) await t.rejects(db.deadline(300, write), { code: 'TDM_ERR_DB_BUSY', statusCode: 503 })
  // the deadline of the transaction itself comes at the same time, and one of the two is first
  const tx = db.deadline(60, async () => await db.tx(async tx => await tx.prepare('INSERT INTO a (id) VALUES (1)').run()))
  await tx.then(() => { t.fail('it was not refused') }, (error: unknown) => { t.match(error, { code: /^TDM_ERR_DB_(?:BUSY|TIMEOUT)$/, statusCode: 503 }) })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 0 }, 'reads do not wait')
})

void t.test('an abort ends the wait for another process', async t => {
  const path = join(t.testdir(), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`)
  await db.exec('CREATE TABLE a (id BIGINT)')
  lockFile(t, path)
  const client = new AbortController()
  const write = db.signal(client.signal, async () => await db.prepare('INSERT INTO a (id) VALUES (1)').run())
  setImmediate(() => { client.abort() })
  await t.rejects(write, { code: 'TDM_ERR_DB_ABORTED' })
  const tx = db.signal(client.signal, async () => { await db.tx(async tx => await tx.exec('DELETE FROM a')) })
  await t.rejects(tx, { code: 'TDM_ERR_DB_ABORTED' })
})

void t.test('152: two processes that write at the same time lose nothing', async t => {
  const path = join(t.testdir(), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`)
  await db.exec('CREATE TABLE a (n BIGINT); INSERT INTO a (n) VALUES (0)')
  const script = new URL('../../helper/increment.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, `sqlite:${path}`, '150'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit') as Promise<[number]>
  const lines = createInterface({ input: child.stdout })
  await once(lines, 'line') // it has begun
  const increment = db.prepare('UPDATE a SET n = n + 1')
  for (let i = 0; i < 150; i++) {
    await db.tx(async tx => {
      await tx.prepare('SELECT n FROM a').get()
      await increment.run()
    })
  }
  const [code] = await exited
  t.equal(code, 0)
  t.strictSame(await db.prepare('SELECT n FROM a').get(), { n: 300 })
})

void t.test('what another process commits is seen by the next statement, also by one that is prepared', async t => {
  const path = join(t.testdir(), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`)
  await db.exec('CREATE TABLE a (id BIGINT)')
  const count = db.prepare('SELECT count(*) AS n FROM a')
  t.strictSame(await count.get(), { n: 0 })
  const other = new Sqlite(path)
  t.teardown(() => { other.close() })
  other.exec('ALTER TABLE a ADD COLUMN b TEXT; INSERT INTO a (id) VALUES (1)')
  t.strictSame(await count.get(), { n: 1 })
  t.strictSame(await db.prepare('SELECT * FROM a').all(), [{ id: 1, b: null }])
})

void t.test('153: a statement that ends the transaction by itself does not let the next one commit on its own', async t => {
  const db = await openUrl(t, `sqlite:${join(t.testdir(), 'a.db')}`)
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY); INSERT INTO a (id) VALUES (1)')
  await t.rejects(db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (2)').run()
    await tx.prepare('INSERT OR ROLLBACK INTO a (id) VALUES (1)').run().catch(() => {})
    await tx.prepare('INSERT INTO a (id) VALUES (3)').run().catch(error => { t.match(error, { code: 'TDM_ERR_TX_DOOMED' }) })
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
  await t.rejects(db.tx(async tx => {
    await tx.tx(async inner => { await inner.prepare('INSERT OR ROLLBACK INTO a (id) VALUES (1)').run() }, { propagation: 'nested' }).catch(() => {})
    await tx.prepare('INSERT INTO a (id) VALUES (4)').run()
  }), { code: 'TDM_ERR_TX_DOOMED' }, 'not even after a nested one: the savepoint is gone with the rest')
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 1 }])
})

void t.test('153: a disk that is full: kind memory, the transaction is undone, and the database goes on', async t => {
  const db = await openUrl(t, `sqlite:${join(t.testdir(), 'a.db')}`)
  await db.exec('CREATE TABLE a (id BIGINT, body TEXT); INSERT INTO a (id) VALUES (1)')
  await t.rejects(db.tx(async tx => {
    await tx.prepare('PRAGMA max_page_count = 8').get() // as a disk with room for so many pages
    for (let id = 2; id < 100; id++) await tx.prepare('INSERT INTO a (id, body) VALUES (?, ?)').run(id, 'x'.repeat(4000))
  }), { code: 'TDM_ERR_DB_MEMORY', statusCode: 503 })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 1 }])
  await db.tx(async tx => { await tx.prepare('PRAGMA max_page_count = 1000000').get() })
  await db.prepare('INSERT INTO a (id) VALUES (2)').run()
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 2 })
})
