/** Cases 1 to 23: when COMMIT is sent, what the client is told when it fails, and replies that Fastify does not see. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { Readable } from 'node:stream'
import { createGzip, gunzipSync } from 'node:zlib'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { deferred } from '../helper/db.ts'
import { begin, listen, onEngines, readToEnd, send, watchHeads } from './helper.ts'

const codeOf = (answer: { json: () => unknown }): unknown => (answer.json() as { code?: unknown }).code

onEngines('1: a COMMIT that fails is the reply, told to onError once', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  const errors: string[] = []
  app.addHook('onError', async (_request, _reply, error) => { errors.push(error.code) })
  app.post('/', async () => {
    await insert(1)
    await insertForCommitToFail()
    return { ok: true }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 409, 'the status of the error')
  t.equal(codeOf(answer), 'TDM_ERR_DB_FOREIGN_KEY')
  t.strictSame(errors, ['TDM_ERR_DB_FOREIGN_KEY'])
  t.match(await nextOutcome(), { outcome: 'rolledback', mode: 'write', method: 'POST', route: '/', statements: 2, retries: 0 })
  t.strictSame(await ids(), [])
})

onEngines('2: a COMMIT that fails and an error handler that fails as well are one 5xx', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  app.setErrorHandler(() => { throw new Error('the handler failed too') })
  app.post('/', async () => {
    await insert(1)
    await insertForCommitToFail()
    return { ok: true }
  })
  const port = await listen({ app })
  const answer = await send(port, '/', { method: 'POST' })
  t.equal(answer.status, 500)
  t.ok(answer.complete)
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('3: an error handler may choose the reply of a COMMIT that failed', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  app.setErrorHandler(async (error: FastifyError, _request, reply) => {
    await reply.code(error.code === 'TDM_ERR_DB_FOREIGN_KEY' ? 422 : 500).send({ mapped: error.code })
  })
  app.post('/', async (_request, reply) => {
    await insert(1)
    await insertForCommitToFail()
    reply.header('x-mine', 'kept')
    return { ok: true }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 422)
  t.strictSame(answer.json(), { mapped: 'TDM_ERR_DB_FOREIGN_KEY' })
  t.equal(answer.headers['x-mine'], 'kept', 'headers are left alone, as Fastify does')
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('4, 5: a failure that the handler swallowed is not a 200, on both engines alike', async (t, { app, ids, insert, nextOutcome }) => {
  const errors: unknown[] = []
  app.addHook('onError', async (_request, _reply, error) => { errors.push(error) })
  app.post('/', async () => {
    await insert(1)
    await insert(1).catch(() => {})
    await insert(2).catch(() => {})
    return { ok: true }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 500)
  t.equal(codeOf(answer), 'TDM_ERR_TX_DOOMED')
  t.match(errors, [{ code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } }], 'the cause is the first failure')
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('6: a reply that its schema refuses rolls back', async (t, { app, ids, insert, nextOutcome }) => {
  const schema = { response: { 200: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } } }
  app.post('/', { schema }, async () => {
    await insert(1)
    return {}
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 500)
  t.match(answer.json(), { message: /"n" is required/ })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

for (const [what, name, value] of [['value with a line break', 'x-bad', 'a\r\nb'], ['name with a space', 'x bad', 'a']] as const) {
  onEngines(`7: a header that cannot be sent (a ${what}) rolls back before COMMIT`, async (t, { app, ids, insert, nextOutcome }) => {
    app.post('/', async (_request, reply) => {
      await insert(1)
      void reply.header(name, value)
      return { ok: true }
    })
    const answer = await send(await listen({ app }), '/', { method: 'POST' })
    t.equal(answer.status, 500)
    t.match(JSON.parse(answer.body), { code: 'TDM_ERR_TX_REPLY' })
    t.equal((await nextOutcome()).outcome, 'rolledback')
    t.strictSame(await ids(), [])
  })
}

onEngines('8: a payload that cannot be sent rolls back before COMMIT', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/number', async (_request, reply) => {
    await insert(1)
    void reply.serializer(() => 42 as unknown as string)
    return { ok: true }
  })
  app.post('/object', { onSend: async (_request, reply, payload) => reply.statusCode === 200 ? { not: 'a payload' } : payload }, async () => {
    await insert(2)
    return { ok: true }
  })
  app.post('/used', async () => {
    await insert(3)
    const response = new Response('used')
    await response.text()
    return response
  })
  app.post('/locked', async () => {
    await insert(4)
    const stream = new Response('locked').body
    stream?.getReader()
    return stream
  })
  const port = await listen({ app })
  for (const path of ['/number', '/object', '/used', '/locked']) {
    const answer = await send(port, path, { method: 'POST' })
    t.equal(answer.status, 500, path)
    t.ok(answer.complete, path)
    t.match(JSON.parse(answer.body), { code: 'TDM_ERR_TX_REPLY' }, path)
    t.equal((await nextOutcome()).outcome, 'rolledback', path)
  }
  t.strictSame(await ids(), [])
})

onEngines('9: an onSend of the route that throws rolls back', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/', { onSend: async (_request, reply) => { if (reply.statusCode === 200) throw new Error('mine') } }, async () => {
    await insert(1)
    return { ok: true }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 500)
  t.match(answer.json(), { message: 'mine' })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('10: an onSend of the app that was registered after the plugin, and throws, rolls back', async (t, { app, ids, insert, nextOutcome }) => {
  await app.register(async child => {
    child.post('/', async () => {
      await insert(1)
      return { ok: true }
    })
    child.addHook('onSend', async (_request, reply) => { if (reply.statusCode === 200) throw new Error('mine') })
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 500)
  t.match(answer.json(), { message: 'mine' })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('11: when another plugin makes a stream of the payload, the stream decides', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  const heads = watchHeads(app)
  app.addHook('onSend', async (_request, reply, payload) => {
    void reply.header('content-encoding', 'gzip').removeHeader('content-length')
    return Readable.from([payload]).pipe(createGzip())
  })
  for (const stream of ['commit-first', 'span'] as const) {
    app.post(`/${stream}/good`, { config: { tx: { mode: 'write', stream } } }, async () => {
      await insert(stream === 'span' ? 2 : 1)
      return { ok: true }
    })
    app.post(`/${stream}/bad`, { config: { tx: { mode: 'write', stream } } }, async () => {
      await insert(3)
      await insertForCommitToFail()
      return { ok: true }
    })
  }
  const port = await listen({ app })
  const unzip = async (path: string) => {
    const response = await begin(port, path, { method: 'POST' })
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => { chunks.push(chunk) })
    const { complete, status } = await readToEnd(response)
    return { complete, status, body: complete ? gunzipSync(Buffer.concat(chunks)).toString() : '' }
  }
  t.match(await unzip('/commit-first/good'), { status: 200, body: '{"ok":true}', complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.match(await unzip('/commit-first/bad'), { status: 409, body: /TDM_ERR_DB_FOREIGN_KEY/, complete: true })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.match(await unzip('/span/good'), { status: 200, body: '{"ok":true}', complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  const cut = await begin(port, '/span/bad', { method: 'POST' }).then(readToEnd, () => undefined)
  t.not(cut?.complete === true && cut.status === 200, true, 'a 200 is not complete')
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(heads.slice(0, 2), ['committed', 'rolledback'])
  t.strictSame(await ids(), [1, 2])
})

onEngines('12: HEAD of a GET route commits once, and is a status without a body when COMMIT fails', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  const heads = watchHeads(app)
  app.get('/good', { config: { tx: 'write' } }, async () => {
    await insert(1)
    return { ok: true }
  })
  app.get('/bad', { config: { tx: 'write' } }, async () => {
    await insert(2)
    await insertForCommitToFail()
    return { ok: true }
  })
  const port = await listen({ app })
  t.match(await send(port, '/good', { method: 'HEAD' }), { status: 200, body: '', complete: true })
  t.match(await nextOutcome(), { outcome: 'committed', method: 'HEAD' })
  t.match(await send(port, '/bad', { method: 'HEAD' }), { status: 409, body: '', complete: true })
  t.match(await nextOutcome(), { outcome: 'rolledback', method: 'HEAD' })
  t.strictSame(heads, ['committed', 'rolledback'])
  t.strictSame(await ids(), [1])
})

onEngines('13: replies without a body commit before their head is written', async (t, { app, ids, insert, nextOutcome }) => {
  const heads = watchHeads(app)
  const replies: Array<(reply: FastifyReply) => unknown> = [
    reply => reply.code(204).send(null),
    reply => reply.code(204).send(),
    () => null,
    () => undefined,
    reply => reply.send(),
    reply => reply.redirect('/elsewhere'),
    reply => reply.code(304).send()
  ]
  for (const [n, reply] of replies.entries()) {
    app.post(`/${n}`, async (_request, r) => {
      await insert(n)
      return reply(r)
    })
  }
  const port = await listen({ app })
  const statuses = []
  for (const n of replies.keys()) {
    statuses.push((await send(port, `/${n}`, { method: 'POST' })).status)
    t.equal((await nextOutcome()).outcome, 'committed')
  }
  t.strictSame(statuses, [204, 204, 200, 200, 200, 302, 304])
  t.strictSame(heads, replies.map(() => 'committed'))
  t.strictSame(await ids(), [...replies.keys()])
})

onEngines('14: a reply with trailers commits before its body, and has none when COMMIT fails', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  const heads = watchHeads(app)
  app.setErrorHandler(async (error: FastifyError, _request, reply) => { // Fastify sends trailers with an error, and a content-length, which no client accepts
    await reply.removeTrailer('x-state').code(error.statusCode ?? 500).send(error)
  })
  app.post('/:way', async (request, reply) => {
    await insert(1)
    if ((request.params as { way: string }).way === 'bad') await insertForCommitToFail()
    void reply.trailer('x-state', async () => String(request.tx?.state))
    return { ok: true }
  })
  const port = await listen({ app })
  t.match(await send(port, '/good', { method: 'POST' }), { status: 200, body: '{"ok":true}', trailers: { 'x-state': 'committed' }, complete: true })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame(heads, ['committed'])
  await app.db.exec('DELETE FROM a')
  t.match(await send(port, '/bad', { method: 'POST' }), { status: 409, complete: true })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('15: early hints do not fix the status: a COMMIT that fails is still told', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  app.post('/', async (_request, reply) => {
    await insert(1)
    await insertForCommitToFail()
    await new Promise<void>(resolve => { reply.writeEarlyHints({ link: '</style.css>; rel=preload' }, resolve) })
    return { ok: true }
  })
  t.match(await send(await listen({ app }), '/', { method: 'POST' }), { status: 409, informational: [103], complete: true })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('16: callNotFound() after a write is a 404, and rolled back', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/', async (_request, reply) => {
    await insert(1)
    reply.callNotFound()
    return reply
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 404)
  t.match(await nextOutcome(), { outcome: 'rolledback', statements: 1 })
  t.strictSame(await ids(), [])
})

onEngines('16: callNotFound() with a handler of its own that answers 200 is rolled back too', async (t, { app, ids, insert, nextOutcome }) => {
  let state: unknown
  app.setNotFoundHandler(async (request, reply) => {
    state = request.tx?.state
    return await reply.code(200).send({ instead: true })
  })
  app.post('/', async (_request, reply) => {
    await insert(1)
    reply.callNotFound()
    return reply
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 200)
  t.strictSame(answer.json(), { instead: true })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [], `it was ${String(state)} in the handler`)
})

onEngines('16: callNotFound() before the first statement leaves what its handler does to the status', async (t, { app, ids, insert, nextOutcome }) => {
  app.setNotFoundHandler(async (request, reply) => {
    await insert(1)
    return await reply.code(404).send({ found: false })
  })
  app.post('/', (_request, reply) => { reply.callNotFound() })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 404)
  t.match(await nextOutcome(), { outcome: 'rolledback', statements: 1 })
  t.strictSame(await ids(), [])
})

onEngines('17: a request that no route is for leaves nothing', async (t, { app, nextOutcome }) => {
  t.equal((await app.inject({ method: 'POST', url: '/nowhere' })).statusCode, 404)
  t.match(await nextOutcome(), { outcome: 'none', statements: 0, method: 'POST' })
})

onEngines('17: the handler of setNotFoundHandler, which is no route, is finished too', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  app.setNotFoundHandler(async (request, reply) => {
    await insert(Number(request.url.slice(1)))
    if (request.url === '/3') await insertForCommitToFail()
    return await reply.code(request.url === '/2' ? 404 : 200).send({ found: false })
  })
  t.equal((await app.inject({ method: 'POST', url: '/1' })).statusCode, 200)
  t.equal((await nextOutcome()).outcome, 'committed')
  t.equal((await app.inject({ method: 'POST', url: '/2' })).statusCode, 404)
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.equal((await app.inject({ method: 'POST', url: '/3' })).statusCode, 409)
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [1])
})

for (const [number, what, answerRaw] of [
  [18, 'hijack()', (reply: FastifyReply) => { reply.hijack(); reply.raw.end('mine') }],
  [20, 'reply.raw.end()', (reply: FastifyReply) => { reply.raw.end('mine') }]
] as const) {
  onEngines(`${number}: ${what} without a commit is rolled back, with a warning that names the route`, async (t, { app, ids, insert, log, nextOutcome }) => {
    app.post('/raw/:id', async (_request, reply) => {
      await insert(1)
      answerRaw(reply)
    })
    const answer = await send(await listen({ app }), '/raw/1', { method: 'POST' })
    t.match(answer, { status: 200, body: 'mine', complete: true })
    t.match(await nextOutcome(), { outcome: 'rolledback', route: '/raw/:id', method: 'POST' })
    t.strictSame(await ids(), [])
    const warnings = log.filter(line => line.level === 40).map(line => JSON.stringify(line))
    t.ok(warnings.some(line => line.includes('/raw/:id')), 'there is a warning', { log })
  })

  onEngines(`${number === 18 ? 19 : 20}: after request.tx.commit(), ${what} is committed, and later statements are refused`, async (t, { app, ids, insert, log, nextOutcome }) => {
    const late = deferred<unknown>()
    app.post('/', async (request, reply) => {
      await insert(1)
      await request.tx?.commit()
      t.equal(request.tx?.state, 'committed')
      await insert(2).then(late.resolve, late.resolve)
      answerRaw(reply)
    })
    const answer = await send(await listen({ app }), '/', { method: 'POST' })
    t.match(answer, { status: 200, body: 'mine', complete: true })
    t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED', message: /INSERT INTO a/ })
    t.equal((await nextOutcome()).outcome, 'committed')
    t.strictSame(await ids(), [1])
    t.strictSame(log.filter(line => line.level === 40), [], 'nobody is warned')
  })
}

onEngines('19: request.tx.commit() throws what COMMIT throws', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  app.post('/', async request => {
    await insert(1)
    await insertForCommitToFail()
    await request.tx?.commit()
    return { ok: true }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(codeOf(answer), 'TDM_ERR_DB_FOREIGN_KEY')
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('19: a failure of request.tx.commit() that the handler swallowed is not a 200', async (t, { app, ids, insert, insertForCommitToFail, nextOutcome }) => {
  app.post('/', async request => {
    await insert(1)
    await insertForCommitToFail()
    await request.tx?.commit().catch(() => {})
    return { ok: true }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 409)
  t.equal(codeOf(answer), 'TDM_ERR_DB_FOREIGN_KEY')
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('18: a hijacked reply whose client leaves is rolled back', async (t, { app, ids, insert, nextOutcome }) => {
  app.get('/', { config: { tx: 'write' } }, async (_request, reply) => {
    await insert(1)
    reply.hijack()
    reply.raw.write('an event')
  })
  const response = await begin(await listen({ app }), '/')
  response.on('error', () => {}).destroy()
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

for (const end of ['commit', 'rollback'] as const) {
  onEngines(`19: request.tx.${end}() before the first statement ends it as well: what follows is refused`, async (t, { app, ids, insert, nextOutcome }) => {
    app.post('/', async request => {
      await request.tx?.[end]()
      const late = await insert(1).catch((error: FastifyError) => error)
      return { late: (late as FastifyError).code }
    })
    const answer = await app.inject({ method: 'POST', url: '/' })
    t.strictSame(answer.json(), { late: 'TDM_ERR_TX_CLOSED' })
    t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
    t.strictSame(await ids(), [])
  })
}

onEngines('19: request.tx.commit() twice, and after rollback(), does what was done first', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/twice', async request => {
    await insert(1)
    await Promise.all([request.tx?.commit(), request.tx?.commit()])
    await request.tx?.commit()
    return { state: request.tx?.state }
  })
  app.post('/both', async request => {
    await insert(2)
    await request.tx?.rollback()
    await request.tx?.commit().catch(() => {})
    return { state: request.tx?.state }
  })
  t.strictSame((await app.inject({ method: 'POST', url: '/twice' })).json(), { state: 'committed' })
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame((await app.inject({ method: 'POST', url: '/both' })).json(), { state: 'rolledback' })
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [1])
})

onEngines('21: of two replies the first is sent, after one COMMIT', async (t, { app, ids, insert, nextOutcome }) => {
  const errors: string[] = []
  const replied = deferred()
  app.addHook('onError', async (_request, _reply, error) => { errors.push(error.code) })
  app.addHook('onResponse', async () => { replied.resolve() })
  app.post('/', (_request: FastifyRequest, reply: FastifyReply) => {
    insert(1).then(() => {
      void reply.send({ a: 1 })
      void reply.send({ b: 2 })
    }, () => {})
  })
  const answer = await send(await listen({ app }), '/', { method: 'POST' })
  t.match(answer, { status: 200, body: '{"a":1}', complete: true })
  await replied.promise
  t.match(await nextOutcome(), { outcome: 'committed', statements: 1 })
  t.strictSame(await ids(), [1], `onError saw ${errors.join()}`)
})

onEngines('22: a statement after reply.send() is refused and not committed on its own', async (t, { app, ids, insert, nextOutcome }) => {
  const replied = deferred()
  const late: Array<Promise<unknown>> = []
  const done = deferred()
  app.addHook('onResponse', async () => { replied.resolve() })
  const attempt = (id: number): void => { late.push(insert(id).catch((error: unknown) => error)) }
  app.post('/', async (_request, reply) => {
    await insert(1)
    void reply.send({ ok: true })
    attempt(2)
    await replied.promise
    attempt(3)
    done.resolve()
  })
  t.match(await send(await listen({ app }), '/', { method: 'POST' }), { status: 200, complete: true })
  await done.promise
  t.match(await Promise.all(late), [2, 3].map(() => ({ code: 'TDM_ERR_TX_CLOSED', message: /committed.*INSERT INTO a/s })))
  t.equal((await nextOutcome()).outcome, 'committed')
  t.strictSame(await ids(), [1])
})

onEngines('22: a first statement in onResponse is refused too, and takes no connection', async (t, { app, ids, insert, log, nextOutcome }) => {
  const late = deferred<unknown>()
  app.addHook('onResponse', async () => { await insert(1).then(late.resolve, late.resolve) })
  app.post('/', async () => ({ ok: true }))
  t.match(await send(await listen({ app }), '/', { method: 'POST' }), { status: 200, complete: true })
  t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED' })
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
  t.strictSame(await ids(), [])
  t.strictSame(log.filter(line => line.level > 30), [])
})

onEngines('22: a first statement long after the reply is refused too, and takes no connection', async (t, { app, ids, insert, nextOutcome }) => {
  const ended = deferred()
  const late = deferred<unknown>()
  app.post('/', async () => {
    void ended.promise.then(() => { insert(1).then(late.resolve, late.resolve) })
    return { ok: true }
  })
  t.match(await send(await listen({ app }), '/', { method: 'POST' }), { status: 200, complete: true })
  t.match(await nextOutcome(), { outcome: 'none', statements: 0 })
  ended.resolve()
  t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED' })
  t.strictSame(await ids(), [])
})

onEngines('23: a statement that fails and that nobody awaited is an error, not a 200', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/', async () => {
    await insert(1)
    void insert(1)
    return { ok: true }
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.equal(answer.statusCode, 500)
  t.equal(codeOf(answer), 'TDM_ERR_TX_DOOMED')
  t.equal((await nextOutcome()).outcome, 'rolledback')
  t.strictSame(await ids(), [])
})

onEngines('23: a statement that succeeds and that nobody awaited is done before COMMIT', async (t, { app, ids, insert, nextOutcome }) => {
  app.post('/', async () => {
    void insert(1)
    return { ok: true }
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 200)
  t.match(await nextOutcome(), { outcome: 'committed', statements: 1 })
  t.strictSame(await ids(), [1])
})

onEngines('9, 10: hooks that run after the handler are in the transaction, and in its place of AsyncLocalStorage', async (t, { app, ids, insert, nextOutcome }) => {
  const storage = new AsyncLocalStorage<string>()
  app.addHook('onRequest', (_request, _reply, done) => { storage.run('mine', done) })
  app.addHook('preHandler', async () => { await insert(1) })
  app.addHook('preSerialization', async (_request, _reply, payload) => { await insert(3); return payload })
  app.addHook('onSend', async () => { await insert(4) })
  app.post('/', async () => {
    await insert(2)
    return { store: storage.getStore() }
  })
  t.strictSame((await app.inject({ method: 'POST', url: '/' })).json(), { store: 'mine' })
  t.match(await nextOutcome(), { outcome: 'committed', statements: 4 })
  t.strictSame(await ids(), [1, 2, 3, 4])
})
