/** Each request has a scope of its own. */
import { connect } from 'node:net'
import { once } from 'node:events'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import tx from '../../plugins/tx/index.ts'
import { startPlugins } from '../helper/app.ts'
import { deferred, engines } from '../helper/db.ts'

async function start (t: Test, engine: 'sqlite' | 'postgres'): Promise<FastifyInstance> {
  const app = await startPlugins(t, engine)
  await app.register(tx)
  return app
}

for (const engine of engines) {
  void t.test(`${engine}: a request made inside of a transaction is not in it`, async t => {
    const app = await start(t, engine)
    await app.db.exec('CREATE TABLE a (id BIGINT)')
    app.get('/count', async () => await app.db.prepare('SELECT count(*) AS n FROM a').get())
    app.get('/outer', async () => await app.db.tx(async tx => {
      await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
      const inner = await app.inject('/count')
      return { inner: inner.json<unknown>(), outer: await tx.prepare('SELECT count(*) AS n FROM a').get() }
    }))
    t.strictSame((await app.inject('/outer')).json(), { inner: { n: 0 }, outer: { n: 1 } })
  })

  void t.test(`${engine}: when the client leaves, the statements of its request are given up and its transaction is rolled back`, async t => {
    const app = await start(t, engine)
    await app.db.exec('CREATE TABLE a (id BIGINT)')
    const entered = deferred()
    const outcome = deferred<unknown>()
    app.post('/', async () => {
      await app.db.tx(async tx => {
        await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
        entered.resolve()
        await new Promise(() => {})
      }).then(outcome.resolve, outcome.resolve)
    })
    const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
    const socket = connect(Number(port), '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}')
    await entered.promise
    socket.destroy()
    t.match(await outcome.promise, { code: 'TDM_ERR_DB_ABORTED', cause: { message: /client closed the connection/ } })
    t.strictSame(await app.db.prepare('SELECT count(*) AS n FROM a').get(), { n: 0 })
  })
}

void t.test('on one keep-alive socket nothing of a request is left for the next', async t => {
  const app = await start(t, 'sqlite')
  app.get('/', async () => await app.db.prepare('SELECT 1 AS one').get())
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8')
  for (let i = 0; i < 20; i++) {
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    const [answer] = await once(socket, 'data') as [string]
    t.match(answer, /200 OK[\s\S]*\{"one":1\}/)
  }
  socket.destroy()
})

void t.test('a body in several chunks keeps the scope', async t => {
  const app = await start(t, 'sqlite')
  app.post('/', async () => {
    await new Promise(resolve => { setImmediate(resolve) })
    return await app.db.prepare('SELECT 1 AS one').get()
  })
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8')
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 13\r\ncontent-type: application/json\r\n\r\n{"a":')
  await new Promise(resolve => { setImmediate(resolve) })
  socket.write('"bcdef"}')
  const [answer] = await once(socket, 'data') as [string]
  t.match(answer, /200 OK/)
  socket.destroy()
})

void t.test('the plugin says what it needs', async t => {
  await t.rejects(async () => { await Fastify().register(tx) }, { code: 'FST_ERR_PLUGIN_DEPENDENCY_NOT_REGISTERED' as never })
})
