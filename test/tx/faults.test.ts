/**
 * The short form of `npm run faults:tx`: under faults, what clients are told fits what is in the database. And, one by one, what the long form has found: writes
 * whose COMMIT is lost, a server that crashes and gives the same transaction id again, a cursor whose connection is lost.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t, { type Test } from 'tap'
import type { Database } from '../../plugins/db/types.ts'
import { engines, freshUrl, openUrl } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { startPostgres } from '../helper/postgres-server.ts'
import { startProxy, type Proxy } from '../helper/proxy.ts'

const skip = process.env.TEST_POSTGRES === 'off' && 'TEST_POSTGRES=off'
const script = fileURLToPath(new URL('bench/tx-faults.ts', root))

/** Exit code and what was printed. */
async function faults (t: Test, ...args: string[]): Promise<{ code: number | string | null | undefined, text: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number | string | null | undefined, text: string }>()
  // its processes are killed on the way, which is nothing for a coverage report
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:TAP|_TAPJS|NODE_OPTIONS|NODE_V8_COVERAGE)/.test(name)))
  const child = execFile(process.execPath, [script, ...args], { env }, (error, stdout, stderr) => { resolve({ code: error === null ? 0 : error.code, text: stdout + stderr }) })
  t.teardown(() => { child.kill('SIGTERM') })
  return await promise
}

for (const engine of engines) {
  t.test(`${engine}: a complete 2xx has its rows, anything else has none, and nothing is left behind`, {
    skip: engine === 'postgres' && skip,
    timeout: 100_000 // it takes 3 s, unless requests are left without an answer
  }, async t => {
    const { code, text } = await faults(t, '--engine', engine, '--requests', '300', '--seed', '1')
    t.equal(code, 0, text)
    t.match(text, /no violations/)
    t.match(text, engine === 'postgres' ? /restart, immediate/ : /kill -9 the app/, 'there were faults')
  })
}

t.test('--help says what there is', async t => {
  const { code, text } = await faults(t, '--help')
  t.equal(code, 0)
  for (const option of ['--requests', '--engine', '--seed', '--concurrency']) t.match(text, option)
})

async function behindProxy (t: Test): Promise<{ db: Database, proxy: Proxy }> {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const db = await openUrl(t, proxy.url)
  await db.exec('CREATE TABLE a (id BIGINT)')
  return { db, proxy }
}

/** All that writes, each as the only statement of a transaction. */
const writes: Record<string, (db: Database) => Promise<unknown>> = {
  'a statement': async db => await db.prepare('INSERT INTO a (id) VALUES (?)').run(1),
  'a statement that returns a row': async db => await db.prepare('INSERT INTO a (id) VALUES (1) RETURNING id').get(),
  'a script': async db => { await db.exec('INSERT INTO a (id) VALUES (1); INSERT INTO a (id) VALUES (2)') },
  'a cursor': async db => { for await (const row of db.prepare('INSERT INTO a (id) VALUES (1) RETURNING id').iterate()) if (row.id !== 1) throw new Error('not this row') },
  'a read and a script': async db => {
    await db.prepare('SELECT 1 AS one').get()
    await db.exec('INSERT INTO a (id) VALUES (1)')
  },
  'a script in a nested transaction': async db => { await db.tx(async () => { await db.exec('INSERT INTO a (id) VALUES (1)') }, { propagation: 'nested' }) }
}

for (const [what, write] of Object.entries(writes)) {
  t.test(`postgres: ${what}, and COMMIT never arrives: not told as committed`, { skip }, async t => {
    const { db, proxy } = await behindProxy(t)
    proxy.cutAt('COMMIT', 'before')
    await t.rejects(db.tx(async () => { await write(db) }), { code: /^TDM_ERR_TX_(?:LOST|OUTCOME_UNKNOWN)$/ as never })
    t.strictSame(await db.prepare('SELECT id FROM a').all(), [])
  })
}

t.test('postgres: what a crash has undone is not told as committed, although its transaction id now belongs to one that is', { skip }, async t => {
  const server = await startPostgres(t)
  const db = await openUrl(t, server.url)
  await db.exec('CREATE TABLE a (id BIGINT)')
  const transaction = db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
    await server.restart('immediate') // the id was not on disk, so the server gives it again
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query('INSERT INTO a (id) VALUES (2)')
    await client.end()
  })
  await t.rejects(transaction, { code: /^TDM_ERR_(?:TX_LOST|TX_OUTCOME_UNKNOWN|DB_CONNECTION)$/ as never })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 2 }])
})

for (const [where, rows] of [['with rows to come', 1000], ['at its last rows', 50]] as const) {
  for (const place of ['in a transaction', 'on its own']) {
    t.test(`postgres: a cursor whose connection is lost ${where}, ${place}: fails or ends, and does not wait for ever`, { skip, timeout: 60_000 }, async t => {
      const { db, proxy } = await behindProxy(t)
      let isCut = false
      const read = async (): Promise<number> => {
        let n = 0
        for await (const { g } of db.prepare<{ g: number }>(`SELECT g FROM generate_series(1, ${rows}) AS g`).iterate()) {
          n += g > 0 ? 1 : 0
          if (isCut) continue
          isCut = true
          proxy.cutOff()
          proxy.restore()
        }
        return n
      }
      const reading = place === 'on its own' ? read() : db.tx(read)
      if (rows > 100) await t.rejects(reading, { code: /^TDM_ERR_/ as never })
      else await reading.then(n => { t.equal(n, rows) }, (error: unknown) => { t.match(error, { code: /^TDM_ERR_/ }) })
      const next = async (): Promise<unknown> => await db.prepare('SELECT 1 AS one').get()
      // a connection that ends while nobody uses it is found out by its next user, once
      await next().then(row => { t.strictSame(row, { one: 1 }) }, (error: unknown) => { t.match(error, { code: 'TDM_ERR_DB_CONNECTION' }) })
      t.strictSame(await next(), { one: 1 }, 'and then there is another one')
    })
  }
}
