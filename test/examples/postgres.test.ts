/** The examples for PostgreSQL that is more than one server: behind a pooler, and with a standby. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { freshUrl } from '../helper/db.ts'
import { until } from '../helper/long.ts'
import { root } from '../helper/paths.ts'
import { findPgBouncers, noPgBouncer, startPgBouncer } from '../helper/pgbouncer.ts'
import { skip as skipPostgres, startPostgres } from '../helper/postgres-server.ts'
import { startStandby } from '../helper/standby.ts'
import { readSettings } from './ini.ts'
import { startExample } from './server.ts'

const [bouncer] = (await findPgBouncers()).slice(-1)

t.test('pgbouncer', { skip: skipPostgres !== false ? skipPostgres : bouncer === undefined && noPgBouncer }, async t => {
  const settings = readSettings(readFileSync(new URL('examples/pgbouncer/pgbouncer.ini', root), 'utf8'), 'pgbouncer')
  t.match(settings, { pool_mode: 'transaction', listen_port: '6432', auth_file: 'users.txt' })
  const { listen_addr: _, listen_port: __, auth_file: ___, ...rest } = settings // the test has its own
  const { url } = await startPgBouncer(t, { server: { url: await freshUrl(t, 'postgres') }, program: bouncer, settings: rest })
  const { ask } = await startExample(t, 'pgbouncer', { DATABASE_URL: url })
  t.strictSame(await ask('GET', '/pooler'), { pooler: bouncer?.knowsPrepared === true ? 'keeps statements' : 'forgets statements' })
  await Promise.all(Array.from({ length: 50 }, async () => await ask('POST', '/transfers')))
  t.strictSame(await ask('GET', '/accounts'), [{ id: 1, balance: 50 }, { id: 2, balance: 50 }])
})

t.test('replicas', { skip: skipPostgres }, async t => {
  const primary = await startPostgres(t)
  const standby = await startStandby(t, primary)
  const { ask } = await startExample(t, 'replicas', { DATABASE_URL: primary.url, DATABASE_REPLICA_URL: standby.url })
  t.strictSame(await ask('POST', '/visits'), { visits: 1, on_standby: 0 }, 'what writes is on the primary')
  await standby.catchUp()
  await until('the standby is read', async () => (await ask<{ on_standby: number }>('GET', '/visits')).on_standby === 1)
  t.strictSame(await ask('GET', '/visits'), { visits: 1, on_standby: 1 })
  t.match(await ask('GET', '/replica'), { state: 'ready' })
  await standby.server.stop()
  t.strictSame(await ask('GET', '/visits'), { visits: 1, on_standby: 0 }, 'without it the primary answers')
})
