// Each filter finds the jobs that a plain reading of the specification finds, on both engines.
import t from 'tap'
import { join } from 'node:path'
import type { JobFilter } from '../../../services/jobs/schema.ts'
import { countJobs, queryJobIds } from '../../../services/jobs/store.ts'
import { createRandom, makeJobs, NOW, writeJobDb } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openJobs } from './databases.ts'
import { select } from './naive.ts'
import { admin, users } from './users.ts'

const options = { now: () => NOW }
const data = makeJobs(400)
const middle = data.jobs[200]?.start_time ?? NOW

const filters: JobFilter[] = [
  {},
  { dbId: ['1', '2', '400', '9999'] }, { dbId: [] }, { dbId: Array.from({ length: 300 }, (_, i) => String(i * 2)) },
  { jobId: { eq: '100070' } }, { jobId: { neq: '100070' } }, { jobId: { eq: 'abc' } }, { jobId: { neq: 'abc' } }, { jobId: { contains: '07' } },
  { jobId: { startsWith: '101' } }, { jobId: { endsWith: '3' } }, { jobId: { in: ['100070', '100077', 'x'] } }, { jobId: { eq: '99999999999999999999' } },
  { arrayJobId: 0 }, { arrayJobId: data.jobs.find(job => (job.array_job_id ?? 0) > 0)?.array_job_id ?? 1 },
  { user: { eq: 'user00' } }, { user: { eq: 'USER00' } }, { user: { neq: 'user00' } }, { user: { startsWith: 'USER0' } }, { user: { endsWith: '1' } },
  { user: { contains: 'ER0' } }, { user: { in: ['user00', 'user03'] } }, { user: { in: [] } }, { user: {} },
  { user: { eq: 'user01', in: ['user00'] } }, { user: { contains: 'user_1' } }, { user: { contains: '%' } }, { user: { contains: '\\' } },
  { project: { eq: 'Project1' } }, { project: { contains: 'JECT2' } }, { cluster: { eq: 'alex' } }, { cluster: { in: ['alex', 'fritz', 'nope'] } },
  { cluster: { neq: 'alex' } }, { subCluster: { eq: 'a40' } }, { subCluster: { in: ['a40', 'spr'] } }, { partition: { neq: 'a40' } }, { partition: { startsWith: 'a' } },
  { partition: { in: ['work', 'main'] } },
  { state: ['running'] }, { state: ['completed', 'failed'] }, { state: [] }, { state: ['boot_fail'] },
  { shared: 'none' }, { shared: 'single_user' }, { schedule: 'interactive' }, { schedule: 'batch' }, { schedule: 'other' },
  { duration: { from: 300, to: 3600 } }, { duration: { from: 300, to: 0 } }, { duration: { from: 0, to: 300 } }, { duration: { from: 0, to: 0 } },
  { duration: { from: -1, to: 300 } }, { duration: { from: 5, to: -1 } }, { duration: { from: 500 } }, { duration: {} },
  { numNodes: { from: 2, to: 64 } }, { numAccelerators: { from: 1, to: 0 } }, { numHWThreads: { from: 10, to: 100 } }, { energy: { from: 0.5, to: 2.25 } },
  { energy: { from: 0, to: 0.75 } }, { numNodes: { from: 3_000_000_000, to: 0 } },
  { startTime: { from: middle, to: NOW } }, { startTime: { from: middle } }, { startTime: { to: middle } }, { startTime: { range: 'last6h' } },
  { startTime: { range: 'last24h' } }, { startTime: { range: 'last7d' } }, { startTime: { range: 'last30d' } }, { startTime: { range: 'nonsense' } }, { startTime: {} },
  { startTime: { from: new Date(middle * 1000).toISOString(), range: 'last6h' } },
  { metricStats: [{ metricName: 'cpu_load_avg', range: { from: 10, to: 20.5 } }] }, { metricStats: [{ metricName: 'flops_any_avg', range: { from: 0, to: 4000 } }] },
  { metricStats: [{ metricName: 'mem_used_max', range: { from: 100, to: 0 } }] }, { metricStats: [{ metricName: 'flops_any_avg', range: { from: 0, to: 0 } }] },
  { metricStats: [{ metricName: 'no_such', range: { from: 1, to: 2 } }] }, { metricStats: [{ metricName: 'bad name', range: { from: 0, to: 0 } }] },
  { metricStats: [{ metricName: 'cpu_load_avg', range: { from: 10, to: 60 } }, { metricName: 'mem_bw_avg', range: { from: 100, to: 0 } }] },
  { tags: ['1'] }, { tags: ['1', '2', '3'] }, { tags: [] }, { tags: ['99'] },
  { node: { eq: 'a0003' } }, { node: { neq: 'a0003' } }, { node: { startsWith: 'F000' } }, { node: { endsWith: '7' } }, { node: { contains: '00' } }, { node: { in: ['a0003'] } }, { node: {} },
  { jobName: { eq: 'md_run' } }, { jobName: { neq: 'md_run' } }, { jobName: { contains: 'train' } }, { jobName: { startsWith: 'x%' } }, { jobName: { contains: 'GRÖSSE' } },
  { jobName: { contains: 'GRößE' } }, { jobName: { contains: '\\s' } }, { jobName: { in: ['md_run'] } }, { jobName: { endsWith: '-B' } }, { jobName: {} },
  { cluster: { eq: 'alex' }, state: ['completed', 'running'], energy: { from: 1, to: 0 } }
]

for (const engine of engines) {
  void t.test(`every filter finds what it describes, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, data)
    const db = await openJobs(t, engine, path)

    for (const filter of filters) {
      const found = await queryJobIds(db, { user: admin, filter: [filter] }, options)
      t.same(found, select(data, admin, [filter], NOW).map(job => job.id), JSON.stringify(filter))
    }
    t.ok(filters.filter(filter => select(data, admin, [filter], NOW).length > 0).length > 70, 'most of them find something')
  })

  void t.test(`filters are ANDed, with each other and with what the user may see, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, data)
    const db = await openJobs(t, engine, path)
    const random = createRandom(7)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T

    for (let i = 0; i < 150; i++) {
      const user = pick([admin, ...users])
      const filter = [pick(filters), pick(filters), ...(random() < 0.3 ? [{ ...pick(filters), ...pick(filters) }] : [])]
      const expected = select(data, user, filter, NOW).map(job => job.id)
      t.same(await queryJobIds(db, { user, filter, order: { field: 'id', type: 'col', order: 'DESC' } }, options), expected.toReversed(), JSON.stringify({ user, filter }))
      t.equal(await countJobs(db, { user, filter }, options), expected.length)
    }
  })

  void t.test(`each role sees what it may see, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, data)
    const db = await openJobs(t, engine, path)

    for (const user of users) {
      const visible = select(data, user, [], NOW)
      t.same(await queryJobIds(db, { user }, options), visible.map(job => job.id), JSON.stringify(user))
    }
    await t.rejects(countJobs(db, { user: null }, options), { code: 'TDM_ERR_JOBS_UNAUTHENTICATED', statusCode: 401 })
    for (const roles of [[], ['anonymous'], ['api', 'anonymous'], ['root']]) {
      await t.rejects(countJobs(db, { user: { username: 'user00', roles } }, options), { code: 'TDM_ERR_JOBS_FORBIDDEN_ROLE', statusCode: 403 })
    }
  })

  void t.test(`what cannot be meant is refused, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, makeJobs(3))
    const db = await openJobs(t, engine, path)
    const refused: JobFilter[] = [{ dbId: ['1 OR 1=1'] }, { tags: ['x'] }, { startTime: { from: 'yesterday' } }, { dbId: ['99999999999999999999'] }]
    for (const filter of refused) {
      await t.rejects(countJobs(db, { user: admin, filter: [filter] }, options), { code: 'TDM_ERR_JOBS_BAD_INPUT', statusCode: 400 }, JSON.stringify(filter))
    }
    for (const value of ['none\' OR \'1\'=\'1', '"; DROP TABLE job; --', '?', ':name', '$1']) {
      const filter: JobFilter[] = [{ shared: value as 'none' }, { state: [value as 'running', 'completed'] }, { cluster: { contains: value } }]
      t.equal(await countJobs(db, { user: admin, filter }, options), 0, value)
    }
    t.equal(await countJobs(db, { user: admin }, options), 3)
  })
}
