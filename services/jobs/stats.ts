/**
 * Totals over jobs, as a whole or by what they have in common. Part of the store.
 *
 * What is kept true: hours are the whole hours of a sum of seconds, so they are divided here and not in SQL, where the engines divide differently; every sum over
 * nothing is 0; groups have a total order. Unlike upstream, the ungrouped totals of nodes, cores and accelerators are those of the jobs, not 0.
 */
import type { Row } from '../../plugins/db/types.ts'
import { coveredBy } from './cover.ts'
import { identifier, isNonEmpty, join, list, sql, where, type Fragment } from './fragment.ts'
import { checkOneOf } from './input.ts'
import { limitStrictlyTo } from './order.ts'
import { findRows, lasted, settingsOf, type JobsDatabase, type JobsOptions, type Settings } from './query.ts'
import { toNumber, toText } from './rows.ts'
import { Stats, type GroupBy, type GroupStats, type JobsStatsGroupedInput, type JobsStatsInput, type SortBy, type StatsField } from './schema.ts'
import { learnIndices } from './walk.ts'

/** One element: the totals over all jobs that match. `fields`: those to compute, the others are 0 (default: all; totalJobs always). */
export async function jobsStats (db: JobsDatabase, input: JobsStatsInput, options: JobsOptions = {}): Promise<[Stats]> {
  const settings = settingsOf(options)
  const fields = fieldsOf(input)
  await learnIndices(db)
  const { from, conditions } = coveredBy(db, input, settings.now)
  const [row = {}] = await findRows(db, sql`SELECT ${measures(fields, settings)} FROM ${from}${where(conditions)}`)
  return [toStats(row, fields)]
}

/** One element a group, the largest `sortBy` first (default: in order of id). Throws `TDM_ERR_JOBS_BAD_PAGE`, for page 0 as well. */
export async function jobsStatsGrouped (db: JobsDatabase, input: JobsStatsGroupedInput, options: JobsOptions = {}): Promise<GroupStats[]> {
  const settings = settingsOf(options)
  const fields = fieldsOf(input)
  await learnIndices(db)
  const rows = await findRows(db, selectGroups(db, input, fields, settings))
  const names = input.groupBy === 'USER' ? await findNames(db, rows.map(row => toText(row.id))) : new Map<string, string>()
  return rows.map(row => ({ id: toText(row.id), name: names.get(toText(row.id)) ?? '', ...toStats(row, fields) }))
}

function selectGroups (db: JobsDatabase, input: JobsStatsGroupedInput, fields: ReadonlySet<StatsField>, settings: Settings): Fragment {
  const group = groupOf(input.groupBy)
  const sort = input.sortBy === undefined ? undefined : sortFields[input.sortBy]
  const computed = sort === undefined ? fields : new Set([...fields, sort])
  const order = sort === undefined ? sql`${group} ASC` : sql`${alias(sort)} DESC, ${group} ASC`
  const { from, conditions } = coveredBy(db, input, settings.now, input.groupBy)
  return sql`SELECT ${group} AS id, ${measures(computed, settings)} FROM ${from}${where(conditions)} GROUP BY ${group} ORDER BY ${order}${limitStrictlyTo(input.page)}`
}

const groupColumns: Readonly<Record<GroupBy, string>> = { USER: 'hpc_user', PROJECT: 'project', CLUSTER: 'cluster', SUBCLUSTER: 'subcluster' }

/** The column that the jobs of a group have in common. Throws `TDM_ERR_JOBS_BAD_INPUT`. */
export function groupOf (groupBy: GroupBy): Fragment {
  checkOneOf('groupBy', groupBy, Object.keys(groupColumns))
  return identifier(`job.${groupColumns[groupBy]}`)
}

const sortFields: Readonly<Record<SortBy, StatsField>> = {
  TOTALWALLTIME: 'totalWalltime',
  TOTALJOBS: 'totalJobs',
  TOTALUSERS: 'totalUsers',
  TOTALNODES: 'totalNodes',
  TOTALNODEHOURS: 'totalNodeHours',
  TOTALCORES: 'totalCores',
  TOTALCOREHOURS: 'totalCoreHours',
  TOTALACCS: 'totalAccs',
  TOTALACCHOURS: 'totalAccHours'
}

/** The names of users, looked up apart from the statistics so that those can be read from an index alone. */
async function findNames (db: JobsDatabase, usernames: readonly string[]): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  for (let i = 0; i < usernames.length; i += 1024) {
    const some = usernames.slice(i, i + 1024)
    if (!isNonEmpty(some)) continue
    const rows = await findRows(db, sql`SELECT username, name FROM hpc_user WHERE username IN ${list(some)}`)
    for (const { username, name } of rows) names.set(toText(username), toText(name))
  }
  return names
}

// --- what is measured ------------------------------------------------------------------------------------------------------

const allFields = Object.keys(Stats.properties) as StatsField[]
const hourFields: ReadonlySet<StatsField> = new Set<StatsField>(['totalWalltime', 'totalNodeHours', 'totalCoreHours', 'totalAccHours'])

function fieldsOf ({ fields }: JobsStatsInput): ReadonlySet<StatsField> {
  return new Set<StatsField>(fields === undefined ? allFields : ['totalJobs', ...fields])
}

function measures (fields: ReadonlySet<StatsField>, settings: Settings): Fragment {
  return join(allFields.filter(field => fields.has(field)).map(field => sql`${measure(field, settings)} AS ${alias(field)}`), ', ')
}

function alias (field: StatsField): Fragment {
  return identifier(field.toLowerCase())
}

/** Statistics in which nothing was computed. */
export function noStats (): Stats {
  return Object.fromEntries(allFields.map(field => [field, 0])) as Stats
}

function measure (field: StatsField, { now, shortJobSeconds }: Settings): Fragment {
  const time = lasted(now)
  const total = (what: Fragment): Fragment => sql`COALESCE(SUM(${what}), 0)`
  switch (field) {
    case 'totalUsers': return sql`COUNT(DISTINCT job.hpc_user)`
    case 'totalJobs': return sql`COUNT(*)`
    case 'runningJobs': return sql`COUNT(CASE WHEN job.job_state = 'running' THEN 1 END)`
    case 'shortJobs': return sql`COUNT(CASE WHEN job.duration < ${shortJobSeconds} THEN 1 END)` // as stored, also of running jobs
    case 'totalWalltime': return total(time)
    case 'totalNodes': return total(sql`job.num_nodes`)
    case 'totalNodeHours': return total(sql`${time} * job.num_nodes`)
    case 'totalCores': return total(sql`job.num_hwthreads`)
    case 'totalCoreHours': return total(sql`${time} * job.num_hwthreads`)
    case 'totalAccs': return total(sql`job.num_acc`)
    case 'totalAccHours': return total(sql`${time} * job.num_acc`)
  }
}

function toStats (row: Row, fields: ReadonlySet<StatsField>): Stats {
  const values = allFields.map(field => {
    const sum = fields.has(field) ? toNumber(row[field.toLowerCase()]) : 0
    return [field, hourFields.has(field) ? Math.floor(sum / 3600) : sum]
  })
  return Object.fromEntries(values) as Stats
}
