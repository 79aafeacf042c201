/** What every store function starts from: the database, the clock, and the conditions that a job of the answer has to meet. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { visibleTo } from './access.ts'
import { dialects } from './dialect.ts'
import { matching } from './filter.ts'
import { Fragment, sql, where } from './fragment.ts'
import { UNUSUAL } from './indices.ts'
import type { JobsInput, MetricConfig } from './schema.ts'

/** What the functions that read need of a database. Inside of `db.tx(fn)` they run in that transaction. */
export type JobsDatabase = Pick<Database, 'engine' | 'prepare'>

/** What the functions that write need: each is a transaction, or part of the one around. */
export type WritableJobs = Pick<Database, 'engine' | 'prepare' | 'tx'>

/** Which rows of an answer were repaired, or which metric is not in it and why. */
export type Warning = { ids: number[], columns: string[] } | { metric: string, problem: string }

/** Told once for an answer. */
export type Warn = (details: Warning, message: string) => void

/** What the answers depend on besides the database. */
export interface JobsOptions {
  /** Unix seconds. Default: the clock. */
  readonly now?: () => number
  /** A job that took less is a short one, in seconds. Default: 300. */
  readonly shortJobSeconds?: number
  /** Told about rows with NULL or broken JSON, which were answered with 0 or empty values. Default: nobody. */
  readonly warn?: Warn
  /** The metrics of each cluster: what the histograms of metrics are drawn by. Default: none. */
  readonly metricConfig?: MetricConfig
}

/** The options with their defaults, and the clock read once: one answer has one now. */
export interface Settings { readonly now: number, readonly shortJobSeconds: number, readonly warn: Warn, readonly metricConfig: MetricConfig }

export function settingsOf ({ now = readClock, shortJobSeconds = 300, warn = warnNobody, metricConfig = {} }: JobsOptions): Settings {
  return { now: now(), shortJobSeconds, warn, metricConfig }
}

/** The conditions of the user's role and of the filters. `steered`: see filter.ts. */
export function conditionsOf (db: JobsDatabase, { user, filter = [] }: JobsInput, now: number, steered = false): Fragment[] {
  return [...visibleTo(user), ...matching(filter, { dialect: dialects[db.engine], now, steered })]
}

/** Seconds that a job has lasted: of a running one until now. */
export function lasted (now: number): Fragment {
  return sql`CASE WHEN job.job_state = 'running' THEN ${now} - job.start_time ELSE job.duration END`
}

/** The job runs, in the words of our partial indices and of cc-backend's, which SQLite does not see through. */
export const running = new Fragment(`job.job_state = 'running' AND job.${UNUSUAL}`)

/**
 * The job runs, and meets `conditions`. The few that do are found first, in an index alone; left to itself SQLite reads the whole table if it has to look at a column that the
 * index does not hold.
 */
export function isRunning (conditions: readonly Fragment[] = []): Fragment {
  return sql`job.id IN (SELECT job.id FROM job${where([running, ...conditions])})`
}

export async function findRows<R = Row> (db: JobsDatabase, { text, values }: Fragment): Promise<R[]> {
  return await db.prepare<R>(text).all(...values)
}

function readClock (): number {
  return Math.floor(Date.now() / 1000)
}

function warnNobody (): void {}
