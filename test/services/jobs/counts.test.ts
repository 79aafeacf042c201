// Counts by group and by kind are what the jobs come to, on both engines.
import t from 'tap'
import type { GroupBy, JobFilter, User, Weight } from '../../../services/jobs/schema.ts'
import { addJobCount, addJobCountGrouped, countGroupedJobs, jobCountGrouped, jobsStats, jobsStatsGrouped } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, type JobRow } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openMade } from './databases.ts'
import { select } from './naive.ts'
import { admin, refused, users } from './users.ts'

const options = { now: () => NOW }
const data = makeJobs(300, 11)
const columns: Record<GroupBy, keyof JobRow> = { USER: 'hpc_user', PROJECT: 'project', CLUSTER: 'cluster', SUBCLUSTER: 'subcluster' }
const groups = Object.keys(columns) as GroupBy[]
const filters: JobFilter[] = [{}, { cluster: { eq: 'alex' } }, { state: ['running'] }, { tags: ['1', '2', '3'] }, { dbId: [] }]

const lasted = (job: JobRow): number => job.job_state === 'running' ? NOW - job.start_time : job.duration
const weights: Record<Weight | 'JOBS', (job: JobRow) => number> = {
  JOBS: () => 1,
  NODE_COUNT: job => job.num_nodes,
  NODE_HOURS: job => job.num_nodes * lasted(job),
  CORE_COUNT: job => job.num_hwthreads ?? 0,
  CORE_HOURS: job => (job.num_hwthreads ?? 0) * lasted(job)
}

/** Group to sum, in order of group. */
function sums (jobs: readonly JobRow[], groupBy: GroupBy, value: (job: JobRow) => number): Array<[string, number]> {
  const byGroup = new Map<string, number>()
  for (const job of jobs) {
    const id = String(job[columns[groupBy]])
    byGroup.set(id, (byGroup.get(id) ?? 0) + value(job))
  }
  return [...byGroup].sort(([a], [b]) => a < b ? -1 : 1)
}

const isShort = (job: JobRow, seconds = 300): number => job.duration < seconds ? 1 : 0
const isRunning = (job: JobRow): number => job.job_state === 'running' ? 1 : 0
const total = (jobs: readonly JobRow[], value: (job: JobRow) => number): number => jobs.reduce((sum, job) => sum + value(job), 0)

for (const engine of engines) {
  void t.test(`groups are counted, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    for (const user of [admin, ...users]) {
      for (const filter of filters) {
        const jobs = select(data, user, [filter], NOW)
        const name = JSON.stringify({ user, filter })
        for (const groupBy of groups) {
          const input = { user, filter: [filter], groupBy }
          const counted = await jobCountGrouped(db, input, options)
          t.same(counted.map(({ id, totalJobs }) => [id, totalJobs]), sums(jobs, groupBy, () => 1), name)
          t.ok(counted.every(group => group.name === '' && group.totalNodes === 0))
          const running = await addJobCountGrouped(db, { ...input, kind: 'running' }, options)
          t.same(running.map(({ id, runningJobs }) => [id, runningJobs]), sums(jobs, groupBy, isRunning), name)
          const short = await addJobCountGrouped(db, { ...input, kind: 'short' }, { ...options, shortJobSeconds: 1000 })
          t.same(short.map(({ id, shortJobs, totalJobs }) => [id, shortJobs, totalJobs]), sums(jobs, groupBy, job => isShort(job, 1000)).map(([id, n], i) => [id, n, counted[i]?.totalJobs]), name)
        }
        const [running] = await addJobCount(db, { user, filter: [filter], kind: 'running' }, options)
        const [short] = await addJobCount(db, { user, filter: [filter], kind: 'short' }, options)
        t.same([running?.runningJobs, running?.shortJobs, short?.shortJobs, short?.totalJobs], [total(jobs, isRunning), 0, total(jobs, isShort), 0], name)
      }
    }
  })

  void t.test(`a count is added to what is given, which stays as it is, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const stats = await jobsStatsGrouped(db, { user: admin, groupBy: 'USER', fields: ['totalNodes'] }, options)
    const more = [...stats, { ...stats[0], id: 'somebody else' } as typeof stats[0]]
    const added = await addJobCountGrouped(db, { user: admin, groupBy: 'USER', kind: 'short', stats: more }, options)
    const short = new Map(sums(data.jobs, 'USER', isShort))
    t.same(added, more.map(group => ({ ...group, shortJobs: short.get(group.id) ?? 0 })))
    t.ok(more.every(group => group.shortJobs === 0))
    const whole = await jobsStats(db, { user: admin, fields: [] }, options)
    t.same(await addJobCount(db, { user: admin, kind: 'running', stats: [...whole, ...whole] }, options),
      [...whole, ...whole].map(one => ({ ...one, runningJobs: total(data.jobs, isRunning) })))
  })

  void t.test(`groups by weight, the heaviest first, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    for (const user of [admin, ...users]) {
      for (const weight of Object.keys(weights) as Array<keyof typeof weights>) {
        for (const groupBy of groups) {
          const input = { user, groupBy, ...(weight === 'JOBS' ? {} : { weight }) }
          const expected = sums(select(data, user, [], NOW), groupBy, weights[weight]).sort(([, a], [, b]) => b - a).map(([name, count]) => ({ name, count }))
          t.same(await countGroupedJobs(db, input, options), expected, JSON.stringify(input))
          t.same(await countGroupedJobs(db, { ...input, limit: 3 }, options), expected.slice(0, 3))
        }
      }
    }
  })

  void t.test(`who may not count, and what cannot be counted, on ${engine}`, async t => {
    const db = await openMade(t, engine, makeJobs(3))
    for (const { user, code } of refused) {
      await t.rejects(jobCountGrouped(db, { user, groupBy: 'USER' }), { code })
      await t.rejects(addJobCountGrouped(db, { user, groupBy: 'USER', kind: 'short', stats: [] }), { code })
      await t.rejects(addJobCount(db, { user, kind: 'running' }), { code })
      await t.rejects(countGroupedJobs(db, { user, groupBy: 'USER' }), { code })
    }
    const user: User = admin
    const bad = { code: 'TDM_ERR_JOBS_BAD_INPUT', statusCode: 400 }
    await t.rejects(jobCountGrouped(db, { user, groupBy: 'id' as GroupBy }), bad)
    await t.rejects(addJobCount(db, { user, kind: 'all' as 'short' }), bad)
    await t.rejects(countGroupedJobs(db, { user, groupBy: 'USER', weight: 'toString' as Weight }), bad)
    await t.rejects(countGroupedJobs(db, { user, groupBy: 'USER', limit: 0 }), bad)
  })
}
