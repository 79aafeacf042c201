/** Cases 32 to 44: which replies commit, and replies that are streams. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { FastifyError, FastifyReply } from 'fastify'
import { deferred } from '../helper/db.ts'
import { begin, listen, onEngines, readToEnd, send, watchHeads, type Server } from './helper.ts'

const POST = { method: 'POST' } as const

onEngines('32: an error that the error handler answers with 200 is rolled back', async (t, { app, ids, insert, nextOutcome }) => {
  app.setErrorHandler(async (_error, _request, reply) => await reply.code(200).send({ fine: true }))
  app.post('/', async () => {
    await insert(1)
    throw new Error('mine')
  })
  const answer = await app.inject({ ...POST, url: '/' })
  t.equal(answer.statusCode, 200)
  t.strictSame(answer.json(), { fine: true })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('33: a reply of 400 or more rolls back, also if nothing was thrown', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/:status', async (request, reply) => {
    const status = Number((request.params as { status: string }).status)
    await insert(status)
    return await reply.code(status).send({ status })
  })
  for (const status of [200, 201, 302, 399, 400, 404, 409, 500]) {
    t.equal((await app.inject({ ...POST, url: `/${status}` })).statusCode, status)
    t.equal((await nextOutcome()).outcome, status < 400 ? 'committed' : 'rolledback', String(status))
  }
  t.strictSame(await ids(), [200, 201, 302, 399])
})

onEngines('33: request.tx.commitAnyway() commits a 401, and what a handler did before it threw', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/reply', async (request, reply) => {
    await insert(1)
    request.tx?.commitAnyway()
    return await reply.code(401).send({ ok: false })
  })
  app.post('/throw', async request => {
    await insert(2)
    request.tx?.commitAnyway()
    throw Object.assign(new Error('mine'), { statusCode: 403 })
  })
  app.post('/doomed', async request => {
    await insert(3)
    request.tx?.commitAnyway()
    await insert(3)
  })
  t.equal((await app.inject({ ...POST, url: '/reply' })).statusCode, 401)
  t.equal((await nextOutcome()).outcome, 'committed')
  t.equal((await app.inject({ ...POST, url: '/throw' })).statusCode, 403)
  t.equal((await nextOutcome()).outcome, 'committed')
  t.ok((await app.inject({ ...POST, url: '/doomed' })).statusCode >= 400)
  t.equal((await nextOutcome()).outcome, 'rolledback', 'but not what a failed statement has doomed')
  t.strictSame(await ids(), [1, 2])
})

onEngines('33: the option rollbackOn chooses the statuses', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/:status', { config: { tx: { mode: 'write', rollbackOn: status => status >= 500 || status === 202 } } }, async (request, reply) => {
    const status = Number((request.params as { status: string }).status)
    await insert(status)
    return await reply.code(status).send({ status })
  })
  for (const status of [200, 202, 404, 503]) {
    await app.inject({ ...POST, url: `/${status}` })
    t.equal((await nextOutcome()).outcome, [200, 404].includes(status) ? 'committed' : 'rolledback', String(status))
  }
  t.strictSame(await ids(), [200, 404])
})

onEngines('33: request.tx.rollback() rolls back at once; the reply is the handler\'s', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/', async request => {
    await insert(1)
    await request.tx?.rollback()
    const late = await insert(2).catch((error: FastifyError) => error)
    return { state: request.tx?.state, late: (late as FastifyError).code }
  })
  const answer = await app.inject({ ...POST, url: '/' })
  t.equal(answer.statusCode, 200)
  t.strictSame(answer.json(), { state: 'rolledback', late: 'TDM_ERR_TX_CLOSED' })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('34: a thrown 404 or 409 rolls back', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/:status', async request => {
    await insert(1)
    throw Object.assign(new Error('mine'), { statusCode: Number((request.params as { status: string }).status) })
  })
  for (const status of [404, 409]) {
    t.equal((await app.inject({ ...POST, url: `/${status}` })).statusCode, status)
    t.equal((await nextOutcome()).outcome, 'rolledback')
  }
  t.strictSame(await ids(), [])
})

onEngines('35: a request that is refused before its handler sends nothing to the database', async (t, { app, ids, insert, log, nextOutcome }) => {
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.authorization === 'none') await reply.code(401).send({ ok: false })
  })
  const schema = { body: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } }
  app.post('/', { schema }, async () => {
    await insert(1)
    return { ok: true }
  })
  t.equal((await app.inject({ ...POST, url: '/', payload: { n: 'x' } })).statusCode, 400, 'validation')
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
  t.equal((await app.inject({ ...POST, url: '/', payload: '{', headers: { 'content-type': 'application/json' } })).statusCode, 400, 'JSON')
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
  t.equal((await app.inject({ ...POST, url: '/', payload: { n: 1 }, headers: { authorization: 'none' } })).statusCode, 401, 'a hook')
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
  t.strictSame(log.filter(line => line.level > 40), [])
  t.strictSame(await ids(), [])
})

onEngines('35: a hook that was registered before the plugin and replies at once is no error', async (t, { app, insert, log, untaken, nextOutcome }) => {
  app.post('/', async () => {
    await insert(1)
    return { ok: true }
  })
  t.equal((await app.inject({ ...POST, url: '/' })).statusCode, 401)
  t.strictSame(log.filter(line => line.level > 30), [])
  if (untaken() > 0) t.match(await nextOutcome(), { outcome: 'none' })
}, { before: app => { app.addHook('onRequest', async (_request, reply) => { await reply.code(401).send({ ok: false }) }) } })

onEngines('35: a hook that writes and replies is committed, the handler never runs', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/', {
    preHandler: async (_request, reply) => {
      await insert(1)
      await reply.code(202).send({ ok: true })
    }
  }, async () => { t.fail('the handler runs') })
  t.equal((await app.inject({ ...POST, url: '/' })).statusCode, 202)
  t.match(await nextOutcome(), { outcome: 'committed', statements: 1 })
  t.strictSame(await ids(), [1])
})

onEngines('36: callbacks of a request without statements run', async (t, { app, nextOutcome }) => {
  const seen: string[] = []
  const responded = deferred()
  app.post('/:status', async (request, reply) => {
    request.tx?.afterCommit(() => { seen.push('commit') })
    request.tx?.afterResponse(() => { seen.push('response'); responded.resolve() })
    return await reply.code(200).send({ state: request.tx?.state, seen: seen.length })
  })
  t.strictSame((await app.inject({ ...POST, url: '/200' })).json(), { state: 'none', seen: 0 })
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
  await responded.promise
  t.strictSame(seen, ['commit', 'response'])
})

onEngines('36: a route that never asks the database takes no connection', async (t, { app, db, nextOutcome }) => {
  app.post('/', async request => ({ state: request.tx?.state }))
  const { promise: hold, resolve: letGo } = deferred()
  const holding = [deferred(), deferred()]
  const holders = holding.map(async ({ resolve }, i) => {
    await db.tx(async () => {
      if (db.engine === 'postgres' || i === 0) await db.prepare('SELECT id FROM p').all()
      resolve()
      await hold
    })
  })
  await Promise.all(holding.map(async ({ promise }) => { await promise }))
  t.strictSame((await app.inject({ ...POST, url: '/' })).json(), { state: 'none' })
  t.match(await nextOutcome(), { outcome: 'none', statements: 0, route: '/' })
  letGo()
  await Promise.all(holders)
  await nextOutcome()
  await nextOutcome()
})

// --- streams -----------------------------------------------------------------------------------------------------------------

type Source = (chunks: Iterable<string> | AsyncIterable<string>) => unknown

/** The payloads that are read as they are sent. */
const sources: Array<[number, string, Source]> = [
  [37, 'a Node stream', chunks => Readable.from(chunks)],
  [42, 'a web stream', chunks => ReadableStream.from(bytes(chunks))],
  [42, 'a Response', chunks => new Response(ReadableStream.from(bytes(chunks)) as ReadableStream<Uint8Array<ArrayBuffer>>)]
]

async function * bytes (chunks: Iterable<string> | AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Buffer.from(chunk)
}

for (const [number, what, source] of sources) {
  onEngines(`${number}: ${what} is committed before its first byte is read`, async (t, { app, ids, insert, nextOutcome }) => {
    const heads = watchHeads(app)
    let state: unknown
    app.post('/', async request => {
      await insert(1)
      return source(async function * () {
        state = request.tx?.state
        yield 'a'
        yield 'b'
      }())
    })
    t.match(await send(await listen({ app }), '/', POST), { status: 200, body: 'ab', complete: true })
    t.equal((await nextOutcome()).outcome, 'committed')
    t.strictSame([state, ...heads], ['committed', 'committed'])
    t.strictSame(await ids(), [1])
  })

  onEngines(`${number}: when COMMIT fails, ${what} is not sent, but the error`, async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
    let isRead = false
    app.post('/', async () => {
      await insert(1)
      await insertForCommitToFail()
      return source(async function * () {
        isRead = true
        yield 'a'
      }())
    })
    const answer = await send(await listen({ app }), '/', POST)
    t.match(answer, { status: 409, body: /TDM_ERR_DB_FOREIGN_KEY/, complete: true })
    t.equal((await nextOutcome()).outcome, 'rolledback')
    if (what === 'a Node stream') t.equal(isRead, false)
    t.strictSame(await ids(), [])
  })

  onEngines(`${number === 37 ? 39 : number}: with stream: 'span' ${what} reads from the transaction, which is committed before the end`, async (t, server) => {
    const { app, db, ids, insert, nextOutcome } = server
    const { promise: hold, resolve: letGo } = deferred()
    const states: unknown[] = []
    const handle: { state: () => unknown } = { state: () => undefined }
    app.post('/', { config: { tx: { mode: 'write', stream: 'span' } } }, async request => {
      await insert(1)
      await insert(2)
      handle.state = () => request.tx?.state
      return source(async function * () {
        for await (const row of db.prepare('SELECT id FROM a ORDER BY id').iterate()) {
          states.push(request.tx?.state)
          yield String(row.id)
          await hold
        }
      }())
    })
    const response = await begin(await listen(server), '/', POST)
    t.strictSame(await ids(), [], 'nothing is committed while it streams')
    response.once('end', () => { states.push(handle.state()) })
    letGo()
    t.match(await readToEnd(response), { status: 200, body: '12', complete: true })
    t.strictSame(states, ['open', 'open', 'committed'])
    t.equal((await nextOutcome()).outcome, 'committed')
    t.strictSame(await ids(), [1, 2])
  })

  onEngines(`${number === 37 ? 40 : number}: with stream: 'span' ${what} is cut off when COMMIT fails`, async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
    app.post('/', { config: { tx: { mode: 'write', stream: 'span' } } }, async () => {
      await insert(1)
      return source(async function * () {
        yield 'a'
        await insertForCommitToFail()
        yield 'b'
      }())
    })
    const port = await listen({ app })
    t.equal(await isComplete200(port, '/'), false)
    t.equal((await nextOutcome()).outcome, 'rolledback')
    t.strictSame(await ids(), [])
  })

  onEngines(`${number === 37 ? 41 : number}: with stream: 'span' ${what} that fails halfway is cut off and rolled back`, async (t, { app, ids, insert, nextOutcome }) => {
    app.post('/', { config: { tx: { mode: 'write', stream: 'span' } } }, async () => {
      await insert(1)
      return source(async function * () {
        yield 'a'
        await insert(2)
        throw new Error('mine')
      }())
    })
    t.equal(await isComplete200(await listen({ app }), '/'), false)
    t.equal((await nextOutcome()).outcome, 'rolledback')
    t.strictSame(await ids(), [])
  })

  onEngines(`${number === 37 ? 41 : number}: with stream: 'span' a client that leaves in the middle of ${what} rolls it back`, async (t, { app, ids, insert, nextOutcome }) => {
    const closed = deferred()
    app.post('/', { config: { tx: { mode: 'write', stream: 'span' } } }, async (_request, reply) => {
      await insert(1)
      const left = once(reply.raw, 'close')
      return source(async function * () {
        try {
          yield 'a'
          await left
          yield 'b'
        } finally {
          closed.resolve()
        }
      }())
    })
    const response = await begin(await listen({ app }), '/', POST)
    await once(response.on('error', () => {}), 'data')
    response.destroy()
    t.equal((await nextOutcome()).outcome, 'rolledback')
    await closed.promise
    t.strictSame(await ids(), [])
  })
}

/** Whether the client gets a 200 that is whole. */
async function isComplete200 (port: number, path: string): Promise<boolean> {
  const response = await begin(port, path, POST).catch(() => undefined)
  if (response === undefined) return false
  const { status, complete } = await readToEnd(response)
  return status === 200 && complete
}

onEngines('37: the stream of a reply that became an error is closed', async (t, { app, insert, insertForCommitToFail, nextOutcome }) => {
  const stream = new Readable({ read () {} })
  app.post('/', async () => {
    await insert(1)
    await insertForCommitToFail()
    return stream
  })
  t.match(await send(await listen({ app }), '/', POST), { status: 409 })
  await nextOutcome()
  t.equal(stream.destroyed, true)
})

onEngines('38: a stream that fails before its first byte, after COMMIT, is a 500 and committed, and the outcome says so', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/', async () => {
    await insert(1)
    return new Readable({ read () { this.destroy(new Error('mine')) } })
  })
  t.equal(await isComplete200(await listen({ app }), '/'), false)
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame(await ids(), [1])
})

onEngines('40: with stream: \'span\' and a content-length, a COMMIT that fails still leaves the body incomplete', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  app.post('/:way', { config: { tx: { mode: 'write', stream: 'span' } } }, async (request, reply) => {
    await insert(1)
    if ((request.params as { way: string }).way === 'bad') await insertForCommitToFail()
    void reply.header('content-length', 4).type('text/plain')
    return Readable.from(['ab', 'cd'])
  })
  const port = await listen({ app })
  t.equal(await isComplete200(port, '/bad'), false)
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
  t.match(await send(port, '/good', POST), { status: 200, body: 'abcd', complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame(await ids(), [1])
})

onEngines('40: with stream: \'span\' a reply of 400 or more, which is a stream, is rolled back and whole', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/', { config: { tx: { mode: 'write', stream: 'span' } } }, async (_request, reply) => {
    await insert(1)
    return await reply.code(409).send(Readable.from(['a', 'b']))
  })
  t.match(await send(await listen({ app }), '/', POST), { status: 409, body: 'ab', complete: true })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('40: with stream: \'span\' HEAD, and a stream without bytes, are committed', async (t, { app, ids, insert, nextOutcome }) => {
  app.get('/:id', { config: { tx: { mode: 'write', stream: 'span' } } }, async request => {
    await insert(Number((request.params as { id: string }).id))
    return Readable.from([])
  })
  const port = await listen({ app })
  t.match(await send(port, '/1'), { status: 200, body: '', complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.match(await send(port, '/2', { method: 'HEAD' }), { status: 200, body: '', complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame(await ids(), [1, 2])
})

onEngines('40: with stream: \'span\' HEAD of a route that streams rows is committed, and its cursor closed', async (t, { app, db, ids, insert, nextOutcome }) => {
  app.get('/', { config: { tx: { mode: 'write', stream: 'span' } } }, async () => {
    for (let id = 0; id < 300; id++) await insert(id)
    return Readable.from(text(db.prepare('SELECT id FROM a ORDER BY id').iterate()))
  })
  const port = await listen({ app })
  t.match(await send(port, '/', { method: 'HEAD' }), { status: 200, body: '', complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.equal((await ids()).length, 300)
})

onEngines('39: with stream: \'span\' the first statement may come from the stream', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  app.post('/:way', { config: { tx: { mode: 'write', stream: 'span' } } }, async request => Readable.from(async function * () {
    yield 'a'
    await ((request.params as { way: string }).way === 'good' ? insert(1) : insertForCommitToFail())
    yield 'b'
  }()))
  const port = await listen({ app })
  t.match(await send(port, '/good', POST), { status: 200, body: 'ab', complete: true })
  t.match(await nextOutcome(), { outcome: 'committed', statements: 1 })
  t.equal(await isComplete200(port, '/bad'), false)
  t.match(await nextOutcome(), { outcome: 'rolledback', statements: 1 })
  t.strictSame(await ids(), [1])
})

onEngines('41: with stream: \'span\' the time-out of the transaction cuts the reply off', async (t, { app, ids, insert, nextOutcome }) => {
  const { promise: hold, resolve: letGo } = deferred()
  app.post('/', { config: { tx: { mode: 'write', stream: 'span', timeout: 200 } } }, async () => {
    await insert(1)
    return Readable.from(async function * () {
      yield 'a'
      await hold
      yield 'b'
    }())
  })
  const response = await begin(await listen({ app }), '/', POST)
  const read = readToEnd(response)
  t.equal((await nextOutcome()).outcome, 'rolledback')
  letGo()
  t.equal((await read).complete, false)
  t.strictSame(await ids(), [])
})

onEngines('41: with stream: \'span\' a handlerTimeout in the middle of the reply leaves no whole 200 without its rows', async (t, { app, ids, insert, nextOutcome }) => {
  const { promise: hold, resolve: letGo } = deferred()
  app.addHook('onError', async () => { letGo() })
  app.post('/', { handlerTimeout: 300, config: { tx: { mode: 'write', stream: 'span' } } }, async () => {
    await insert(1)
    return Readable.from(async function * () {
      yield 'a'
      await hold
      yield 'b'
    }())
  })
  const isComplete = await isComplete200(await listen({ app }), '/')
  t.equal((await nextOutcome()).outcome, isComplete ? 'committed' : 'rolledback')
  t.strictSame(await ids(), isComplete ? [1] : [])
})

onEngines('42: the status of a Response counts as that of the reply', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/:status', async request => {
    const status = Number((request.params as { status: string }).status)
    await insert(status)
    return new Response('text', { status })
  })
  const port = await listen({ app })
  for (const status of [201, 409]) {
    t.match(await send(port, `/${status}`, POST), { status, body: 'text', complete: true })
    t.equal((await nextOutcome()).outcome, status < 400 ? 'committed' : 'rolledback')
  }
  t.strictSame(await ids(), [201])
})

for (const [what, isBegun] of [['was begun', true], ['was not begun', false]] as const) {
  onEngines(`43: rows that are read after COMMIT, from a cursor that ${what}, end with an error that says why`, async (t, server: Server) => {
    const { app, db, ids, insert, nextOutcome } = server
    const failed = deferred<unknown>()
    app.post('/', async () => {
      for (let id = 0; id < 300; id++) await insert(id)
      const rows = db.prepare('SELECT id FROM a ORDER BY id').iterate()
      if (isBegun) await rows.next()
      const stream = Readable.from(text(rows))
      stream.once('error', failed.resolve)
      return stream
    })
    t.equal(await isComplete200(await listen(server), '/'), false)
    t.match(await failed.promise, { code: 'TDM_ERR_TX_CLOSED', message: /SELECT id FROM a/ })
    t.equal((await nextOutcome()).outcome, 'committed')
    t.equal((await ids()).length, 300)
  })
}

async function * text (rows: AsyncIterable<{ id?: unknown }>): AsyncGenerator<string> {
  for await (const row of rows) yield `${String(row.id)}\n`
}

onEngines('44: hooks of the app that fail do not disturb the end', async (t, { app, ids, insert, nextOutcome }) => {
  app.addHook('onError', async () => { throw new Error('onError') })
  app.addHook('onResponse', async () => { throw new Error('onResponse') })
  app.post('/good', async () => {
    await insert(1)
    return { ok: true }
  })
  app.post('/bad', async () => {
    await insert(2)
    throw new Error('mine')
  })
  const port = await listen({ app })
  t.match(await send(port, '/good', POST), { status: 200, complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.match(await send(port, '/bad', POST), { status: 500, body: /mine/, complete: true })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [1])
})

onEngines('44: callbacks that fail do not disturb the end', async (t, { app, ids, insert, nextOutcome }) => {
  const seen: string[] = []
  const responded = deferred()
  app.post('/', async (request, reply: FastifyReply) => {
    await insert(1)
    request.tx?.afterCommit(() => { seen.push('commit'); throw new Error('afterCommit') })
    request.tx?.afterResponse(() => { seen.push('response'); throw new Error('afterResponse') })
    request.tx?.afterResponse(() => { responded.resolve() })
    return await reply.send({ ok: true })
  })
  t.match(await send(await listen({ app }), '/', POST), { status: 200, body: '{"ok":true}', complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  await responded.promise
  t.strictSame(seen, ['commit', 'response'])
  t.strictSame(await ids(), [1])
})
