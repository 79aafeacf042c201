/** Connections that are lost at any moment: what is done exactly once, what is told as unknown, and what is run again. */
import t, { type Test } from 'tap'
import type { Database } from '../../../plugins/db/types.ts'
import { freshUrl, openUrl } from '../../helper/db.ts'
import { ask } from '../../helper/pg.ts'
import { findPgBouncers, noPgBouncer, startPgBouncer } from '../../helper/pgbouncer.ts'
import { skip, startPostgres } from '../../helper/postgres-server.ts'
import { startProxy, type Proxy } from '../../helper/proxy.ts'

const pgBouncer = (await findPgBouncers()).at(-1)

void t.test('R3: a script that was sent and not answered: nobody knows', async t => {
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url)
  const db = await openUrl(t, proxy.url, { DB_POOL_MAX: '1' })
  await db.exec('CREATE TABLE a (id BIGINT)')
  const cut = proxy.cutAt('INSERT INTO a')
  await t.rejects(db.exec('INSERT INTO a VALUES (1); INSERT INTO a VALUES (2)'), { code: 'TDM_ERR_TX_OUTCOME_UNKNOWN' })
  await cut.done
  t.strictSame(await ask(url, 'SELECT id::int FROM a'), [{ id: 1 }, { id: 2 }], 'it was done')
})

void t.test('R13: a pooler that has lost its server says so in words of its own: a write is not run again', { skip: pgBouncer === undefined ? noPgBouncer : skip }, async t => {
  const server = await startPostgres(t)
  const proxy = await startProxy(t, server.url)
  const bouncer = await startPgBouncer(t, { server: proxy })
  await ask(server.url, 'CREATE TABLE a (id BIGINT)')
  const db = await openUrl(t, bouncer.url, { DB_POOL_MAX: '2' })
  const insert = db.prepare('INSERT INTO a (id) VALUES (?)')
  await insert.run(1)
  const cut = proxy.cutAt('\u00012') // the value and its length, in Bind
  const outcome = await insert.run(2).catch((error: { code: string }) => error.code)
  await cut.done
  t.equal(outcome, 'TDM_ERR_TX_OUTCOME_UNKNOWN')
  t.strictSame(await ask(server.url, 'SELECT id::int FROM a ORDER BY id'), [{ id: 1 }, { id: 2 }], 'once')
})

/** Runs `statement` while the connection is cut after the first byte, the second and so on, until it comes through; answers what was told each time. */
async function cutEverywhere (proxy: Proxy, from: 'client' | 'server', statement: () => Promise<unknown>): Promise<unknown[]> {
  const told: unknown[] = []
  for (let bytes = 0; ; bytes++) {
    const cut = proxy.cutAfter(bytes, from)
    let isCut = false
    void cut.done.then(() => { isCut = true })
    told.push(await statement().then(() => 'done', (error: { code: string }) => error.code))
    if (!isCut) return told
    proxy.calm()
  }
}

interface Told { readonly code: unknown, readonly isThere: boolean }

/** A write by `insert`, cut everywhere: what was told of each, and whether it is there. Throws if one is there twice. */
async function cutWrites (t: Test, from: 'client' | 'server', insert: (db: Database, id: number) => Promise<unknown>): Promise<Told[]> {
  const url = await freshUrl(t, 'postgres')
  await ask(url, 'CREATE TABLE a (id INT)')
  const proxy = await startProxy(t, url, { records: false })
  const db = await openUrl(t, proxy.url, { DB_POOL_MAX: '1' })
  let id = -1
  const told = await cutEverywhere(proxy, from, async () => await insert(db, ++id))
  const ids = (await ask<{ id: number }>(url, 'SELECT id FROM a')).map(row => row.id)
  if (new Set(ids).size < ids.length) throw new Error('something was written twice')
  return told.map((code, i) => ({ code, isThere: ids.includes(i) }))
}

const isTrue = ({ code, isThere }: Told): boolean => code === 'TDM_ERR_TX_OUTCOME_UNKNOWN' || (code === 'done') === isThere
const insert = 'INSERT INTO a (id) VALUES (?)'

for (const from of ['server', 'client'] as const) {
  void t.test(`R3: cut after each byte that the ${from} sends: a read is answered, a write is told as it is, and done once`, async t => {
    const [reads, writes, transactions] = await Promise.all([
      cutWrites(t, from, async db => await db.prepare('SELECT 1 AS one').get()),
      cutWrites(t, from, async (db, id) => await db.prepare(insert).run(id)),
      cutWrites(t, from, async (db, id) => await db.tx(async tx => await tx.prepare(insert).run(id)))
    ])
    t.strictSame(reads.filter(({ code }) => code !== 'done'), [])
    t.strictSame([...writes, ...transactions].filter(told => !isTrue(told)), [])
    t.ok(reads.length > 20 && writes.length > 20 && transactions.length > 20, `${reads.length}, ${writes.length} and ${transactions.length} cuts`)
  })
}
