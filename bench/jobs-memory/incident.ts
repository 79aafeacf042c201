/**
 * The incident: a list of jobs filtered by several states, newest first. On the 78 indices of 2026-03, without statistics, SQLite takes the one on (job_state, energy):
 * nearly every row is fetched, in no order, and sorted. The right plan walks `jobs_starttime` backwards and visits eleven rows.
 */

const columns = [
  'id', 'job_id', 'hpc_user', 'project', 'cluster', 'subcluster', 'start_time', 'cluster_partition', 'array_job_id', 'num_nodes', 'num_hwthreads', 'num_acc',
  'shared', 'monitoring_status', 'smt', 'job_state', 'duration', 'walltime', 'resources', 'footprint', 'energy'
]

/** As it was sent. */
export const incidentSql = `SELECT ${columns.join(', ')} FROM job WHERE job_state IN ('completed', 'running', 'failed') ORDER BY start_time DESC LIMIT 1 OFFSET 10`
/** The same question to the service. */
export const listPath = '/api/jobs?state=completed&state=running&state=failed&sort=-startTime&limit=1&page=11'
/** Runs `incidentSql`, in both processes. */
export const incidentPath = '/incident'

export interface Job { readonly path: string }

/** The statement is over, in the process: how it ended, in words, and the start time of the job that it found. */
export interface StatementEnd { readonly ending: string, readonly startTime: number | undefined }

/** What the processes tell. */
export type Told =
  | { readonly ready: { readonly port: number, readonly plan: string, readonly settings: string } }
  | { readonly ended: StatementEnd }
  | { readonly plan: string }

export function explain (sql: string): string {
  return `EXPLAIN QUERY PLAN ${sql}`
}

/** The steps of a plan, in one line. */
export function planOf (rows: ReadonlyArray<{ readonly detail?: unknown }>): string {
  return rows.map(({ detail }) => String(detail)).join('; ')
}

/** Why the statement is not the one of the incident here; undefined if it is. */
export function problemOf (plan: string): string | undefined {
  if (plan.includes('jobs_jobstate_energy') && plan.includes('USE TEMP B-TREE FOR ORDER BY')) return undefined
  return `The proof is void: the plan of the incident is jobs_jobstate_energy and a temporary B-tree, and here it is "${plan}". It needs the 78 indices of 2026-03 and no statistics (no table sqlite_stat1 with rows for job).`
}
