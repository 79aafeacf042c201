// Jobs come, end and go, on both engines.
import t from 'tap'
import type { Database } from '../../../plugins/db/types.ts'
import type { OmitTagged, StartJob } from '../../../services/jobs/schema.ts'
import { deleteJob, deleteJobsBefore, fetchMetadata, find, findById, queryJobIds, startJob, stopJob } from '../../../services/jobs/store.ts'
import { makeJobs, NOW } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openEmpty, openMade } from './databases.ts'
import { admin } from './users.ts'

const options = { now: () => NOW }
const notFound = { code: 'TDM_ERR_JOBS_NOT_FOUND', statusCode: 404 }
const badInput = { code: 'TDM_ERR_JOBS_BAD_INPUT', statusCode: 400 }
const day = 86_400

const job: StartJob = {
  jobId: 77, user: 'ida', project: 'p1', cluster: 'alex', subCluster: 'a40', numNodes: 2, startTime: NOW - 1000, resources: [{ hostname: 'a1' }, { hostname: 'a2', hwthreads: [0, 1] }]
}

async function countAll (db: Database): Promise<unknown> {
  return (await db.prepare('SELECT COUNT(*) AS n FROM job').get())?.n
}

for (const engine of engines) {
  void t.test(`a job starts, with what is known of it, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    const started = await startJob(db, job, options)
    t.match(started, { jobId: 77, user: 'ida', jobState: 'running', shared: 'none', monitoringStatus: 1, duration: 1000, resources: job.resources, footprint: {}, energy: 0 })
    t.same(await findById(db, { user: admin, id: started.id }, options), started)
    t.equal(await fetchMetadata(db, { id: started.id }), null)
    const whole: StartJob = {
      ...job, jobId: 78, partition: 'work', arrayJobId: 70, numHwthreads: 32, numAcc: 2, smt: 1, shared: 'multi_user', monitoringStatus: 0, submitTime: 5, walltime: 3600,
      metaData: { jobName: 'größe "x"' }, jobState: 'completed', duration: 9
    }
    const { id, ...second } = await startJob(db, whole, options)
    const { submitTime, metaData, monitoringStatus, ...shown } = whole
    t.match(second, { ...shown, jobState: 'running', duration: 1000 })
    t.same(await fetchMetadata(db, { id }), metaData)
    t.same(await db.prepare('SELECT submit_time, monitoring_status FROM job WHERE id = ?').get(id), { submit_time: submitTime, monitoring_status: monitoringStatus })
  })

  void t.test(`an id starts once in a day on a cluster, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    await startJob(db, job, options)
    const again = { code: 'TDM_ERR_JOBS_ALREADY_STARTED', statusCode: 422 }
    for (const off of [0, 1, -1, day - 1, 1 - day]) await t.rejects(startJob(db, { ...job, startTime: job.startTime + off }, options), again, String(off))
    await startJob(db, { ...job, cluster: 'fritz' }, options)
    await startJob(db, { ...job, startTime: job.startTime + day }, options)
    await startJob(db, { ...job, startTime: job.startTime - day }, options)
    await t.rejects(startJob(db, { ...job, startTime: job.startTime + day + 5 }, options), again)
    t.equal(await countAll(db), 4)
    const many = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => startJob(db, { ...job, jobId: 99, startTime: job.startTime + i }, options)))
    t.equal(many.filter(({ status }) => status === 'fulfilled').length, 1, 'of many at once one')
    for (const one of many) if (one.status === 'rejected') t.match(one.reason, again)
    t.equal(await countAll(db), 5)
  })

  void t.test(`what is no job does not start, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    const wrong: Array<Partial<Record<keyof StartJob | 'more', unknown>>> = [
      { jobId: 0 }, { jobId: '7' }, { jobId: undefined }, { user: '' }, { user: 'a\0' }, { cluster: undefined }, { startTime: 0 }, { startTime: 1.5 }, { resources: [] }, { numNodes: 1 },
      { resources: [{ hostname: 'a' }, { host: 'b' }] }, { shared: 'all' }, { numAcc: -1 }, { metaData: { a: 1 } }, { more: 1 }, { monitoringStatus: 4 }, { startTime: 2 ** 60 }
    ]
    for (const change of wrong) await t.rejects(startJob(db, { ...job, ...change } as StartJob, options), badInput, JSON.stringify(change))
    t.equal(await countAll(db), 0)
  })

  void t.test(`a running job is stopped once, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    await startJob(db, { ...job, startTime: job.startTime - 2 * day }, options)
    const { id } = await startJob(db, job, options)
    await t.rejects(stopJob(db, { jobId: 77, stopTime: job.startTime - 1 }, options), badInput)
    await t.rejects(stopJob(db, { jobId: 1, stopTime: NOW }, options), notFound)
    await t.rejects(stopJob(db, { jobId: 77, cluster: 'nope', stopTime: NOW }, options), notFound)
    for (const jobState of ['running', 'done', ''] as const) await t.rejects(stopJob(db, { jobId: 77, stopTime: NOW, jobState: jobState as 'failed' }, options), badInput)
    await t.rejects(stopJob(db, { jobId: 77, stopTime: NaN }, options), badInput)
    const stopped = await stopJob(db, { jobId: 77, cluster: 'alex', stopTime: job.startTime + 500 }, options)
    t.match(stopped, { id, jobState: 'completed', duration: 500 })
    t.same(await findById(db, { user: admin, id }, options), stopped)
    await t.rejects(stopJob(db, { jobId: 77, stopTime: NOW }, options), { code: 'TDM_ERR_JOBS_NOT_RUNNING', statusCode: 422 })
    const older = await stopJob(db, { jobId: 77, startTime: job.startTime - 2 * day, stopTime: job.startTime - 2 * day, jobState: 'timeout' }, options)
    t.match(older, { jobState: 'timeout', duration: 0 })

    await startJob(db, { ...job, jobId: 80 }, options)
    const many = await Promise.allSettled([1, 2, 3, 4, 5].map(i => stopJob(db, { jobId: 80, stopTime: job.startTime + i }, options)))
    t.equal(many.filter(({ status }) => status === 'fulfilled').length, 1, 'of many at once one')
    for (const one of many) if (one.status === 'rejected') t.match(one.reason, { code: 'TDM_ERR_JOBS_NOT_RUNNING' })
    const winner = many.find(one => one.status === 'fulfilled')
    t.same(winner?.value, await find(db, { jobId: 80 }, options))
  })

  void t.test(`a job goes, with its tags, on ${engine}`, async t => {
    const data = makeJobs(30, 61)
    const db = await openMade(t, engine, data)
    const tagged = data.jobTags[0]?.job_id ?? 0
    t.equal(await deleteJob(db, { id: tagged }), tagged)
    await t.rejects(findById(db, { user: admin, id: tagged }), notFound)
    await t.rejects(deleteJob(db, { id: tagged }), notFound)
    const { id, job_id: jobId, cluster, start_time: startTime } = data.jobs.find(row => row.id !== tagged) ?? { id: 0, job_id: 0, cluster: '', start_time: 0 }
    await t.rejects(deleteJob(db, { jobId, cluster: 'nope' }), notFound)
    t.equal(await deleteJob(db, { jobId, cluster, startTime }), id)
    t.equal(await countAll(db), 28)
    const left = data.jobTags.filter(({ job_id }) => job_id !== tagged && job_id !== id)
    t.equal((await db.prepare('SELECT COUNT(*) AS n FROM jobtag').get())?.n, left.length)
  })

  void t.test(`old jobs go, except those that are tagged, on ${engine}`, async t => {
    const data = makeJobs(120, 62)
    const before = data.jobs[80]?.start_time ?? 0
    const old = data.jobs.filter(row => row.start_time < before).map(row => row.id)
    const tagged = (types: string[]): Set<number> => new Set(data.jobTags.filter(({ tag_id }) => types.includes(data.tags[tag_id - 1]?.tag_type ?? '')).map(({ job_id }) => job_id))
    const staying: Record<OmitTagged, Set<number>> = { none: new Set(), all: tagged(['app', 'note', 'test']), user: tagged(['note', 'test']) }
    for (const omitTagged of ['none', 'all', 'user'] as const) {
      const db = await openMade(t, engine, data)
      const going = old.filter(id => !staying[omitTagged].has(id))
      await t.rejects(db.tx(async () => {
        t.equal(await deleteJobsBefore(db, { before, omitTagged }), going.length)
        throw new Error('undone')
      }), { message: 'undone' })
      t.equal(await countAll(db), 120, 'part of the transaction around it')
      t.equal(await deleteJobsBefore(db, { before, omitTagged, limit: 5 }), 5)
      const left = await queryJobIds(db, { user: admin })
      t.ok(going.slice(0, 4).every(id => !left.includes(id)), 'the oldest first')
      t.equal(await deleteJobsBefore(db, { before, omitTagged }), going.length - 5)
      t.same(await queryJobIds(db, { user: admin }), data.jobs.map(row => row.id).filter(id => !going.includes(id)), omitTagged)
      t.equal(await deleteJobsBefore(db, { before, omitTagged }), 0)
    }
    const db = await openMade(t, engine, makeJobs(2))
    for (const input of [{ before: NaN }, { before: NOW, omitTagged: 'some' as 'all' }, { before: NOW, limit: 0 }]) await t.rejects(deleteJobsBefore(db, input), badInput)
    t.equal(await countAll(db), 2)
  })
}
