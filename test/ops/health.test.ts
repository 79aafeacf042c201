/** Is the process alive, and can it do its work? */
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import t from 'tap'
import ops from '../../plugins/ops/index.ts'
import { startPlugins } from '../helper/app.ts'
import { deferred, engines } from '../helper/db.ts'

for (const engine of engines) {
  void t.test(`${engine}: live and ready`, async t => {
    const app = await startPlugins(t, engine)
    await app.register(ops)
    for (const path of ['live', 'ready']) {
      const answer = await app.inject(`/ops/health/${path}`)
      t.equal(answer.statusCode, 200)
      t.strictSame(answer.json(), { status: 'ok' })
    }
  })
}

void t.test('not ready when the database does not answer', async t => {
  const app = await startPlugins(t, 'postgres')
  await app.register(ops)
  const { url } = app.config.database
  const admin = new pg.Client({ connectionString: url.replace(/\/[^/]*$/, '/postgres') })
  await admin.connect()
  t.teardown(async () => { await admin.end() })
  const name = new URL(url).pathname.slice(1)
  await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
  await admin.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1', [name])
  const answer = await app.inject('/ops/health/ready')
  t.equal(answer.statusCode, 503)
  t.equal(answer.headers['retry-after'], '1')
  t.strictSame(answer.json(), { status: 'unavailable', reason: 'the database does not answer' })
  t.equal((await app.inject('/ops/health/live')).statusCode, 200)
  await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
  t.equal((await app.inject('/ops/health/ready')).statusCode, 200, 'and ready again')
})

for (const engine of engines) {
  void t.test(`${engine}: not ready while migrations are missing, and ready on a database that is newer`, async t => {
    const directory = pathToFileURL(`${t.testdir({ '001.do.create-a.sql': 'CREATE TABLE a (x INTEGER);', '002.do.create-b.sql': 'CREATE TABLE b (x INTEGER);' })}/`)
    const app = await startPlugins(t, engine, { migrations: [{ name: 'some', directory, sameForBoth: true }] })
    await app.register(ops)
    const row = await app.db.prepare<{ name: string, md5: string, run_at: string }>('SELECT name, md5, run_at FROM tandem_migrations_some WHERE version = 2').get()
    const insert = async (version: number, md5 = row?.md5 ?? ''): Promise<void> => {
      await app.db.prepare('INSERT INTO tandem_migrations_some (version, name, md5, run_at) VALUES (?, ?, ?, ?)').run(version, row?.name ?? '', md5, row?.run_at ?? '')
    }
    const remove = async (): Promise<void> => { await app.db.prepare('DELETE FROM tandem_migrations_some WHERE version = 2').run() }
    const isMissing = async (): Promise<void> => {
      const answer = await app.inject('/ops/health/ready')
      t.equal(answer.statusCode, 503)
      t.strictSame(answer.json(), { status: 'unavailable', reason: 'migrations are missing' })
    }
    await remove()
    await isMissing()
    await insert(2, 'of another file')
    await isMissing()
    await remove()
    await insert(2)
    await insert(3)
    t.equal((await app.inject('/ops/health/ready')).statusCode, 200, 'ready as soon as nothing is missing')
  })
}

void t.test('not ready while shutting down, and the request under way is answered', async t => {
  const app = await startPlugins(t, 'sqlite', {}, { return503OnClosing: false })
  await app.register(ops)
  const entered = deferred()
  const { promise: hold, resolve: letGo } = deferred()
  app.get('/slow', async () => { entered.resolve(); await hold; return 'done' })
  let address = ''
  app.addHook('preClose', async () => {
    t.strictSame(await (await fetch(`${address}/ops/health/ready`)).json(), { status: 'unavailable', reason: 'shutting down' })
    letGo()
  })
  address = await app.listen({ port: 0, host: '127.0.0.1' })
  const slow = fetch(`${address}/slow`)
  await entered.promise
  await app.close()
  t.equal(await (await slow).text(), 'done')
})
