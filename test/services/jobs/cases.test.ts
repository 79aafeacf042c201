// What cc-backend itself answered, on its own data: our answers are the same, on both engines.
import t, { type Test } from 'tap'
import type { Database } from '../../../plugins/db/types.ts'
import { isOurs } from '../../../plugins/errors.ts'
import type { Job, JobsStatsInput, SortBy, Stats } from '../../../services/jobs/schema.ts'
import * as store from '../../../services/jobs/store.ts'
import { engines } from '../../helper/db.ts'
import { copyDataSet, dataSets, missing, readCases, readMetricConfig, type Case, type DataSet, type Expected } from './data-sets.ts'
import { openJobs, readRows } from './databases.ts'

const clock = { now: () => 1675960000, shortJobSeconds: 300 }

type Operation = (db: Database, input: unknown, options: store.JobsOptions) => Promise<unknown>

/** The names of the cases are those of the store. */
function operation ({ name, op }: Case): Operation {
  const found = Object.entries(store).find(([exported]) => exported === op)
  if (found === undefined) throw new Error(`${name}: the store has no ${op}`)
  return found[1] as Operation
}

/** The names that the cases have for errors, in ours. */
const codes: Record<string, string> = {
  UNAUTHENTICATED: 'TDM_ERR_JOBS_UNAUTHENTICATED',
  FORBIDDEN_ROLE: 'TDM_ERR_JOBS_FORBIDDEN_ROLE',
  NOT_FOUND: 'TDM_ERR_JOBS_NOT_FOUND',
  BAD_ORDER_FIELD: 'TDM_ERR_JOBS_BAD_ORDER_FIELD',
  BAD_METRIC: 'TDM_ERR_JOBS_BAD_METRIC',
  UPSTREAM_PANIC: 'TDM_ERR_JOBS_BAD_INPUT' // where cc-backend ends, the input is refused
}

if (missing === undefined) {
  const cases = readCases()
  const options = { ...clock, metricConfig: readMetricConfig() }
  for (const engine of engines) {
    for (const set of dataSets) {
      void t.test(`${cases.length} answers about the ${set} jobs are those of cc-backend, on ${engine}`, async t => {
        const path = copyDataSet(t, set)
        const db = await openJobs(t, engine, path)
        let checked = 0
        for (const one of cases) checked += await check(t, { db, path, options }, one, set)
        t.equal(checked, cases.length, 'none was passed over')
      })
    }
  }
} else {
  t.pass(missing, { skip: missing })
}

interface Place { db: Database, path: string, options: store.JobsOptions }

/** 1, so that those that were checked can be counted. */
async function check (t: Test, { db, path, options }: Place, one: Case, set: DataSet): Promise<number> {
  const expected = one.expected.both ?? one.expected[set]
  if (expected === undefined) throw new Error(`${one.name}: there is no answer for ${set}`)
  const run = operation(one)
  if (expected.error === undefined) {
    compare(t, one, withTrueTotals(one, expected, path), await run(db, one.input, options), path)
  } else {
    t.equal(codeOf(await run(db, one.input, options).catch((error: unknown) => error)), codes[expected.error], one.name)
  }
  return 1
}

function compare (t: Test, one: Case, expected: Expected, answer: unknown, path: string): void {
  const { name, input } = one
  const found: unknown = JSON.parse(JSON.stringify(answer))
  switch (one.compare) {
    case 'exact': return void t.same(found, expected.result, name)
    case 'unordered':
    case 'unordered-by-id': return void t.same(inOrder(found), inOrder(expected.result), name)
    case 'keys': return compareKeys(t, one, expected, answer as number[], path)
    case 'sorted-ties-free': return compareSorted(t, name, expected.result as Group[], answer as Group[], input.sortBy as SortBy)
    case 'set-of-size': return compareSize(t, one, expected.result as number[], answer as number[])
    default: throw new Error(`${name}: no comparison ${one.compare}`)
  }
}

/** Lists in one order, however deep. */
function inOrder (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(element => JSON.stringify(inOrder(element))).sort()
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, part]) => [key, inOrder(part)]))
}

/** The sort column is the same; and so are the ids, where upstream's do not depend on its plan, except among those that are equal to the edge of the page. */
function compareKeys (t: Test, { name, input, plan_dependent: isUpToThePlan = false }: Case, expected: Expected, answer: number[], path: string): void {
  const keys = keysOf(path, answer, (input.order as { field: string }).field)
  t.same(keys, expected.keys, name)
  const ids = expected.result as number[]
  const edges = new Set([keys[0], keys.at(-1)])
  const inside = (list: number[]): number[] => list.filter((_, i) => !edges.has(keys[i])).sort((a, b) => a - b)
  if (!isUpToThePlan) t.same(inside(answer), inside(ids), `${name}: ids`)
}

/** Upstream has no order: all of them are the same, of a part only how many. */
function compareSize (t: Test, { name, input }: Case, expected: number[], answer: number[]): void {
  t.equal(new Set(answer).size, expected.length, name)
  if (input.limit === 0) t.same(answer.toSorted((a, b) => a - b), expected.toSorted((a, b) => a - b), name)
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
function withTrueTotals ({ op, input }: Case, expected: Expected, path: string): Expected {
  if (op !== 'jobsStats') return expected
  const jobs = readRows<Row>(path, 'SELECT * FROM job').filter(row => matches(row, (input as unknown as JobsStatsInput).filter?.[0] ?? {}))
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
