/** The database that is asked, and what is asked for: made once and kept, and samples of what stands in it. */
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { readConfig } from '../../plugins/config/index.ts'
import { migrate } from '../../plugins/db/migrate.ts'
import { openDatabase } from '../../plugins/db/open.ts'
import type { Log } from '../../plugins/db/types.ts'
import { formatCount, formatSeconds, Progress } from '../../scripts/terminal.ts'
import { bulkConfig } from '../../services/jobs/bulk.ts'
import { generateJobs } from '../../services/jobs/generate/generate.ts'
import { createRandom, type Random } from '../../services/jobs/generate/random.ts'
import { migrations } from '../../services/migrations.ts'
import { JobState, type JobFilter } from '../../services/jobs/schema.ts'

/** When the last job has started. */
const UNTIL = 1_767_225_600

export const quiet: Log = { info: () => {}, warn: (_, message) => { console.error(message) }, error: (_, message) => { console.error(message) } }

/** The path of a database with so many jobs in `folder`; makes it if it is not there, or not complete. */
export async function findJobs (folder: string, rows: number): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `jobs-${rows}.db`)
  if (existsSync(path) && isComplete(path)) return path
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
  const progress = new Progress({ unit: 'rows' })
  const db = await openDatabase(bulkConfig(readConfig({ DATABASE_URL: `sqlite:${path}` })), quiet)
  try {
    await migrate(db, migrations, { mode: 'on', log: quiet })
    await generateJobs(db, {
      rows, seed: 1, meta: 'small', badRows: false, until: UNTIL, indices: 'ours', onProgress: ({ rows: done, total }) => { progress.update(done, total) }, onStep: step => { progress.update(rows, rows, step) }
    })
  } finally {
    await db.close()
    progress.clear()
  }
  console.error(`${path}: ${formatCount(rows)} jobs, made in ${formatSeconds(progress.seconds)}`)
  return path
}

function isComplete (path: string): boolean {
  const db = new Sqlite(path, { readonly: true })
  try {
    return db.prepare('SELECT 1 FROM job LIMIT 1').get() !== undefined && db.prepare('SELECT 1 FROM sqlite_master WHERE name = \'job_generation\'').get() === undefined
  } finally {
    db.close()
  }
}

// --- what is asked for -------------------------------------------------------------------------------------------------------------

/** The values of each column, the most frequent first. */
export interface Values { readonly users: readonly string[], readonly projects: readonly string[], readonly clusters: readonly string[], readonly rows: number, readonly now: number }

export function readValues (path: string): Values {
  const db = new Sqlite(path, { readonly: true })
  const byCount = (column: string): string[] => db.prepare(`SELECT ${column} FROM job GROUP BY 1 ORDER BY COUNT(*) DESC, 1`).pluck().all() as string[]
  try {
    return {
      users: byCount('hpc_user'),
      projects: byCount('project'),
      clusters: byCount('cluster'),
      rows: db.prepare('SELECT MAX(id) FROM job').pluck().get() as number,
      now: db.prepare('SELECT MAX(start_time) FROM job').pluck().get() as number
    }
  } finally {
    db.close()
  }
}

const states = JobState.anyOf.map(state => state.const)

/** Each combination of user, project, cluster and state, with frequent, rare and missing values; also those that no job has together. */
export function makeFilters (values: Values, count: number): JobFilter[] {
  const random = createRandom(7)
  return Array.from({ length: count }, (_, i) => {
    const chosen = i % 16
    return {
      ...chosen & 1 ? { user: { eq: take(values.users, random) } } : {},
      ...chosen & 2 ? { project: { eq: take(values.projects, random) } } : {},
      ...chosen & 4 ? { cluster: { eq: take(values.clusters, random) } } : {},
      ...chosen & 8 ? { state: random() < 0.7 ? [any(states, random)] : [...new Set([any(states, random), any(states, random), any(states, random)])] } : {}
    }
  })
}

/** One of five times one of the most frequent, one of five one of the rarest, and one of fifty one that is not there. */
function take (values: readonly string[], random: Random): string {
  const luck = random()
  if (luck < 0.02) return 'nobody'
  if (luck < 0.22) return any(values.slice(0, 5), random)
  return luck < 0.42 ? any(values.slice(-5), random) : any(values, random)
}

function any<T> (list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)] as T
}
