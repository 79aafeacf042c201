/**
 * What the service asks of the database: one function an operation of cc-backend's job repository, `(db, input) → answer`, in its JSON.
 *
 * What is kept true: every function shows only what the user may see (access.ts); a running job has lasted until now; pages do not overlap; a row that holds
 * NULL or broken JSON does not break the list that it is in. The SQL is one text for both engines (dialect.ts has what differs).
 * Knows neither Fastify nor a driver.
 */
import type { Row } from '../../plugins/db/types.ts'
import { visibleTo } from './access.ts'
import { dialects } from './dialect.ts'
import { JobsNotFound } from './errors.ts'
import { identifier, join, sql, where, type Fragment } from './fragment.ts'
import { behind, isByStart, isIndexed, limitTo, orderBy, orderMergedBy, positionOf, sortable, sortValue } from './order.ts'
import { conditionsOf, findRows, settingsOf, type JobsDatabase, type JobsOptions, type Warn } from './query.ts'
import { jobColumns, toJob, toNumber, type JobColumn, type JobRow } from './rows.ts'
import type { Job, JobByIdInput, JobsInput, JobsListInput, Order, Position } from './schema.ts'
import { learnIndices, walksOf } from './walk.ts'

export { jobsStats, jobsStatsGrouped } from './stats.ts'
export type { JobsDatabase, JobsOptions, Warn } from './query.ts'

/** The jobs, in order of `order` (default: id). Throws `TDM_ERR_JOBS_BAD_ORDER_FIELD`, `TDM_ERR_JOBS_BAD_PAGE`. */
export async function queryJobs (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): Promise<Job[]> {
  await learnIndices(db)
  const { now, warn } = settingsOf(options)
  const rows = await findRows<JobRow>(db, selectJobs(db, jobFields, input, now))
  return toJobs(rows, now, warn)
}

/** `next`: where the page after this one begins, for `after`; undefined on the last one. */
export interface JobsPage { jobs: Job[], next?: Position }

/** As `queryJobs`, and where to go on. Reads one row more than the page has. */
export async function queryJobsPage (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): Promise<JobsPage> {
  await learnIndices(db)
  const { now, warn } = settingsOf(options)
  const fields = sql`${jobFields}, ${sortValue(input.order, dialects[db.engine])} AS sort_value`
  const rows = await findRows<JobRow & Pick<Row, 'sort_value'>>(db, selectJobs(db, fields, input, now, 1))
  const { itemsPerPage = -1 } = input.page ?? {}
  const shown = itemsPerPage === -1 ? rows : rows.slice(0, itemsPerPage)
  const last = rows.length > shown.length ? shown.at(-1) : undefined
  return { jobs: toJobs(shown, now, warn), ...(last === undefined ? {} : { next: positionOf(last.sort_value, last.id) }) }
}

/**
 * As `queryJobs`, one by one, from a cursor. The limits of the calling code hold from the call on; it holds a connection from the first job that is asked for to the
 * last, or until the loop is left.
 */
export function iterateJobs (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): AsyncIterable<Job> {
  const { now, warn } = settingsOf(options)
  const { text, values } = selectJobs(db, jobFields, input, now)
  return eachJob(db.prepare<JobRow>(text).iterate(...values), now, warn)
}

/** As `queryJobs`, the ids alone. */
export async function queryJobIds (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): Promise<number[]> {
  await learnIndices(db)
  const rows = await findRows(db, selectJobs(db, sql`job.id, job.start_time`, input, settingsOf(options).now))
  return rows.map(row => toNumber(row.id))
}

/** How many jobs there are. */
export async function countJobs (db: JobsDatabase, input: JobsInput, options: JobsOptions = {}): Promise<number> {
  const [row] = await findRows(db, sql`SELECT COUNT(*) AS count FROM job${where(conditionsOf(db, input, settingsOf(options).now))}`)
  return toNumber(row?.count)
}

/** The job with this row id. Throws `TDM_ERR_JOBS_NOT_FOUND`, also for a job that the user may not see. */
export async function findById (db: JobsDatabase, { user, id }: JobByIdInput, options: JobsOptions = {}): Promise<Job> {
  const { now, warn } = settingsOf(options)
  const [row] = await findRows<JobRow>(db, sql`SELECT ${jobFields} FROM job${where([sql`job.id = ${id}`, ...visibleTo(user)])}`)
  const [job] = toJobs(row === undefined ? [] : [row], now, warn)
  if (job === undefined) throw new JobsNotFound(id)
  return job
}

const jobFields = join(jobColumns.map(name => identifier(`job.${name}`)), ', ')

function selectJobs (db: JobsDatabase, fields: Fragment, input: JobsListInput, now: number, extra = 0): Fragment {
  const { order, page, after } = input
  const dialect = dialects[db.engine]
  if (isByStart(order)) return selectByStart(db, fields, { ...input, order }, now, extra)
  const conditions = [...conditionsOf(db, input, now, isIndexed(order)), ...sortable(order, dialect), ...behind(order, after, dialect)]
  return sql`SELECT ${fields} FROM job${where(conditions)}${orderBy(order, dialect)}${limitTo(page, extra)}`
}

/** Along the indices of walk.ts. The selected columns have to be told apart by their names, and the start time and the id are among them. */
function selectByStart (db: JobsDatabase, fields: Fragment, input: JobsListInput & { order: Order }, now: number, extra: number): Fragment {
  const { order, page, after } = input
  const dialect = dialects[db.engine]
  const isBehind = behind(order, after, dialect)
  const walks = walksOf(db, input, now).map(({ from, conditions }) => sql`SELECT ${fields} FROM ${from}${where([...conditions, ...isBehind])}`)
  return sql`${join(walks, ' UNION ALL ')}${walks.length === 1 ? orderBy(order, dialect) : orderMergedBy(order)}${limitTo(page, extra)}`
}

function toJobs (rows: readonly JobRow[], now: number, warn: Warn): Job[] {
  const repairs = new Repairs(warn)
  const jobs = rows.map(row => toJob(row, now, repairs.report))
  repairs.tell()
  return jobs
}

async function * eachJob (rows: AsyncIterable<JobRow>, now: number, warn: Warn): AsyncGenerator<Job, undefined> {
  const repairs = new Repairs(warn)
  try {
    for await (const row of rows) yield toJob(row, now, repairs.report)
  } finally {
    repairs.tell()
  }
}

/** The rows of an answer that needed repair: one warning for all of them, with as many ids as a page can have. */
class Repairs {
  readonly #warn: Warn
  readonly #ids = new Set<number>()
  readonly #columns = new Set<JobColumn>()

  constructor (warn: Warn) {
    this.#warn = warn
  }

  readonly report = (id: number, column: JobColumn): void => {
    if (this.#ids.size < 1000) this.#ids.add(id)
    this.#columns.add(column)
  }

  tell (): void {
    if (this.#ids.size > 0) this.#warn({ ids: [...this.#ids], columns: [...this.#columns] }, 'jobs: NULL or broken JSON in these rows is shown as 0 or empty')
  }
}
