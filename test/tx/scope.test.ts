/** Cases 46 to 60: each request has a scope of its own, and whatever runs in it finds its transaction. */
import { AsyncResource } from 'node:async_hooks'
import { EventEmitter, on, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { PassThrough, Readable, Transform } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import tx from '../../plugins/tx/index.ts'
import { startPlugins } from '../helper/app.ts'
import { deferred, engines } from '../helper/db.ts'
import { get, listen, nextTurn, onEngines, openSocket, post, send, type Server } from './helper.ts'

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
    app.get('/outer', { config: { tx: 'write' } }, async () => await app.db.tx(async tx => {
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
    await nextTurn()
    return await app.db.prepare('SELECT 1 AS one').get()
  })
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8')
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 13\r\ncontent-type: application/json\r\n\r\n{"a":')
  await nextTurn()
  socket.write('"bcdef"}')
  const [answer] = await once(socket, 'data') as [string]
  t.match(answer, /200 OK/)
  socket.destroy()
})

void t.test('the plugin says what it needs', async t => {
  await t.rejects(async () => { await Fastify().register(tx) }, { code: 'FST_ERR_PLUGIN_DEPENDENCY_NOT_REGISTERED' as never })
})

// --- bodies, parsers, hooks -----------------------------------------------------------------------------------------------------

/** A route that inserts and then fails: what it inserted is gone if, and only if, it ran in the request's transaction. */
function addFailingRoute ({ app, insert }: Pick<Server, 'app' | 'insert'>, path = '/'): void {
  app.post(path, async () => {
    await insert(1)
    await nextTurn()
    await insert(2)
    throw new Error('mine')
  })
}

/** Sends the request in pieces, each in a turn of its own, and reads the answer. */
async function sendInPieces (port: number, ...pieces: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  for (const piece of pieces) {
    await new Promise<void>(resolve => { socket.write(piece, () => { resolve() }) })
    await nextTurn()
  }
  const [answer] = await once(socket, 'data') as [string]
  socket.destroy()
  return answer
}

onEngines('46: the handler of a POST whose JSON comes in pieces is in the transaction of the request', async (t, server) => {
  addFailingRoute(server)
  const head = post('/', '{"a":"bcdefgh"}')
  const port = await listen(server)
  t.match(await sendInPieces(port, head.slice(0, 20), head.slice(20, -12), head.slice(-12, -5), head.slice(-5)), /^HTTP\/1.1 500/)
  t.match(await server.nextOutcome(), { outcome: 'rolledback', statements: 2 })
  t.strictSame(await server.ids(), [])
})

onEngines('47: a content-type parser that reads events, and a preParsing that transforms, keep the transaction', async (t, server) => {
  const { app, ids, nextOutcome } = server
  app.addContentTypeParser('text/lines', (_request, payload, done) => {
    let text = ''
    payload.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => { done(null, text.split('\n')) })
  })
  app.addContentTypeParser('text/awaited', async (_request: unknown, payload: Readable) => {
    let length = 0
    for await (const chunk of payload) length += (chunk as Buffer).length
    return { length }
  })
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const upper = new Transform({ transform (chunk: Buffer, _encoding, next) { next(null, chunk.toString().toUpperCase()) } })
    done(null, request.headers['content-type'] === 'application/json' ? payload : payload.pipe(upper))
  })
  addFailingRoute(server)
  const port = await listen(server)
  for (const type of ['text/lines', 'text/awaited']) {
    const request = post('/', 'a\nb\nc').replace('application/json', type)
    t.match(await sendInPieces(port, request.slice(0, -3), request.slice(-3)), /^HTTP\/1.1 500/, type)
    t.match(await nextOutcome(), { outcome: 'rolledback', statements: 2 }, type)
  }
  t.strictSame(await ids(), [])
})

onEngines('48: a hook that goes on from a foreign event leaves the handler in the transaction', async (t, server) => {
  const { app, ids, nextOutcome } = server
  const foreign = new EventEmitter()
  const waiting = deferred()
  app.addHook('preHandler', (_request, _reply, done) => {
    foreign.once('go', () => { done() })
    waiting.resolve()
  })
  addFailingRoute(server)
  const answer = send(await listen(server), '/', { method: 'POST' })
  await waiting.promise
  foreign.emit('go')
  t.equal((await answer).status, 500)
  t.match(await nextOutcome(), { outcome: 'rolledback', statements: 2 })
  t.strictSame(await ids(), [])
})

onEngines('49: on one socket a route without a transaction has none, whatever came before', async (t, { app, db, ids, insert, nextOutcome, untaken }) => {
  app.post('/with', async request => {
    await insert(Number((request.body as { id: number }).id))
    return { state: request.tx?.state }
  })
  app.post('/without', { config: { tx: false } }, async request => {
    await insert(Number((request.body as { id: number }).id))
    const seen = await db.outsideTx(ids) // both are outside, so what is inserted is seen at once
    return { tx: typeof request.tx, seen: seen.length }
  })
  const socket = connect(await listen({ app }), '127.0.0.1').setEncoding('utf8')
  for (let id = 0; id < 6; id += 2) {
    t.match(await exchange(socket, post('/with', `{"id":${id}}`)), /\{"state":"open"\}/)
    t.equal((await nextOutcome()).outcome, 'committed')
    t.match(await exchange(socket, post('/without', `{"id":${id + 1}}`)), new RegExp(`\\{"tx":"undefined","seen":${id + 2}\\}`))
    t.equal(untaken(), 0)
  }
  socket.destroy()
})

async function exchange (socket: Socket, text: string): Promise<string> {
  socket.write(text)
  const [answer] = await once(socket, 'data') as [string]
  return answer
}

onEngines('50: 100 requests at once never see each other', async (t, { app, db, ids, insert, nextOutcome }) => {
  app.post('/:id', async (request, reply) => {
    const id = Number((request.params as { id: string }).id)
    await insert(id)
    await nextTurn()
    const rows = await db.prepare('SELECT id FROM a WHERE id = ?').all(id)
    await insert(id + 1000)
    return await reply.code(id % 2 === 0 ? 200 : 400).send({ own: rows.length })
  })
  const port = await listen({ app })
  const answers = await Promise.all(Array.from({ length: 100 }, async (_, id) => await send(port, `/${id}`, { method: 'POST' })))
  t.ok(answers.every(({ status, body }, id) => status === (id % 2 === 0 ? 200 : 400) && body === '{"own":1}'))
  const outcomes = await Promise.all(answers.map(nextOutcome))
  t.equal(outcomes.filter(({ outcome, statements }) => outcome === 'committed' && statements === 3).length, 50)
  t.equal(outcomes.filter(({ outcome }) => outcome === 'rolledback').length, 50)
  const even = Array.from({ length: 50 }, (_, i) => i * 2)
  t.strictSame(await ids(), [...even, ...even.map(id => id + 1000)])
}, { env: { DB_ACQUIRE_TIMEOUT: '20s' } })

onEngines('50: pipelined requests on one socket have a transaction each', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/:id', async request => {
    const id = Number((request.params as { id: string }).id)
    await insert(id)
    await nextTurn()
    if (id === 2) throw new Error('mine')
    return { id }
  })
  const socket = openSocket(await listen({ app }), post('/1') + post('/2') + post('/3'))
  let text = ''
  for await (const chunk of socket.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    if (text.includes('{"id":3}')) break
  }
  t.match(text, /200 OK[\s\S]*\{"id":1\}[\s\S]*500 Internal[\s\S]*200 OK[\s\S]*\{"id":3\}/)
  const outcomes = [await nextOutcome(), await nextOutcome(), await nextOutcome()]
  t.strictSame(outcomes.map(({ outcome }) => outcome).sort(), ['committed', 'committed', 'rolledback'])
  t.strictSame(await ids(), [1, 3])
})

onEngines('51: app.inject() in a handler is a request of its own, with its own transaction', async (t, { app, ids, insert, nextOutcome }) => {
  app.get('/inner', async () => ({ seen: await ids() }))
  app.post('/outer', async () => {
    await insert(1)
    return { inner: (await app.inject('/inner')).json<unknown>(), own: await ids() }
  })
  t.strictSame((await app.inject({ method: 'POST', url: '/outer' })).json(), { inner: { seen: [] }, own: [1] })
  t.match(await nextOutcome(), { outcome: 'committed', route: '/inner', mode: 'read' })
  t.match(await nextOutcome(), { outcome: 'committed', route: '/outer', mode: 'write' })
})

// --- work that outlives its request ---------------------------------------------------------------------------------------------

const later: Array<[string, (fn: () => void) => void]> = [
  ['a timer', fn => { setTimeout(fn, 1) }],
  ['setImmediate', fn => { setImmediate(fn) }],
  ['a microtask', fn => { queueMicrotask(fn) }],
  ['nextTick', fn => { process.nextTick(fn) }]
]

onEngines('52: a statement in a timer that fires after the end is refused, and named', async (t, { app, ids, insert, nextOutcome }) => {
  const answered = deferred()
  const results: Array<Promise<unknown>> = []
  app.post('/', async () => {
    await insert(1)
    for (const [n, [, schedule]] of later.entries()) {
      const { promise, resolve } = deferred<unknown>()
      results.push(promise)
      void answered.promise.then(() => { schedule(() => { insert(n + 2).then(resolve, resolve) }) })
    }
    return { ok: true }
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 200)
  t.equal((await nextOutcome()).outcome, 'committed')
  answered.resolve()
  for (const [n, result] of (await Promise.all(results)).entries()) {
    t.match(result, { code: 'TDM_ERR_TX_CLOSED', message: /committed.*INSERT INTO a/s }, String(later[n]?.[0]))
  }
  t.strictSame(await ids(), [1])
})

onEngines('53: it is refused also while another transaction is open, of another request or in the same code', async (t, { app, db, ids, insert, nextOutcome }) => {
  const { promise: hold, resolve: letGo } = deferred()
  const late = [deferred<unknown>(), deferred<unknown>()]
  const open = deferred()
  app.post('/first', async () => {
    await insert(1)
    void hold.then(async () => {
      await insert(2).then(late[0]?.resolve, late[0]?.resolve)
      await db.tx(async () => await insert(3)).then(late[1]?.resolve, late[1]?.resolve)
      open.resolve()
    })
    return { ok: true }
  })
  app.post('/second', async () => {
    await insert(4)
    letGo()
    await open.promise
    return { ok: true }
  })
  await app.inject({ method: 'POST', url: '/first' })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.equal((await app.inject({ method: 'POST', url: '/second' })).statusCode, 200)
  t.match(await nextOutcome(), { outcome: 'committed', statements: 1, route: '/second' })
  t.match(await late[0]?.promise, { code: 'TDM_ERR_TX_CLOSED' })
  t.match(await late[1]?.promise, { code: 'TDM_ERR_TX_CLOSED' }, 'a transaction in the ended one is none either')
  t.strictSame(await ids(), [1, 4])
})

onEngines('54: a listener runs for the request that emits, not for the one that has registered it', async (t, { app, ids, insert, nextOutcome }) => {
  const emitter = new EventEmitter()
  const inserted: Array<Promise<unknown>> = []
  app.post('/register', async () => {
    await insert(1)
    emitter.on('insert', (id: number) => { inserted.push(insert(id)) })
    return { ok: true }
  })
  app.post('/emit', async () => {
    emitter.emit('insert', 2)
    throw new Error('mine')
  })
  await app.inject({ method: 'POST', url: '/register' })
  t.equal((await nextOutcome()).outcome, 'committed')
  await app.inject({ method: 'POST', url: '/emit' })
  t.match(await nextOutcome(), { outcome: 'rolledback', route: '/emit' })
  t.strictSame(await ids(), [1])
  emitter.emit('insert', 3)
  await inserted.at(-1)
  t.strictSame(await ids(), [1, 3], 'and on its own where there is no request')
})

onEngines('55: a generator that is read while the reply is sent is in the transaction, or is told that it has ended', async (t, { app, ids, insert, nextOutcome }) => {
  for (const stream of ['span', 'commit-first'] as const) {
    app.post(`/${stream}`, { config: { tx: { mode: 'write', stream } } }, async () => {
      await insert(stream === 'span' ? 1 : 2)
      return Readable.from(seenThroughout())
    })
  }
  async function * seenThroughout (): AsyncGenerator<string> {
    for (let i = 0; i < 3; i++) {
      yield `${(await ids()).join()};`
      await nextTurn()
    }
  }
  const port = await listen({ app })
  t.match(await send(port, '/span', { method: 'POST' }), { status: 200, body: '1;1;1;', complete: true })
  t.match(await nextOutcome(), { outcome: 'committed', statements: 4 })
  const answer = await send(port, '/commit-first', { method: 'POST' }).catch(() => undefined)
  t.not(answer?.status === 200 && answer.complete, true)
  if (answer?.complete === true) t.match(answer.body, /TDM_ERR_TX_CLOSED/)
  t.match(await nextOutcome(), { outcome: 'committed', statements: 1 })
})

onEngines('56: a callback of a foreign library is in the transaction when it is bound with AsyncResource, otherwise on its own', async (t, { app, ids, insert, nextOutcome }) => {
  const foreign = new EventEmitter()
  const waiting = [deferred(), deferred()]
  app.post('/:n', async request => {
    const n = Number((request.params as { n: string }).n)
    await insert(n)
    await new Promise<void>((resolve, reject) => {
      const callback = (): void => { insert(n + 10).then(() => { resolve() }, reject) }
      foreign.once('done', n === 0 ? AsyncResource.bind(callback) : callback)
      waiting[n]?.resolve()
    })
    throw new Error('mine')
  })
  for (const n of [0, 1]) {
    const answer = app.inject({ method: 'POST', url: `/${n}` })
    await waiting[n]?.promise
    foreign.emit('done')
    await answer
    t.match(await nextOutcome(), { outcome: 'rolledback', statements: n === 0 ? 2 : 1 })
    t.strictSame(await ids(), n === 0 ? [] : [11])
  }
}, { engines: ['postgres'] })

onEngines('56: a callback of a foreign library that is bound with AsyncResource sees what is not committed', async (t, { app, ids, insert, nextOutcome }) => {
  const foreign = new EventEmitter()
  const waiting = deferred()
  app.post('/', async () => {
    await insert(1)
    const seen = { bound: deferred<unknown[]>(), unbound: deferred<unknown[]>() }
    foreign.once('done', AsyncResource.bind(() => { ids().then(seen.bound.resolve, seen.bound.reject) }))
    foreign.once('done', () => { ids().then(seen.unbound.resolve, seen.unbound.reject) })
    waiting.resolve()
    return { bound: await seen.bound.promise, unbound: await seen.unbound.promise }
  })
  const answer = app.inject({ method: 'POST', url: '/' })
  await waiting.promise
  foreign.emit('done')
  t.strictSame((await answer).json(), { bound: [1], unbound: [] })
  t.match(await nextOutcome(), { outcome: 'committed', statements: 2 })
})

onEngines('57: outsideTx leaves the transaction of the request, and is back in it also after an error', async (t, { app, db, ids, insert, nextOutcome }) => {
  app.post('/', async () => {
    await insert(1)
    const outside = await db.outsideTx(ids)
    const error = await db.outsideTx(async () => { throw new Error('mine') }).catch((error: Error) => error.message)
    let sync: unknown
    try {
      db.outsideTx(() => { throw new Error('sync') })
    } catch (error) {
      sync = (error as Error).message
    }
    return { outside, error, sync, inside: await ids() }
  })
  t.strictSame((await app.inject({ method: 'POST', url: '/' })).json(), { outside: [], error: 'mine', sync: 'sync', inside: [1] })
  t.match(await nextOutcome(), { outcome: 'committed', statements: 2 })
})

onEngines('58: hooks that run without AsyncLocalStorage end the transaction of their own request', async (t, { app, db, ids, insert, nextOutcome }) => {
  const seen: string[] = []
  const { promise: hold, resolve: letGo } = deferred()
  const entered = { aborted: deferred(), slow: deferred(), fine: deferred() }
  app.addHook('onRequestAbort', async request => {
    seen.push(`abort ${request.url}`)
    await request.tx?.rollback()
  })
  app.addHook('onError', async request => { if (request.url === '/slow') seen.push('error /slow') })
  const handler = (name: keyof typeof entered, id: number) => async () => {
    if (db.engine === 'postgres') await insert(id) // on SQLite there is one writer, which is the last one here
    else if (name === 'fine') await insert(id)
    else await ids()
    entered[name].resolve()
    await hold
    return { ok: true }
  }
  const config = { tx: db.engine === 'postgres' ? 'write' : 'read' } as const
  app.get('/aborted', { config }, handler('aborted', 1))
  app.get('/slow', { config, handlerTimeout: 300 }, handler('slow', 2))
  app.post('/fine', handler('fine', 3))
  const port = await listen({ app })
  const fine = send(port, '/fine', { method: 'POST' })
  const slow = send(port, '/slow')
  const socket = openSocket(port, get('/aborted'))
  await Promise.all(Object.values(entered).map(async ({ promise }) => { await promise }))
  socket.destroy()
  t.equal((await slow).status, 503)
  const ended = [await nextOutcome(), await nextOutcome()]
  t.strictSame(ended.map(({ outcome, route }) => `${String(route)} ${outcome}`).sort(), ['/aborted rolledback', '/slow rolledback'])
  letGo()
  t.equal((await fine).status, 200)
  t.match(await nextOutcome(), { outcome: 'committed', route: '/fine' })
  t.strictSame(seen.sort(), ['abort /aborted', 'error /slow'])
  t.strictSame(await ids(), [3])
}, { env: { DB_POOL_MAX: '3' } })

onEngines('59: a statement that is shared is never answered from the other side of a transaction', async (t, { app, db, ids, insert, nextOutcome }) => {
  const shared = db.prepare('SELECT count(*) AS n FROM a')
  app.post('/', async () => {
    await insert(1)
    const [inside, outside, again] = await Promise.all([shared.get(), db.outsideTx(async () => await shared.get()), shared.get()])
    return { inside, outside, again }
  })
  t.strictSame((await app.inject({ method: 'POST', url: '/' })).json(), { inside: { n: 1 }, outside: { n: 0 }, again: { n: 1 } })
  t.match(await nextOutcome(), { outcome: 'committed', statements: 3 })
  t.strictSame(await ids(), [1])
})

onEngines('60: a worker that was started with the app works on its own, whoever gives it work', async (t, { app, ids, insert, nextOutcome }) => {
  const queue = new EventEmitter()
  const worked = [deferred<unknown>(), deferred<unknown>()]
  const stop = new AbortController()
  const worker = (async () => {
    for await (const [id] of on(queue, 'job', { signal: stop.signal }) as AsyncIterable<[number]>) {
      await insert(id).then(worked[id - 1]?.resolve, worked[id - 1]?.reject)
    }
  })().catch((error: Error) => error.name)
  app.post('/:id', async request => {
    await ids()
    queue.emit('job', Number((request.params as { id: string }).id))
    throw new Error('mine')
  })
  for (const id of [1, 2]) {
    t.equal((await app.inject({ method: 'POST', url: `/${id}` })).statusCode, 500)
    t.match(await nextOutcome(), { outcome: 'rolledback', statements: 1 })
    await worked[id - 1]?.promise
  }
  t.strictSame(await ids(), [1, 2])
  stop.abort()
  t.equal(await worker, 'AbortError')
})

onEngines('60: a worker that gets its work through a stream works on its own as well', async (t, { app, ids, insert, nextOutcome }) => {
  const queue = new PassThrough({ objectMode: true })
  const worked = deferred<unknown>()
  const worker = (async () => { for await (const id of queue as AsyncIterable<number>) await insert(id).then(worked.resolve, worked.reject) })()
  app.post('/', { config: { tx: 'write' } }, async () => {
    queue.write(1)
    throw new Error('mine')
  })
  await app.inject({ method: 'POST', url: '/' })
  t.equal((await nextOutcome()).outcome, 'none')
  await worked.promise
  t.strictSame(await ids(), [1])
  queue.end()
  await worker
})

onEngines('131, 12: HEAD of a GET with retry is run as often as the GET', async (t, { app, nextOutcome }) => {
  let calls = 0
  app.get('/', { config: { tx: { mode: 'write', retry: 2 } } }, async () => {
    calls++
    await app.db.prepare('SELECT count(*) AS n FROM a').get()
    throw Object.assign(new Error('conflict'), { kind: 'serialization' })
  })
  for (const method of ['GET', 'HEAD'] as const) {
    calls = 0
    t.equal((await app.inject({ method, url: '/' })).statusCode, 500)
    t.equal(calls, 3, method)
    t.match(await nextOutcome(), { outcome: 'rolledback', retries: 2 })
  }
})
