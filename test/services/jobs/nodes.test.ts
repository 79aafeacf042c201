// Partitions, and the hosts of what runs, on both engines.
import t from 'tap'
import { allocatedNodes, partitions, usedNodes } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, type JobRow } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openMade } from './databases.ts'
import { parse } from './naive.ts'

const data = makeJobs(400, 31)
data.jobs.filter(job => job.job_state === 'running').slice(0, 6).forEach((job, i) => {
  job.resources = ['[]', '{"hostname":"x"}', '[3,"a",null,{"hostname":7},{"hostname":""},{}]', '[{"hostname":"a0001"},{"hostname":"a0001"}]', '[{"hostname":"größe"}]', '[{"hostname":"a0001"}]'][i] ?? '[]'
})

/** Each once. */
function hostsOf ({ resources }: JobRow): string[] {
  const json = parse(resources)
  const hosts = Array.isArray(json) ? json.map((element: { hostname?: unknown } | null) => element?.hostname) : []
  return [...new Set(hosts.filter(host => typeof host === 'string' && host !== ''))] as string[]
}

for (const engine of engines) {
  void t.test(`the partitions of a cluster, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    for (const cluster of ['alex', 'fritz', 'woody', 'nope']) {
      const expected = new Set(data.jobs.filter(job => job.cluster === cluster).map(job => job.cluster_partition ?? ''))
      t.same(await partitions(db, { cluster }), [...expected].sort(), cluster)
    }
  })

  void t.test(`the hosts of jobs that run, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const running = data.jobs.filter(job => job.job_state === 'running')
    t.ok(running.length > 10)
    for (const cluster of ['alex', 'fritz', 'woody', 'nope']) {
      const expected: Record<string, Record<string, number>> = {}
      for (const job of running.filter(row => row.cluster === cluster)) {
        for (const host of hostsOf(job)) {
          const hosts = expected[job.subcluster] ??= {}
          hosts[host] = (hosts[host] ?? 0) + 1
        }
      }
      t.same(await allocatedNodes(db, { cluster }), expected, cluster)
    }
    for (const startTime of [0, NOW - 40_000, running[3]?.start_time ?? 0, NOW + 1]) {
      const before = running.filter(job => job.start_time < startTime)
      const clusters = [...new Set(before.filter(job => hostsOf(job).length > 0).map(job => job.cluster))]
      const expected = Object.fromEntries(clusters.map(cluster => [cluster, [...new Set(before.filter(job => job.cluster === cluster).flatMap(hostsOf))].sort()]))
      t.same(await usedNodes(db, { startTime }), expected, String(startTime))
    }
    await t.rejects(usedNodes(db, { startTime: NaN }), { code: 'TDM_ERR_JOBS_BAD_INPUT' })
  })
}
