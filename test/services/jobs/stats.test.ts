// Totals are what the jobs add up to, on both engines.
import t from 'tap'
import { join } from 'node:path'
import type { GroupBy, GroupStats, JobFilter, SortBy, Stats, StatsField, User } from '../../../services/jobs/schema.ts'
import { jobsStats, jobsStatsGrouped } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, writeJobDb, type JobRow } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openJobs } from './databases.ts'
import { select } from './naive.ts'

const options = { now: () => NOW }
const user: User = { username: 'root', roles: ['admin'] }
const data = makeJobs(400, 4)
const filters: JobFilter[] = [{}, { cluster: { eq: 'fritz' } }, { state: ['running'] }, { dbId: [] }, { tags: ['1', '2', '3'] }, { user: { contains: '0' }, shared: 'none' }]
const groupColumns: Record<GroupBy, keyof JobRow> = { USER: 'hpc_user', PROJECT: 'project', CLUSTER: 'cluster', SUBCLUSTER: 'subcluster' }

function add (rows: readonly JobRow[], shortJobSeconds = 300): Stats {
  const sum = (value: (row: JobRow) => number | null): number => rows.reduce((total, row) => total + (value(row) ?? 0), 0)
  const lasted = (row: JobRow): number => row.job_state === 'running' ? NOW - row.start_time : row.duration
  const hours = (value: (row: JobRow) => number | null): number => Math.floor(sum(row => lasted(row) * (value(row) ?? 0)) / 3600)
  return {
    totalUsers: new Set(rows.map(row => row.hpc_user)).size,
    totalJobs: rows.length,
    runningJobs: rows.filter(row => row.job_state === 'running').length,
    shortJobs: rows.filter(row => row.duration < shortJobSeconds).length,
    totalWalltime: hours(() => 1),
    totalNodes: sum(row => row.num_nodes),
    totalNodeHours: hours(row => row.num_nodes),
    totalCores: sum(row => row.num_hwthreads),
    totalCoreHours: hours(row => row.num_hwthreads),
    totalAccs: sum(row => row.num_acc),
    totalAccHours: hours(row => row.num_acc)
  }
}

function addByGroup (rows: readonly JobRow[], groupBy: GroupBy): GroupStats[] {
  const names = new Map(data.users.map(({ username, name }) => [username, name ?? '']))
  const groups = Object.groupBy(rows, row => String(row[groupColumns[groupBy]]))
  return Object.entries(groups).map(([id, members = []]) => ({ id, name: groupBy === 'USER' ? names.get(id) ?? '' : '', ...add(members) }))
}

for (const engine of engines) {
  void t.test(`statistics are what the jobs add up to, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, data)
    const db = await openJobs(t, engine, path)

    for (const filter of filters) {
      const jobs = select(data, user, [filter], NOW)
      t.same(await jobsStats(db, { user, filter: [filter] }, options), [add(jobs)], JSON.stringify(filter))
      for (const groupBy of Object.keys(groupColumns) as GroupBy[]) {
        const groups = await jobsStatsGrouped(db, { user, filter: [filter], groupBy }, options)
        t.same(groups, addByGroup(jobs, groupBy).sort((a, b) => a.id < b.id ? -1 : 1), `${groupBy} ${JSON.stringify(filter)}`)
      }
    }
    t.same(await jobsStats(db, { user }, { ...options, shortJobSeconds: 3600 }), [add(data.jobs, 3600)])
  })

  void t.test(`only the fields that are asked for are computed, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, data)
    const db = await openJobs(t, engine, path)

    const fields: StatsField[] = ['shortJobs', 'totalCoreHours']
    const all = add(data.jobs)
    const none = Object.fromEntries(Object.keys(all).map(field => [field, 0]))
    const [stats] = await jobsStats(db, { user, fields }, options)
    t.same(stats, { ...none, totalJobs: all.totalJobs, shortJobs: all.shortJobs, totalCoreHours: all.totalCoreHours })
    const groups = await jobsStatsGrouped(db, { user, fields: [], groupBy: 'USER', sortBy: 'TOTALNODES' }, options)
    const expected = addByGroup(data.jobs, 'USER').sort((a, b) => b.totalNodes - a.totalNodes || (a.id < b.id ? -1 : 1))
    t.same(groups.map(({ id }) => id), expected.map(({ id }) => id), 'sorted by a field that is not')
    t.ok(groups.every(group => group.totalNodes === 0 && group.totalJobs > 0))
  })

  void t.test(`groups come largest first, in pages, on ${engine}`, async t => {
    const path = join(t.testdir(), 'job.db')
    writeJobDb(path, data)
    const db = await openJobs(t, engine, path)

    const fields = Object.keys(add([])) as StatsField[]
    for (const field of fields.filter(name => name.startsWith('total'))) {
      const sortBy = field.toUpperCase() as SortBy
      const all = await jobsStatsGrouped(db, { user, groupBy: 'USER', sortBy }, options)
      t.same(all.map(group => group[field]), all.map(group => group[field]).sort((a, b) => b - a), sortBy)
      const pages: GroupStats[] = []
      for (let page = 1; page <= 4; page++) pages.push(...await jobsStatsGrouped(db, { user, groupBy: 'USER', sortBy, page: { itemsPerPage: 4, page } }, options))
      t.same(pages, all)
    }
    const first = { itemsPerPage: 10, page: 0 }
    await t.rejects(jobsStatsGrouped(db, { user, groupBy: 'USER', page: first }, options), { code: 'TDM_ERR_JOBS_BAD_PAGE', statusCode: 400 })
    await t.rejects(jobsStatsGrouped(db, { user, groupBy: 'USER', page: { itemsPerPage: 0, page: 1 } }, options), { code: 'TDM_ERR_JOBS_BAD_PAGE' })
    await t.rejects(jobsStatsGrouped(db, { user: null, groupBy: 'USER' }, options), { code: 'TDM_ERR_JOBS_UNAUTHENTICATED' })
  })
}
