// The routes, as a client sees them.
import t, { type Test } from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import config from '../../../plugins/config/index.ts'
import db from '../../../plugins/db/index.ts'
import type { EngineName } from '../../../plugins/db/types.ts'
import { importJobs } from '../../../services/jobs/import.ts'
import jobs from '../../../services/jobs/index.ts'
import type { DetailedJob, JobFilter, Stats } from '../../../services/jobs/schema.ts'
import { queryJobs } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, writeJobDb, type JobData } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { migratedUrl } from '../../helper/migrated.ts'
import { isNotice } from '../../helper/native.ts'
import { copyDatabase, missing } from './data-sets.ts'
import { tables } from './databases.ts'
import { select } from './naive.ts'

const data = makeJobs(300, 5)
const admin = { username: 'root', roles: ['admin'] }

async function openApp (t: Test, url: string, logged: object[] = []): Promise<FastifyInstance> {
  const stream = { write: (line: string) => { if (!isNotice(line)) logged.push(JSON.parse(line) as object) } }
  const app = Fastify({ logger: { level: 'warn', stream } })
  t.teardown(() => app.close())
  await app.register(config, { env: { DATABASE_URL: url } })
  await app.register(db, { migrations: tables })
  await app.register(jobs, { now: () => NOW })
  await app.ready()
  return app
}

/** The service on made-up jobs: SQLite serves the file of cc-backend itself, PostgreSQL what was imported of it. */
async function openOn (t: Test, engine: EngineName, jobData: JobData = data, statements: string[] = [], logged: object[] = []): Promise<FastifyInstance> {
  const path = join(t.testdir(), 'job.db')
  writeJobDb(path, jobData, { statements })
  if (engine === 'sqlite') return await openApp(t, `sqlite:${path}`, logged)
  const app = await openApp(t, await migratedUrl(t, engine, tables), logged)
  await importJobs(app.db, path)
  return app
}

async function get<T = { message: string, code: string }> (app: FastifyInstance, url: string): Promise<{ status: number, body: T }> {
  const response = await app.inject({ url })
  return { status: response.statusCode, body: response.json<T>() }
}

const withoutTags = ({ tags: _tags, ...job }: DetailedJob): Omit<DetailedJob, 'tags'> => job

interface List { jobs: DetailedJob[], items: number, page: number, nextCursor?: string }

const queries: Array<[query: string, filter: JobFilter]> = [
  ['', {}],
  ['cluster=alex', { cluster: { eq: 'alex' } }],
  ['user=user00&project=Project0', { user: { eq: 'user00' }, project: { eq: 'Project0' } }],
  ['subCluster=a40&partition=a40', { subCluster: { eq: 'a40' }, partition: { eq: 'a40' } }],
  ['state=running', { state: ['running'] }],
  ['state=running&state=failed', { state: ['running', 'failed'] }],
  ['shared=none', { shared: 'none' }],
  ['jobId=100070', { jobId: { eq: '100070' } }],
  ['arrayJobId=0', { arrayJobId: 0 }],
  [`start-time=${NOW - 864000}-${NOW}`, { startTime: { from: NOW - 864000, to: NOW } }],
  [`start-time=${NOW - 864000}-`, { startTime: { from: NOW - 864000 } }],
  [`start-time=-${NOW - 864000}`, { startTime: { to: NOW - 864000 } }],
  ['start-time=0-5', { startTime: { from: 0, to: 5 } }],
  ['numNodes=1', { numNodes: { from: 1, to: 1 } }],
  ['numNodes=2-64', { numNodes: { from: 2, to: 64 } }],
  ['duration=300-', { duration: { from: 300 } }],
  ['duration=-300', { duration: { to: 300 } }],
  ['numHwthreads=72-', { numHWThreads: { from: 72 } }],
  ['numAcc=1-8', { numAccelerators: { from: 1, to: 8 } }],
  ['energy=0.5-2.5', { energy: { from: 0.5, to: 2.5 } }],
  ['metric=cpu_load_avg:10-20.5&metric=mem_bw_avg:50-', { metricStats: [{ metricName: 'cpu_load_avg', range: { from: 10, to: 20.5 } }, { metricName: 'mem_bw_avg', range: { from: 50 } }] }],
  ['tag=1&tag=2', { tags: ['1', '2'] }],
  ['node=a0003', { node: { eq: 'a0003' } }],
  ['jobName=train', { jobName: { contains: 'train' } }],
  ['schedule=batch', { schedule: 'batch' }]
]

for (const engine of engines) {
  void t.test(`each filter of the query string works for lists, counts and statistics, on ${engine}`, async t => {
    const app = await openOn(t, engine)
    for (const [query, filter] of queries) {
      const expected = select(data, admin, [filter], NOW)
      const list = await get<List>(app, `/api/jobs?${query}&sort=id&limit=1000`)
      t.same(list.body.jobs?.map(job => job.id), expected.map(job => job.id), query)
      t.same(await get(app, `/api/jobs/count?${query}`), { status: 200, body: { count: expected.length } })
      const { body } = await get<{ stats: Stats[] }>(app, `/api/jobs/stats?${query}`)
      t.same(body.stats.map(({ totalJobs, totalNodes }) => [totalJobs, totalNodes]), [[expected.length, expected.reduce((sum, job) => sum + job.num_nodes, 0)]])
    }
  })

  void t.test(`lists come newest first, 25 at a time, on ${engine}`, async t => {
    const app = await openOn(t, engine)
    const newest = await queryJobs(app.db, { user: admin, order: { field: 'startTime', type: 'col', order: 'DESC' } }, { now: () => NOW })

    const pageOf = async (url: string): Promise<Partial<List>> => {
      const { nextCursor, jobs, ...page } = (await get<List>(app, url)).body
      t.type(nextCursor, 'string', 'there is more')
      return { ...page, jobs: jobs.map(withoutTags) }
    }
    t.same(await pageOf('/api/jobs'), { jobs: newest.slice(0, 25), items: 25, page: 1 })
    t.same(await pageOf('/api/jobs?page=3&items-per-page=10'), { jobs: newest.slice(20, 30), items: 10, page: 3 })
    t.same((await get<List>(app, '/api/jobs?limit=2&page=999')).body.jobs, [])
    const byLoad = await get<List>(app, '/api/jobs?sort=-footprint.cpu_load_avg&limit=300')
    const loads = byLoad.body.jobs.map(job => job.footprint.cpu_load_avg ?? -1)
    t.same(loads, loads.toSorted((a, b) => b - a))
    const one = newest[0]
    t.same(withoutTags((await get<DetailedJob>(app, `/api/jobs/${one?.id}`)).body), one)
    t.match(await get(app, '/api/jobs/9999'), { status: 404, body: { code: 'TDM_ERR_JOBS_NOT_FOUND' } })
  })

  void t.test(`statistics can be grouped, sorted and paged, on ${engine}`, async t => {
    const app = await openOn(t, engine)
    interface Groups { stats: Array<Stats & { id: string, name: string }> }

    const users = (await get<Groups>(app, '/api/jobs/stats?groupBy=user')).body.stats
    t.same(users.map(({ id }) => id).sort(), [...new Set(data.jobs.map(job => job.hpc_user))].sort(), 'all of them')
    t.same(users.map(({ totalJobs }) => totalJobs), users.map(({ totalJobs }) => totalJobs).sort((a, b) => b - a), 'most jobs first')
    t.ok(users.some(({ name }) => name.startsWith('Name of')))
    const hours = (await get<Groups>(app, '/api/jobs/stats?groupBy=subcluster&sortBy=totalCoreHours&limit=2&page=1')).body.stats
    t.equal(hours.length, 2)
    t.ok((hours[0]?.totalCoreHours ?? 0) >= (hours[1]?.totalCoreHours ?? 0))
  })

  void t.test(`bad rows do not break a list, and are logged with their ids, on ${engine}`, async t => {
    const logged: object[] = []
    const statements = ['UPDATE job SET footprint = \'broken\', num_acc = NULL WHERE id = 2', 'UPDATE job SET resources = \'[{"hwthreads":["x",1.5,3]}]\' WHERE id = 3']
    const app = await openOn(t, engine, makeJobs(3), statements, logged)
    const { status, body } = await get<List>(app, '/api/jobs?sort=id')
    t.equal(status, 200)
    t.same(body.jobs[1]?.footprint, {})
    t.same(body.jobs[2]?.resources, [{ hostname: '', hwthreads: [3] }])
    t.match(logged.at(-1), { level: 40, ids: [2, 3] })
  })
}

void t.test('what is not understood is refused, naming the place', async t => {
  const app = await openOn(t, 'sqlite', makeJobs(3))
  const refused: Array<[query: string, place: string]> = [
    ['limit=0', 'querystring/limit'], ['limit=1001', 'querystring/limit'], ['limit=x', 'querystring/limit'], ['page=0', 'querystring/page'], ['items-per-page=5000', 'querystring/items-per-page'],
    ['state=done', 'querystring/state/0'], ['shared=all', 'querystring/shared'], ['sort=nope', 'querystring/sort'], ['sort=id;DROP', 'querystring/sort'], ['sort=footprint.a-b', 'querystring/sort'],
    ['numNodes=two', 'querystring/numNodes'], ['numNodes=-', 'querystring/numNodes'], ['numNodes=1-2-3', 'querystring/numNodes'], ['start-time=yesterday', 'querystring/start-time'],
    ['jobId=12a', 'querystring/jobId'], ['tag=x', 'querystring/tag/0'], ['metric=bad name:1-2', 'querystring/metric/0'], ['user=', 'querystring/user'], ['cluster=%00', 'querystring/cluster'],
    ['Cluster=alex', 'querystring/Cluster'], ['clusters=alex', 'querystring/clusters'], ['toString=1', 'querystring/toString'], ['__proto__=1', 'querystring/__proto__']
  ]
  for (const [query, place] of refused) {
    const { status, body } = await get(app, `/api/jobs?${query}`)
    t.equal(status, 400, query)
    t.match(body.message, place, query)
  }
  t.match(await get(app, '/api/jobs/count?sort=id'), { status: 400, body: { code: 'TDM_ERR_JOBS_BAD_INPUT' } }, 'a count has no order')
  t.match(await get(app, '/api/jobs/stats?groupBy=nobody'), { status: 400 })
  for (const id of ['x', '0', '-1', '1.5', '99999999999999999999']) t.match(await get(app, `/api/jobs/${id}`), { status: 400, body: { message: /params\/id/ } })
})

void t.test('only processes on this machine are answered', async t => {
  const logged: object[] = []
  const app = await openOn(t, 'sqlite', makeJobs(3), [], logged)
  t.match(logged, [{ level: 40, msg: /keeps no API tokens\. Requests from this machine/ }], 'and the log says so, once')

  for (const remoteAddress of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) {
    t.equal((await app.inject({ url: '/api/jobs', remoteAddress })).statusCode, 200, remoteAddress)
  }
  for (const remoteAddress of ['10.0.0.1', '::ffff:10.0.0.1', 'fe80::1', '192.168.127.0']) {
    for (const url of ['/api/jobs', '/api/jobs/1', '/api/jobs/count', '/api/jobs/stats', '/api/jobs?limit=0']) {
      const response = await app.inject({ url, remoteAddress })
      t.equal(response.statusCode, 401, `${remoteAddress} ${url}`)
      t.equal(response.json<{ code: string }>().code, 'TDM_ERR_JOBS_UNAUTHENTICATED')
    }
  }
  for (const headers of [{ 'x-forwarded-for': '127.0.0.1' }, { forwarded: 'for=10.0.0.1' }, { 'x-real-ip': '10.0.0.1' }]) {
    t.equal((await app.inject({ url: '/api/jobs', headers })).statusCode, 401, 'through a proxy on this machine')
  }
})

void t.test('an error of the database does not show what the driver says', async t => {
  const app = await openOn(t, 'sqlite', makeJobs(3))
  await app.db.exec('ALTER TABLE job RENAME COLUMN project TO secret_project')
  const response = await app.inject({ url: '/api/jobs' })
  t.equal(response.statusCode, 500)
  t.notMatch(response.body, /no such column/)
})

void t.test('a real database of cc-backend is served as it is', { skip: missing ?? false }, async t => {
  const path = copyDatabase(t)
  const app = await openApp(t, `sqlite:${path}`)
  const tables = async (): Promise<unknown> => await app.db.prepare('SELECT name, sql FROM sqlite_master ORDER BY name').all()
  const before = await tables()

  const { body } = await get<List>(app, '/api/jobs?cluster=alex&sort=-startTime&limit=10')
  t.equal(body.jobs.length, 10)
  t.equal(body.jobs[0]?.id, 303)
  t.match(await get(app, '/api/jobs/1'), { status: 200, body: { id: 1, jobId: 679694, user: 'iwi5056h' } })
  t.same(await get(app, '/api/jobs/count'), { status: 200, body: { count: 544 } })
  t.equal((await get<{ stats: unknown[] }>(app, '/api/jobs/stats?groupBy=user')).body.stats.length, 42)
  t.same(await tables(), before, 'nothing was migrated')
})

void t.test('a database of cc-backend that is not understood stops the start', async t => {
  for (const [version, dirty, reason] of [[12, false, /version 12/], [8, false, /version 8/], [11, true, /unfinished/]] as const) {
    const path = join(t.testdir(), `v${version}.db`)
    writeJobDb(path, makeJobs(1), { version, dirty })
    await t.rejects(openApp(t, `sqlite:${path}`), { code: 'TDM_ERR_JOBS_SCHEMA', message: reason })
  }
  const path = join(t.testdir(), 'empty.db')
  writeJobDb(path, makeJobs(1), { statements: ['DELETE FROM schema_migrations'] })
  copyFileSync(path, `${path}.copy`)
  await t.rejects(openApp(t, `sqlite:${path}.copy`), { code: 'TDM_ERR_JOBS_SCHEMA', message: /no version/ })
})
