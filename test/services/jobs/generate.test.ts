// The generator: jobs by rule, the same on both engines, and what an interruption leaves.
import t, { type Test } from 'tap'
import type { Database, EngineName } from '../../../plugins/db/types.ts'
import { generateJobs, type GenerateOptions } from '../../../services/jobs/generate/generate.ts'
import { columns, Jobs, type RowOptions } from '../../../services/jobs/generate/rows.ts'
import { indexSets } from '../../../services/jobs/indices.ts'
import { findIndices } from '../../../services/jobs/bulk.ts'
import { engines } from '../../helper/db.ts'
import { openEmpty } from './databases.ts'

const UNTIL = 1_767_225_600
const rowOptions: RowOptions = { rows: 40_000, seed: 1, meta: 'real', badRows: false, until: UNTIL }
const options: GenerateOptions = { ...rowOptions, rows: 3000, indices: 'ours' }

type Made = Record<typeof columns[number], number | string | null>

function make (changes: Partial<RowOptions> = {}): Made[] {
  const made = { ...rowOptions, ...changes }
  return new Jobs(made).take(made.rows).map(row => Object.fromEntries(columns.map((name, i) => [name, row[i]])) as Made)
}

function shares<Key extends string | number> (list: readonly Key[]): Map<Key, number> {
  const counts = new Map<Key, number>()
  for (const item of list) counts.set(item, (counts.get(item) ?? 0) + 1)
  return new Map([...counts].sort((a, b) => b[1] - a[1]).map(([key, count]) => [key, count / list.length]))
}

function isNear (t: Test, value: number | undefined, expected: number, tolerance = 0.02): void {
  t.ok(Math.abs((value ?? NaN) - expected) < tolerance, `${value} is about ${expected}`)
}

const quantile = (list: readonly number[], share: number): number => list.toSorted((a, b) => a - b)[Math.floor(share * list.length)] ?? NaN
const number = (row: Made, name: keyof Made): number => Number(row[name])

const jobs = make()

void t.test('ids and start times go up together, over four and a half years, with ties', async t => {
  t.ok(jobs.every(({ id }, i) => id === i + 1))
  t.ok(jobs.every((job, i) => i === 0 || number(job, 'start_time') >= number(jobs[i - 1] as Made, 'start_time')))
  const first = number(jobs[0] as Made, 'start_time')
  const last = number(jobs.at(-1) as Made, 'start_time')
  isNear(t, (last - first) / 86_400 / 365.25, 4.5)
  t.ok(last < UNTIL)
  isNear(t, jobs.filter((job, i) => i > 0 && job.start_time === jobs[i - 1]?.start_time && job.hpc_user === jobs[i - 1]?.hpc_user).length / jobs.length, 0.3)
  const half = jobs.filter(job => number(job, 'start_time') < first + (last - first) / 2).length
  isNear(t, half / jobs.length, Math.SQRT2 - 1) // the rate has doubled by the end
  const byDay = jobs.filter(job => number(job, 'start_time') % 86_400 >= 8 * 3600 && number(job, 'start_time') % 86_400 < 20 * 3600).length
  t.ok(byDay / jobs.length > 0.6)
})

void t.test('clusters, users and states have their shares', async t => {
  const clusters = shares(jobs.map(({ cluster }) => String(cluster)))
  for (const [name, share] of Object.entries({ woody: 0.55, meggie: 0.14, fritz: 0.12, alex: 0.11, tinygpu: 0.06, tinyfat: 0.02 })) isNear(t, clusters.get(name), share)
  const states = shares(jobs.map(job => String(job.job_state)))
  for (const [name, share] of Object.entries({ completed: 0.815, failed: 0.085, cancelled: 0.055, timeout: 0.035, out_of_memory: 0.006, node_fail: 0.002, preempted: 0.002 })) isNear(t, states.get(name), share, 0.006)
  for (const cluster of ['woody', 'alex']) {
    const [heaviest = 0] = shares(jobs.filter(job => job.cluster === cluster).map(job => String(job.hpc_user))).values()
    isNear(t, heaviest, 0.15, 0.03)
  }
  const projects = new Map(jobs.map(job => [job.hpc_user, job.project]))
  t.ok(jobs.every(job => projects.get(job.hpc_user) === job.project), 'a user has one project')
  t.equal(new Set(jobs.map(job => `${job.job_id} ${job.cluster} ${job.start_time}`)).size, jobs.length)
})

void t.test('times, sizes and energy are those of real jobs', async t => {
  const durations = jobs.map(job => number(job, 'duration'))
  isNear(t, durations.filter(duration => duration < 300).length / jobs.length, 0.19, 0.05)
  t.ok(quantile(durations, 0.5) > 1500 && quantile(durations, 0.5) < 3500, String(quantile(durations, 0.5)))
  t.ok(jobs.every(job => number(job, 'duration') >= 1 && number(job, 'duration') <= number(job, 'walltime') + 40))
  const running = jobs.filter(job => job.job_state === 'running')
  t.ok(running.length > 0 && running.every(job => number(job, 'start_time') + number(job, 'duration') === UNTIL && job.monitoring_status === 1))
  t.ok(jobs.every(job => number(job, 'start_time') + number(job, 'duration') <= UNTIL))
  for (const job of jobs) {
    const isGpu = job.cluster === 'alex' || job.cluster === 'tinygpu'
    if (isGpu !== number(job, 'num_acc') > 0) t.fail(`${job.cluster} has ${job.num_acc} accelerators`)
    if (number(job, 'num_nodes') > 1 && job.cluster !== 'fritz' && job.cluster !== 'meggie') t.fail(`${job.cluster} has ${job.num_nodes} nodes`)
  }
  isNear(t, jobs.filter(job => job.energy === 0).length / jobs.length, 0.07, 0.05)
})

void t.test('JSON is valid, and as large as in a real database', async t => {
  for (const job of jobs) {
    const hosts = JSON.parse(String(job.resources)) as Array<{ hostname: string, accelerators?: string[], hwthreads?: number[] }>
    if (hosts.length !== job.num_nodes || new Set(hosts.map(({ hostname }) => hostname)).size !== hosts.length) t.fail(`${job.resources} of ${job.num_nodes} nodes`)
    if (hosts[0]?.accelerators !== undefined && (hosts[0].accelerators.length !== job.num_acc || hosts[0].hwthreads?.length !== job.num_hwthreads)) t.fail(`${job.resources} of ${job.num_acc}`)
    for (const name of ['footprint', 'energy_footprint'] as const) {
      const values = Object.values(JSON.parse(String(job[name])) as object)
      if (!values.every(value => typeof value === 'number' && value >= 0)) t.fail(String(job[name]))
    }
    if (Object.keys(JSON.parse(String(job.meta_data)) as object).join() !== 'jobName,jobScript,slurmInfo') t.fail(String(job.meta_data))
  }
  const size = (list: readonly Made[], name: keyof Made, share: number): number => quantile(list.map(job => String(job[name]).length), share)
  t.ok(size(jobs, 'meta_data', 0.5) > 600 && size(jobs, 'meta_data', 0.99) < 1000, `meta data ${size(jobs, 'meta_data', 0.5)}`)
  t.ok(size(jobs, 'footprint', 0.01) > 75 && size(jobs, 'footprint', 0.99) < 170, `footprint ${size(jobs, 'footprint', 0.01)} to ${size(jobs, 'footprint', 0.99)}`)
  t.ok(size(make({ rows: 500, meta: 'small' }), 'meta_data', 0.99) <= 80)
  const large = make({ rows: 500, meta: 'large' })
  t.ok(size(large, 'meta_data', 0) > 1300 && size(large, 'meta_data', 1 - 1e-9) < 4300, `${size(large, 'meta_data', 0)} to ${size(large, 'meta_data', 1 - 1e-9)}`)
})

void t.test('the seed decides, and bad rows are one in ten thousand', async t => {
  t.strictSame(make({ rows: 200 }), make({ rows: 200 }))
  t.notSame(make({ rows: 200, seed: 2 }), make({ rows: 200 }))
  const bad = make({ badRows: true }).filter((job, i) => JSON.stringify(job) !== JSON.stringify(jobs[i]))
  t.strictSame(bad.map(({ id }) => id), [10_000, 20_000, 30_000, 40_000])
})

// --- into a database -------------------------------------------------------------------------------------------------------------

const json: ReadonlySet<string> = new Set(['meta_data', 'resources', 'energy_footprint', 'footprint'])

async function readJobs (db: Database): Promise<unknown[]> {
  const rows = await db.prepare('SELECT * FROM job ORDER BY id').all()
  return rows.map(row => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, json.has(name) && value !== null ? JSON.parse(Buffer.isBuffer(value) ? value.toString() : String(value)) : value])))
}

async function names (db: Database, engine: EngineName): Promise<string[]> {
  return (await findIndices(db, engine, 'job')).map(({ name }) => name)
}

for (const engine of engines) {
  void t.test(`every row arrives as it was made, with users, tags and indices, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    const summary = await generateJobs(db, options)
    t.equal(summary.resumedAt, 0)
    const expected = make({ rows: 3000 }).map(job => Object.fromEntries(Object.entries(job).map(([name, value]) => [name, json.has(name) ? JSON.parse(String(value)) : value])))
    t.same(await readJobs(db), expected)
    t.strictSame(await names(db, engine), indexSets.ours.map(({ name }) => name))
    t.equal((await db.prepare('SELECT COUNT(*) AS count FROM hpc_user').get())?.count, 3000)
    isNear(t, Number((await db.prepare('SELECT COUNT(DISTINCT job_id) AS count FROM jobtag').get())?.count) / 3000, 0.033, 0.02)
    t.equal((await db.prepare('SELECT COUNT(*) AS count FROM jobtag WHERE job_id NOT IN (SELECT id FROM job)').get())?.count, 0)
    if (engine === 'sqlite') t.strictSame(await db.prepare('SELECT typeof(footprint) AS type, COUNT(*) AS count FROM job GROUP BY 1').all(), [{ type: 'blob', count: 2970 }, { type: 'text', count: 30 }])
    else t.equal((await db.prepare('INSERT INTO tag (tag_type, tag_name) VALUES (?, ?) RETURNING id').get('new', 'new'))?.id, 21)
    await t.rejects(generateJobs(db, options), { code: 'TDM_ERR_JOBS_GENERATE', message: /rows in job already/ })
  })

  void t.test(`what is interrupted goes on, and ends with the same rows, on ${engine}`, async t => {
    const whole = await openEmpty(t, engine)
    const broken = await openEmpty(t, engine)
    const many = { ...options, rows: 2500, chunkRows: 1000 }
    const giveUp = new AbortController()
    await t.rejects(generateJobs(broken, { ...many, signal: giveUp.signal, onProgress: () => { giveUp.abort() } }), { code: 'TDM_ERR_DB_ABORTED' })
    t.equal((await broken.prepare('SELECT COUNT(*) AS count FROM job').get())?.count, 1000)
    await t.rejects(generateJobs(broken, { ...many, seed: 2 }), { code: 'TDM_ERR_JOBS_GENERATE', message: /1000 rows of a call that was interrupted, with other options/ })

    t.equal((await generateJobs(broken, many)).resumedAt, 1000)
    await generateJobs(whole, many)
    const checks = ['SELECT COUNT(*) AS count, SUM(start_time) AS starts, SUM(duration) AS durations, MAX(job_id) AS job FROM job', 'SELECT COUNT(*) AS count, SUM(job_id) AS jobs, SUM(tag_id) AS tags FROM jobtag']
    for (const sql of checks) t.strictSame(await broken.prepare(sql).get(), await whole.prepare(sql).get())
    const tail = 'SELECT * FROM job WHERE id > 900 ORDER BY id'
    t.strictSame(await broken.prepare(tail).all(), await whole.prepare(tail).all())
    t.strictSame(await names(broken, engine), indexSets.ours.map(({ name }) => name))
  })

  void t.test(`an interruption between two indices goes on as well, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    const stop = (step: string): void => { if (step.includes('job_cluster_user')) throw new Error('enough') }
    await t.rejects(generateJobs(db, { ...options, onStep: stop }), { message: 'enough' })
    t.notOk((await names(db, engine)).includes('job_cluster_user'))
    t.equal((await generateJobs(db, options)).resumedAt, 3000)
    t.strictSame(await names(db, engine), indexSets.ours.map(({ name }) => name))
  })

  void t.test(`the indices of cc-backend can be chosen, and bad rows fit, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    await generateJobs(db, { ...options, rows: 20_000, meta: 'small', badRows: true, indices: 'v11' })
    t.strictSame(await names(db, engine), indexSets.v11.map(({ name }) => name))
    const bad = await db.prepare('SELECT array_job_id, num_hwthreads FROM job WHERE id IN (10000, 20000) ORDER BY id').all()
    t.match(bad, [{ array_job_id: null, num_hwthreads: Number }, { num_hwthreads: null }])
  })
}

void t.test('the migrations have our indices', async t => {
  for (const engine of engines) {
    const migrated = await openEmpty(t, engine)
    const generated = await openEmpty(t, engine)
    await generateJobs(generated, { ...options, rows: 1 })
    t.strictSame((await findIndices(migrated, engine, 'job')), await findIndices(generated, engine, 'job'), engine)
  }
})
