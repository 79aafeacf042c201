// Jobs by what they are called, and what ran beside them, on both engines.
import t from 'tap'
import type { ConcurrentJobs, JobLookup } from '../../../services/jobs/schema.ts'
import { concurrent, find, findAll, findById, findByJobId, findJobsBetween, getJobList, queryJobs } from '../../../services/jobs/store.ts'
import { createRandom, makeJobs, NOW, type JobData, type JobRow } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openMade } from './databases.ts'
import { parse, select } from './naive.ts'
import { admin, refused, users } from './users.ts'

const options = { now: () => NOW }
const data = makeRepeated()
const notFound = { code: 'TDM_ERR_JOBS_NOT_FOUND', statusCode: 404 }
const badInput = { code: 'TDM_ERR_JOBS_BAD_INPUT', statusCode: 400 }

/** Each id of the scheduler several times. */
function makeRepeated (): JobData {
  const made = makeJobs(200, 21)
  const seen = new Set<string>()
  for (const job of made.jobs) {
    const jobId = 500 + job.id % 40
    const key = `${jobId} ${job.cluster} ${job.start_time}`
    if (!seen.has(key)) job.job_id = jobId
    seen.add(key)
  }
  return made
}

/** Many at the same time on few hosts; some of many days. */
function makeCrowd (): JobData {
  const random = createRandom(5)
  const made = makeJobs(250, 22)
  for (const job of made.jobs) {
    const hosts = Array.from({ length: 1 + Math.floor(random() * 2) }, () => ({ hostname: `h${Math.floor(random() * 3)}` }))
    const duration = random() < 0.1 ? 259_195 + Math.floor(random() * 10) : random() < 0.1 ? 500_000 : Math.floor(random() * 3000)
    Object.assign(job, { resources: JSON.stringify(hosts), duration, start_time: NOW - Math.floor(random() * (random() < 0.5 ? 20_000 : 600_000)) })
  }
  return made
}

function besides (crowd: JobData, jobs: readonly JobRow[], job: JobRow): ConcurrentJobs {
  const hostsOf = (row: JobRow): string[] => (parse(row.resources) as Array<{ hostname: string }>).map(({ hostname }) => hostname)
  const [host = ''] = hostsOf(job)
  const isRunning = ({ job_state }: JobRow): boolean => job_state === 'running'
  const stop = isRunning(job) ? NOW : job.start_time + job.duration
  const near = jobs.filter(row => row.cluster === job.cluster && hostsOf(row).includes(host))
    .filter(row => isRunning(row) ? row.start_time <= stop - 200 : row.start_time < stop - 200 && row.start_time + row.duration > job.start_time + 200)
    .sort((a, b) => Number(isRunning(a)) - Number(isRunning(b)) || a.start_time - b.start_time || a.duration - b.duration || a.id - b.id)
  const items = near.map(row => ({ id: String(row.id), jobId: row.job_id }))
  return { listQuery: `cluster=${job.cluster}${items.map(({ jobId }) => `&jobId=${jobId}`).join('')}`, items, count: items.length }
}

for (const engine of engines) {
  void t.test(`a job is found by the id, cluster and start that it has, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const jobs = await queryJobs(db, { user: admin }, options)
    for (const row of data.jobs.slice(0, 60)) {
      const { job_id: jobId, cluster, start_time: startTime } = row
      const lookups: JobLookup[] = [{ jobId }, { jobId, cluster }, { jobId, startTime }, { jobId, cluster, startTime }]
      for (const lookup of lookups) {
        const expected = jobs.filter(job => job.jobId === jobId && [undefined, job.cluster].includes(lookup.cluster) && [undefined, job.startTime].includes(lookup.startTime))
        t.same(await findAll(db, lookup, options), expected, JSON.stringify(lookup))
        t.same(await find(db, lookup, options), expected.at(-1))
      }
      for (const user of [admin, ...users]) {
        const expected = select(data, user, [{ dbId: [String(row.id)] }], NOW).length === 1 ? jobs[row.id - 1] : undefined
        if (expected === undefined) await t.rejects(findByJobId(db, { user, jobId, cluster, startTime }, options), notFound)
        else t.same(await findByJobId(db, { user, jobId, cluster, startTime }, options), expected)
      }
    }
    t.same(await findAll(db, { jobId: 1 }, options), [])
    await t.rejects(find(db, { jobId: 1 }, options), notFound)
    await t.rejects(find(db, { jobId: 500, cluster: 'nope' }, options), notFound)
    for (const { user, code } of refused) {
      await t.rejects(findByJobId(db, { user, jobId: 1, cluster: 'alex', startTime: 1 }, options), { code })
      await t.rejects(findById(db, { user, id: 1 }, options), { code })
      await t.rejects(concurrent(db, { user, id: 1 }, options), { code })
    }
    for (const jobId of [NaN, -1, 1.5, '7' as unknown as number]) await t.rejects(find(db, { jobId }, options), badInput)
  })

  void t.test(`the ids of what does not run, in parts and as a whole, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const ids = data.jobs.filter(job => job.job_state !== 'running').map(job => job.id)
    t.ok(ids.length < data.jobs.length)
    t.same(await getJobList(db, { limit: 0, offset: 0 }), ids)
    t.same(await getJobList(db, { limit: 0, offset: 5 }), ids, 'without a limit no offset, as upstream')
    for (const [limit, offset] of [[3, 0], [3, 3], [1000, 10], [5, 10_000]] as const) t.same(await getJobList(db, { limit, offset }), ids.slice(offset, offset + limit))
    const parts: number[] = []
    for (;;) {
      const part = await getJobList(db, { limit: 7, after: parts.at(-1) ?? 0 })
      parts.push(...part)
      if (part.length < 7) break
    }
    t.same(parts, ids)
    for (const input of [{ limit: -1 }, { limit: 1, offset: -1 }, { limit: 1, after: 0.5 }]) await t.rejects(getJobList(db, input), badInput)
  })

  void t.test(`jobs that started in a span, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const jobs = await queryJobs(db, { user: admin, order: { field: 'startTime', type: 'col', order: 'ASC' } }, options)
    const [from = 0, to = 0] = [jobs[50]?.startTime, jobs[120]?.startTime]
    t.same(await findJobsBetween(db, { from, to }, options), jobs.filter(job => job.startTime >= from && job.startTime <= to))
    t.same(await findJobsBetween(db, { from: 0, to }, options), jobs.filter(job => job.startTime < to))
    const tagged = (types: string[]): Set<number> => new Set(data.jobTags.filter(({ tag_id }) => types.includes(data.tags[tag_id - 1]?.tag_type ?? '')).map(({ job_id }) => job_id))
    const any = tagged(['app', 'note', 'test'])
    const byUser = tagged(['note', 'test'])
    t.same(await findJobsBetween(db, { from, to, omitTagged: 'all' }, options), jobs.filter(job => job.startTime >= from && job.startTime <= to && !any.has(job.id)))
    t.same(await findJobsBetween(db, { from, to, omitTagged: 'user' }, options), jobs.filter(job => job.startTime >= from && job.startTime <= to && !byUser.has(job.id)))
    t.ok(any.size > byUser.size)
    await t.rejects(findJobsBetween(db, { from: to, to: from }, options), badInput)
    await t.rejects(findJobsBetween(db, { from, to, omitTagged: 'some' as 'all' }, options), badInput)
  })

  void t.test(`what ran beside a job on its first host, on ${engine}`, async t => {
    const crowd = makeCrowd()
    const db = await openMade(t, engine, crowd)
    const sizes = new Set<number>()
    for (const user of [admin, ...users]) {
      const visible = select(crowd, user, [], NOW)
      for (const job of crowd.jobs.filter(({ id }) => user === admin || id % 10 === 0)) {
        if (!visible.includes(job)) {
          await t.rejects(concurrent(db, { user, id: job.id }, options), notFound)
          continue
        }
        const found = await concurrent(db, { user, id: job.id }, options)
        t.same(found, besides(crowd, visible, job), `job ${job.id}`)
        sizes.add(found.count)
      }
    }
    t.ok(sizes.size > 10 && sizes.has(0), 'some have many, some none')
  })
}
