/**
 * What the service asks of the database: one function an operation of cc-backend's job repository, `(db, input) → answer`, in its JSON.
 *
 * What is kept true: every function that is given a user shows only what that user may see (access.ts); a running job has lasted until now; pages do not overlap; a row that holds
 * NULL or broken JSON does not break the list that it is in. The SQL is one text for both engines (dialect.ts has what differs).
 * Knows neither Fastify nor a driver.
 */
import type { Row } from '../../plugins/db/types.ts'
import { coveredBy } from './cover.ts'
import { dialects } from './dialect.ts'
import { join, sql, where, type Fragment } from './fragment.ts'
import { behind, isByStart, isIndexed, limitTo, orderBy, orderMergedBy, positionOf, sortable, sortValue } from './order.ts'
import { conditionsOf, findRows, settingsOf, type JobsDatabase, type JobsOptions } from './query.ts'
import { toNumber, type JobRow } from './rows.ts'
import type { Job, JobsInput, JobsListInput, Order, Position } from './schema.ts'
import { learnIndices, walksOf } from './walk.ts'
import { eachJob, findJobs, jobFields, toJobs } from './whole-jobs.ts'

export { concurrent } from './concurrent.ts'
export { addJobCount, addJobCountGrouped, countGroupedJobs, jobCountGrouped } from './counts.ts'
export { withDetails } from './details.ts'
export { find, findAll, findById, findByJobId, findJobsBetween, getJobList } from './find.ts'
export { addHistograms, durationHistogram, valueHistogram } from './histograms.ts'
export { editMeta, fetchEnergyFootprint, fetchMetadata } from './metadata.ts'
export { addMetricHistograms, metricHistogram } from './metric-histograms.ts'
export { allocatedNodes, partitions, usedNodes } from './nodes.ts'
export { jobsStats, jobsStatsGrouped } from './stats.ts'
export { learnIndices } from './walk.ts'
export { addTags, countTags, getTags, removeTag, removeTags } from './tags.ts'
export { deleteJob, deleteJobsBefore, startJob, stopJob } from './writes.ts'
export type { JobsDatabase, JobsOptions, Warn, Warning, WritableJobs } from './query.ts'

/** The jobs, in order of `order` (default: id). Throws `TDM_ERR_JOBS_BAD_ORDER_FIELD`, `TDM_ERR_JOBS_BAD_PAGE`. */
export async function queryJobs (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): Promise<Job[]> {
  await learnIndices(db)
  const settings = settingsOf(options)
  return await findJobs(db, selectJobs(db, jobFields, input, settings.now), settings)
}

/** `next`: where the page after this one begins, for `after`; undefined on the last one. */
export interface JobsPage { jobs: Job[], next?: Position }

/** As `queryJobs`, and where to go on. Reads one row more than the page has. */
export async function queryJobsPage (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): Promise<JobsPage> {
  await learnIndices(db)
  const settings = settingsOf(options)
  const fields = sql`${jobFields}, ${sortValue(input.order, dialects[db.engine])} AS sort_value`
  const rows = await findRows<JobRow & Pick<Row, 'sort_value'>>(db, selectJobs(db, fields, input, settings.now, 1))
  const { itemsPerPage = -1 } = input.page ?? {}
  const shown = itemsPerPage === -1 ? rows : rows.slice(0, itemsPerPage)
  const last = rows.length > shown.length ? shown.at(-1) : undefined
  return { jobs: toJobs(shown, settings), ...(last === undefined ? {} : { next: positionOf(last.sort_value, last.id) }) }
}

/**
 * As `queryJobs`, one by one, from a cursor. The limits of the calling code hold from the call on; it holds a connection from the first job that is asked for to the
 * last, or until the loop is left. Whoever wants it to be read along our indices awaits `learnIndices` before.
 */
export function iterateJobs (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): AsyncIterable<Job> {
  const settings = settingsOf(options)
  const { text, values } = selectJobs(db, jobFields, input, settings.now)
  return eachJob(db.prepare<JobRow>(text).iterate(...values), settings)
}

/** As `queryJobs`, the ids alone. */
export async function queryJobIds (db: JobsDatabase, input: JobsListInput, options: JobsOptions = {}): Promise<number[]> {
  await learnIndices(db)
  const rows = await findRows(db, selectJobs(db, sql`job.id, job.start_time`, input, settingsOf(options).now))
  return rows.map(row => toNumber(row.id))
}

/** How many jobs there are. */
export async function countJobs (db: JobsDatabase, input: JobsInput, options: JobsOptions = {}): Promise<number> {
  await learnIndices(db)
  const { from, conditions } = coveredBy(db, input, settingsOf(options).now)
  const [row] = await findRows(db, sql`SELECT COUNT(*) AS count FROM ${from}${where(conditions)}`)
  return toNumber(row?.count)
}

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
