/** A database of jobs that are made up, for measurements: the tables of the service, filled by its generator. */
import { migrate } from '../../plugins/db/migrate.ts'
import type { Database } from '../../plugins/db/types.ts'
import { generateJobs } from '../../services/jobs/generate/generate.ts'
import type { IndexSet } from '../../services/jobs/indices.ts'
import { migrations } from '../../services/migrations.ts'
import { Progress } from '../../scripts/terminal.ts'
import { openAt, patient } from '../sqlite/tandem.ts'

/** Unix seconds: when the last job starts. */
const UNTIL = Date.UTC(2026, 0) / 1000

export interface JobsToMake { readonly rows: number, readonly seed: number, readonly indices: IndexSet }

/** Makes them in the empty database at `url`, with the progress on stderr. */
export async function makeJobsDatabase (url: string, jobs: JobsToMake): Promise<void> {
  const db = await openAt(url, patient)
  try {
    await migrate(db, migrations, { mode: 'on', log: quiet })
    await fill(db, jobs)
  } finally {
    await db.close()
  }
}

async function fill (db: Database, jobs: JobsToMake): Promise<void> {
  const { rows } = jobs
  const progress = new Progress({ unit: 'rows' })
  await generateJobs(db, {
    ...jobs,
    meta: 'real',
    badRows: false,
    until: UNTIL,
    onProgress: ({ rows: done }) => { progress.update(done, rows, db.engine) },
    onStep: step => { progress.update(rows, rows, step) }
  })
  progress.clear()
}

const quiet = { info: (): void => {}, warn: (): void => {}, error: (): void => {} }
