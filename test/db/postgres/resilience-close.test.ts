/** The end: closing while there is something to do, or somebody to wait for, and what stays behind. */
import t from 'tap'
import { Gate } from '../../../plugins/db/gate.ts'
import { Lanes } from '../../../plugins/db/postgres/lanes.ts'
import { openPostgres } from '../../../plugins/db/postgres/engine.ts'
import { collectLog, deferred, freshUrl, openUrl } from '../../helper/db.ts'
import { until } from '../../helper/long.ts'
import { ask } from '../../helper/pg.ts'
import { startProxy } from '../../helper/proxy.ts'
import { learn, openSession, settingsFor } from './helper.ts'

const connections = async (url: string): Promise<number> =>
  (await ask<{ n: number }>(url, "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'ask'"))[0]?.n ?? -1
const sockets = (): number => process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length

void t.test('R23: a connection that is made when the database is closed is used by nobody', async t => {
  const url = await freshUrl(t, 'postgres')
  await ask(url, 'CREATE TABLE a (id BIGINT)')
  const proxy = await startProxy(t, url)
  const db = await openUrl(t, proxy.url, { DB_POOL_MAX: '2' })
  const [begun, end] = [deferred(), deferred()]
  const tx = db.tx(async tx => { await tx.prepare('SELECT 1').get(); begun.resolve(); await end.promise }).catch((error: { code: string }) => error.code)
  await begun.promise
  proxy.delay(50)
  const { connections } = proxy
  const write = db.prepare('INSERT INTO a (id) VALUES (1)').run().catch((error: { code: string }) => error.code)
  await until('it connects', () => proxy.connections > connections)
  await db.close({ graceMs: 1 })
  end.resolve()
  t.equal(await write, 'TDM_ERR_DB_CLOSED')
  t.equal(await tx, 'TDM_ERR_DB_CLOSED')
  t.strictSame(await ask(url, 'SELECT id FROM a'), [])
})

void t.test('R23: whoever asks for a lane in the very turn in which it is there does not lose it', async t => {
  const url = await freshUrl(t, 'postgres')
  const session = await openSession(t, url, true)
  const { promise, resolve } = Promise.withResolvers<typeof session>()
  const lanes = new Lanes({ openLane: async () => await promise, releaseLane: () => {}, onCost: () => {}, onSilent: () => {}, isOld: () => false }, new Gate(1, 1000))
  t.equal(lanes.pick(), undefined)
  resolve(session)
  for (let i = 0; i < 10; i++) {
    lanes.pick()
    await Promise.resolve()
  }
  t.equal(lanes.load.used, 1)
  lanes.close()
  t.equal(session.isOpen, false)
})

void t.test('R23: closing while a lane is busy: each read is answered, or told that it is closed', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  const sql = 'SELECT CAST(? AS bigint) AS n'
  await learn(db, sql, 1)
  const reads = Promise.allSettled(Array.from({ length: 2000 }, async (_, i) => await db.prepare(sql).get(i)))
  await db.close({ graceMs: 0 })
  const wrong = (await reads).filter((result, i) =>
    result.status === 'fulfilled' ? result.value?.n !== i : (result.reason as { code: string }).code !== 'TDM_ERR_DB_CLOSED')
  t.strictSame(wrong, [])
})

void t.test('R23: opened and closed a thousand times, nothing stays behind', async t => {
  const url = await freshUrl(t, 'postgres')
  const before = sockets()
  for (let i = 0; i < 250; i++) {
    await Promise.all([1, 2, 3, 4].map(async j => {
      const engine = await openPostgres(settingsFor(url), collectLog())
      if (j > 2) await engine.exec({ sql: 'SELECT 1', statements: 1 }, { deadline: Infinity, signal: undefined, held: [] })
      await engine.close(j === 4 ? 0 : 1000)
    }))
  }
  await until('all sockets are closed', () => sockets() <= before)
  await until('the server has seen it', async () => await connections(url) === 0)
  t.equal(await connections(url), 0)
})
