/** Reading whole jobs: their columns, and from their rows to Jobs with one warning for those that had to be repaired. Part of the store. */
import { JobsNotFound } from './errors.ts'
import { identifier, join, type Fragment } from './fragment.ts'
import { findRows, type JobsDatabase, type Settings, type Warn } from './query.ts'
import { jobColumns, toJob, type JobColumn, type JobRow } from './rows.ts'
import type { Job } from './schema.ts'

export const jobFields = join(jobColumns.map(name => identifier(`job.${name}`)), ', ')

/** The jobs of a statement that selects `jobFields`. */
export async function findJobs (db: JobsDatabase, statement: Fragment, settings: Settings): Promise<Job[]> {
  return toJobs(await findRows<JobRow>(db, statement), settings)
}

/** The last job of a statement that selects `jobFields`. Throws `TDM_ERR_JOBS_NOT_FOUND`, which says that there is none with `which`. */
export async function getLastJob (db: JobsDatabase, statement: Fragment, which: string, settings: Settings): Promise<Job> {
  const rows = await findRows<JobRow>(db, statement)
  const [job] = toJobs(rows.slice(-1), settings)
  if (job === undefined) throw new JobsNotFound(which)
  return job
}

/** The jobs of rows, with one warning for all of them. */
export function toJobs (rows: readonly JobRow[], { now, warn }: Settings): Job[] {
  const repairs = new Repairs(warn)
  const jobs = rows.map(row => toJob(row, now, repairs.report))
  repairs.tell()
  return jobs
}

/** The same, one by one; the warning comes at the end. */
export async function * eachJob (rows: AsyncIterable<JobRow>, { now, warn }: Settings): AsyncGenerator<Job, undefined> {
  const repairs = new Repairs(warn)
  try {
    for await (const row of rows) yield toJob(row, now, repairs.report)
  } finally {
    repairs.tell()
  }
}

/** Rows that needed repair, with as many ids as a page can have. */
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
