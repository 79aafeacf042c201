/**
 * The app under test, in a process of its own. Argument: the variables of the configuration, as JSON. Sends its port when it is ready, and a `Report` when
 * it gets the message 'report'. Ends with its parent.
 */
import { subscribe } from 'node:diagnostics_channel'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyRequest } from 'fastify'
import config from '../../plugins/config/index.ts'
import db from '../../plugins/db/index.ts'
import tx from '../../plugins/tx/index.ts'
import { kinds, type Report } from './kinds.ts'

const env = JSON.parse(process.argv[2] ?? '{}') as Record<string, string>

interface Route { Params: { id: string }, Body: { rows: number, waitMs: number } }

const requests: Record<string, number> = {}
const events: Record<string, Record<string, number>> = {}
const committed: string[] = []
const rolledBack: string[] = []
let active = 0

const kindOf = (route: string | undefined): string => route?.split('/')[1] ?? 'none'

subscribe('tandem:tx', message => {
  const { route, outcome } = message as { route: string | undefined, outcome: string }
  const counts = events[kindOf(route)] ??= {}
  counts[outcome] = (counts[outcome] ?? 0) + 1
})

const app = Fastify({ forceCloseConnections: true })
await app.register(config, { env })
await app.register(db)
await app.db.exec(`CREATE TABLE IF NOT EXISTS fault (request TEXT NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (request, part));
  CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS foreign_lock (n INTEGER NOT NULL);
  INSERT INTO counter (id, n) VALUES (1, 0) ON CONFLICT DO NOTHING`)

app.addHook('onRequest', (request, reply, done) => { // before the plugin's
  const kind = kindOf(request.routeOptions.url)
  requests[kind] = (requests[kind] ?? 0) + 1
  active++
  reply.raw.once('close', () => { active-- })
  done()
})
await app.register(tx)

const add = app.db.prepare('INSERT INTO fault (request, part) VALUES (?, ?)')

/** Parts `from` to the last of the request, one after the other. */
async function insert ({ params: { id }, body: { rows } }: FastifyRequest<Route>, from = 1): Promise<void> {
  for (let part = from; part <= rows; part++) await add.run(id, part)
}

function watch (request: FastifyRequest<Route>): void {
  const { id } = request.params
  request.tx?.afterCommit(() => { committed.push(id) })
  request.tx?.afterRollback(() => { rolledBack.push(id) })
}

app.post<Route>('/plain/:id', async request => {
  watch(request)
  await insert(request)
  return { id: request.params.id }
})

app.post<Route>('/parallel/:id', async request => {
  watch(request)
  const { params: { id }, body: { rows } } = request
  await Promise.all(Array.from({ length: rows }, (_, i) => add.run(id, i + 1)))
  return { id }
})

app.post<Route>('/nested/:id', async (request, reply) => {
  watch(request)
  const { id } = request.params
  await add.run(id, 1)
  await app.db.tx(async () => { await insert(request, 2) }, { propagation: 'nested' })
  const failed = await app.db.tx(async () => {
    await add.run(id, 100)
    await add.run(id, 1) // is there already
  }, { propagation: 'nested' }).catch((error: unknown) => error)
  if ((failed as { code?: string }).code !== 'TDM_ERR_DB_UNIQUE') throw failed
  reply.code(201)
  return { id }
})

app.post<Route>('/joined/:id', async request => {
  watch(request)
  const { id } = request.params
  await app.db.tx(async tx => { await tx.prepare('INSERT INTO fault (request, part) VALUES (?, 1)').run(id) })
  await app.db.tx(async () => { await insert(request, 2) })
  return { id }
})

app.post<Route>('/script/:id', async request => {
  watch(request)
  const { params: { id }, body: { rows } } = request
  if (!/^[\d-]+$/.test(id)) throw new Error('the id is written into SQL')
  await app.db.exec(Array.from({ length: rows }, (_, i) => `INSERT INTO fault (request, part) VALUES ('${id}', ${i + 1})`).join('; '))
  return { id }
})

app.post<Route>('/cursor/:id', async request => {
  watch(request)
  const { params: { id }, body: { rows } } = request
  const values = Array.from({ length: rows }, (_, i) => `(?, ${i + 1})`).join(', ')
  const written = []
  for await (const row of app.db.prepare<{ part: number }>(`INSERT INTO fault (request, part) VALUES ${values} RETURNING part`).iterate(...Array<string>(rows).fill(id))) {
    written.push(row.part)
  }
  return { id, written }
})

app.post<Route>('/slow/:id', async request => {
  watch(request)
  const { id } = request.params
  await add.run(id, 1)
  await sleep(request.body.waitMs)
  await insert(request, 2)
  return { id }
})

app.post<Route>('/explicit/:id', async request => {
  watch(request)
  await insert(request)
  await request.tx?.commit()
  return { id: request.params.id }
})

app.post<Route>('/retry/:id', { config: { tx: { mode: 'write', isolation: 'serializable', retry: 3 } } }, async request => {
  watch(request)
  const row = await app.db.prepare<{ n: number }>('SELECT n FROM counter').get()
  await insert(request)
  await app.db.prepare('UPDATE counter SET n = ?').run((row?.n ?? 0) + 1)
  return { id: request.params.id }
})

app.post<Route>('/span/:id', { config: { tx: { mode: 'write', stream: 'span' } } }, async (request, reply) => {
  watch(request)
  const { params: { id }, body: { rows, waitMs } } = request
  await add.run(id, 1)
  reply.type('text/plain')
  return Readable.from((async function * () {
    yield 'begun\n'
    for (let part = 2; part <= rows; part++) {
      await sleep(waitMs / 4)
      await add.run(id, part)
      yield `${part}\n`
    }
    yield `${id}\n`
  })())
})

app.post<Route>('/first/:id', async (request, reply) => {
  watch(request)
  const { params: { id }, body: { waitMs } } = request
  await insert(request)
  reply.type('text/plain')
  return Readable.from((async function * () {
    yield 'begun\n'
    await sleep(waitMs / 4)
    yield `${id}\n`
  })())
})

app.post<Route>('/hijack/:id', async (request, reply) => {
  watch(request)
  await insert(request)
  await request.tx?.commit()
  reply.hijack()
  reply.raw.writeHead(202, { 'content-type': 'text/plain' }).end(request.params.id)
})

app.post<Route>('/anyway/:id', async (request, reply) => {
  watch(request)
  await insert(request)
  request.tx?.commitAnyway()
  reply.code(401)
  return { id: request.params.id }
})

app.post<Route>('/deadline/:id', { config: { tx: { mode: 'write', timeout: 80 } } }, async request => {
  watch(request)
  const { id } = request.params
  await add.run(id, 1)
  await sleep(request.body.waitMs)
  await insert(request, 2)
  return { id }
})

app.post<Route>('/refused/:id', async (request, reply) => {
  watch(request)
  await insert(request)
  return await reply.code(request.body.rows === 1 ? 409 : 500).send({ code: 'REFUSED' })
})

app.post<Route>('/throwing/:id', async request => {
  watch(request)
  await insert(request)
  throw Object.assign(new Error('as planned'), { code: 'THROWN' })
})

app.post<Route>('/doomed/:id', async request => {
  watch(request)
  await insert(request)
  await add.run(request.params.id, 1).catch(() => {}) // is there already; nobody looks
  return { id: request.params.id }
})

app.get<{ Params: { id: string } }>('/read/:id', async request => {
  const row = await app.db.prepare<{ n: number }>('SELECT count(*) AS n FROM fault WHERE request = ?').get(request.params.id)
  return { id: request.params.id, n: row?.n }
})

// for the end of the run: the requests of a wave hold a connection until `many` do, or until one of them cannot
class Wave {
  readonly over = Promise.withResolvers<void>()
  holders = 0
}
const waves = new Map<string, Wave>()
const hold = async ({ params: { wave: id, many } }: FastifyRequest<{ Params: { wave: string, many: string } }>): Promise<object> => {
  const wave = waves.get(id) ?? new Wave()
  waves.set(id, wave)
  const one = app.db.prepare('SELECT 1 AS one')
  try {
    await one.get()
    await one.get() // the first one of a read transaction may have run on a lane
  } catch (error) {
    wave.over.resolve()
    throw error
  }
  if (++wave.holders === Number(many)) wave.over.resolve()
  await wave.over.promise
  return {}
}
app.post('/hold/:wave/:many', hold)
app.get('/hold/:wave/:many', { exposeHeadRoute: false }, hold)

const unknown = Object.keys(kinds).filter(kind => !app.hasRoute({ method: kind === 'read' ? 'GET' : 'POST', url: `/${kind}/:id` }))
if (unknown.length > 0) throw new Error(`there is no handler for ${unknown.join(', ')}`)

process.on('disconnect', () => { process.exit(0) })
process.on('message', message => {
  if (message === 'report') process.send?.({ requests, events, active, committed, rolledBack } satisfies Report)
  else if (message === 'close') void app.close().then(() => { process.exit(0) })
})
const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
process.send?.({ port: Number(port) })
