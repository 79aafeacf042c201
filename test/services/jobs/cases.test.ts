// What cc-backend itself answered, on its own data: our answers are the same, on both engines.
import t, { type Test } from 'tap'
import type { Database } from '../../../plugins/db/types.ts'
import { isOurs } from '../../../plugins/errors.ts'
import type { Job, JobsListInput, JobsStatsGroupedInput, JobsStatsInput, SortBy, Stats, User } from '../../../services/jobs/schema.ts'
import { countJobs, findById, jobsStats, jobsStatsGrouped, queryJobIds, queryJobs } from '../../../services/jobs/store.ts'
import { engines } from '../../helper/db.ts'
import { copyDataSet, dataSets, missing, readCases, type Case, type DataSet, type Expected } from './data-sets.ts'
import { openJobs, readRows } from './databases.ts'

const options = { now: () => 1675960000, shortJobSeconds: 300 }

interface Input extends JobsListInput, Omit<JobsStatsGroupedInput, keyof JobsListInput> { id: number, user: User | null }

const operations: Record<string, (db: Database, input: Input) => Promise<unknown>> = {
  queryJobs: (db, input) => queryJobs(db, input, options),
  queryJobIds: (db, input) => queryJobIds(db, input, options),
  countJobs: (db, input) => countJobs(db, input, options),
  findById: (db, input) => findById(db, input, options),
  jobsStats: (db, input) => jobsStats(db, input, options),
  jobsStatsGrouped: (db, input) => jobsStatsGrouped(db, input, options)
}

/** The names that the cases have for errors, in ours. */
const codes: Record<string, string> = {
  UNAUTHENTICATED: 'TDM_ERR_JOBS_UNAUTHENTICATED',
  FORBIDDEN_ROLE: 'TDM_ERR_JOBS_FORBIDDEN_ROLE',
  NOT_FOUND: 'TDM_ERR_JOBS_NOT_FOUND',
  BAD_ORDER_FIELD: 'TDM_ERR_JOBS_BAD_ORDER_FIELD'
}

if (missing === undefined) {
  const cases = readCases().filter(({ op }) => op in operations)
  for (const engine of engines) {
    for (const set of dataSets) {
      void t.test(`${cases.length} answers about the ${set} jobs are those of cc-backend, on ${engine}`, async t => {
        const path = copyDataSet(t, set)
        const db = await openJobs(t, engine, path)
        for (const one of cases) await check(t, db, path, one, set)
      })
    }
  }
} else {
  t.pass(missing, { skip: missing })
}

async function check (t: Test, db: Database, path: string, one: Case, set: DataSet): Promise<void> {
  const expected = one.expected.both ?? one.expected[set]
  const run = operations[one.op]
  if (expected === undefined || run === undefined) return
  const input = one.input as unknown as Input
  if (expected.error !== undefined) {
    t.equal(codeOf(await run(db, input).catch((error: unknown) => error)), codes[expected.error], one.name)
    return
  }
  compare(t, one, withTrueTotals(one, expected, path, input), await run(db, input), path)
}

function compare (t: Test, { name, compare, input }: Case, expected: Expected, answer: unknown, path: string): void {
  if (compare === 'keys' && expected.keys !== undefined) {
    t.same(keysOf(path, answer as number[], (input.order as { field: string }).field), expected.keys, name)
  } else if (compare === 'sorted-ties-free') {
    compareSorted(t, name, expected.result as Group[], answer as Group[], input.sortBy as SortBy)
  } else {
    t.same(JSON.parse(JSON.stringify(answer)), expected.result, name)
  }
}

interface Group extends Stats { id: string }

/** The sort values are the same, and so is each group, except that of several with the last value another one may be on the page. */
function compareSorted (t: Test, name: string, expected: Group[], answer: Group[], sortBy: SortBy): void {
  const field = (Object.keys(expected[0] ?? {}) as Array<keyof Stats>).find(key => key.toUpperCase() === sortBy) ?? 'totalJobs'
  t.same(answer.map(group => group[field]), expected.map(group => group[field]), `${name}: order`)
  const edge = expected.at(-1)?.[field]
  for (const group of expected) {
    const same = answer.find(({ id }) => id === group.id)
    if (same !== undefined || group[field] !== edge) t.same(same, group, `${name}: ${group.id}`)
  }
}

const columns: Record<string, string> = { startTime: 'start_time', project: 'project', cluster: 'cluster' }

function keysOf (path: string, ids: number[], field: string): unknown[] {
  const rows = readRows<{ id: number, key: unknown }>(path, `SELECT id, ${columns[field] ?? field} AS key FROM job`)
  const byId = new Map(rows.map(({ id, key }) => [id, key]))
  return ids.map(id => byId.get(id))
}

/** cc-backend answers 0 for three totals when the statistics are not grouped; here they are what the jobs add up to. */
function withTrueTotals ({ op }: Case, expected: Expected, path: string, input: JobsStatsInput): Expected {
  if (op !== 'jobsStats') return expected
  const jobs = readRows<Row>(path, 'SELECT * FROM job').filter(row => matches(row, input.filter?.[0] ?? {}))
  const sum = (value: (row: Row) => number): number => jobs.reduce((total, row) => total + value(row), 0)
  const totals = { totalNodes: sum(row => row.num_nodes), totalCores: sum(row => row.num_hwthreads), totalAccs: sum(row => row.num_acc) }
  return { result: (expected.result as Stats[]).map(stats => ({ ...stats, ...totals })) }
}

interface Row { id: number, cluster: string, hpc_user: string, shared: string, array_job_id: number, duration: number, num_nodes: number, num_hwthreads: number, num_acc: number }

/** The filters of the cases of jobsStats, once more and independently. Throws for one that it does not know, so that none is passed over. */
function matches (row: Row, filter: Record<string, unknown>): boolean {
  return Object.entries(filter).every(([field, wanted]) => {
    const { eq, contains, in: list, from, to } = wanted as { eq?: string, contains?: string, in?: string[], from?: number, to?: number }
    const isText = (text: string): boolean => eq === text || list?.includes(text) === true || (contains !== undefined && text.includes(contains))
    switch (field) {
      case 'cluster': return isText(row.cluster)
      case 'user': return isText(row.hpc_user)
      case 'shared': return row.shared === wanted
      case 'arrayJobId': return row.array_job_id === wanted
      case 'dbId': return (wanted as string[]).includes(String(row.id))
      case 'duration': return row.duration >= (from ?? NaN) && row.duration <= (to ?? NaN)
      case 'numHWThreads': return row.num_hwthreads >= (from ?? NaN) && row.num_hwthreads <= (to ?? NaN)
      case 'schedule': return true // the one value in the cases that is no condition
      default: throw new Error(`no comparison for ${field}`)
    }
  })
}

function codeOf (error: unknown): string {
  return isOurs(error) ? error.code : `not refused: ${String((error as Partial<Job>).id ?? error)}`
}
