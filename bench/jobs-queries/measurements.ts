/** What is measured of the jobs service on a database of many jobs. Each answers figures against their bounds. */
import type { Database } from '../../plugins/db/types.ts'
import { countJobs, findById, jobsStats, jobsStatsGrouped, queryJobs, queryJobsPage } from '../../services/jobs/store.ts'
import type { GroupBy, JobFilter, Order, Position, User } from '../../services/jobs/schema.ts'
import { isOurs } from '../../plugins/errors.ts'
import { createRandom } from '../../services/jobs/generate/random.ts'
import { boundFor, type Effort, type Figure, type Outcome } from '../measure/measurement.ts'
import { median, percentile, quartiles } from '../measure/statistics.ts'
import { makeFilters, type Values } from './data.ts'

export interface Setting { readonly db: Database, readonly values: Values, readonly effort: Effort }

const admin: User = { username: 'bench', roles: ['admin'] }
const newest: Order = { field: 'startTime', type: 'col', order: 'DESC' }
const PAGE = { itemsPerPage: 50, page: 1 }
const DAYS_30 = 30 * 86_400

async function time<T> (task: () => Promise<T>): Promise<{ ms: number, answer: T }> {
  const since = performance.now()
  const answer = await task()
  return { ms: performance.now() - since, answer }
}

// --- first pages -------------------------------------------------------------------------------------------------------------------

/** Each filter is asked for once, as it comes. */
export async function measureLists ({ db, values, effort }: Setting): Promise<Outcome> {
  const filters = makeFilters(values, { full: 2000, short: 800, tiny: 48 }[effort])
  const times: Array<{ ms: number, filter: JobFilter }> = []
  let jobs = 0
  for (const filter of filters) {
    const { ms, answer } = await time(async () => await queryJobsPage(db, { user: admin, filter: [filter], order: newest, page: PAGE }, { now: () => values.now }))
    times.push({ ms, filter })
    jobs += answer.jobs.length
  }
  const all = times.map(({ ms }) => ms)
  const slowest = times.toSorted((a, b) => b.ms - a.ms).slice(0, 5)
  return {
    figures: [
      { name: 'first page, p99', value: percentile(all, 0.99), unit: 'ms', bound: boundFor({ effort }, { atMost: 20 }, { atMost: 40 }) },
      { name: 'first page, median', value: median(all), unit: 'ms', spread: quartiles(all) },
      { name: 'first page, slowest', value: percentile(all, 1), unit: 'ms' }
    ],
    problems: jobs === 0 ? ['no page had a job'] : [],
    notes: [`${filters.length} combinations of user, project, cluster and state, ${jobs} jobs on their pages; the slowest:`, ...slowest.map(({ ms, filter }) => `${ms.toFixed(1)} ms  ${JSON.stringify(filter)}`)]
  }
}

// --- the thousandth page -------------------------------------------------------------------------------------------------------------

/** By cursor, of all jobs and of those of the largest cluster and of the heaviest user. Neighbouring pages are measured in turns, so that what else the machine does hits both. */
export async function measurePages ({ db, values, effort }: Setting): Promise<Outcome> {
  const pages = { full: 1000, short: 400, tiny: 5 }[effort]
  const lists: ReadonlyArray<readonly [name: string, filter: JobFilter]> = [['all jobs', {}], ['the largest cluster', { cluster: { eq: values.clusters[0] as string } }], ['the heaviest user', { user: { eq: values.users[0] as string } }]]
  const figures: Figure[] = []
  const problems: string[] = []
  for (const [name, filter] of lists) {
    const read = async (after?: Position) => await queryJobsPage(db, { user: admin, filter: [filter], order: newest, page: PAGE, ...after && { after } }, { now: () => values.now })
    let position: Position | undefined
    let page = 1
    for (; page < pages; page++) {
      const { next } = await read(position)
      if (next === undefined) break
      position = next
    }
    const first: number[] = []
    const last: number[] = []
    for (let i = 0; i < (effort === 'tiny' ? 3 : 100); i++) {
      first.push((await time(async () => await read())).ms)
      last.push((await time(async () => await read(position))).ms)
    }
    figures.push({ name: `page ${page} by cursor against page 1, ${name}`, value: median(last) / median(first), unit: '×', bound: boundFor({ effort }, { atMost: 1.5 }, { atMost: 2 }) })
  }
  return { figures, problems, notes: ['medians of 100 each, in turns'] }
}

// --- statistics --------------------------------------------------------------------------------------------------------------------

export async function measureStats ({ db, values, effort }: Setting): Promise<Outcome> {
  const groups: ReadonlyArray<GroupBy | undefined> = [undefined, 'USER', 'PROJECT', 'SUBCLUSTER']
  const options = { now: () => values.now }
  const figures: Figure[] = []
  for (const groupBy of groups) {
    const times: number[] = []
    for (const cluster of values.clusters) {
      const input = { user: admin, filter: [{ cluster: { eq: cluster }, startTime: { from: values.now - DAYS_30 } }] }
      const { ms } = await time<unknown>(async () => await (groupBy === undefined ? jobsStats(db, input, options) : jobsStatsGrouped(db, { ...input, groupBy, sortBy: 'TOTALJOBS' }, options)))
      times.push(ms)
    }
    figures.push({ name: `statistics of a cluster over 30 days${groupBy === undefined ? '' : `, by ${groupBy.toLowerCase()}`}, slowest`, value: percentile(times, 1), unit: 'ms', bound: boundFor({ effort }, { atMost: 1000 }, { atMost: 1000 }) })
  }
  return { figures, problems: [], notes: [`all ${values.clusters.length} clusters`] }
}

// --- while others ask for much -------------------------------------------------------------------------------------------------------

const POINT_EVERY_MS = 2
/** What may become of a statement that asks for everything. */
const stops: ReadonlySet<string> = new Set(['TDM_ERR_DB_TIMEOUT', 'TDM_ERR_DB_MEMORY', 'TDM_ERR_POOL_TIMEOUT'])

/** Statements that read everything, at the same time, until they are done or stopped by their time limit; a job by its id every 2 ms meanwhile, from when it was due. */
export async function measureBeside ({ db, values, effort }: Setting): Promise<Outcome> {
  const options = { now: () => values.now }
  const heavy: ReadonlyArray<readonly [name: string, ask: () => Promise<unknown>]> = [
    ['statistics of all', async () => await jobsStats(db, { user: admin }, options)],
    ['by user, of all', async () => await jobsStatsGrouped(db, { user: admin, groupBy: 'USER', sortBy: 'TOTALJOBS' }, options)],
    ['by project, of the largest cluster', async () => await jobsStatsGrouped(db, { user: admin, groupBy: 'PROJECT', filter: [{ cluster: { eq: values.clusters[0] as string } }] }, options)],
    ['a name that no job has', async () => await queryJobs(db, { user: admin, filter: [{ jobName: { contains: 'no such job' } }], order: newest, page: PAGE }, options)],
    ['sorted by energy', async () => await queryJobs(db, { user: admin, order: { field: 'energy', type: 'col', order: 'DESC' }, page: PAGE }, options)],
    ['counted by a state', async () => await countJobs(db, { user: admin, filter: [{ state: ['completed'] }] }, options)]
  ]
  const notes: string[] = []
  const problems: string[] = []
  const limitMs = { full: 30_000, short: 5000, tiny: 1000 }[effort]
  const running = Promise.all(heavy.map(async ([name, ask]) => {
    const since = performance.now()
    const ended = await db.deadline(limitMs, ask).then(() => 'done', (error: unknown) => {
      const code = isOurs(error) ? error.code : String(error)
      if (!stops.has(code)) problems.push(`${name}: ${String(error)}`)
      return code
    })
    notes.push(`${name}: ${ended} after ${((performance.now() - since) / 1000).toFixed(1)} s`)
  }))
  const delays = await readPoints(db, values, running)
  return {
    figures: [
      { name: 'a job by its id meanwhile, p99', value: percentile(delays, 0.99), unit: 'ms', bound: boundFor({ effort }, { atMost: 20 }, { atMost: 40 }) },
      { name: 'a job by its id meanwhile, median', value: median(delays), unit: 'ms', spread: quartiles(delays) }
    ],
    problems,
    notes: [`${delays.length} reads`, ...notes]
  }
}

async function readPoints (db: Database, values: Values, until: Promise<unknown>): Promise<number[]> {
  const random = createRandom(11)
  const delays: number[] = []
  const pending = new Set<Promise<unknown>>()
  const since = performance.now()
  let isDone = false
  void until.finally(() => { isDone = true })
  for (let i = 0; !isDone || i < 20; i++) {
    const due = since + i * POINT_EVERY_MS
    const early = due - performance.now()
    if (early > 0) await new Promise(resolve => { setTimeout(resolve, early) })
    const from = Math.min(due, performance.now()) // a timer may be early
    const reading = findById(db, { user: admin, id: 1 + Math.floor(random() * values.rows) }, { now: () => values.now }).then(() => { delays.push(performance.now() - from) })
    pending.add(reading)
    void reading.finally(() => { pending.delete(reading) })
  }
  await Promise.all(pending)
  await until
  return delays
}
