/** Reading whole jobs: their columns, and from their rows to Jobs with one warning for those that had to be repaired. Part of the store. */
import { JobsNotFound } from './errors.ts'
import { identifier, join, type Fragment } from './fragment.ts'
import { findRows, type JobsDatabase, type Settings, type Warn } from './query.ts'
import { jobColumns, toJob, type JobColumn, type JobRow } from './rows.ts'
import type { Job } from './schema.ts'

export const jobFields = join(jobColumns.map(name => identifier(`job.${name}`)), ', ')

/** The jobs of a statement that selects `jobFields`. */
export async function findJobs (db: JobsDatabase, statement: Fragment, { now, warn }: Settings): Promise<Job[]> {
  return toJobs(await findRows<JobRow>(db, statement), now, warn)
}

/** The last job of a statement that selects `jobFields`. Throws `TDM_ERR_JOBS_NOT_FOUND`, which says that there is none with `which`. */
export async function getLastJob (db: JobsDatabase, statement: Fragment, which: string, { now, warn }: Settings): Promise<Job> {
  const rows = await findRows<JobRow>(db, statement)
  const [job] = toJobs(rows.slice(-1), now, warn)
  if (job === undefined) throw new JobsNotFound(which)
  return job
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
