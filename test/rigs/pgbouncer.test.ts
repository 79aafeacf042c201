/** PgBouncer as the tests start it: in each version that is there, what its version can do it does, and it can be restarted, killed and stopped for a while. */
import pg from 'pg'
import t, { type Test } from 'tap'
import { ask } from '../helper/pg.ts'
import { findPgBouncers, noPgBouncer, startPgBouncer } from '../helper/pgbouncer.ts'
import { skip as skipAll, startPostgres } from '../helper/postgres-server.ts'

const programs = await findPgBouncers()
const skip = skipAll !== false ? skipAll : programs.length === 0 && noPgBouncer

async function connect (t: Test, connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => {})
  await client.connect()
  t.teardown(async () => { await client.end() })
  return client
}

t.test('what there is', { skip }, async t => {
  t.comment(`PgBouncer ${programs.map(({ version }) => version).join(', ')}`)
  for (const { version, knowsPrepared } of programs) t.equal(knowsPrepared, Number(version.split('.')[1]) >= 21, version)
})

for (const program of programs) {
  t.test(`PgBouncer ${program.version}`, { skip, timeout: 180_000 }, async t => {
    const server = await startPostgres(t)
    const bouncer = await startPgBouncer(t, { server, program, poolSize: 2, settings: { max_client_conn: 77 } })

    const clients = await Promise.all(Array.from({ length: 10 }, async () => await connect(t, bouncer.url)))
    const pids = async (): Promise<number[]> => (await Promise.all(clients.map(async client => await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_sleep(0.01)')))).map(({ rows }) => rows[0]?.pid ?? 0)
    const before = new Set(await pids())
    t.equal(before.size, 2, '10 clients on 2 connections')
    t.match((await bouncer.admin('SHOW CONFIG')).find(({ key }) => key === 'max_client_conn'), { value: '77' })
    await bouncer.admin('RECONNECT')
    t.strictSame([...new Set(await pids())].filter(pid => before.has(pid)), [], 'RECONNECT makes new ones')

    const use = async (client: pg.Client): Promise<unknown> => await client.query({ name: 'same', text: 'SELECT $1::int AS n', values: [1] })
    const prepared = Promise.all(clients.map(async client => { for (let i = 0; i < 5; i++) await use(client) }))
    if (program.knowsPrepared) await t.resolves(prepared, 'prepared statements go from connection to connection')
    else await t.rejects(prepared, { code: /^(?:42P05|26000)$/ as never }, 'a prepared statement is on another connection')

    for (const how of ['immediate', 'kill'] as const) {
      const lost = (await connect(t, bouncer.url)).query('SELECT pg_sleep(60)').catch((error: unknown) => error)
      await bouncer.restart(how)
      t.ok(await lost instanceof Error, how)
      t.strictSame(await ask(bouncer.url, 'SELECT 1 AS one'), [{ one: 1 }])
    }

    await server.restart('immediate')
    const again = await connect(t, bouncer.url)
    await again.query('SELECT 1').catch(() => {}) // one of the connections that were lost
    t.match(await again.query('SELECT 1 AS one'), { rows: [{ one: 1 }] }, 'after a restart of the server')

    await bouncer.pause()
    const stopped = new pg.Client({ connectionString: bouncer.url, connectionTimeoutMillis: 100 })
    await t.rejects(stopped.connect(), /timeout/)
    await bouncer.resume()
    t.strictSame(await ask(bouncer.url, 'SELECT 1 AS one'), [{ one: 1 }])
  })
}
