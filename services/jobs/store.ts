/**
 * What the service asks of the database: one function an operation of cc-backend's job repository, `(db, input) → answer`, in its JSON.
 *
 * What is kept true: every function shows only what the user may see (access.ts); a running job has lasted until now; pages do not overlap; a row that holds
 * NULL or broken JSON does not break the list that it is in. The SQL is one text for both engines (dialect.ts has what differs).
 * Knows neither Fastify nor a driver.
 */
import { visibleTo } from './access.ts'
import { dialects } from './dialect.ts'
import { JobsNotFound } from './errors.ts'
import { identifier, join, sql, where, type Fragment } from './fragment.ts'
import { isIndexed, limitTo, orderBy, sortable } from './order.ts'
import { conditionsOf, findRows, settingsOf, type JobsDatabase, type JobsOptions, type Warn } from './query.ts'
import { jobColumns, toJob, toNumber, type JobColumn, type JobRow } from './rows.ts'
import type { Job, JobByIdInput, JobsInput, JobsListInput } from './schema.ts'

export { jobsStats, jobsStatsGrouped } from './stats.ts'
export type { JobsDatabase, JobsOptions, Warn } from './query.ts'

/** The jobs, in order of `order` (default: id). Throws `TDM_ERR_JOBS_BAD_ORDER_FIELD`, `TDM_ERR_JOBS_BAD_PAGE`. */
export async function queryJobs (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): Promise<Job[]> {
  const { now, warn } = settingsOf(options)
  const rows = await findRows<JobRow>(db, selectJobs(db, jobFields, input, now))
  return toJobs(rows, now, warn)
}

/** As `queryJobs`, the ids alone. */
export async function queryJobIds (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): Promise<number[]> {
  const rows = await findRows(db, selectJobs(db, sql`job.id`, input, settingsOf(options).now))
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

function selectJobs (db: JobsDatabase, fields: Fragment, input: JobsListInput, now: number): Fragment {
  const { order, page } = input
  const dialect = dialects[db.engine]
  const conditions = [...conditionsOf(db, input, now, isIndexed(order)), ...sortable(order, dialect)]
  return sql`SELECT ${fields} FROM job${where(conditions)}${orderBy(order, dialect)}${limitTo(page)}`
}

/** One warning for all rows: a page can hold a thousand that need it. */
function toJobs (rows: readonly JobRow[], now: number, warn: Warn): Job[] {
  const ids = new Set<number>()
  const columns = new Set<JobColumn>()
  const jobs = rows.map(row => toJob(row, now, (id, column) => {
    ids.add(id)
    columns.add(column)
  }))
  if (ids.size > 0) warn({ ids: [...ids], columns: [...columns] }, 'jobs: NULL or broken JSON in these rows is shown as 0 or empty')
  return jobs
}
