/** The standby of the tests: it follows, it can be held back, it survives restarts on both sides, and it takes over. */
import t from 'tap'
import { until } from '../helper/long.ts'
import { ask } from '../helper/pg.ts'
import { skip, startPostgres } from '../helper/postgres-server.ts'
import { startStandby } from '../helper/standby.ts'

t.test('a standby follows its primary, is held back, comes back after restarts, and takes over', { skip, timeout: 180_000 }, async t => {
  const primary = await startPostgres(t, { settings: { max_connections: 40 } })
  const add = async (id: number): Promise<void> => { await ask(primary.url, 'INSERT INTO a (id) VALUES ($1)', [id]) }
  await ask(primary.url, 'CREATE TABLE a (id BIGINT PRIMARY KEY)')
  await add(1)
  const standby = await startStandby(t, primary)
  const ids = async (): Promise<unknown[]> => (await ask<{ id: string }>(standby.url, 'SELECT id FROM a ORDER BY id')).map(({ id }) => Number(id))
  t.strictSame(await ids(), [1], 'what was there before')

  await add(2)
  await standby.catchUp()
  t.strictSame(await ids(), [1, 2])
  t.strictSame(await ask(standby.url, 'SELECT pg_is_in_recovery() AS is'), [{ is: true }])
  await t.rejects(ask(standby.url, 'INSERT INTO a (id) VALUES (0)'), { code: '25006' })

  await standby.holdReplay()
  await add(3)
  await until('it is received', async () => (await ask(primary.url, 'SELECT flush_lsn >= pg_current_wal_flush_lsn() AS is FROM pg_stat_replication'))[0]?.is === true)
  t.strictSame(await ids(), [1, 2], 'received and not shown')
  await standby.letReplay()
  await standby.catchUp()
  t.strictSame(await ids(), [1, 2, 3])

  await standby.server.down('kill')
  await add(4)
  await primary.restart('immediate')
  await add(5)
  await standby.server.up()
  await standby.catchUp()
  t.strictSame(await ids(), [1, 2, 3, 4, 5])

  await primary.down('kill')
  await standby.promote()
  await ask(standby.url, 'INSERT INTO a (id) VALUES (6)')
  t.strictSame(await ids(), [1, 2, 3, 4, 5, 6])
})

t.test('a base backup taken while the primary is written to is consistent', { skip, timeout: 180_000 }, async t => {
  const primary = await startPostgres(t)
  await ask(primary.url, 'CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)')
  await ask(primary.url, 'INSERT INTO account (id, balance) SELECT i, 100 FROM generate_series(1, 2000) AS i')
  let isWriting = true
  const writer = (async () => { while (isWriting) await ask(primary.url, 'UPDATE account SET balance = balance + CASE WHEN id % 2 = 0 THEN 1 ELSE -1 END') })()
  const standby = await startStandby(t, primary)
  isWriting = false
  await writer
  await standby.catchUp()
  t.strictSame(await ask(standby.url, 'SELECT sum(balance)::int AS sum, count(*)::int AS n FROM account'), [{ sum: 200_000, n: 2000 }])
  const balances = 'SELECT md5(string_agg(balance::text, \',\' ORDER BY id)) AS digest FROM account'
  t.strictSame(await ask(standby.url, balances), await ask(primary.url, balances))
})
