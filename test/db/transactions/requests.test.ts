/**
 * Those of the cases 61 to 177 that show in requests: commit() and rollback() by hand, callbacks around the reply, retries of handlers, reads by method, shutdown,
 * routes that are not the plugin's, HTTP/2, and many clients that leave.
 */
import { once } from 'node:events'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import config from '../../../plugins/config/index.ts'
import db from '../../../plugins/db/index.ts'
import tx from '../../../plugins/tx/index.ts'
import { databaseError } from '../../../plugins/errors.ts'
import { deferred, engines, freshUrl, openUrl } from '../../helper/db.ts'
import { begin, listen, onEngines, openSocket, post, readToEnd, send } from '../../tx/helper.ts'
import { admin, ids as idsOf, kill, pidOf, table, turns } from './common.ts'

const conflict = (): Error => databaseError('serialization', 'SELECT 1')

// --- by hand ------------------------------------------------------------------------------------------------------------------

onEngines('71: COMMIT twice, and ROLLBACK after COMMIT, change nothing', async (t, { app, insert, ids, nextOutcome }) => {
  app.post('/', async request => {
    await insert(1)
    await request.tx?.commit()
    await request.tx?.commit()
    await request.tx?.rollback().catch(() => {})
    await t.rejects(insert(2), { code: 'TDM_ERR_TX_CLOSED' })
    return { state: request.tx?.state }
  })
  t.strictSame((await app.inject({ method: 'POST', url: '/' })).json(), { state: 'committed' })
  t.match(await nextOutcome(), { outcome: 'committed', statements: 1 })
  t.strictSame(await ids(), [1])
})

onEngines('71: ROLLBACK twice is one; COMMIT after it is an error', async (t, { app, insert, ids, nextOutcome }) => {
  let commit: Promise<unknown> | undefined
  app.post('/', async request => {
    await insert(1)
    await request.tx?.rollback()
    await request.tx?.rollback()
    t.equal(request.tx?.state, 'rolledback')
    commit = request.tx?.commit().then(() => 'resolved', (error: { code: string }) => error.code)
    await commit
    return {}
  })
  await app.inject({ method: 'POST', url: '/' })
  t.equal(await commit, 'TDM_ERR_TX_CLOSED')
  t.match(await nextOutcome(), { outcome: 'rolledback' })
  t.strictSame(await ids(), [])
})

// --- callbacks ------------------------------------------------------------------------------------------------------------------

onEngines('100: a callback that fails after COMMIT changes nothing of the answer', async (t, { app, insert, ids, nextOutcome, log }) => {
  app.post('/', async request => {
    await insert(1)
    request.tx?.afterCommit(() => { throw new Error('the mail server is away') })
    request.tx?.afterResponse(() => { throw new Error('the statistics are away') })
    return { done: true }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 200)
  t.match(await nextOutcome(), { outcome: 'committed' })
  t.strictSame(await ids(), [1])
  await turns(1)
  t.match(log.filter(line => line.level === 50).map(line => (line.err as { message: string }).message), ['the mail server is away', 'the statistics are away'])
})

onEngines('108: the reply waits for afterCommit, and not for afterResponse', async (t, { app, insert, nextOutcome }) => {
  const first = { begun: deferred(), hold: deferred() }
  const second = { begun: deferred(), hold: deferred(), done: deferred() }
  app.post('/', async request => {
    request.tx?.afterCommit(async () => { first.begun.resolve(); await first.hold.promise })
    request.tx?.afterResponse(async () => { second.begun.resolve(); await second.hold.promise; second.done.resolve() })
    await insert(1)
    return { done: true }
  })
  const port = await listen({ app })
  let isAnswered = false
  const answer = send(port, '/', { method: 'POST' }).then(answer => { isAnswered = true; return answer })
  await first.begun.promise
  await turns(20)
  t.equal(isAnswered, false)
  first.hold.resolve()
  t.match(await answer, { status: 200, complete: true })
  await second.begun.promise
  second.hold.resolve()
  await second.done.promise
  t.match(await nextOutcome(), { outcome: 'committed' })
})

onEngines('108: both run also if the client leaves after COMMIT', async (t, { app, insert, ids, nextOutcome }) => {
  const seen: string[] = []
  const left = deferred()
  const committed = deferred()
  const after = deferred()
  app.post('/', async (request, reply) => {
    reply.raw.once('close', left.resolve)
    request.tx?.afterCommit(async () => { committed.resolve(); await left.promise; seen.push('afterCommit') })
    request.tx?.afterResponse(() => { seen.push('afterResponse'); after.resolve() })
    await insert(1)
    return { done: true }
  })
  const socket = openSocket(await listen({ app }), post('/'))
  await committed.promise
  socket.destroy()
  t.match(await nextOutcome(), { outcome: 'committed' })
  await turns(20)
  t.strictSame(seen, ['afterCommit', 'afterResponse'])
  t.strictSame(await ids(), [1])
})

onEngines('112: callNotFound and hijack: afterCommit runs only after a COMMIT', async (t, { app, insert, ids, nextOutcome }) => {
  const seen: string[] = []
  app.post('/not-found', async (request, reply) => {
    request.tx?.afterCommit(() => { seen.push('not found') })
    await insert(1)
    reply.callNotFound()
    return await reply
  })
  app.post<{ Querystring: { commits?: string } }>('/hijack', async (request, reply) => {
    request.tx?.afterCommit(() => { seen.push('hijacked') })
    await insert(2)
    if (request.query.commits === 'yes') await request.tx?.commit()
    reply.hijack()
    reply.raw.end('raw')
  })
  const port = await listen({ app })
  t.equal((await send(port, '/not-found', { method: 'POST' })).status, 404)
  t.match(await nextOutcome(), { outcome: 'rolledback' })
  t.equal((await send(port, '/hijack', { method: 'POST' })).body, 'raw')
  t.match(await nextOutcome(), { outcome: 'rolledback' })
  t.strictSame(seen, [])
  t.equal((await send(port, '/hijack?commits=yes', { method: 'POST' })).body, 'raw')
  t.match(await nextOutcome(), { outcome: 'committed' })
  t.strictSame(seen, ['hijacked'])
  t.strictSame(await ids(), [2])
})

// --- errors -----------------------------------------------------------------------------------------------------------------------

onEngines('115: the connection of a request is lost while its handler waits: 5xx, and nothing is there', async (t, { app, db, url, insert, ids, nextOutcome }) => {
  const client = await admin(t, url)
  app.post('/', async () => {
    await insert(1)
    await kill(client, await pidOf(db))
    await turns(3)
    return { done: true }
  })
  t.match(await app.inject({ method: 'POST', url: '/' }), { statusCode: 503 })
  t.match(await nextOutcome(), { outcome: 'rolledback' })
  t.strictSame(await ids(), [])
}, { engines: ['postgres'] })

onEngines('127: a handler throws what is no Error: 500, rolled back', async (t, { app, insert, ids, nextOutcome }) => {
  const thrown: unknown[] = [undefined, null, 'a text', 7]
  app.post<{ Params: { n: string } }>('/:n', async request => {
    await insert(1)
    throw thrown[Number(request.params.n)] // eslint-disable-line no-throw-literal
  })
  for (const n of thrown.keys()) {
    t.equal((await app.inject({ method: 'POST', url: `/${n}` })).statusCode, 500)
    t.match(await nextOutcome(), { outcome: 'rolledback' }, String(thrown[n]))
  }
  t.strictSame(await ids(), [])
})

// --- retry ------------------------------------------------------------------------------------------------------------------------

onEngines('105, 137, 139: a handler is run again: nothing of the reply of the first attempt is left', async (t, { app, insert, ids, nextOutcome }) => {
  const seen: string[] = []
  app.post('/', { config: { tx: { retry: 2 } } }, async (request, reply) => {
    const attempt = request.tx?.attempt ?? 0
    request.tx?.afterCommit(() => { seen.push(`commit ${attempt}`) })
    request.tx?.afterRollback(() => { seen.push(`rollback ${attempt}`) })
    request.tx?.afterResponse(() => { seen.push(`response ${attempt}`) })
    await insert(attempt)
    if (attempt === 1) {
      void reply.code(402).header('x-first', 'yes').header('set-cookie', 'a=1')
      throw conflict()
    }
    return { attempt }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.strictSame([answer.statusCode, answer.json<unknown>(), answer.headers['x-first'], answer.headers['set-cookie']], [200, { attempt: 2 }, undefined, undefined])
  t.match(await nextOutcome(), { outcome: 'committed', retries: 1, statements: 2 })
  await turns(1)
  t.strictSame(seen, ['rollback 1', 'commit 2', 'response 2'])
  t.strictSame(await ids(), [2])
})

onEngines('136, 137: attempts are used up: the last failure is the answer', async (t, { app, insert, ids, nextOutcome }) => {
  let attempts = 0
  app.setErrorHandler((error: Error & { attempts?: number, statusCode?: number }, _request, reply) => {
    attempts = error.attempts ?? 0
    void reply.code(error.statusCode ?? 500).send({})
  })
  let calls = 0
  app.post('/', { config: { tx: { retry: 2 } } }, async () => { await insert(++calls); throw conflict() })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 503)
  t.strictSame([calls, attempts], [3, 3])
  t.match(await nextOutcome(), { outcome: 'rolledback', retries: 2 })
  t.strictSame(await ids(), [])
})

onEngines('137: a handler that has written to the socket itself is not run again', async (t, { app, insert, nextOutcome, ids }) => {
  let calls = 0
  app.post('/', { config: { tx: { retry: 2 } } }, async (_request, reply) => {
    await insert(++calls)
    reply.hijack()
    reply.raw.writeHead(200)
    reply.raw.write('first bytes')
    reply.raw.end()
    throw conflict()
  })
  t.equal((await send(await listen({ app }), '/', { method: 'POST' })).body, 'first bytes')
  t.match(await nextOutcome(), { outcome: 'rolledback' })
  t.equal(calls, 1)
  t.strictSame(await ids(), [])
})

onEngines('137: the conflict that COMMIT raises is worth another attempt of the handler', async (t, { app, db, nextOutcome, url }) => {
  const other = await openUrl(t, url)
  let calls = 0
  app.post('/', { config: { tx: { retry: 2, isolation: 'serializable' } } }, async () => {
    const count = Number((await db.prepare('SELECT count(*) AS n FROM a').get())?.n)
    if (++calls === 1) {
      await other.tx(async tx => {
        await tx.prepare('SELECT count(*) AS n FROM p').get()
        await tx.prepare('INSERT INTO a (id) VALUES (100)').run()
      }, { isolation: 'serializable' })
    }
    await db.prepare('INSERT INTO p (id) VALUES (?)').run(count)
    return { count }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.strictSame([answer.statusCode, answer.json<unknown>(), calls], [200, { count: 1 }, 2])
  await nextOutcome()
  t.match(await nextOutcome(), { outcome: 'committed', retries: 1 })
}, { engines: ['postgres'] })

// --- reads ------------------------------------------------------------------------------------------------------------------------

onEngines('146, 147: methods that are safe do not write, unless the route says so', async (t, { app, insert, ids, nextOutcome }) => {
  if (!app.supportedMethods.includes('QUERY')) app.addHttpMethod('QUERY', { hasBody: true })
  for (const method of ['GET', 'OPTIONS', 'QUERY']) {
    app.route({ method, url: '/', handler: async () => await insert(1) })
  }
  app.head('/head', async () => { await insert(1) })
  app.get('/writes', { config: { tx: 'write' } }, async () => await insert(2))
  app.post('/reads', { config: { tx: 'read' } }, async () => await insert(3))
  for (const [method, url] of [['GET', '/'], ['OPTIONS', '/'], ['QUERY', '/'], ['HEAD', '/'], ['HEAD', '/head'], ['POST', '/reads']] as const) {
    const answer = await app.inject({ method: method as 'GET', url, ...(method === 'QUERY' && { payload: {} }) })
    t.equal(answer.statusCode, 500, `${method} ${url}`)
    if (method !== 'HEAD') t.match(answer.json(), { code: 'TDM_ERR_DB_READONLY' })
    t.match(await nextOutcome(), { outcome: 'rolledback', mode: 'read', method })
  }
  t.equal((await app.inject('/writes')).statusCode, 200)
  t.match(await nextOutcome(), { outcome: 'committed', mode: 'write' })
  t.strictSame(await ids(), [2])
})

onEngines('148: two GETs that are under way and a POST do not wait for each other', async (t, { app, insert, ids, nextOutcome }) => {
  const entered = [deferred(), deferred()]
  const { promise: hold, resolve: letGo } = deferred()
  app.get<{ Params: { n: string } }>('/:n', async request => {
    const before = await ids()
    entered[Number(request.params.n)]?.resolve()
    await hold
    return { before }
  })
  app.post('/', async () => await insert(1))
  const gets = [0, 1].map(async n => await app.inject(`/${n}`))
  await Promise.all(entered.map(async ({ promise }) => { await promise }))
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 200, 'while both are open')
  t.match(await nextOutcome(), { outcome: 'committed', method: 'POST' })
  letGo()
  for (const get of gets) t.equal((await get).statusCode, 200)
  for (const _ of gets) t.match(await nextOutcome(), { method: 'GET' })
}, { env: { SQLITE_READERS: '2', DB_POOL_MAX: '3' } })

onEngines('160: a handler that holds the writer while it waits for something else: the deadline lets the next one in', async (t, { app, insert, ids, nextOutcome }) => {
  const entered = deferred()
  const { promise: hold, resolve: letGo } = deferred()
  app.post('/slow', { config: { tx: { timeout: 200 } } }, async () => {
    await insert(1)
    entered.resolve()
    await hold
    return {}
  })
  app.post('/', async () => await insert(2))
  const slow = app.inject({ method: 'POST', url: '/slow' })
  await entered.promise
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 200, 'while the first is still waiting')
  letGo()
  t.equal((await slow).statusCode, 503)
  const outcomes = [await nextOutcome(), await nextOutcome()].map(({ route, outcome }) => `${String(route)} ${outcome}`)
  t.strictSame(outcomes.sort(), ['/ committed', '/slow rolledback'])
  t.strictSame(await ids(), [2])
}, { env: { DB_POOL_MAX: '1' }, engines: ['sqlite'] })

// --- shutdown ---------------------------------------------------------------------------------------------------------------------

for (const engine of engines) {
  for (const way of ['socket', 'inject'] as const) {
    void t.test(`${engine}: ${way === 'socket' ? 170 : 171}: closing the app lets a request by ${way} that is under way finish, COMMIT included`, async t => {
      const url = await freshUrl(t, engine)
      const app = Fastify()
      t.teardown(async () => { await app.close() })
      await app.register(config, { env: { DATABASE_URL: url } })
      await app.register(db)
      await app.register(tx)
      await app.db.exec(table)
      const entered = deferred()
      const { promise: hold, resolve: letGo } = deferred()
      app.post('/', async () => {
        await app.db.prepare('INSERT INTO a (id) VALUES (1)').run()
        entered.resolve()
        await hold
        await app.db.prepare('INSERT INTO a (id) VALUES (2)').run()
        return { done: true }
      })
      const answer = way === 'inject'
        ? app.inject({ method: 'POST', url: '/' }).then(({ statusCode }) => statusCode)
        : listen({ app }).then(async port => await send(port, '/', { method: 'POST' })).then(({ status }) => status)
      await entered.promise
      const closed = app.close()
      await turns(5)
      letGo()
      t.equal(await answer, 200)
      await closed
      t.strictSame(await idsOf(await openUrl(t, url)), [1, 2])
    })
  }
}

// --- routes -----------------------------------------------------------------------------------------------------------------------

void t.test('174: routes that are older than the plugin are named when the app gets ready', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: await freshUrl(t, 'sqlite') } })
  await app.register(db)
  app.post('/too-early', async () => ({}))
  const error = await app.register(tx).then(() => {
    app.post('/in-time', async () => ({}))
    return app.ready()
  }).then(() => undefined, (error: Error) => error)
  t.match(error, { code: 'TDM_ERR_TX_ROUTES', message: /\/too-early/ })
  t.notMatch(error?.message, /in-time/)
})

onEngines('175: a route of events has no transaction of its own, holds no connection, and may have explicit ones', async (t, { app, db, insert, ids, nextOutcome, untaken }) => {
  const { promise: hold, resolve: letGo } = deferred()
  app.get('/events', { config: { tx: false } }, async (request, reply) => {
    t.equal(request.tx, undefined)
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    await db.tx(async () => { await insert(1) })
    reply.raw.write('data: first\n\n')
    await hold
    await t.rejects(db.tx(async () => { await insert(2); throw new Error('mine') }), { message: 'mine' })
    await insert(3)
    reply.raw.end('data: last\n\n')
  })
  const response = await begin(await listen({ app }), '/events')
  await once(response, 'readable')
  t.match(await nextOutcome(), { outcome: 'committed', route: undefined })
  await db.tx(async () => { await insert(4) }) // with one connection, it would wait for ever if the route held it
  t.match(await nextOutcome(), { outcome: 'committed' })
  letGo()
  t.match(await readToEnd(response), { complete: true })
  t.match(await nextOutcome(), { outcome: 'rolledback' })
  t.equal(untaken(), 0, 'the request itself has none')
  t.strictSame(await ids(), [1, 3, 4])
})

for (const engine of engines) {
  void t.test(`${engine}: 176: over HTTP/2 a stream that is closed ends its transaction, and no other one of its session`, { timeout: 30_000 }, async t => {
    const url = await freshUrl(t, engine)
    const app = Fastify({ http2: true, http2SessionTimeout: 500 })
    t.teardown(async () => { await app.close() })
    await app.register(config, { env: { DATABASE_URL: url, DB_POOL_MAX: '4' } })
    await app.register(db)
    await app.register(tx)
    await app.db.exec(table)
    const entered = deferred()
    const outcome = deferred<unknown>()
    const signals: Array<AbortSignal | undefined> = []
    app.post<{ Params: { id: string } }>('/wait/:id', async (request, reply) => {
      const closed = once(reply.raw, 'close')
      signals.push(request.tx?.signal)
      await app.db.prepare('INSERT INTO a (id) VALUES (?)').run(Number(request.params.id))
      entered.resolve()
      await closed
      await app.db.prepare('INSERT INTO a (id) VALUES (99)').run().then(outcome.resolve, outcome.resolve)
      return {}
    })
    app.post<{ Params: { id: string } }>('/:id', async request => await app.db.prepare('INSERT INTO a (id) VALUES (?)').run(Number(request.params.id)))
    const session = connectHttp2(await app.listen({ port: 0, host: '127.0.0.1' }))
    t.teardown(() => { session.destroy() })
    const cancelled = session.request({ ':method': 'POST', ':path': '/wait/1' })
    cancelled.on('error', () => {})
    cancelled.end()
    await entered.promise
    cancelled.close(constants.NGHTTP2_CANCEL)
    t.match(await outcome.promise, { code: /^TDM_ERR_(?:DB_ABORTED|TX_CLOSED|TX_DOOMED)$/ })
    t.equal(signals[0]?.aborted, true)
    const other = session.request({ ':method': 'POST', ':path': '/2' })
    other.end()
    const [headers] = await once(other, 'response') as [Record<string, unknown>]
    t.equal(headers[':status'], 200)
    other.resume()
    t.strictSame(await idsOf(app.db), [2])
    session.close()
  })
}

onEngines('177: a thousand clients that leave: all connections are free, and no listener is left', async (t, { app, insert, ids, nextOutcome }) => {
  const warnings: string[] = []
  const onWarning = (warning: Error): void => { warnings.push(`${warning.name}: ${warning.message}`) }
  process.on('warning', onWarning)
  t.teardown(() => { process.off('warning', onWarning) })
  let id = 0
  let enter = (): void => {}
  app.post('/', async request => {
    const { signal } = request.tx ?? {}
    const inserted = insert(++id).catch(() => {})
    enter()
    await inserted
    if (signal?.aborted === false) await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }) })
    await insert(++id).catch(() => {})
    return {}
  })
  const port = await listen({ app })
  for (let batch = 0; batch < 20; batch++) {
    const entered = deferred()
    let count = 0
    enter = () => { if (++count === 50) entered.resolve() }
    const sockets = Array.from({ length: 50 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    for (const socket of sockets) socket.write(post('/'))
    await entered.promise
    for (const socket of sockets) socket.destroy()
    for (const _ of sockets) t.match(await nextOutcome(), { outcome: /^(?:rolledback|none)$/ })
  }
  await turns(2)
  t.strictSame(warnings, [])
  t.strictSame(await ids(), [])
})

onEngines('137: a handler that has called reply.send() is not run again', async (t, { app, insert, nextOutcome, ids }) => {
  const { random } = Math
  Math.random = () => 0 // no pause before another attempt
  t.teardown(() => { Math.random = random })
  let calls = 0
  app.post('/', { config: { tx: { retry: 2 } } }, async (_request, reply) => {
    await insert(++calls)
    void reply.send({ sent: true })
    throw conflict()
  })
  const answer = await send(await listen({ app }), '/', { method: 'POST' })
  await turns(20)
  t.equal(calls, 1)
  t.match(await nextOutcome(), { outcome: answer.status === 200 ? 'committed' : 'rolledback' })
  t.strictSame(await ids(), answer.status === 200 ? [1] : [])
})
