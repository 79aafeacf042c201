// Lists of jobs: what a job looks like, order, pages, and rows that are not as they should be.
import t from 'tap'
import { join } from 'node:path'
import type { Job, Order, User } from '../../../services/jobs/schema.ts'
import { countJobs, findById, jobsStats, queryJobIds, queryJobs, type Warning } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, writeJobDb, type JobRow } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openJobs } from './databases.ts'
import { parse } from './naive.ts'

const options = { now: () => NOW }
const user: User = { username: 'root', roles: ['admin'] }
const data = makeJobs(300, 2)

const columns: Record<string, keyof JobRow> = {
  id: 'id',
  jobId: 'job_id',
  user: 'hpc_user',
  project: 'project',
  cluster: 'cluster',
  subCluster: 'subcluster',
  partition: 'cluster_partition',
  arrayJobId: 'array_job_id',
  startTime: 'start_time',
  submitTime: 'submit_time',
  duration: 'duration',
  walltime: 'walltime',
  numNodes: 'num_nodes',
  numHwthreads: 'num_hwthreads',
  numHWThreads: 'num_hwthreads',
  numAcc: 'num_acc',
  energy: 'energy',
  jobState: 'job_state',
  shared: 'shared'
}

type Key = string | number | null

/** NULL first, then by value; ties by id. */
function sorted (rows: readonly JobRow[], key: (row: JobRow) => Key, direction: 'ASC' | 'DESC'): number[] {
  const compare = (a: Key, b: Key): number => a === b ? 0 : a === null ? -1 : b === null ? 1 : a < b ? -1 : 1
  const ids = rows.toSorted((a, b) => compare(key(a), key(b)) || a.id - b.id).map(row => row.id)
  return direction === 'ASC' ? ids : ids.reverse()
}

for (const engine of engines) {
  void t.test(`a job is what its row says, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, data)
    const db = await openJobs(t, engine, path)

    const jobs = await queryJobs(db, { user }, options)
    t.equal(jobs.length, data.jobs.length)
    for (const [i, row] of data.jobs.entries()) t.same(jobs[i], expectedJob(row), `job ${row.id}`)
    t.same(await findById(db, { user, id: 7 }, options), jobs[6])
    await t.rejects(findById(db, { user, id: 9999 }, options), { code: 'TDM_ERR_JOBS_NOT_FOUND', statusCode: 404 })
    await t.rejects(findById(db, { user: { username: 'nobody', roles: ['user'] }, id: 7 }, options), { code: 'TDM_ERR_JOBS_NOT_FOUND' }, 'hidden is not found')
  })

  void t.test(`every order is total: ties by id, NULL first when ascending, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, data)
    const db = await openJobs(t, engine, path)

    for (const direction of ['ASC', 'DESC'] as const) {
      for (const [field, column] of Object.entries(columns)) {
        const ids = await queryJobIds(db, { user, order: { field, type: 'col', order: direction } }, options)
        t.same(ids, sorted(data.jobs, row => row[column], direction), `${field} ${direction}`)
      }
      const metric = 'flops_any_avg'
      const withFootprint = data.jobs.filter(row => row.footprint !== null)
      const ids = await queryJobIds(db, { user, order: { field: metric, type: 'foot', order: direction } }, options)
      t.same(ids, sorted(withFootprint, row => (parse(row.footprint) as Record<string, number>)[metric] ?? null, direction), `${metric} ${direction}`)
    }
    const refused: Order[] = [
      { field: 'nope', type: 'col', order: 'ASC' }, { field: 'meta_data', type: 'col', order: 'ASC' }, { field: 'id; DROP TABLE job', type: 'col', order: 'ASC' },
      { field: 'a b', type: 'foot', order: 'ASC' }, { field: '"', type: 'foot', order: 'DESC' }, { field: '', type: 'col', order: 'ASC' }
    ]
    for (const order of refused) await t.rejects(queryJobIds(db, { user, order }, options), { code: 'TDM_ERR_JOBS_BAD_ORDER_FIELD', statusCode: 400 })
  })

  void t.test(`pages never overlap and leave nothing out, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, data)
    const db = await openJobs(t, engine, path)

    for (const field of ['startTime', 'user', 'numAcc']) {
      const order: Order = { field, type: 'col', order: 'DESC' }
      const pages: number[] = []
      for (let page = 1; page <= 8; page++) pages.push(...await queryJobIds(db, { user, order, page: { itemsPerPage: 40, page } }, options))
      t.same(pages, await queryJobIds(db, { user, order, page: { itemsPerPage: -1, page: 5 } }, options), field)
      t.equal(new Set(pages).size, data.jobs.length)
    }
    const first = await queryJobIds(db, { user, page: { itemsPerPage: 3, page: 0 } }, options)
    t.same(first, [1, 2, 3], 'a page below 1 is the first')
    for (const itemsPerPage of [0, -2, 1.5, NaN]) {
      await t.rejects(queryJobIds(db, { user, page: { itemsPerPage, page: 1 } }, options), { code: 'TDM_ERR_JOBS_BAD_PAGE', statusCode: 400 }, String(itemsPerPage))
    }
    t.same(await queryJobIds(db, { user, page: { itemsPerPage: 10, page: 1e9 } }, options), [])
  })

  void t.test(`a row with NULL or broken JSON breaks no list, and is reported, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    const whole = makeJobs(20, 3)
    for (const job of whole.jobs) Object.assign(job, { cluster_partition: 'p', array_job_id: 0, num_hwthreads: 4, num_acc: 1, footprint: '{"cpu_load_avg":2}', meta_data: '{}', job_state: 'completed' })
    writeJobDb(path, whole, { statements: bad.map((change, i) => `UPDATE job SET ${change} WHERE id = ${i + 1}`) })
    const db = await openJobs(t, engine, path)

    const warnings: Warning[] = []
    const jobs = await queryJobs(db, { user }, { ...options, warn: details => { warnings.push(details) } })
    t.equal(jobs.length, 20)
    const part = (id: number): Partial<Job> => jobs[id - 1] ?? {}
    t.notOk('numAcc' in part(1) || 'numHwthreads' in part(2) || 'partition' in part(3) || 'arrayJobId' in part(4), 'NULL is left out, as 0 is')
    t.same([5, 7, 11, 13].map(id => part(id).footprint), [{}, {}, {}, {}])
    t.same(part(12).footprint, { cpu_load_avg: 0 })
    t.same([9, 14, 15, 16].map(id => part(id).resources), [[], [], [], [{ hostname: '' }]])
    t.equal(part(10).duration, -5)
    const ids = [1, 2, 3, 4, 5, 7, 13, 14, 15, 16].filter(id => engine === 'sqlite' || id !== 14) // PostgreSQL has an empty list there since the import
    t.same(warnings, [{ ids, columns: ['num_acc', 'num_hwthreads', 'cluster_partition', 'array_job_id', 'footprint', 'resources'] }])

    t.equal(await countJobs(db, { user, filter: [{ metricStats: [{ metricName: 'cpu_load_avg', range: { from: 1, to: 0 } }] }] }, options), 15)
    t.equal(await countJobs(db, { user, filter: [{ jobName: { neq: 'x' } }] }, options), 0)
    t.equal(await countJobs(db, { user, filter: [{ node: { contains: '0' } }] }, options), 16)
    const byMetric = await queryJobIds(db, { user, order: { field: 'cpu_load_avg', type: 'foot', order: 'ASC' } }, options)
    t.same(byMetric.slice(0, 3), [11, 12, 13], 'what is no number sorts as NULL')
    t.equal(byMetric.length, 18, 'without the two that have no JSON')
    t.equal((await jobsStats(db, { user }, options))[0].totalAccs, 19)
  })
}

/** The changes of the specification's list of bad data, for the ids from 1, and two more. */
const bad = [
  'num_acc = NULL', 'num_hwthreads = NULL', 'cluster_partition = NULL', 'array_job_id = NULL', 'footprint = NULL', 'meta_data = NULL', 'footprint = \'not json\'',
  'meta_data = \'not json\'', 'resources = \'[]\'', 'duration = -5', 'footprint = \'{}\'', 'footprint = \'{"cpu_load_avg":null}\'', 'footprint = \'{"cpu_load_avg":"x"}\'',
  'resources = \'x\'', 'resources = \'[3,"a",null]\'', 'resources = \'[{"hostname":7,"hwthreads":"x"}]\''
]

function expectedJob (row: JobRow): Job {
  const some = (values: Record<string, unknown>): object => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== 0 && value !== null))
  return {
    id: row.id,
    jobId: row.job_id,
    user: row.hpc_user,
    project: row.project,
    cluster: row.cluster,
    subCluster: row.subcluster,
    numNodes: row.num_nodes,
    shared: row.shared,
    jobState: row.job_state,
    startTime: row.start_time,
    duration: row.job_state === 'running' ? NOW - row.start_time : row.duration,
    energy: row.energy,
    resources: parse(row.resources) as Job['resources'],
    footprint: (parse(row.footprint) ?? {}) as Job['footprint'],
    energyFootprint: null,
    metaData: null,
    statistics: null,
    concurrentJobs: { items: null, count: 0 },
    ...some({
      partition: row.cluster_partition,
      arrayJobId: row.array_job_id,
      numHwthreads: row.num_hwthreads,
      numAcc: row.num_acc,
      smt: row.smt,
      monitoringStatus: row.monitoring_status,
      walltime: row.walltime
    })
  }
}
