/**
 * Jobs by what they are called. Part of the store.
 *
 * What is kept true: of several jobs that one id of the scheduler has had, the newest row is meant, and their order is that of the rows. `find`, `findAll`, `getJobList` and
 * `findJobsBetween` ask for no user: they are for the program itself, not for what a user asks for.
 */
import { visibleTo } from './access.ts'
import { JobsBadInput } from './errors.ts'
import { sql, where, type Fragment } from './fragment.ts'
import { checkInteger, checkOneOf, checkOptionalInteger } from './input.ts'
import { findRows, settingsOf, type JobsDatabase, type JobsOptions } from './query.ts'
import { toNumber } from './rows.ts'
import type { FindJobsBetweenInput, Job, JobByIdInput, JobByJobIdInput, JobListInput, JobLookup, JobSelector, OmitTagged } from './schema.ts'
import { findJobs, getLastJob, jobFields } from './whole-jobs.ts'

/** The job with this row id. Throws `TDM_ERR_JOBS_NOT_FOUND`, also for a job that the user may not see. */
export async function findById (db: JobsDatabase, { user, id }: JobByIdInput, options: JobsOptions = {}): Promise<Job> {
  const conditions = [...visibleTo(user), ...selecting({ id })]
  return await getLastJob(db, sql`SELECT ${jobFields} FROM job${where(conditions)}`, `id ${id}`, settingsOf(options))
}

/** The job with this id of the scheduler that started then on that cluster. Throws `TDM_ERR_JOBS_NOT_FOUND`, also for a job that the user may not see. */
export async function findByJobId (db: JobsDatabase, { user, ...lookup }: JobByJobIdInput, options: JobsOptions = {}): Promise<Job> {
  const conditions = [...visibleTo(user), ...selecting(lookup)]
  return await getLastJob(db, sql`SELECT ${jobFields} FROM job${where(conditions)}`, nameOf(lookup), settingsOf(options))
}

/** The newest of the jobs that `findAll` finds. Throws `TDM_ERR_JOBS_NOT_FOUND`. */
export async function find (db: JobsDatabase, lookup: JobLookup, options: JobsOptions = {}): Promise<Job> {
  return await getLastJob(db, selectJobs(selecting(lookup)), nameOf(lookup), settingsOf(options))
}

/** All jobs with this id of the scheduler, on a cluster or on all, that started then or at any time. */
export async function findAll (db: JobsDatabase, lookup: JobLookup, options: JobsOptions = {}): Promise<Job[]> {
  return await findJobs(db, selectJobs(selecting(lookup)), settingsOf(options))
}

/** The ids of jobs that do not run, in ascending order. All of them are read a part at a time. */
export async function getJobList (db: JobsDatabase, { limit, offset = 0, after }: JobListInput): Promise<number[]> {
  checkInteger('limit', limit, 0)
  checkInteger('offset', offset, 0)
  checkOptionalInteger('after', after, 0)
  if (limit > 0) return await listIds(db, after ?? 0, limit, offset)
  const ids: number[] = []
  for (;;) {
    const part = await listIds(db, ids.at(-1) ?? after ?? 0, listPart, 0)
    for (const id of part) ids.push(id)
    if (part.length < listPart) return ids
  }
}

const listPart = 20_000

async function listIds (db: JobsDatabase, after: number, limit: number, offset: number): Promise<number[]> {
  const rows = await findRows(db, sql`SELECT job.id FROM job WHERE job.id > ${after} AND job.job_state <> 'running' ORDER BY job.id LIMIT ${limit} OFFSET ${offset}`)
  return rows.map(row => toNumber(row.id))
}

/**
 * Jobs that started from `from` to `to`, both included, in order of their start; with `from: 0` those before `to`. Throws `TDM_ERR_JOBS_BAD_INPUT` when `from` is not before `to`.
 */
export async function findJobsBetween (db: JobsDatabase, { from, to, omitTagged = 'none' }: FindJobsBetweenInput, options: JobsOptions = {}): Promise<Job[]> {
  checkInteger('from', from, 0)
  checkInteger('to', to, 0)
  if (from >= to) throw new JobsBadInput('from', `must be before to (${to}), got ${from}`)
  const started = from === 0 ? sql`job.start_time < ${to}` : sql`job.start_time BETWEEN ${from} AND ${to}`
  const conditions = [started, ...untagged(omitTagged)]
  return await findJobs(db, sql`SELECT ${jobFields} FROM job${where(conditions)} ORDER BY job.start_time, job.id`, settingsOf(options))
}

// --- conditions that others have, too ------------------------------------------------------------------------------------------

/** What holds for the jobs that are meant. Throws `TDM_ERR_JOBS_BAD_INPUT`. */
export function selecting (selector: JobSelector): Fragment[] {
  if ('id' in selector) {
    checkInteger('id', selector.id, 0)
    return [sql`job.id = ${selector.id}`]
  }
  const { jobId, cluster, startTime } = selector
  checkInteger('jobId', jobId, 0)
  checkOptionalInteger('startTime', startTime, 0)
  const conditions = [sql`job.job_id = ${jobId}`]
  if (cluster !== undefined) conditions.push(sql`job.cluster = ${cluster}`)
  if (startTime !== undefined) conditions.push(sql`job.start_time = ${startTime}`)
  return conditions
}

/** The id of the newest row of those. `+ 0`, so that no planner walks all ids from the newest on until one of them fits. */
export function newestOf (conditions: readonly Fragment[]): Fragment {
  return sql`(SELECT MAX(job.id + 0) FROM job${where(conditions)})`
}

/** For messages. */
export function nameOf (selector: JobSelector): string {
  return 'id' in selector ? `id ${selector.id}` : `jobId ${selector.jobId}`
}

/** Jobs that a deletion may take. */
export function untagged (omitTagged: OmitTagged): Fragment[] {
  checkOneOf('omitTagged', omitTagged, ['none', 'all', 'user'])
  if (omitTagged === 'none') return []
  const byUser = sql` JOIN tag ON tag.id = jobtag.tag_id WHERE tag.tag_type NOT IN ('app', 'jobClass') AND`
  return [sql`NOT EXISTS (SELECT 1 FROM jobtag${omitTagged === 'user' ? byUser : sql` WHERE`} jobtag.job_id = job.id)`]
}

/** Without a limit: with ORDER BY id LIMIT 1 the planner may walk all ids instead of looking these few up. */
function selectJobs (conditions: readonly Fragment[]): Fragment {
  return sql`SELECT ${jobFields} FROM job${where(conditions)} ORDER BY job.id`
}
