/**
 * Which jobs ran beside a job, on its first host. Part of the store.
 *
 * What is kept true: of the two jobs each has lasted 200 s when the other one is over, so that what only touches is left out. The job itself is among them if it lasted that long, as upstream.
 *
 * The plan: any earlier job may still run, and most of a table is earlier. So jobs of at most three days are looked for where they can have started (job_cluster_start), longer ones, of
 * which there are few, in an index of their own (job_long). Both conditions are literals, because that index is partial.
 */
import { visibleTo } from './access.ts'
import { column, dialects } from './dialect.ts'
import { findById } from './find.ts'
import { join, sql, where, type Fragment } from './fragment.ts'
import { findRows, running, settingsOf, type JobsDatabase, type JobsOptions } from './query.ts'
import { toNumber } from './rows.ts'
import type { ConcurrentJobs, Job, JobByIdInput } from './schema.ts'

const overlapSeconds = 200
const threeDays = 259_200

/** Those that do not run come first, then by start. Throws `TDM_ERR_JOBS_NOT_FOUND`, also for a job that the user may not see. */
export async function concurrent (db: JobsDatabase, { user, id }: JobByIdInput, options: JobsOptions = {}): Promise<ConcurrentJobs> {
  const { now, warn } = settingsOf(options)
  const job = await findById(db, { user, id }, { now: () => now, warn })
  const hostname = job.resources[0]?.hostname ?? ''
  const rows = hostname === '' ? [] : await findRows(db, selectConcurrent(job, [...visibleTo(user), runsOn(db, hostname)]))
  const items = rows.map(row => ({ id: String(row.id), jobId: toNumber(row.job_id) }))
  const listQuery = [`cluster=${encodeURIComponent(job.cluster)}`, ...items.map(({ jobId }) => `jobId=${jobId}`)].join('&')
  return { listQuery, items, count: items.length }
}

/** `startTime + duration` is now for a job that runs. */
function selectConcurrent ({ cluster, startTime, duration }: Job, conditions: readonly Fragment[]): Fragment {
  const latest = startTime + duration - overlapSeconds
  const over = startTime + overlapSeconds
  const onCluster = [sql`job.cluster = ${cluster}`]
  const ended = [...onCluster, sql`job.job_state <> 'running'`, sql`job.start_time < ${latest}`, sql`job.start_time + job.duration > ${over}`, ...conditions]
  const arms = [
    select(sql`0`, [sql`job.start_time > ${over - threeDays}`, sql`job.duration <= 259200`, ...ended]),
    select(sql`0`, [sql`job.duration > 259200`, ...ended]),
    select(sql`1`, [running, sql`job.start_time <= ${latest}`, ...onCluster, ...conditions])
  ]
  return sql`${join(arms, ' UNION ALL ')} ORDER BY runs, start_time, duration, id`
}

function select (runs: Fragment, conditions: readonly Fragment[]): Fragment {
  return sql`SELECT ${runs} AS runs, job.id AS id, job.job_id AS job_id, job.start_time AS start_time, job.duration AS duration FROM job${where(conditions)}`
}

function runsOn (db: JobsDatabase, hostname: string): Fragment {
  return dialects[db.engine].someElement(column('resources'), 'hostname', host => sql`${host} = ${hostname}`)
}
