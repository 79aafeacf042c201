// Which indices the operations take that must not read a whole cluster.
import t from 'tap'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import * as store from '../../../services/jobs/store.ts'
import type { JobsDatabase } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, writeJobDb } from '../../data/jobs.ts'
import { changeDatabase } from './data-sets.ts'

const user = { username: 'root', roles: ['admin'] }

/** The plans of all statements that `run` sends. */
async function plansOf (path: string, run: (db: JobsDatabase) => Promise<unknown>): Promise<string[]> {
  const sqlite = new Sqlite(path, { readonly: true })
  const plans: string[] = []
  const prepare = (sql: string) => ({
    all: async (...values: unknown[]) => {
      if (sql.includes('sqlite_master')) return sqlite.prepare(sql).all(...values)
      plans.push(sqlite.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...values).map(({ detail }) => detail).join('; '))
      return sqlite.prepare(sql).all(...values)
    }
  })
  await run({ engine: 'sqlite', prepare } as unknown as JobsDatabase).finally(() => { sqlite.close() })
  return plans
}

/** Operations that must not read a whole cluster, and the indices that each of their statements takes. */
const looked: Array<[name: string, run: (db: JobsDatabase) => Promise<unknown>, indices: RegExp[]]> = [
  ['allocatedNodes', db => store.allocatedNodes(db, { cluster: 'alex' }), [/SEARCH job USING INTEGER PRIMARY KEY.*COVERING INDEX job_cluster_state \(cluster=\? AND job_state=\?\)/]],
  ['usedNodes', db => store.usedNodes(db, { startTime: NOW }), [/SEARCH job USING INTEGER PRIMARY KEY.*COVERING INDEX job_state_start \(job_state=\?/]],
  ['addJobCount', db => store.addJobCount(db, { user, kind: 'running' }), [/SEARCH job USING INTEGER PRIMARY KEY.*COVERING INDEX job_state_start \(job_state=\?/]],
  ['addJobCountGrouped', db => store.addJobCountGrouped(db, { user, groupBy: 'USER', kind: 'running', stats: [] }), [/SEARCH job USING INTEGER PRIMARY KEY.*COVERING INDEX job_state_start \(job_state=\?/]],
  ['partitions', db => store.partitions(db, { cluster: 'alex' }), [/job_partition_start \(cluster=\?\).*job_partition_start \(cluster=\? AND cluster_partition>\?\)/, /job_partition_start \(cluster=\? AND cluster_partition=\?\)/]],
  ['concurrent', db => store.concurrent(db, { user, id: 100 }, { now: () => NOW }),
    [/PRIMARY KEY/, /job_cluster_start \(cluster=\? AND start_time>\? AND start_time<\?\).*job_long \(cluster=\? AND start_time<\?\).*job_cluster_state \(cluster=\? AND job_state=\? AND start_time<\?\)/]],
  ['findAll', db => store.findAll(db, { jobId: 100_007 }), [/job_key \(job_id=\?\)/]],
  ['findByJobId', db => store.findByJobId(db, { user, jobId: 100_007, cluster: 'x', startTime: 1 }).catch(() => {}), [/job_key \(job_id=\? AND cluster=\? AND start_time=\?\)/]],
  ['getJobList', db => store.getJobList(db, { limit: 10, after: 5 }), [/PRIMARY KEY \(rowid>\?\)/]],
  ['findJobsBetween', db => store.findJobsBetween(db, { from: 1, to: NOW, omitTagged: 'user' }), [/job_start \(start_time>\? AND start_time<\?\)/]],
  ['durationHistogram', db => store.durationHistogram(db, { user, filter: [{ cluster: { eq: 'alex' } }] }), [/COVERING INDEX job_cluster_start/]],
  ['valueHistogram', db => store.valueHistogram(db, { user, column: 'num_acc' }), [/COVERING INDEX job_cluster_start/]]
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
