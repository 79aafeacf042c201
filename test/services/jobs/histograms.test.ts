// Histograms are what the jobs come to, on both engines; no job is lost or counted twice at an edge.
import t from 'tap'
import fc from 'fast-check'
import type { HistogramColumn, HistoPoint, JobFilter, MetricConfig, MetricPoint } from '../../../services/jobs/schema.ts'
import { addHistograms, addMetricHistograms, durationHistogram, metricHistogram, valueHistogram, type Warning } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, type JobData, type JobRow } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openMade } from './databases.ts'
import { parse, select } from './naive.ts'
import { admin, refused, users } from './users.ts'

const options = { now: () => NOW }
const data = makeJobs(300, 12)
const filters: JobFilter[] = [{}, { cluster: { eq: 'fritz' } }, { state: ['running'] }, { dbId: [] }, { user: { contains: '0' }, shared: 'none' }, { tags: ['1', '2', '3'] }]
const columns: HistogramColumn[] = ['num_nodes', 'num_hwthreads', 'num_acc']
const binsOf: Record<string, [count: number, seconds: number]> = {
  '1m': [60, 60], '10m': [72, 600], '1h': [48, 3600], '6h': [12, 21_600], '12h': [14, 43_200], '24h': [24, 3600], other: [24, 3600]
}

const metricConfig: MetricConfig = {
  alex: { cpu_load: { peak: 72, unit: '', footprint: 'avg' }, mem_bw: { peak: 300, unit: 'GB/s', footprint: 'avg' }, clock: { peak: 3000, unit: 'MHz', footprint: '' } },
  fritz: { cpu_load: { peak: 60.5, unit: 'load', footprint: '' }, mem_used: { peak: 256, unit: 'GB', footprint: 'max' } }
}

function valuesOf (jobs: readonly JobRow[], column: HistogramColumn): HistoPoint[] {
  const counts = new Map<number, number>()
  for (const job of jobs) counts.set(job[column] ?? 0, (counts.get(job[column] ?? 0) ?? 0) + 1)
  return [...counts].sort(([a], [b]) => a - b).map(([value, count]) => ({ value, count }))
}

function durationsOf (jobs: readonly JobRow[], bins: string): HistoPoint[] {
  const [count, seconds] = binsOf[bins] ?? [24, 3600]
  const lasted = jobs.map(job => job.job_state === 'running' ? NOW - job.start_time : job.duration)
  return Array.from({ length: count }, (_, i) => ({ value: (i + 1) * seconds, count: lasted.filter(d => Math.floor(d / seconds) === i).length }))
}

function pointsOf (jobs: readonly JobRow[], key: string, peak: number, nbins: number): MetricPoint[] {
  const values = jobs.map(job => (parse(job.footprint) as Record<string, unknown> | undefined)?.[key]).filter(value => typeof value === 'number' && value <= peak) as number[]
  const bins = values.map(value => Math.trunc((value === peak ? peak * 0.999999999 : value) / peak * nbins) + 1)
  const step = Math.trunc(Math.trunc(peak) / nbins)
  return Array.from({ length: nbins }, (_, i) => ({ bin: i + 1, count: bins.filter(bin => bin === i + 1).length, min: i * step, max: (i + 1) * step }))
}

/** Jobs that differ in what `change` says of each. */
function jobsWith<T> (changes: readonly T[], change: (value: T) => Partial<JobRow>): JobData {
  const jobs = makeJobs(changes.length, 3).jobs.map((job, i) => ({ ...job, job_state: 'completed', ...change(changes[i] as T) }))
  return { jobs, tags: [], jobTags: [], users: [] }
}

for (const engine of engines) {
  void t.test(`sizes and durations are spread as the jobs are, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    for (const user of [admin, ...users]) {
      for (const filter of filters) {
        const jobs = select(data, user, [filter], NOW)
        const name = JSON.stringify({ user, filter })
        for (const column of columns) t.same(await valueHistogram(db, { user, filter: [filter], column }, options), valuesOf(jobs, column), `${column} ${name}`)
        for (const bins of Object.keys(binsOf)) t.same(await durationHistogram(db, { user, filter: [filter], bins }, options), durationsOf(jobs, bins), `${bins} ${name}`)
        const added = await addHistograms(db, { user, filter: [filter], bins: '10m' }, options)
        t.same([added.histDuration, added.histNumNodes, added.histNumCores, added.histNumAccs],
          [durationsOf(jobs, '10m'), valuesOf(jobs, 'num_nodes'), valuesOf(jobs, 'num_hwthreads'), valuesOf(jobs, 'num_acc')], name)
      }
    }
  })

  void t.test(`metrics are spread as the footprints are, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const withConfig = { ...options, metricConfig }
    for (const user of [admin, ...users]) {
      for (const nbins of [1, 7, 10, 100]) {
        const all = await metricHistogram(db, { user, metrics: ['cpu_load'], nbins }, withConfig)
        t.same(all, { metric: 'cpu_load', unit: 'load', stat: 'avg', data: pointsOf(select(data, user, [], NOW), 'cpu_load_avg', 72, nbins) }, 'the largest peak, the first unit and statistic there are')
        const filter: JobFilter[] = [{ cluster: { eq: 'alex' } }, { duration: { from: 100, to: 0 } }]
        const ofAlex = await metricHistogram(db, { user, filter, metrics: ['mem_bw'], nbins }, withConfig)
        t.same(ofAlex.data, pointsOf(select(data, user, filter, NOW), 'mem_bw_avg', 300, nbins))
      }
    }
    const unknown = await metricHistogram(db, { user: admin, metrics: ['nope'] }, withConfig)
    t.same(unknown, { metric: 'nope', unit: '', stat: '', data: Array.from({ length: 10 }, (_, i) => ({ bin: i + 1, count: 0, min: 0, max: 0 })) })
    t.same(await metricHistogram(db, { user: admin, metrics: ['nope'] }, options), unknown)
    const clock = await metricHistogram(db, { user: admin, filter: [{ cluster: { eq: 'alex' } }], metrics: ['clock'] }, withConfig)
    t.same([clock.stat, clock.data[9]], ['', { bin: 10, count: 0, min: 2700, max: 3000 }], 'in no footprint')
  })

  void t.test(`a metric without a histogram is left out of several, and refused alone, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const warnings: Warning[] = []
    const withConfig = { ...options, metricConfig, warn: (details: Warning) => { warnings.push(details) } }
    const filter: JobFilter[] = [{ cluster: { eq: 'fritz' } }]
    const added = await addMetricHistograms(db, { user: admin, filter, metrics: ['cpu_load', 'bad name', 'clock', 'mem_used', 'constructor'], nbins: 4 }, withConfig)
    t.same(added.histMetrics.map(({ metric }) => metric), ['cpu_load', 'mem_used'])
    t.same(added.histMetrics[1]?.data, pointsOf(select(data, admin, filter, NOW), 'mem_used_max', 256, 4))
    t.same(warnings.map(warning => 'metric' in warning ? warning.metric : ''), ['bad name', 'clock', 'constructor'])
    for (const metrics of [['a b'], ['"'], [''], [], ['clock']]) await t.rejects(metricHistogram(db, { user: admin, filter, metrics }, withConfig), { code: 'TDM_ERR_JOBS_BAD_METRIC', statusCode: 400 })
    for (const cluster of [{ contains: 'a' }, { neq: 'alex' }, { in: ['alex', 'fritz'] }]) {
      await t.rejects(metricHistogram(db, { user: admin, filter: [{ cluster }], metrics: ['cpu_load'] }, withConfig), { code: 'TDM_ERR_JOBS_BAD_INPUT', statusCode: 400 })
    }
    for (const nbins of [0, -1, 1.5, 1e9, NaN]) await t.rejects(metricHistogram(db, { user: admin, metrics: ['cpu_load'], nbins }, withConfig), { code: 'TDM_ERR_JOBS_BAD_INPUT' })
    await t.rejects(valueHistogram(db, { user: admin, column: 'id' as 'num_acc' }, options), { code: 'TDM_ERR_JOBS_BAD_INPUT' })
    for (const { user, code } of refused) {
      await t.rejects(valueHistogram(db, { user, column: 'num_acc' }, options), { code })
      await t.rejects(durationHistogram(db, { user }, options), { code })
      await t.rejects(addHistograms(db, { user }, options), { code })
      await t.rejects(metricHistogram(db, { user, metrics: ['nope'] }, options), { code })
      await t.rejects(addMetricHistograms(db, { user, metrics: ['nope'] }, options), { code })
    }
  })

  void t.test(`each value is in the bin that it belongs to, on ${engine}`, async t => {
    const edges = fc.record({ peak: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0.5, max: 5000, noNaN: true })), nbins: fc.integer({ min: 1, max: 40 }) })
    const values = ({ peak, nbins }: { peak: number, nbins: number }): fc.Arbitrary<number[]> => fc.array(fc.oneof(
      fc.constant(peak), fc.constant(0), fc.integer({ min: 0, max: nbins }).map(i => peak / nbins * i), fc.integer({ min: -3, max: 6000 }),
      fc.double({ min: -peak * 2, max: peak * 2, noNaN: true }).map(value => value + 0)
    ), { minLength: 20, maxLength: 40 })
    const db = await openMade(t, engine, jobsWith(Array.from({ length: 40 }, () => 0), () => ({ footprint: '{}' })))
    const put = db.prepare('UPDATE job SET footprint = ? WHERE id = ?')
    await fc.assert(fc.asyncProperty(edges.chain(edge => values(edge).map(list => ({ ...edge, list }))), async ({ peak, nbins, list }) => {
      const footprints = Array.from({ length: 40 }, (_, i) => JSON.stringify(i < list.length ? { m_avg: list[i] } : {}))
      await db.tx(async () => { for (const [i, footprint] of footprints.entries()) await put.run(footprint, i + 1) })
      const { data: points } = await metricHistogram(db, { user: admin, metrics: ['m'], nbins }, { metricConfig: { x: { m: { peak, unit: '', footprint: 'avg' } } } })
      const jobs = footprints.map(footprint => ({ footprint }) as JobRow)
      t.same(points, pointsOf(jobs, 'm_avg', peak, nbins), JSON.stringify({ peak, nbins, list }))
      const all = list.filter(value => value >= 0 && value <= peak).length
      t.ok(points.reduce((sum, { count }) => sum + count, 0) >= all, 'each from 0 to the peak is in one')
    }), { numRuns: 40, seed: 42 })
  })

  void t.test(`a number that is none of a double precision breaks nothing, on ${engine}`, async t => {
    const numbers = ['1e400', '-1e400', '1e-400', '-1e-400', '5e-324', '123456789012345678901234567890', '4', '"4"', 'null', 'true', '[4]']
    const db = await openMade(t, engine, jobsWith(numbers, number => ({ footprint: `{"m_avg":${number}}` })))
    const { data: points } = await metricHistogram(db, { user: admin, metrics: ['m'], nbins: 2 }, { metricConfig: { x: { m: { peak: 4, unit: '', footprint: 'avg' } } } })
    t.same(points.map(({ count }) => count), [3, 1])
  })

  void t.test(`each second is in one bin, on ${engine}`, async t => {
    const db = await openMade(t, engine, jobsWith(Array.from({ length: 30 }, () => 0), () => ({})))
    const put = db.prepare('UPDATE job SET duration = ? WHERE id = ?')
    const around = fc.tuple(fc.integer({ min: 0, max: 75 }), fc.constantFrom(60, 600, 3600, 21_600, 43_200), fc.integer({ min: -1, max: 1 })).map(([n, size, off]) => n * size + off)
    await fc.assert(fc.asyncProperty(fc.array(around, { minLength: 30, maxLength: 30 }), async durations => {
      await db.tx(async () => { for (const [i, duration] of durations.entries()) await put.run(duration, i + 1) })
      const jobs = durations.map(duration => ({ duration, job_state: 'completed' }) as JobRow)
      for (const bins of Object.keys(binsOf)) t.same(await durationHistogram(db, { user: admin, bins }, options), durationsOf(jobs, bins), JSON.stringify({ bins, durations }))
    }), { numRuns: 15, seed: 7 })
  })
}
