// Limits of time, memory and requests: what is told to whom they stop.
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import t from 'tap'
import application from '../../../app.ts'
import { databaseError, PoolTimeout } from '../../../plugins/errors.ts'
import { explainLimit } from '../../../services/jobs/limits.ts'
import { makeJobs } from '../../data/jobs.ts'
import { startApp } from '../../helper/app.ts'
import { engines, freshUrl } from '../../helper/db.ts'
import { migratedUrl } from '../../helper/migrated.ts'
import { skipWithoutNative } from '../../helper/native.ts'
import { bearer, openWith } from './service.ts'

/** Each job as often as nobody can wait for. */
const endless = `CREATE TABLE job_rows AS SELECT * FROM job; DROP TABLE jobtag; DROP TABLE job;
  CREATE VIEW job AS WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 100000000000) SELECT job_rows.* FROM job_rows CROSS JOIN many`

for (const engine of engines) {
  void t.test(`a statement that takes too long is a 503 that says which limit it was, on ${engine}`, async t => {
    const app = await openWith(t, engine, makeJobs(20), { options: { deadlines: { list: 150, totals: 200 } } })
    await app.db.exec(endless)
    for (const [url, limit] of [['/api/jobs/count', '0.2 s'], ['/api/jobs/stats?groupBy=user', '0.2 s'], ['/api/jobs?sort=numNodes', '0.15 s']] as const) {
      const response = await app.inject({ url })
      t.match(response.json(), { statusCode: 503, code: 'TDM_ERR_JOBS_TIME_LIMIT', message: new RegExp(`longer than this may take \\(${limit.replace('.', '\\.')}\\)`) }, url)
      t.match(response.json<{ message: string }>().message, /Narrow the filter/)
      t.notMatch(response.body, /SELECT|job_rows|interrupt|cancel/i, 'nothing of the inside')
    }
  })

  void t.test(`in the form of the app, with Retry-After, also for a limit of the configuration, on ${engine}`, async t => {
    const app = await startApp(t, { DATABASE_URL: await migratedUrl(t, engine), DB_STATEMENT_TIMEOUT: '2s' })
    await app.db.exec('INSERT INTO job (job_id, cluster, subcluster, hpc_user, project, duration, walltime, job_state, resources, num_nodes, shared) VALUES (1, \'a\', \'b\', \'c\', \'d\', 1, 1, \'completed\', \'[]\', 1, \'none\')')
    await app.db.exec(endless)
    const response = await app.inject({ url: '/api/jobs/count' })
    t.equal(response.headers['retry-after'], '1')
    const { message, ...rest } = response.json<{ message: string }>()
    t.strictSame(rest, { statusCode: 503, code: 'TDM_ERR_JOBS_TIME_LIMIT', error: 'Service Unavailable' })
    t.match(message, /longer than a statement may take \(DB_STATEMENT_TIMEOUT, DB_TX_TIMEOUT\)/)
  })

  void t.test(`too many requests are 429, by token, or else by address, on ${engine}`, async t => {
    const app = await openWith(t, engine, makeJobs(3), { options: { rateLimit: { requests: 3, seconds: 600 } } })
    const ann = await bearer(app, ['api'])
    const bob = await bearer(app, ['api'])
    const statuses = async (headers: Record<string, string>, remoteAddress = '10.0.0.1', times = 5): Promise<number[]> => {
      const found = []
      for (let i = 0; i < times; i++) found.push((await app.inject({ url: '/api/jobs', headers, remoteAddress })).statusCode)
      return found
    }
    t.strictSame(await statuses(ann), [200, 200, 200, 429, 429])
    t.strictSame(await statuses(ann, '10.0.0.2', 1), [429], 'from wherever')
    t.strictSame(await statuses(bob), [200, 200, 200, 429, 429], 'each has its own')
    t.strictSame(await statuses({ authorization: 'Bearer x' }), [401, 401, 401, 429, 429])
    t.strictSame(await statuses({}), [429, 429, 429, 429, 429], 'without a valid token it is the address')
    t.strictSame(await statuses({}, '10.0.0.3', 1), [401])
    const response = await app.inject({ url: '/api/jobs', headers: ann })
    t.match(response.json(), { statusCode: 429, code: 'TDM_ERR_JOBS_RATE_LIMIT', message: /more than 3 requests in 600 s\. Try again in \d+ s/ })
    t.ok(Number(response.headers['retry-after']) > 500)
  })
}

void t.test('a statement that needs too much memory is a 503 that says so', { skip: skipWithoutNative('limits the length of values') }, async t => {
  const app = await openWith(t, 'sqlite', makeJobs(3), { env: { SQLITE_MAX_LENGTH: '2MB' } })
  await app.db.exec('CREATE TABLE job_rows AS SELECT * FROM job; DROP TABLE jobtag; DROP TABLE job; CREATE VIEW job AS SELECT * FROM job_rows WHERE length(hex(zeroblob(1500000 + id))) > 0')
  for (const headers of [{}, { accept: 'application/x-ndjson' }]) {
    const response = await app.inject({ url: '/api/jobs', headers })
    t.match(response.json(), { statusCode: 503, code: 'TDM_ERR_JOBS_MEMORY_LIMIT', message: /more memory or temporary disk.*Narrow the filter/ })
    t.notMatch(response.body, /zeroblob|too big|SELECT/)
  }
})

void t.test('a client that leaves ends its statement, and is no error in the log', async t => {
  interface Entry { level: number, msg: string, err?: { code: string } }
  const told = Promise.withResolvers<Entry>()
  const write = (line: string): void => {
    const entry = JSON.parse(line) as Entry
    if (entry.msg === 'a request failed') told.resolve(entry)
  }
  const url = await freshUrl(t, 'sqlite')
  const app = Fastify({ logger: { level: 'info', stream: { write } }, forceCloseConnections: true })
  t.teardown(async () => { await app.close() })
  await app.register(fastifyPlugin(application), { env: { DATABASE_URL: url }, vault: { hasDemo: false } })
  await app.db.exec('INSERT INTO job (job_id, cluster, subcluster, hpc_user, project, duration, walltime, job_state, resources, num_nodes, shared) VALUES (1, \'a\', \'b\', \'c\', \'d\', 1, 1, \'completed\', \'[]\', 1, \'none\')')
  await app.db.exec(endless)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const isAsked = (): boolean => app.db.activity().statements.some(({ request, place }) => request !== undefined && place !== 'queue')
  const { port } = app.server.address() as AddressInfo
  const request = get({ port, host: '127.0.0.1', path: '/api/jobs/count' }).on('error', () => {})
  while (!isAsked()) await new Promise(resolve => { setImmediate(resolve) })
  request.destroy()
  t.match(await told.promise, { level: 30, err: { code: 'TDM_ERR_DB_ABORTED' } })
  while (isAsked()) await new Promise(resolve => { setImmediate(resolve) })
})

void t.test('each limit has its code; what is none stays what it is', async t => {
  const code = (error: unknown, ms?: number): unknown => (explainLimit(error, ms) as { code?: string }).code
  const sql = 'SELECT secret'
  t.equal(code(databaseError('timeout', sql), 5000), 'TDM_ERR_JOBS_TIME_LIMIT')
  t.equal(code(databaseError('memory', sql)), 'TDM_ERR_JOBS_MEMORY_LIMIT')
  t.equal(code(databaseError('busy', sql)), 'TDM_ERR_JOBS_BUSY')
  t.equal(code(new PoolTimeout(1, sql)), 'TDM_ERR_JOBS_BUSY')
  for (const kind of ['memory', 'busy', 'timeout'] as const) {
    const explained = explainLimit(databaseError(kind, sql, { cause: new Error('of the driver') })) as Error & { statusCode: number, expose: boolean }
    t.match(explained, { statusCode: 503, expose: true })
    t.notMatch(explained.message, /secret|driver/)
  }
  for (const error of [databaseError('syntax', sql), databaseError('aborted', sql), new Error('x'), undefined]) t.equal(explainLimit(error), error)
})
