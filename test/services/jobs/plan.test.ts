// Which index a page is read from: without statistics SQLite must not sort a whole table for the newest jobs.
import t, { type Test } from 'tap'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import type { JobFilter, Position } from '../../../services/jobs/schema.ts'
import * as store from '../../../services/jobs/store.ts'
import { queryJobs, type JobsDatabase } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, writeJobDb } from '../../data/jobs.ts'
import { changeDatabase, copyDatabase, missing } from './data-sets.ts'

const user = { username: 'root', roles: ['admin'] }
const order = { field: 'startTime', type: 'col', order: 'DESC' } as const

/** Filters that many rows meet: the order has to choose the index. */
const filters: JobFilter[] = [
  {}, { state: ['completed', 'running', 'failed'] }, { state: ['completed', 'failed'], cluster: { in: ['alex', 'fritz'] } }, { numNodes: { from: 1, to: 64 } }, { duration: { from: 1, to: 0 } },
  { energy: { from: 0, to: 100 } }, { partition: { in: ['a40', 'a100'] } }, { numAccelerators: { from: 1, to: 8 }, shared: 'multi_user' }, { cluster: { eq: 'alex' } }, { user: { eq: 'user00' } },
  { project: { eq: 'Project0' }, state: ['completed', 'timeout'] }, { startTime: { from: NOW - 86400 } }, { node: { contains: 'a0' } }, { jobName: { contains: 'train' } }
]

/** The plan of the statement that the store sends. */
async function planOf (path: string, filter: JobFilter, after?: Position, field = 'startTime'): Promise<string> {
  const sqlite = new Sqlite(path, { readonly: true })
  let plan = ''
  const prepare = (sql: string) => ({
    all: async (...values: unknown[]) => {
      plan = sqlite.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...values).map(({ detail }) => detail).join('; ')
      return []
    }
  })
  try {
    await queryJobs({ engine: 'sqlite', prepare } as unknown as JobsDatabase, { user, filter: [filter], order: { ...order, field }, page: { itemsPerPage: 10, page: 2 }, ...(after && { after }) }, { now: () => NOW })
    return plan
  } finally {
    sqlite.close()
  }
}

/** `isOurs`: the indices end with the id; others may need a sort of the jobs of one second. */
async function checkPlans (t: Test, path: string, isOurs: boolean): Promise<void> {
  for (const filter of filters) {
    const plan = await planOf(path, filter)
    t.notMatch(plan, /TEMP B-TREE FOR ORDER BY/, `${JSON.stringify(filter)}: ${plan}`)
    t.match(plan, /USING (?:COVERING )?INDEX/)
    const behind = await planOf(path, filter, { value: String(NOW - 86400), id: '7' })
    t.notMatch(behind, isOurs ? /TEMP B-TREE/ : /TEMP B-TREE FOR ORDER BY/, `behind a row: ${JSON.stringify(filter)}: ${behind}`)
    t.match(behind, /start_?time<\?|\(start_time>\? AND start_time<\?\)/, `the index is entered there: ${behind}`)
  }
  t.match(await planOf(path, {}, { value: '7', id: '7' }, 'id'), /^SEARCH job USING INTEGER PRIMARY KEY \(rowid<\?\)$/)
}

void t.test('with our own indices', async t => {
  const path = join(t.testdir(), 'job.db')
  writeJobDb(path, makeJobs(200))
  await checkPlans(t, path, true)
})

for (const name of ['job_v10_79idx.db', 'job_canonical_v11.db']) {
  void t.test(`with those of cc-backend, in ${name}`, { skip: missing ?? false }, async t => {
    await checkPlans(t, copyDatabase(t, name), false)
  })
}

/** The plans of all statements that `run` sends. */
async function plansOf (path: string, run: (db: JobsDatabase) => Promise<unknown>): Promise<string[]> {
  const sqlite = new Sqlite(path, { readonly: true })
  const plans: string[] = []
  const prepare = (sql: string) => ({
    all: async (...values: unknown[]) => {
      plans.push(sqlite.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...values).map(({ detail }) => detail).join('; '))
      return sqlite.prepare(sql).all(...values)
    }
  })
  await run({ engine: 'sqlite', prepare } as unknown as JobsDatabase).finally(() => { sqlite.close() })
  return plans
}

/** Operations that must not read a whole cluster, and the indices that each of their statements takes. */
const looked: Array<[name: string, run: (db: JobsDatabase) => Promise<unknown>, indices: RegExp[]]> = [
  ['allocatedNodes', db => store.allocatedNodes(db, { cluster: 'alex' }), [/SEARCH job USING INTEGER PRIMARY KEY.*COVERING INDEX job_running \(cluster=\?\)/]],
  ['usedNodes', db => store.usedNodes(db, { startTime: NOW }), [/SEARCH job USING INTEGER PRIMARY KEY.*COVERING INDEX job_running/]],
  ['addJobCount', db => store.addJobCount(db, { user, kind: 'running' }), [/SEARCH job USING INTEGER PRIMARY KEY.*COVERING INDEX job_running/]],
  ['addJobCountGrouped', db => store.addJobCountGrouped(db, { user, groupBy: 'USER', kind: 'running', stats: [] }), [/SEARCH job USING INTEGER PRIMARY KEY.*COVERING INDEX job_running/]],
  ['partitions', db => store.partitions(db, { cluster: 'alex' }), [/job_partition_start \(cluster=\?\).*job_partition_start \(cluster=\? AND cluster_partition>\?\)/, /job_partition_start \(cluster=\? AND cluster_partition=\?\)/]],
  ['concurrent', db => store.concurrent(db, { user, id: 100 }, { now: () => NOW }),
    [/PRIMARY KEY/, /job_cluster_start \(cluster=\? AND start_time>\? AND start_time<\?\).*job_long \(cluster=\? AND start_time<\?\).*job_running \(cluster=\? AND start_time<\?\)/]],
  ['findAll', db => store.findAll(db, { jobId: 100_007 }), [/sqlite_autoindex_job_1 \(job_id=\?\)/]],
  ['findByJobId', db => store.findByJobId(db, { user, jobId: 100_007, cluster: 'x', startTime: 1 }).catch(() => {}), [/sqlite_autoindex_job_1 \(job_id=\? AND cluster=\? AND start_time=\?\)/]],
  ['getJobList', db => store.getJobList(db, { limit: 10, after: 5 }), [/PRIMARY KEY \(rowid>\?\)/]],
  ['findJobsBetween', db => store.findJobsBetween(db, { from: 1, to: NOW, omitTagged: 'user' }), [/job_start \(start_time>\? AND start_time<\?\)/]],
  ['durationHistogram', db => store.durationHistogram(db, { user, filter: [{ cluster: { eq: 'alex' } }] }), [/COVERING INDEX job_stats/]],
  ['valueHistogram', db => store.valueHistogram(db, { user, column: 'num_acc' }), [/COVERING INDEX job_stats/]]
]

void t.test('what is looked up is found by an index, with statistics and without', async t => {
  const path = join(t.testdir(), 'job.db')
  writeJobDb(path, makeJobs(2000))
  for (const statistics of ['none', 'ANALYZE']) {
    if (statistics === 'ANALYZE') changeDatabase(path, ['ANALYZE'])
    for (const [name, run, indices] of looked) {
      const plans = await plansOf(path, run)
      t.equal(plans.length, indices.length, name)
      for (const [i, index] of indices.entries()) t.match(plans[i], index, `${name}, ${statistics}: ${plans[i]}`)
    }
  }
})
