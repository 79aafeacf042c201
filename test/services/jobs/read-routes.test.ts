// The other routes that read: histograms, hosts, partitions, what ran beside a job. That their answers are right is tested with the store.
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { addHistograms, allocatedNodes, concurrent, metricHistogram, partitions, usedNodes } from '../../../services/jobs/store.ts'
import { makeJobs, NOW } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openWith } from './service.ts'

const data = makeJobs(200, 12)
const user = { username: 'root', roles: ['admin'] }
const metricConfig = { alex: { cpu_load: { peak: 80, unit: '', footprint: 'avg' } }, fritz: { mem_bw: { peak: 300, unit: 'GB/s', footprint: 'avg' } } }
const options = { now: () => NOW, metricConfig }

async function get (app: FastifyInstance, url: string): Promise<{ status: number, body: unknown }> {
  const response = await app.inject({ url })
  return { status: response.statusCode, body: response.json<unknown>() }
}

for (const engine of engines) {
  void t.test(`histograms have the filters of lists, on ${engine}`, async t => {
    const app = await openWith(t, engine, data, { options: { metricConfig } })
    const filter = [{ cluster: { eq: 'alex' } }]
    const { histDuration, histNumNodes, histNumCores, histNumAccs } = await addHistograms(app.db, { user, filter, bins: '6h' }, options)
    const cpuLoad = await metricHistogram(app.db, { user, filter, metrics: ['cpu_load'], nbins: 5 }, options)
    t.ok(cpuLoad.data.some(({ count }) => count > 0))
    const url = '/api/jobs/histograms?cluster=alex&durationBins=6h&histogram=cpu_load&histogram=mem_bw&metricBins=5'
    t.strictSame(await get(app, url), { status: 200, body: { histDuration, histNumNodes, histNumCores, histNumAccs, histMetrics: [cpuLoad] } }, 'alex has no mem_bw')
    t.match(await get(app, '/api/jobs/histograms'), { status: 200, body: { histMetrics: [], histDuration: { length: 48 } } })
    for (const query of ['durationBins=2h', 'histogram=a-b', 'metricBins=0', 'groupBy=user']) t.match(await get(app, `/api/jobs/histograms?${query}`), { status: 400 }, query)
  })

  void t.test(`hosts, partitions, and what ran beside a job, on ${engine}`, async t => {
    const app = await openWith(t, engine, data)
    t.strictSame(await get(app, `/api/jobs/used_nodes?ts=${NOW}`), { status: 200, body: { usedNodes: await usedNodes(app.db, { startTime: NOW }) } })
    t.match(await get(app, '/api/jobs/used_nodes'), { status: 400 })
    t.strictSame(await get(app, '/api/partitions?cluster=alex'), { status: 200, body: { partitions: await partitions(app.db, { cluster: 'alex' }) } })
    t.strictSame(await get(app, '/api/allocated_nodes?cluster=alex'), { status: 200, body: { allocatedNodes: await allocatedNodes(app.db, { cluster: 'alex' }) } })
    t.match(await get(app, '/api/partitions'), { status: 400 })
    const beside = await concurrent(app.db, { user, id: 190 }, options)
    t.strictSame(await get(app, '/api/jobs/190/concurrent'), { status: 200, body: beside })
    t.match(await get(app, '/api/jobs/9999/concurrent'), { status: 404, body: { code: 'TDM_ERR_JOBS_NOT_FOUND' } })
    const list = await get(app, '/api/jobs?limit=3')
    t.strictSame(await get(app, '/userapi/jobs?limit=3'), list, 'the same list under the name of cc-backend')
  })
}
