/**
 * Where jobs run: partitions, and the hosts of those that run now. Part of the store; asks for no user.
 *
 * What is kept true: a job counts once on each of its hosts; what is no host in a job's resources is passed over. The few jobs that run are found in an index of states (`isRunning`).
 */
import { column, dialects } from './dialect.ts'
import { sql, type Fragment } from './fragment.ts'
import { checkInteger } from './input.ts'
import { findRows, isRunning, type JobsDatabase } from './query.ts'
import { toNumber, toText } from './rows.ts'

/**
 * The partitions of a cluster, '' among them if there are jobs without one. Each is found by a step in the index behind the one before (job_partition_start), since DISTINCT would read all jobs of the
 * cluster: https://wiki.postgresql.org/wiki/Loose_indexscan
 */
export async function partitions (db: JobsDatabase, { cluster }: { cluster: string }): Promise<string[]> {
  const first = sql`SELECT MIN(job.cluster_partition) FROM job WHERE job.cluster = ${cluster}`
  const next = sql`SELECT (SELECT MIN(job.cluster_partition) FROM job WHERE job.cluster = ${cluster} AND job.cluster_partition > part.name) FROM part WHERE part.name IS NOT NULL`
  const rows = await findRows(db, sql`WITH RECURSIVE part (name) AS (${first} UNION ALL ${next}) SELECT name FROM part WHERE name IS NOT NULL`)
  const without = await findRows(db, sql`SELECT job.id FROM job WHERE job.cluster = ${cluster} AND job.cluster_partition IS NULL LIMIT 1`)
  return [...new Set([...without.map(() => ''), ...rows.map(row => toText(row.name))])]
}

/** Subcluster → host → how many jobs run on it. */
export async function allocatedNodes (db: JobsDatabase, { cluster }: { cluster: string }): Promise<Record<string, Record<string, number>>> {
  const hosts = hostsOfRunning(db, [sql`job.cluster = ${cluster}`])
  const fields = sql`host.subcluster, host.hostname`
  const rows = await findRows(db, sql`SELECT ${fields}, COUNT(*) AS jobs FROM (${hosts}) AS host WHERE ${isHost} GROUP BY ${fields} ORDER BY ${fields}`)
  const found = Object.groupBy(rows, row => toText(row.subcluster))
  return mapValues(found, some => Object.fromEntries(some.map(row => [toText(row.hostname), toNumber(row.jobs)])))
}

/** Cluster → hosts in ascending order, of jobs that run and started before `startTime` (unix seconds). */
export async function usedNodes (db: JobsDatabase, { startTime }: { startTime: number }): Promise<Record<string, string[]>> {
  checkInteger('startTime', startTime, 0)
  const hosts = hostsOfRunning(db, [sql`job.start_time < ${startTime}`])
  const rows = await findRows(db, sql`SELECT DISTINCT host.cluster, host.hostname FROM (${hosts}) AS host WHERE ${isHost} ORDER BY host.cluster, host.hostname`)
  return mapValues(Object.groupBy(rows, row => toText(row.cluster)), some => some.map(row => toText(row.hostname)))
}

/** Each host of each job once. */
function hostsOfRunning (db: JobsDatabase, conditions: readonly Fragment[]): Fragment {
  const { eachElement, elementText } = dialects[db.engine]
  const hosts = sql`SELECT DISTINCT job.id, job.cluster, job.subcluster, ${elementText('hostname')} AS hostname FROM job, ${eachElement(column('resources'))}`
  return sql`${hosts} WHERE ${isRunning(conditions)}`
}

const isHost = sql`host.hostname <> ''`

function mapValues<T, R> (record: Partial<Record<string, T>>, map: (value: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(record).flatMap(([key, value]) => value === undefined ? [] : [[key, map(value)]]))
}
