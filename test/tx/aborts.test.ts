/** Cases 24 to 31 and 45: clients that leave, time-outs, and requests that never reach their handler. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import type { RouteOptions } from 'fastify'
import { currentScope } from '../../plugins/db/scope.ts'
import { deferred } from '../helper/db.ts'
import { get, holdCommits, listen, nextTurn, onEngines, openClient, openSocket, post, send, until } from './helper.ts'

onEngines('24: a handler that is too slow is answered with 503, and what it does afterwards is refused', async (t, { app, ids, insert, nextOutcome }) => {
  const { promise: hold, resolve: letGo } = deferred()
  const late = deferred<unknown>()
  app.post('/', { handlerTimeout: 100 }, async () => {
    await insert(1)
    await hold
    await insert(2).then(late.resolve, late.resolve)
    return { ok: true }
  })
  t.match(await send(await listen({ app }), '/', { method: 'POST' }), { status: 503, body: /FST_ERR_HANDLER_TIMEOUT/, complete: true })
  t.match(await nextOutcome(), { outcome: 'rolledback', statements: 1 })
  letGo()
  t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED', message: /rolled back.*INSERT INTO a/s })
  t.strictSame(await ids(), [])
})

onEngines('24: the time-out of the transaction itself answers too, and frees the connection', async (t, { app, ids, insert, nextOutcome }) => {
  const { promise: hold, resolve: letGo } = deferred()
  const late = deferred<unknown>()
  app.post('/', { config: { tx: { mode: 'write', timeout: 100 } } }, async () => {
    await insert(1)
    await hold
    await insert(2).then(late.resolve, late.resolve)
    return { ok: true }
  })
  const port = await listen({ app })
  const answer = send(port, '/', { method: 'POST' })
  t.match(await nextOutcome(), { outcome: 'rolledback', statements: 1 })
  await insert(3)
  letGo()
  t.match(await late.promise, { code: /^TDM_ERR_(?:TX_CLOSED|TX_DOOMED|DB_TIMEOUT)$/ })
  t.match(await answer, { status: 503, complete: true }, 'and a handler that did not notice is no 200')
  t.strictSame(await ids(), [3])
})

onEngines('24: what follows the time-out of a transaction runs in the context of its own request', async (t, { app, insert, nextOutcome }) => {
  const context = new AsyncLocalStorage<number>()
  const seen = deferred<unknown>()
  const { promise: hold, resolve: letGo } = deferred()
  app.post<{ Params: { id: string } }>('/:id', { config: { tx: { mode: 'write', timeout: 150 } } }, async ({ params, tx }) => await context.run(Number(params.id), async () => {
    tx?.afterRollback(() => { seen.resolve([context.getStore(), currentScope().request === undefined]) })
    await insert(Number(params.id))
    if (params.id === '2') await hold
    return { ok: true }
  }))
  const port = await listen({ app })
  t.match(await send(port, '/1', { method: 'POST' }), { status: 200 }) // whose time would come first
  t.equal((await nextOutcome()).outcome, 'committed')
  const answer = send(port, '/2', { method: 'POST' })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await seen.promise, [2, false])
  letGo()
  t.match(await answer, { status: 503 })
})

onEngines('24: what follows a transaction that was ended for somebody else runs in the context of its own request', async (t, { app, insert, nextOutcome }) => {
  const context = new AsyncLocalStorage<string>()
  const seen = deferred<unknown>()
  const isOpen = deferred()
  const { promise: hold, resolve: letGo } = deferred()
  app.post<{ Params: { name: string } }>('/:name', { config: { tx: 'write' } }, async ({ params: { name }, tx }) => await context.run(name, async () => {
    await insert(name.length)
    if (name === 'quick') return { ok: true }
    tx?.afterRollback(() => { seen.resolve(context.getStore()) })
    isOpen.resolve()
    await hold
    return { ok: true }
  }))
  const port = await listen({ app })
  const answer = send(port, '/idle', { method: 'POST' })
  await isOpen.promise
  t.match(await send(port, '/quick', { method: 'POST' }), { status: 200 })
  t.equal(await seen.promise, 'idle')
  t.strictSame([(await nextOutcome()).outcome, (await nextOutcome()).outcome].toSorted(), ['committed', 'rolledback'])
  letGo()
  t.match(await answer, { status: 503 })
}, { engines: ['sqlite'], env: { DB_TX_IDLE_TIMEOUT: '200ms' } }) // which has one place for who writes

onEngines('24: request.tx.commit() after the time-out of the transaction says that nothing was committed', async (t, { app, ids, insert, nextOutcome }) => {
  const result = deferred<unknown>()
  app.post('/', { config: { tx: { mode: 'write', timeout: 100 } } }, async (request, reply) => {
    await insert(1)
    while (request.tx?.state !== 'rolledback') await nextTurn()
    await request.tx.commit().then(result.resolve, result.resolve)
    return await reply.code(500).send()
  })
  t.match(await send(await listen({ app }), '/', { method: 'POST' }), { status: 500 })
  t.match(await result.promise, { code: /^TDM_ERR_/ })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('25: a time-out while COMMIT is under way changes nothing: one COMMIT, one outcome, one answer', async (t, server) => {
  const { app, ids, insert, nextOutcome } = server
  const commits = await holdCommits(t, server)
  const timedOut = deferred()
  app.addHook('onError', async () => { timedOut.resolve() })
  app.post('/', { handlerTimeout: 500 }, async () => {
    await insert(1)
    return { ok: true }
  })
  const answer = send(await listen({ app }), '/', { method: 'POST' })
  await commits.inFlight()
  await timedOut.promise
  await commits.letGo()
  t.match(await answer, { status: 200, body: '{"ok":true}', complete: true }, 'what was committed is what is told')
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame(await ids(), [1])
}, { engines: ['postgres'] })

onEngines('25: a time-out while work after COMMIT is under way changes nothing', async (t, { app, ids, insert, nextOutcome }) => {
  const { promise: hold, resolve: letGo } = deferred()
  app.addHook('onError', async () => { letGo() })
  app.post('/', { handlerTimeout: 500 }, async request => {
    await insert(1)
    request.tx?.afterCommit(async () => { await hold })
    return { ok: true }
  })
  t.match(await send(await listen({ app }), '/', { method: 'POST' }), { status: 200, body: '{"ok":true}', complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame(await ids(), [1])
})

onEngines('26: a connection that times out rolls back, though onResponse never runs', async (t, { app, ids, insert, nextOutcome }) => {
  let responses = 0
  const closed = deferred()
  app.addHook('onResponse', async () => { responses++ })
  app.post('/', async (_request, reply) => {
    await insert(1)
    if (!reply.raw.closed) await once(reply.raw, 'close')
    closed.resolve()
    return { ok: true }
  })
  const socket = openSocket(await listen({ app }), post('/'))
  await once(socket, 'close')
  t.match(await nextOutcome(), { outcome: 'rolledback', statements: 1 })
  await closed.promise
  t.strictSame(await ids(), [])
  t.equal(responses, 0)
}, { server: { connectionTimeout: 150 } })

for (const [number, what, request] of [[27, 'GET', get('/')], [28, 'POST whose body was read', post('/')]] as const) {
  onEngines(`${number}: a client that leaves in the middle of a ${what} rolls it back`, async (t, { app, ids, insert, nextOutcome }) => {
    const entered = deferred()
    const left = deferred<boolean>()
    const late = deferred<unknown>()
    app.route({
      method: ['GET', 'POST'],
      url: '/',
      config: { tx: 'write' },
      handler: async ({ tx }) => {
        await insert(1)
        if (tx === undefined) throw new Error('there is no transaction')
        const aborted = once(tx.signal, 'abort')
        entered.resolve()
        await aborted
        left.resolve(tx.signal.aborted)
        await insert(2).then(late.resolve, late.resolve)
        return { ok: true }
      }
    } satisfies RouteOptions)
    const socket = openSocket(await listen({ app }), request)
    await entered.promise
    socket.destroy()
    t.equal(await left.promise, true)
    t.match(await nextOutcome(), { outcome: 'rolledback' })
    t.match(await late.promise, { code: /^TDM_ERR_(?:TX_CLOSED|TX_DOOMED|DB_ABORTED)$/ })
    t.strictSame(await ids(), [])
  })

  onEngines(`${number}: a handler that does not notice that the client of a ${what} left is rolled back as well`, async (t, { app, ids, insert, nextOutcome }) => {
    const entered = deferred()
    app.route({
      method: ['GET', 'POST'],
      url: '/',
      config: { tx: 'write' },
      handler: async (_request, reply) => {
        await insert(1)
        const closed = once(reply.raw, 'close')
        entered.resolve()
        await closed
        return { ok: true }
      }
    })
    const socket = openSocket(await listen({ app }), request)
    await entered.promise
    socket.destroy()
    t.equal((await nextOutcome()).outcome, 'rolledback')
    t.strictSame(await ids(), [])
  })

  onEngines(`${number}: with onAbort: 'commit' a ${what} goes on to its end without its client`, async (t, { app, ids, insert, nextOutcome }) => {
    const entered = deferred()
    app.route({
      method: ['GET', 'POST'],
      url: '/',
      config: { tx: { mode: 'write', onAbort: 'commit' } },
      handler: async (_request, reply) => {
        await insert(1)
        const closed = once(reply.raw, 'close')
        entered.resolve()
        await closed
        await insert(2)
        return { ok: true }
      }
    })
    const socket = openSocket(await listen({ app }), request)
    await entered.promise
    socket.destroy()
    t.match(await nextOutcome(), { outcome: 'committed', statements: 2 })
    t.strictSame(await ids(), [1, 2])
  })
}

for (const [onAbort, outcome, rows] of [['commit', 'committed', [1]], ['rollback', 'none', []]] as const) {
  onEngines(`27: with onAbort: '${onAbort}' a first statement after the client left is ${onAbort === 'commit' ? 'committed' : 'refused'}`, async (t, { app, ids, insert, nextOutcome }) => {
    const entered = deferred()
    const result = deferred<unknown>()
    app.post('/', { config: { tx: { mode: 'write', onAbort } } }, async (_request, reply) => {
      const closed = once(reply.raw, 'close')
      entered.resolve()
      await closed
      await nextTurn()
      await insert(1).then(result.resolve, error => { result.resolve(error); throw error })
      return { ok: true }
    })
    const socket = openSocket(await listen({ app }), post('/'))
    await entered.promise
    socket.destroy()
    t.match(await result.promise, onAbort === 'commit' ? { changes: 1 } : { code: /^TDM_ERR_(?:DB_ABORTED|TX_CLOSED)$/ })
    t.equal((await nextOutcome()).outcome, outcome)
    t.strictSame(await ids(), rows)
  })
}

onEngines('27: with onAbort: \'commit\' a handler that fails is rolled back nevertheless', async (t, { app, ids, insert, nextOutcome }) => {
  const entered = deferred()
  app.post('/', { config: { tx: { mode: 'write', onAbort: 'commit' } } }, async (_request, reply) => {
    await insert(1)
    const closed = once(reply.raw, 'close')
    entered.resolve()
    await closed
    throw new Error('mine')
  })
  const socket = openSocket(await listen({ app }), post('/'))
  await entered.promise
  socket.destroy()
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('29: a client that leaves while COMMIT is under way does not change what it does', async (t, server) => {
  const { app, ids, insert, nextOutcome } = server
  const commits = await holdCommits(t, server)
  const left = deferred()
  app.post('/', async (_request, reply) => {
    reply.raw.once('close', () => { left.resolve() })
    await insert(1)
    return { ok: true }
  })
  const socket = openSocket(await listen({ app }), post('/'))
  await commits.inFlight()
  socket.destroy()
  await left.promise
  await commits.letGo()
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame(await ids(), [1])
}, { engines: ['postgres'] })

onEngines('29: a client that leaves while work after COMMIT is under way does not change what was done', async (t, { app, ids, insert, nextOutcome }) => {
  const entered = deferred()
  const left = deferred()
  const seen: string[] = []
  app.post('/', async (request, reply) => {
    reply.raw.once('close', () => { left.resolve() })
    await insert(1)
    request.tx?.afterRollback(() => { seen.push('rollback') })
    request.tx?.afterCommit(async () => {
      entered.resolve()
      await left.promise
      seen.push('commit')
    })
    return { ok: true }
  })
  const socket = openSocket(await listen({ app }), post('/'))
  await entered.promise
  socket.destroy()
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame(await ids(), [1])
  await nextTurn()
  t.strictSame(seen, ['commit'])
})

onEngines('30: a handler that never replies is rolled back when its client leaves', async (t, { app, ids, insert, nextOutcome }) => {
  const entered = deferred()
  app.post('/', async () => {
    await insert(1)
    entered.resolve()
    await new Promise(() => {})
  })
  const socket = openSocket(await listen({ app }), post('/'))
  await entered.promise
  socket.destroy()
  t.match(await nextOutcome(), { outcome: 'rolledback', statements: 1 })
  t.strictSame(await ids(), [])
})

onEngines('30: a handler that never replies and never asked the database leaves nothing', async (t, { app, nextOutcome }) => {
  const entered = deferred()
  app.post('/', async () => {
    entered.resolve()
    await new Promise(() => {})
  })
  const socket = openSocket(await listen({ app }), post('/'))
  await entered.promise
  socket.destroy()
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
})

onEngines('31: the statement that runs when the client leaves is cancelled on the server', async (t, { app, db, ids, insert, nextOutcome, url }) => {
  const client = await openClient(t, url)
  const result = deferred<unknown>()
  app.post('/', async () => {
    await insert(1)
    await db.prepare('SELECT pg_sleep(60)').get().then(result.resolve, error => { result.resolve(error); throw error })
  })
  const socket = openSocket(await listen({ app }), post('/'))
  await until(client, `SELECT 1 FROM pg_stat_activity WHERE datname = '${new URL(url).pathname.slice(1)}' AND state = 'active' AND query LIKE '%pg_sleep%' AND application_name <> 'admin'`)
  const left = performance.now()
  socket.destroy()
  t.match(await result.promise, { code: 'TDM_ERR_DB_ABORTED' })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.ok(performance.now() - left < 5000, 'long before it would have ended')
  t.strictSame(await ids(), [])
}, { engines: ['postgres'] })

onEngines('31: a cursor that is read when the client leaves ends between its rows', async (t, { app, db, ids, insert, nextOutcome }) => {
  const numbers = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT i FROM n'
  const entered = deferred()
  const result = deferred<unknown>()
  app.post('/', async () => {
    await insert(1)
    entered.resolve()
    try {
      for await (const _ of db.prepare(numbers).iterate()) entered.resolve()
    } catch (error) {
      result.resolve(error)
      throw error
    }
  })
  const socket = openSocket(await listen({ app }), post('/'))
  await entered.promise
  const left = performance.now()
  socket.destroy()
  t.match(await result.promise, { code: /^TDM_ERR_(?:DB_ABORTED|TX_CLOSED)$/ })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.ok(performance.now() - left < 5000, 'long before it would have ended')
  t.strictSame(await ids(), [])
})

onEngines('31: a request that waits for a connection gives up its place when its client leaves', async (t, { app, db, ids, insert, nextOutcome }) => {
  const { promise: hold, resolve: letGo } = deferred()
  const holding = deferred()
  const waiting = deferred()
  const refused = deferred<unknown>()
  app.post('/', async () => {
    const inserted = insert(1)
    waiting.resolve()
    await inserted.catch(error => { refused.resolve(error); throw error })
  })
  const port = await listen({ app })
  const holder = db.outsideTx(async () => {
    await db.tx(async () => {
      await insert(2)
      holding.resolve()
      await hold
    })
  })
  await holding.promise
  const socket = openSocket(port, post('/'))
  await waiting.promise
  socket.destroy()
  t.match(await refused.promise, { code: 'TDM_ERR_DB_ABORTED' })
  t.match(await nextOutcome(), { outcome: /^(?:rolledback|none)$/, route: '/' })
  letGo()
  await holder
  t.match(await nextOutcome(), { outcome: 'committed', route: undefined })
  t.strictSame(await ids(), [2])
}, { engines: ['sqlite'] })

onEngines('45: bodies that are refused begin no transaction', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/', { bodyLimit: 10 }, async () => {
    await insert(1)
    return { ok: true }
  })
  const port = await listen({ app })
  const json = { 'content-type': 'application/json' }
  t.match(await send(port, '/', { method: 'POST', headers: json, body: '"longer than ten"' }), { status: 413 })
  t.match(await nextOutcome(), { outcome: 'none', statements: 0, route: '/' })
  t.match(await send(port, '/', { method: 'POST', headers: { 'content-type': 'text/turtle' }, body: 'x' }), { status: 415 })
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
  t.match(await send(port, '/', { method: 'POST', headers: json, body: '{' }), { status: 400 })
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
  t.strictSame(await ids(), [])
})

onEngines('45: an upload that breaks off begins no transaction', async (t, { app, ids, insert, nextOutcome }) => {
  const entered = deferred()
  app.addHook('preParsing', async () => { entered.resolve() })
  app.post('/', async () => {
    await insert(1)
    return { ok: true }
  })
  const socket = openSocket(await listen({ app }), post('/').replace('content-length: 2', 'content-length: 200'))
  await entered.promise
  await nextTurn()
  socket.destroy()
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
  t.strictSame(await ids(), [])
})
