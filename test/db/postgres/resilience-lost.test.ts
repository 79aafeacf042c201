/** Connections that are lost at any moment: what is done exactly once, what is told as unknown, and what is run again. */
import t from 'tap'
import { freshUrl, openUrl } from '../../helper/db.ts'
import { ask } from '../../helper/pg.ts'
import { findPgBouncers, noPgBouncer, startPgBouncer } from '../../helper/pgbouncer.ts'
import { skip, startPostgres } from '../../helper/postgres-server.ts'
import { startProxy } from '../../helper/proxy.ts'

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
