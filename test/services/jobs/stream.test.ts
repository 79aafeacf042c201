// A whole list as NDJSON: complete or broken off, as much at a time as the client takes, and nothing held for a client that has left. Through real sockets.
import t, { type Test } from 'tap'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import type { EngineName } from '../../../plugins/db/types.ts'
import type { Job } from '../../../services/jobs/schema.ts'
import { queryJobs } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, type JobData } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { until as waitUntil } from '../../helper/long.ts'
import { bearer, openWith, type ServiceSettings } from './service.ts'

const user = { username: 'root', roles: ['admin'] }
const newest = { field: 'startTime', type: 'col', order: 'DESC' } as const

/** More than the sockets of a connection hold. */
function makeMuch (): JobData {
  const data = makeJobs(400, 6)
  const resources = JSON.stringify(Array.from({ length: 1000 }, (_, i) => ({ hostname: `host-${String(i).padStart(5, '0')}.example` })))
  for (const job of data.jobs) job.resources = resources
  return data
}

const much = makeMuch()

async function listen (t: Test, engine: EngineName, data: JobData, settings: ServiceSettings & { statements?: string[] } = {}): Promise<FastifyInstance> {
  const app = await openWith(t, engine, data, settings)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

async function request (app: FastifyInstance, query = '', headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const { port } = app.server.address() as AddressInfo
  const sent = get({ port, host: '127.0.0.1', path: `/api/jobs?${query}`, headers: { accept: 'application/x-ndjson', ...headers }, agent: false })
  sent.on('error', () => {})
  const [response] = await once(sent, 'response') as [IncomingMessage]
  return response
}

function held ({ db }: FastifyInstance): number {
  return Object.values(db.status().queues).reduce((sum, { used }) => sum + used, 0)
}

async function until (isSo: () => boolean): Promise<void> {
  await waitUntil('it is so', isSo, 60_000)
}

for (const engine of engines) {
  void t.test(`the stream is the whole list, in order, on ${engine}`, async t => {
    const app = await listen(t, engine, makeJobs(3000, 6))
    for (const [query, input] of [['', {}], ['cluster=alex&sort=user', { filter: [{ cluster: { eq: 'alex' } }], order: { field: 'user', type: 'col', order: 'ASC' } as const }], ['cluster=nowhere', { filter: [{ cluster: { eq: 'nowhere' } }] }]] as const) {
      const response = await request(app, query)
      t.equal(response.statusCode, 200)
      t.equal(response.headers['content-type'], 'application/x-ndjson')
      const lines = (await text(response)).split('\n')
      t.equal(lines.pop(), '', 'each line ends')
      const expected = await queryJobs(app.db, { user, order: newest, ...input }, { now: () => NOW })
      t.strictSame(lines.map(line => JSON.parse(line) as Job), JSON.parse(JSON.stringify(expected)), query)
    }
    await until(() => held(app) === 0)
  })

  void t.test(`what cannot be asked for is refused before anything is sent, on ${engine}`, async t => {
    const app = await listen(t, engine, makeJobs(3))
    for (const [query, status] of [['page=2', 400], ['limit=5', 400], ['items-per-page=5', 400], ['cursor=abc', 400], ['nothing=1', 400], ['state=x', 400]] as const) {
      const response = await request(app, query)
      t.equal(response.statusCode, status, query)
      t.match(JSON.parse(await text(response)), { statusCode: status })
    }
    const nobody = await bearer(app, [])
    t.match(await app.inject({ url: '/api/jobs', headers: { accept: 'application/x-ndjson', ...nobody } }), { statusCode: 403 })
    t.match(await app.inject({ url: '/api/jobs', headers: { accept: 'application/json, application/x-ndjson;q=0.5', ...await bearer(app, ['api']) } }), { statusCode: 200, headers: { 'content-type': 'application/x-ndjson' } })
    await app.db.exec('DROP TABLE jobtag; DROP TABLE job')
    t.match(await app.inject({ url: '/api/jobs', headers: { accept: 'application/x-ndjson', ...await bearer(app, ['api']) } }), { statusCode: 500 }, 'an error before the first job')
  })

  void t.test(`a client that leaves frees what was held for it, on ${engine}`, { timeout: 180_000 }, async t => {
    const app = await listen(t, engine, much)
    const responses = await Promise.all([request(app), request(app, 'sort=id')])
    for (const response of responses) await once(response, 'readable')
    t.ok(held(app) >= 2, 'a connection each')
    for (const response of responses) response.destroy()
    await until(() => held(app) === 0)
    t.equal((await app.inject({ url: '/api/jobs' })).statusCode, 200)
  })

  void t.test(`a client that takes nothing is cut off, on ${engine}`, { timeout: 180_000 }, async t => {
    const logged: object[] = []
    const app = await listen(t, engine, much, { options: { deadlines: { streamIdle: 100 } }, logged })
    const response = await request(app)
    await once(response, 'readable')
    await until(() => held(app) === 0)
    await t.rejects(text(response), { code: 'ECONNRESET' }, 'what it has is not complete')
    t.equal(response.complete, false)
    t.match(JSON.stringify(logged), /TDM_ERR_JOBS_STREAM_IDLE/)
  })

  void t.test(`an error in the middle breaks the stream off, on ${engine}`, { timeout: 180_000 }, async t => {
    const app = await listen(t, engine, much)
    const response = await request(app)
    await once(response, 'readable')
    await app.db.close({ graceMs: 0 })
    await t.rejects(text(response), { code: 'ECONNRESET' })
    t.equal(response.complete, false)
  })

  void t.test(`bad rows do not break a stream, and are told once, on ${engine}`, async t => {
    const logged: object[] = []
    const app = await listen(t, engine, makeJobs(5, 3), { logged, statements: ['UPDATE job SET footprint = \'broken\', num_acc = NULL WHERE id IN (2, 4)'] })
    t.equal((await text(await request(app, 'sort=id'))).split('\n').length, 6)
    t.match(logged.at(-1), { level: 40, ids: [2, 4] })
  })
}
