/**
 * How jobs come, end and go. Part of the store; asks for no user: whoever calls these has seen to that.
 *
 * What is kept true: each is one transaction, or part of the one around. On a cluster an id of the scheduler is started once in a day, also when two ask for it at the same time. A job is stopped once.
 */
import { dialects } from './dialect.ts'
import { JobsAlreadyStarted, JobsBadInput, JobsNotFound, JobsNotRunning } from './errors.ts'
import { find, findById, nameOf, newestOf, selecting, untagged } from './find.ts'
import { join, sql, where, type Fragment } from './fragment.ts'
import { checkInteger, checkOneOf, checkOptionalInteger, checkSchema } from './input.ts'
import { findRows, type JobsOptions, type WritableJobs } from './query.ts'
import { toNumber } from './rows.ts'
import { JobState, StartJob, type DeleteJobsBeforeInput, type Job, type JobSelector, type StopJobInput, type User } from './schema.ts'

const day = 86_400
const program: User = { username: '', roles: ['admin'] }

/**
 * Stores a job that has started, and answers with it. Its state is running, `shared` by default none, `monitoringStatus` 1.
 * Throws `TDM_ERR_JOBS_ALREADY_STARTED`, `TDM_ERR_JOBS_BAD_INPUT`.
 */
export async function startJob (db: WritableJobs, job: StartJob, options: JobsOptions = {}): Promise<Job> {
  checkSchema('job', StartJob, job)
  if (job.resources.length !== job.numNodes) throw new JobsBadInput('job/resources', `must be one for each of the ${job.numNodes} nodes, got ${job.resources.length}`)
  return await db.tx(async () => {
    await checkNotStarted(db, job)
    const [row] = await findRows(db, insertJob(job))
    return await findById(db, { user: program, id: toNumber(row?.id) }, options)
  })
}

/** Two that ask at the same time see neither's row, so they wait for each other first. */
async function checkNotStarted (db: WritableJobs, { jobId, cluster, startTime }: StartJob): Promise<void> {
  const lock = dialects[db.engine].lock(`jobs: ${jobId} ${cluster}`)
  if (lock !== undefined) await findRows(db, lock)
  const near = [...selecting({ jobId, cluster }), sql`job.start_time > ${startTime - day}`, sql`job.start_time < ${startTime + day}`]
  const [row] = await findRows(db, sql`SELECT job.id FROM job${where(near)} LIMIT 1`)
  if (row !== undefined) throw new JobsAlreadyStarted(jobId, cluster)
}

function insertJob (job: StartJob): Fragment {
  const resources = JSON.stringify(job.resources)
  const metaData = job.metaData === undefined ? null : JSON.stringify(job.metaData)
  const values = [
    job.jobId, job.cluster, job.subCluster, job.submitTime ?? 0, job.startTime, job.user, job.project, job.partition ?? '', job.arrayJobId ?? 0,
    job.walltime ?? 0, metaData, resources, job.numNodes, job.numHwthreads ?? 0, job.numAcc ?? 0, job.smt ?? 0, job.shared ?? 'none', job.monitoringStatus ?? 1
  ]
  return sql`INSERT INTO job (
    job_id, cluster, subcluster, submit_time, start_time, hpc_user, project, cluster_partition, array_job_id,
    walltime, meta_data, resources, num_nodes, num_hwthreads, num_acc, smt, shared, monitoring_status, job_state, duration, footprint
  ) VALUES (${join(values.map(value => sql`${value}`), ', ')}, 'running', 0, '{}') RETURNING id`
}

/**
 * Ends a running job, and answers with it. `jobState`: default completed.
 * Throws `TDM_ERR_JOBS_NOT_FOUND`, `TDM_ERR_JOBS_NOT_RUNNING`, and `TDM_ERR_JOBS_BAD_INPUT` for a stop before the start.
 */
export async function stopJob (db: WritableJobs, { stopTime, jobState = 'completed', ...selector }: StopJobInput, options: JobsOptions = {}): Promise<Job> {
  checkInteger('stopTime', stopTime, 1)
  checkOneOf('jobState', jobState, endStates)
  return await db.tx(async () => {
    const job = await find(db, selector, options)
    if (job.jobState !== 'running') throw new JobsNotRunning(nameOf(selector), job.jobState)
    if (job.startTime > stopTime) throw new JobsBadInput('stopTime', `must not be before the start of the job (${job.startTime}), got ${stopTime}`)
    const stopped = await db.prepare(`UPDATE job SET job_state = ?, duration = ? WHERE id = ? AND job_state = 'running'`).run(jobState, stopTime - job.startTime, job.id)
    const found = await findById(db, { user: program, id: job.id }, options)
    if (stopped.changes === 0) throw new JobsNotRunning(nameOf(selector), found.jobState)
    return found
  })
}

const endStates: readonly string[] = JobState.anyOf.map(state => state.const).filter(state => state !== 'running')

/** Deletes the newest of the jobs that are meant, with what belongs to it; the id of its row. Throws `TDM_ERR_JOBS_NOT_FOUND`. */
export async function deleteJob (db: WritableJobs, selector: JobSelector): Promise<number> {
  return await db.tx(async () => {
    const [row] = await findRows(db, sql`DELETE FROM job WHERE id = ${newestOf(selecting(selector))} RETURNING id`)
    if (row === undefined) throw new JobsNotFound(nameOf(selector))
    return toNumber(row.id)
  })
}

/** Deletes jobs that started before `before`, and answers how many. Which of them stay: see `OmitTagged`. */
export async function deleteJobsBefore (db: WritableJobs, { before, omitTagged = 'none', limit }: DeleteJobsBeforeInput): Promise<number> {
  checkInteger('before', before, 0)
  checkOptionalInteger('limit', limit, 1)
  const conditions = [sql`job.start_time < ${before}`, ...untagged(omitTagged)]
  const { text, values } = limit === undefined ? sql`DELETE FROM job${where(conditions)}` : deleteSome(conditions, limit)
  return await db.tx(async () => (await db.prepare(text).run(...values)).changes)
}

function deleteSome (conditions: readonly Fragment[], limit: number): Fragment {
  return sql`DELETE FROM job WHERE id IN (SELECT job.id FROM job${where(conditions)} ORDER BY job.start_time, job.id LIMIT ${limit})`
}
