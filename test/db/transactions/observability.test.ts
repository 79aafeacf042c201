/** What is told about transactions (cases 181 to 183), and random requests (185; random transactions are in test/db/conformance/interleavings.test.ts). */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import fc from 'fast-check'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import config from '../../../plugins/config/index.ts'
import db from '../../../plugins/db/index.ts'
import tx from '../../../plugins/tx/index.ts'
import { databaseError } from '../../../plugins/errors.ts'
import { deferred, engines, freshUrl, onEachEngine, openUrl } from '../../helper/db.ts'
import { startProxy } from '../../helper/proxy.ts'
import { listen, onEngines, readToEnd, send, type Outcome } from '../../tx/helper.ts'
import { ids, insert, nested, table, turns } from './common.ts'

/** The messages from now to the end of the test. */
function collect (t: Test): Outcome[] {
  const messages: Outcome[] = []
  const onMessage = (message: unknown): void => { messages.push(message as Outcome) }
  subscribe('tandem:tx', onMessage)
  t.teardown(() => { unsubscribe('tandem:tx', onMessage) })
  return messages
}

onEachEngine('181, 182: each outermost transaction is told once, with how it ended', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY); CREATE TABLE c (a BIGINT REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)')
  const messages = collect(t)
  const told = (expected: Partial<Outcome>, what: string): void => {
    t.equal(messages.length, 1, what)
    t.match(messages[0], { mode: 'write', retries: 0, route: undefined, method: undefined, ...expected }, what)
    t.type(messages[0]?.durationMs, 'number')
    messages.length = 0
  }
  await db.tx(async tx => { await insert(tx, 1); await ids(tx) })
  told({ outcome: 'committed', statements: 2 }, 'committed')
  await db.tx(() => {})
  told({ outcome: 'none', statements: 0 }, 'without a statement')
  await db.tx(async tx => { await ids(tx) }, { mode: 'read' })
  told({ outcome: 'committed', mode: 'read', statements: 1 }, 'read')
  await t.rejects(db.tx(async tx => { await insert(tx, 2); throw new Error('mine') }))
  told({ outcome: 'rolledback', statements: 1 }, 'thrown')
  await t.rejects(db.tx(async tx => { await insert(tx, 1).catch(() => {}) }))
  told({ outcome: 'rolledback', statements: 1 }, 'doomed')
  await t.rejects(db.tx(async tx => { await tx.prepare('INSERT INTO c (a) VALUES (99)').run() }))
  told({ outcome: 'rolledback', statements: 1 }, 'COMMIT failed')
  await t.rejects(db.tx(async tx => { await insert(tx, 2); await new Promise(() => {}) }, { timeout: 15 }))
  told({ outcome: 'rolledback', statements: 1 }, 'deadline')
  const client = new AbortController()
  await t.rejects(db.signal(client.signal, async () => { await db.tx(async tx => { await insert(tx, 2); client.abort(); await new Promise(() => {}) }) }))
  told({ outcome: 'rolledback', statements: 1 }, 'aborted')
  await db.tx(async tx => {
    await tx.tx(async inner => { await insert(inner, 3); await inner.tx(async deep => { await insert(deep, 4) }, nested) }, nested)
    await db.tx(async () => { await insert(db, 5) })
    await t.rejects(tx.tx(async inner => { await insert(inner, 6); throw new Error('undone') }, nested))
  })
  told({ outcome: 'committed', statements: 4 }, 'nested and joined ones belong to the outermost')
  let calls = 0
  await db.tx(async tx => { await insert(tx, 10 + ++calls); if (calls < 3) throw databaseError('busy', 'x') }, { retry: 5 })
  told({ outcome: 'committed', retries: 2, statements: 3 }, 'retries')
  await t.rejects(db.tx(() => { throw databaseError('busy', 'x') }, { retry: 1 }))
  told({ outcome: 'none', retries: 1, statements: 0 }, 'retries without a statement')
})

onEachEngine('181: the duration is that of the transaction', async (t, db) => {
  const messages = collect(t)
  const start = performance.now()
  await db.tx(async tx => {
    await tx.exec(table)
    while (performance.now() < start + 30) await turns(1)
  })
  const took = performance.now() - start
  const { durationMs = 0 } = messages[0] ?? {}
  t.ok(durationMs >= 25 && durationMs <= took + 1, `${durationMs} of ${took} ms`)
})

void t.test('181, 182: a transaction of its own is told on its own; one whose outcome is not known as such', { timeout: 90_000 }, async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const db = await openUrl(t, proxy.url)
  await db.exec(table)
  const messages = collect(t)
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    await db.tx(async other => { await insert(other, 2) }, { propagation: 'new' })
    throw new Error('mine')
  }))
  t.match(messages, [{ outcome: 'committed', statements: 1 }, { outcome: 'rolledback', statements: 1 }])
  messages.length = 0
  proxy.cutAt('COMMIT')
  await db.tx(async tx => { await insert(tx, 3) })
  t.match(messages, [{ outcome: 'committed' }])
  messages.length = 0
  const commit = proxy.holdRequest('COMMIT')
  const unknown = t.rejects(db.tx(async tx => { await insert(tx, 4) }), { code: 'TDM_ERR_TX_OUTCOME_UNKNOWN' })
  await commit.seen
  proxy.cutOff()
  await unknown
  t.match(messages, [{ outcome: 'unknown' }])
  proxy.restore()
})

onEngines('181: a request is told with its route and its method', async (t, { app, insert, ids, nextOutcome }) => {
  app.post('/things/:id', async () => { await insert(1); await ids(); return {} })
  app.get('/things/:id', async () => ({}))
  await app.inject({ method: 'POST', url: '/things/7' })
  t.match(await nextOutcome(), { outcome: 'committed', mode: 'write', statements: 2, retries: 0, route: '/things/:id', method: 'POST' })
  await app.inject('/things/7')
  t.match(await nextOutcome(), { outcome: 'none', mode: 'read', statements: 0, route: '/things/:id', method: 'GET' })
})

onEngines('182: many requests at once: one message each, whatever becomes of them', async (t, { app, insert, ids, nextOutcome }) => {
  let id = 0
  app.setErrorHandler((_error, _request, reply) => { void reply.code(200).send({ handled: true }) })
  app.post('/ok', async () => { await insert(++id); return {} })
  app.post('/throws', async () => { await insert(++id); throw new Error('mine') })
  app.post('/status', async (_request, reply) => { await insert(++id); return await reply.code(422).send({}) })
  app.post('/nothing', async () => ({}))
  app.post('/stream', { config: { tx: { stream: 'span' } } }, async () => { await insert(++id); return new Response('streamed').body })
  const port = await listen({ app })
  const paths = ['/ok', '/throws', '/status', '/nothing', '/stream', '/missing']
  await Promise.all(Array.from({ length: 60 }, async (_, n) => await send(port, paths[n % paths.length] ?? '/', { method: 'POST' })))
  const counts: Record<string, number> = {}
  for (let n = 0; n < 60; n++) {
    const { route, outcome } = await nextOutcome()
    const key = `${String(route)} ${outcome}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  t.strictSame(counts, { '/ok committed': 10, '/throws rolledback': 10, '/status rolledback': 10, '/nothing none': 10, '/stream committed': 10, 'undefined none': 10 })
  t.equal((await ids()).length, 20)
})

onEachEngine('183: who waits for too long is told the last statement of who holds the connection, and for how long', async (t, db) => {
  await db.exec(table)
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const holder = db.tx(async tx => { await insert(tx, 1); begun.resolve(); await hold })
  await begun.promise
  await t.rejects(db.tx(async tx => { await insert(tx, 2) }), { code: 'TDM_ERR_POOL_TIMEOUT', message: /INSERT INTO a \(id\) VALUES \(\?\)" for \d+ ms/ })
  letGo()
  await holder
}, { DB_POOL_MAX: '1', DB_ACQUIRE_TIMEOUT: '400ms' })

// --- 185 -----------------------------------------------------------------------------------------------------------------------------

const STEPS = ['insert', 'insert', 'insert', 'insert in a nested one', 'undone nested one', 'not awaited', 'turn', 'caught duplicate', 'throw', 'status', 'breaks COMMIT', 'client leaves', 'deadline'] as const
type Step = typeof STEPS[number]

for (const engine of engines) {
  void t.test(`${engine}: 185: random requests: a complete 2xx means that all of it is there, an error that nothing is, no answer the one or the other`, { timeout: 100_000 }, async t => {
    const url = await freshUrl(t, engine)
    const app = Fastify({ forceCloseConnections: true })
    t.teardown(async () => { await app.close() })
    await app.register(config, { env: { DATABASE_URL: url, DB_POOL_MAX: '2' } })
    await app.register(db)
    await app.register(tx)
    await app.db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY); CREATE TABLE c (a BIGINT REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO a (id) VALUES (0)')
    const programs = new Map<string, Step[]>()
    const written = new Map<string, number[]>()
    const kept = new Map<string, number[]>()
    let nextId = 1

    app.post<{ Params: { key: string } }>('/:key', { config: { tx: { timeout: 5000 } } }, async (request, reply) => {
      const { key } = request.params
      const all: number[] = []
      const rows: number[] = []
      written.set(key, all)
      kept.set(key, rows)
      const newId = (isKept = true): number => { const id = nextId++; all.push(id); if (isKept) rows.push(id); return id }
      for (const step of programs.get(key) ?? []) {
        switch (step) {
          case 'insert': await insert(app.db, newId()); break
          case 'insert in a nested one': await app.db.tx(async () => { await insert(app.db, newId()) }, nested); break
          case 'undone nested one': await app.db.tx(async () => { await insert(app.db, newId(false)); throw new Error('undone') }, nested).catch(() => {}); break
          case 'not awaited': insert(app.db, newId()).catch(() => {}); break
          case 'turn': await turns(1); break
          case 'caught duplicate': await insert(app.db, 0).catch(() => {}); break
          case 'throw': throw new Error('thrown')
          case 'status': void reply.code(409); break
          case 'breaks COMMIT': await app.db.prepare('INSERT INTO c (a) VALUES (-1)').run(); break
          case 'client leaves': request.raw.socket.destroy(); break
          case 'deadline': await app.db.deadline(0, async () => { await insert(app.db, newId()) }); break
        }
      }
      return { done: true }
    })
    const port = await listen({ app })
    const messages = collect(t)
    let sent = 0

    await fc.assert(fc.asyncProperty(fc.array(fc.array(fc.constantFrom(...STEPS), { maxLength: 6 }), { minLength: 1, maxLength: 5 }), async round => {
      const keys = round.map((steps, i) => { const key = `${sent + i}`; programs.set(key, steps); return key })
      sent += round.length
      const answers = await Promise.all(keys.map(async key => {
        const request = httpRequest({ host: '127.0.0.1', port, path: `/${key}`, method: 'POST', agent: false }).on('error', () => {})
        request.end()
        const response = await once(request, 'response').then(([response]) => response as IncomingMessage, () => undefined)
        return response === undefined ? undefined : await readToEnd(response)
      }))
      while (messages.length < sent) await turns(1)
      if (messages.length !== sent) throw new Error(`${messages.length} outcomes for ${sent} requests`)
      const there = new Set(await ids(app.db))
      for (const [i, key] of keys.entries()) {
        const isDone = answers[i]?.complete === true && answers[i].status < 300
        const found = (written.get(key) ?? []).filter(id => there.has(id))
        const rows = kept.get(key) ?? []
        const expected = isDone ? rows : []
        const hasLeft = answers[i]?.complete !== true // it may have left a moment too late: then all of it is there, or nothing
        if (found.join() !== expected.join() && !(hasLeft && found.join() === rows.join())) throw new Error(`${String(programs.get(key))}: status ${String(answers[i]?.status)}, expected ${expected.join()}, found ${found.join()}`)
      }
    }), { numRuns: 120 })

    const outcomes = new Set(messages.map(({ outcome }) => outcome))
    t.ok(['committed', 'rolledback', 'none'].every(outcome => outcomes.has(outcome as 'none')), `${messages.length} requests: ${[...outcomes].join(', ')}`)
    await app.db.tx(async () => {
      await insert(app.db, -1)
      if (engine === 'postgres') await app.db.tx(async () => { await ids(app.db) }, { propagation: 'new' })
    })
    t.pass('all connections are free')
  })
}
