/**
 * How many jobs there are, by group and by kind. Part of the store.
 *
 * What is kept true: a running job is one whose state says so, a short one is short by its stored duration; an element that has no such jobs gets 0; what is given
 * is not changed, but answered with the count set.
 */
import { sql, where, type Fragment } from './fragment.ts'
import { checkOneOf, checkOptionalInteger } from './input.ts'
import { conditionsOf, findRows, isRunning, lasted, settingsOf, type JobsDatabase, type JobsOptions, type Settings } from './query.ts'
import { toNumber, toText } from './rows.ts'
import type { AddJobCountGroupedInput, AddJobCountInput, CountGroupedInput, CountKind, GroupCount, GroupStats, JobCountGroupedInput, JobsInput, Stats, Weight } from './schema.ts'
import { groupOf, noStats } from './stats.ts'

/** One element a group, in order of id, with its id and totalJobs; all else is 0 or empty. */
export async function jobCountGrouped (db: JobsDatabase, input: JobCountGroupedInput, options: JobsOptions = {}): Promise<GroupStats[]> {
  const counts = await countByGroup(db, input, [], settingsOf(options))
  return [...counts].map(([id, totalJobs]) => ({ id, name: '', ...noStats(), totalJobs }))
}

/** The elements of `stats` with their runningJobs or shortJobs set, 0 where there are none. */
export async function addJobCountGrouped (db: JobsDatabase, input: AddJobCountGroupedInput, options: JobsOptions = {}): Promise<GroupStats[]> {
  const settings = settingsOf(options)
  const field = fieldOf(input.kind)
  const stats = input.stats ?? await jobCountGrouped(db, input, { ...options, now: () => settings.now })
  const counts = await countByGroup(db, input, [isOfKind(input.kind, settings)], settings)
  return stats.map(group => ({ ...group, [field]: counts.get(group.id) ?? 0 }))
}

/** The elements of `stats`, each with the same number: how many jobs of the kind there are. */
export async function addJobCount (db: JobsDatabase, input: AddJobCountInput, options: JobsOptions = {}): Promise<Stats[]> {
  const settings = settingsOf(options)
  const field = fieldOf(input.kind)
  const conditions = [...conditionsOf(db, input, settings.now), isOfKind(input.kind, settings)]
  const [row] = await findRows(db, sql`SELECT COUNT(*) AS count FROM job${where(conditions)}`)
  return (input.stats ?? [noStats()]).map(stats => ({ ...stats, [field]: toNumber(row?.count) }))
}

/** Groups and what they weigh, the heaviest first: jobs, or the sum of `weight`. */
export async function countGroupedJobs (db: JobsDatabase, input: CountGroupedInput, options: JobsOptions = {}): Promise<GroupCount[]> {
  const { now } = settingsOf(options)
  const { weight, limit } = input
  if (weight !== undefined) checkOneOf('weight', weight, Object.keys(weights))
  checkOptionalInteger('limit', limit, 1)
  const group = groupOf(input.groupBy)
  const weighed = weight === undefined ? sql`COUNT(*)` : sql`COALESCE(SUM(${weights[weight](now)}), 0)`
  const statement = sql`SELECT ${group} AS name, ${weighed} AS count FROM job${where(conditionsOf(db, input, now))} GROUP BY ${group} ORDER BY count DESC, name ASC`
  const rows = await findRows(db, limit === undefined ? statement : sql`${statement} LIMIT ${limit}`)
  return rows.map(row => ({ name: toText(row.name), count: toNumber(row.count) }))
}

const weights: Readonly<Record<Weight, (now: number) => Fragment>> = {
  NODE_COUNT: () => sql`job.num_nodes`,
  NODE_HOURS: now => sql`${lasted(now)} * job.num_nodes`,
  CORE_COUNT: () => sql`job.num_hwthreads`,
  CORE_HOURS: now => sql`${lasted(now)} * job.num_hwthreads`
}

async function countByGroup (db: JobsDatabase, input: JobsInput & JobCountGroupedInput, also: readonly Fragment[], { now }: Settings): Promise<Map<string, number>> {
  const group = groupOf(input.groupBy)
  const conditions = where([...conditionsOf(db, input, now), ...also])
  const rows = await findRows(db, sql`SELECT ${group} AS id, COUNT(*) AS count FROM job${conditions} GROUP BY ${group} ORDER BY ${group}`)
  return new Map(rows.map(row => [toText(row.id), toNumber(row.count)]))
}

function isOfKind (kind: CountKind, { shortJobSeconds }: Settings): Fragment {
  return kind === 'running' ? isRunning() : sql`job.duration < ${shortJobSeconds}`
}

function fieldOf (kind: CountKind): 'runningJobs' | 'shortJobs' {
  checkOneOf('kind', kind, ['running', 'short'])
  return kind === 'running' ? 'runningJobs' : 'shortJobs'
}
