/** Is the process alive, and can it do its work? */
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
