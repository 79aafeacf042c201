/**
 * Which index totals are computed from: one that has all that is asked for, so that no row has to be fetched, and that begins with what narrows it down.
 *
 * Why it is decided here: to have the groups in order SQLite would walk an index by user and fetch each row of the table, and with statistics it skips from user to user. To
 * read one stretch of an index of a cluster and sort what comes out takes a tenth of that, or a hundredth.
 *
 * What is kept true: a condition on a column that no such index has, and a database without our indices, leave the choice to the planner. The answers are the same.
 */
import { column, dialects } from './dialect.ts'
import { sql, type Fragment } from './fragment.ts'
import { conditionsOf, type JobsDatabase } from './query.ts'
import type { GroupBy, JobFilter, JobsInput } from './schema.ts'
import { rolesOf } from './access.ts'
import { hasOurs } from './walk.ts'

export interface Source { readonly from: Fragment, readonly conditions: readonly Fragment[] }

/** What the indices have. */
const covered: ReadonlySet<string> = new Set<keyof JobFilter>(['user', 'project', 'cluster', 'state', 'startTime', 'duration', 'numNodes', 'numAccelerators', 'numHWThreads'])
/** So few jobs are in other states than these that their rows can be fetched. */
const frequent: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled', 'timeout'])

/** For totals of duration, nodes, threads and accelerators by `groupBy`, or of all jobs. To be called after `learnIndices`. */
export function coveredBy (db: JobsDatabase, input: JobsInput, now: number, groupBy?: GroupBy): Source {
  const conditions = conditionsOf(db, input, now)
  const filters = input.filter ?? []
  if (db.engine === 'postgres' || !hasOurs(db) || !filters.every(isCovered)) return { from: sql`job`, conditions }
  const has = (field: keyof JobFilter): boolean => filters.some(filter => filter[field] !== undefined)
  const isOwn = rolesOf(input.user)[0]?.users !== undefined
  const by = isOwn || has('user') ? 'user' : has('project') ? 'project' : undefined
  const index = by ?? (has('startTime') ? undefined : groups[groupBy ?? 'CLUSTER'])
  const isNarrow = by !== undefined || has('startTime')
  const clusters = isNarrow && !has('cluster') ? [sql`${column('cluster')} IN (${eachCluster})`] : []
  return { from: sql`job${dialects.sqlite.along(`job_cluster_${index ?? 'start'}`)}`, conditions: [...clusters, ...conditions] }
}

/** Groups that are together in an index, if it is read as a whole. */
const groups: Readonly<Partial<Record<GroupBy, 'user' | 'project'>>> = { USER: 'user', PROJECT: 'project' }

function isCovered (filter: JobFilter): boolean {
  const fields = Object.keys(filter).filter(field => filter[field as keyof JobFilter] !== undefined)
  return fields.every(field => covered.has(field)) && filter.state?.every(state => !frequent.has(state)) !== true
}

/** All clusters, found by one look into an index for each: so that an index that begins with the cluster serves when none is asked for. */
const eachCluster = sql`WITH RECURSIVE found (name) AS (
  SELECT MIN(cluster) FROM job UNION ALL SELECT (SELECT MIN(other.cluster) FROM job AS other WHERE other.cluster > found.name) FROM found WHERE found.name IS NOT NULL
) SELECT name FROM found WHERE name IS NOT NULL`
