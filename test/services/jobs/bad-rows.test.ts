// A row with NULL or broken JSON breaks no answer, on both engines: the data set of cc-backend's own failures, and what it should have answered.
import t from 'tap'
import type { Job } from '../../../services/jobs/schema.ts'
import * as store from '../../../services/jobs/store.ts'
import { engines } from '../../helper/db.ts'
import { changeDatabase, copyDatabase, missing, readBadRows, readMetricConfig } from './data-sets.ts'
import { openJobs } from './databases.ts'
import { admin as user } from './users.ts'

if (missing === undefined) {
  for (const engine of engines) {
    void t.test(`no answer is broken by a bad row, on ${engine}`, async t => {
      const path = copyDatabase(t)
      const { changes, answers } = readBadRows()
      changeDatabase(path, changes.map((change, i) => `UPDATE job SET ${change} WHERE id = ${i + 1}`))
      const db = await openJobs(t, engine, path)
      const options = { now: () => 1675960000, metricConfig: readMetricConfig() }

      const jobs: Job[] = []
      for (let id = 1; id <= 14; id++) jobs.push(await store.findById(db, { user, id }, options))
      t.same(await store.queryJobs(db, { user, page: { itemsPerPage: 14, page: 1 } }, options), jobs)
      t.equal(await store.countJobs(db, { user }, options), answers['null/count'])
      t.same(await store.metricHistogram(db, { user, metrics: ['cpu_load'] }, options), answers['null/mh'])
      t.same(await store.valueHistogram(db, { user, column: 'num_nodes' }, options), answers['null/hist/num_nodes'])
      const [stats] = await store.jobsStats(db, { user }, options)
      t.match(stats, { totalJobs: 544, totalUsers: 42, shortJobs: 139, totalWalltime: 2727, totalNodeHours: 2727, totalCoreHours: 88004, totalAccHours: 3956 })

      for (const column of ['num_acc', 'num_hwthreads'] as const) {
        const points = await store.valueHistogram(db, { user, column }, options)
        t.equal(points.reduce((sum, { count }) => sum + count, 0), 544, `${column}: NULL is 0`)
        t.equal(points[0]?.value, 0)
      }
      t.equal((await store.addHistograms(db, { user }, options)).histNumNodes.length, 2)
      t.same(await store.partitions(db, { cluster: 'alex' }), ['', 'a100', 'a40', 'preempt'])
      t.same(await store.fetchMetadata(db, { id: 6 }, options), null)
      t.same(await store.fetchMetadata(db, { id: 8 }, options), engine === 'sqlite' ? {} : null, 'in PostgreSQL NULL since the import')
      for (const id of [9, 14]) t.same(await store.concurrent(db, { user, id }, options), { listQuery: 'cluster=alex', items: [], count: 0 })
      t.same((await store.addMetricHistograms(db, { user, metrics: ['cpu_load'] }, options)).histMetrics, [answers['null/mh']])
      const byMetric = await store.queryJobIds(db, { user, order: { field: 'cpu_load_avg', type: 'foot', order: 'ASC' } }, options)
      t.equal(byMetric.length, 542, 'without those whose footprint is not JSON')
      for (const id of [5, 7, 11, 13]) t.same(jobs[id - 1]?.footprint, {})
    })
  }
} else {
  t.pass(missing, { skip: missing })
}
