/**
 * Filters, as conditions on `job`.
 *
 * What is kept true: an absent field is no condition; `[]` where one of several is asked for matches nothing; nothing that a client sends becomes SQL text,
 * except a job state that is one of those in the schema (as a literal, so that a partial index on it can be used).
 *
 * The plan of a page: SQLite without statistics takes any index whose first column is compared, and then has to sort (seconds, over millions of rows). So
 * for a page in the order of an index, `steered`, conditions that many rows satisfy are hidden from the planner.
 */
import { column, isPlainKey, type Dialect } from './dialect.ts'
import { JobsBadInput } from './errors.ts'
import { Fragment, isNonEmpty, join, list, never, sql, toInteger } from './fragment.ts'
import { UNUSUAL } from './indices.ts'
import { JobState, type FloatRange, type IntRange, type JobFilter, type StringMatcher, type TimeRange } from './schema.ts'

export interface FilterContext {
  readonly dialect: Dialect
  /** Unix seconds. */
  readonly now: number
  /** The rows are wanted in the order of an index, and that index is to be used. */
  readonly steered: boolean
}

/** All conditions of all filters; every one of them has to hold. */
export function matching (filters: readonly JobFilter[], context: FilterContext): Fragment[] {
  return filters.flatMap(filter => conditionsOf(filter, context))
}

function conditionsOf (filter: JobFilter, context: FilterContext): Fragment[] {
  return [
    ...ofIdentity(filter, context),
    ...ofKind(filter, context),
    ...ofSize(filter, context),
    ...ofJson(filter, context)
  ]
}

function ofIdentity ({ dbId, jobId, arrayJobId, tags }: JobFilter, { dialect }: FilterContext): Fragment[] {
  return [
    ...when(dbId, ids => oneOfIds(column('id'), ids, 'dbId')),
    ...when(jobId, matcher => matchesInteger(column('job_id'), matcher, dialect)),
    ...when(arrayJobId, id => sql`${column('array_job_id')} = ${id}`),
    ...when(tags, hasTag)
  ]
}

function ofKind (filter: JobFilter, context: FilterContext): Fragment[] {
  return [
    ...when(filter.user, matcher => matchesText(column('hpc_user'), matcher, context.dialect)),
    ...when(filter.project, matcher => matchesText(column('project'), matcher, context.dialect)),
    ...when(filter.cluster, matcher => matchesCoarse(column('cluster'), matcher, context)),
    ...when(filter.subCluster, matcher => matchesCoarse(column('subcluster'), matcher, context)),
    ...when(filter.partition, matcher => matchesCoarse(column('cluster_partition'), matcher, context)),
    ...when(filter.state, states => inState(states, context)),
    ...when(filter.shared, shared => sql`${steer(column('shared'), context)} = ${shared}`)
  ]
}

function ofSize (filter: JobFilter, context: FilterContext): Fragment[] {
  const rangeOf = (name: string, range: FloatRange | undefined): readonly Fragment[] => when(range, given => between(steer(column(name), context), given))
  return [
    ...rangeOf('duration', filter.duration),
    ...rangeOf('num_nodes', filter.numNodes),
    ...rangeOf('num_acc', filter.numAccelerators),
    ...rangeOf('num_hwthreads', filter.numHWThreads),
    ...rangeOf('energy', filter.energy),
    ...when(filter.startTime, times => startedIn(times, context.now))
  ]
}

function ofJson ({ metricStats = [], node, jobName, schedule }: JobFilter, { dialect }: FilterContext): Fragment[] {
  return [
    ...metricStats.flatMap(({ metricName, range }) => hasMetric(metricName, range, dialect)),
    ...when(node, matcher => runsOn(matcher, dialect)),
    ...when(jobName, matcher => isNamed(matcher, dialect)),
    ...when(schedule, word => isScheduled(word, dialect))
  ]
}

/** The conditions that a field stands for: none if it is absent, or if what it asks for is no condition. */
function when<T> (field: T | undefined, conditions: (field: T) => Fragment | readonly Fragment[] | undefined): readonly Fragment[] {
  const found = field === undefined ? undefined : conditions(field)
  if (found === undefined) return []
  return found instanceof Fragment ? [found] : found
}

function steer (field: Fragment, { dialect, steered }: FilterContext): Fragment {
  return steered ? dialect.unindexed(field) : field
}

// --- text ------------------------------------------------------------------------------------------------------------------

/** For a column of few values, many rows each: one of them can be a reason to use an index, several are not. */
function matchesCoarse (field: Fragment, matcher: StringMatcher, context: FilterContext): Fragment | undefined {
  return matchesText(matcher.eq === undefined ? steer(field, context) : field, matcher, context.dialect)
}

/** The first that is present, in the order eq, neq, startsWith, endsWith, contains, in; undefined: no condition. */
function matchesText (field: Fragment, matcher: StringMatcher, dialect: Dialect): Fragment | undefined {
  return matchesWord(field, matcher) ?? matchesPattern(field, matcher, dialect) ?? matchesList(field, matcher)
}

function matchesWord (field: Fragment, { eq, neq }: StringMatcher): Fragment | undefined {
  if (eq !== undefined) return sql`${field} = ${eq}`
  return neq === undefined ? undefined : sql`${field} <> ${neq}`
}

function matchesPattern (field: Fragment, { startsWith, endsWith, contains }: StringMatcher, dialect: Dialect): Fragment | undefined {
  if (startsWith !== undefined) return dialect.like(field, `${startsWith}%`)
  if (endsWith !== undefined) return dialect.like(field, `%${endsWith}`)
  return contains === undefined ? undefined : dialect.like(field, `%${contains}%`)
}

function matchesList (field: Fragment, { in: values }: StringMatcher): Fragment | undefined {
  return values === undefined ? undefined : oneOf(field, values)
}

function oneOf (field: Fragment, values: readonly (string | bigint)[]): Fragment {
  return isNonEmpty(values) ? sql`${field} IN ${list(values)}` : never
}

// --- integers --------------------------------------------------------------------------------------------------------------

/** A string matcher on an integer: patterns see its digits, words are compared as numbers, so that an index is used. */
function matchesInteger (field: Fragment, matcher: StringMatcher, dialect: Dialect): Fragment | undefined {
  const { eq, neq } = matcher
  if (eq !== undefined) return oneOf(field, integers([eq]))
  if (neq !== undefined) return integers([neq]).length === 0 ? sql`${field} IS NOT NULL` : sql`${field} <> ${toInteger(neq) ?? 0}`
  const pattern = matchesPattern(sql`CAST(${field} AS TEXT)`, matcher, dialect)
  return pattern ?? (matcher.in === undefined ? undefined : oneOf(field, integers(matcher.in)))
}

function oneOfIds (field: Fragment, ids: readonly string[], name: string): Fragment {
  const wrong = ids.find(id => toInteger(id) === undefined)
  if (wrong !== undefined) throw new JobsBadInput(`filter/${name}`, `must be integers, got "${wrong.slice(0, 40)}"`)
  return oneOf(field, integers(ids))
}

/** Those that are integers; no row can be equal to one of the others. */
function integers (texts: readonly string[]): bigint[] {
  return texts.map(toInteger).filter(integer => integer !== undefined)
}

/** IN, not EXISTS: few jobs have tags, and SQLite would look for each job's. A job counts once, however many of the tags it has. */
function hasTag (ids: readonly string[]): Fragment {
  return sql`${column('id')} IN (SELECT jobtag.job_id FROM jobtag WHERE ${oneOfIds(sql`jobtag.tag_id`, ids, 'tags')})`
}

// --- states ----------------------------------------------------------------------------------------------------------------

const knownStates: ReadonlySet<string> = new Set(JobState.anyOf.map(state => state.const))

/** One of the states. Where 'completed' is none of them that is said as well, in the words of the indices that have the others alone. */
export function inState (states: readonly string[], context: FilterContext): Fragment {
  const [first] = states
  if (first === undefined) return never
  const field = steer(column('job_state'), context)
  const condition = states.length === 1 ? sql`${field} = ${literalState(first)}` : sql`${field} IN (${join(states.map(literalState), ', ')})`
  return states.includes('completed') || context.steered ? condition : sql`${condition} AND ${new Fragment(`job.${UNUSUAL}`)}`
}

function literalState (state: string): Fragment {
  return knownStates.has(state) ? new Fragment(`'${state}'`) : sql`${state}`
}

// --- ranges ----------------------------------------------------------------------------------------------------------------

/** 1. Both sides above 0. 2. Only `from`. 3. Only `to`. 4. Otherwise no condition: so "at most 0" cannot be asked. */
function between (field: Fragment, { from = 0, to = 0 }: IntRange | FloatRange): Fragment[] {
  if (from > 0 && to > 0) return [sql`${field} BETWEEN ${from} AND ${to}`]
  if (from > 0 && to === 0) return [sql`${field} >= ${from}`]
  if (from === 0 && to > 0) return [sql`${field} <= ${to}`]
  return []
}

const hours = 3600
const spans: ReadonlyMap<string, number> = new Map([['last6h', 6 * hours], ['last24h', 24 * hours], ['last7d', 7 * 24 * hours], ['last30d', 30 * 24 * hours]])

function startedIn ({ from, to, range }: TimeRange, now: number): Fragment[] {
  const field = column('start_time')
  if (from !== undefined && to !== undefined) return [sql`${field} BETWEEN ${toSeconds(from)} AND ${toSeconds(to)}`]
  if (from !== undefined) return [sql`${field} >= ${toSeconds(from)}`]
  if (to !== undefined) return [sql`${field} <= ${toSeconds(to)}`]
  const span = range === undefined ? undefined : spans.get(range)
  return span === undefined ? [] : [sql`${field} >= ${now - span}`]
}

/** Throws `TDM_ERR_JOBS_BAD_INPUT` for what is not a point in time. */
function toSeconds (time: number | string): number {
  const unix = typeof time === 'number' ? time : Math.floor(Date.parse(time) / 1000)
  if (!Number.isSafeInteger(unix)) throw new JobsBadInput('filter/startTime', `must be unix seconds or RFC 3339, got "${String(time).slice(0, 40)}"`)
  return unix
}

// --- inside of JSON ----------------------------------------------------------------------------------------------------------

/** A name that no metric can have matches nothing. Jobs without the key match only a range that is no condition. */
function hasMetric (metricName: string, range: FloatRange, dialect: Dialect): Fragment[] {
  if (!isPlainKey(metricName)) return [never]
  const footprint = column('footprint')
  return [dialect.isJson(footprint), ...between(dialect.jsonNumber(footprint, metricName), range)]
}

/** Some host of the job matches. `in` is not supported and leaves only "valid JSON", as upstream. */
function runsOn (matcher: StringMatcher, dialect: Dialect): Fragment {
  const resources = column('resources')
  const test = (hostname: Fragment): Fragment | undefined => matchesWord(hostname, matcher) ?? matchesPattern(hostname, matcher, dialect)
  if (test(resources) === undefined) return dialect.isJson(resources)
  return dialect.someElement(resources, 'hostname', hostname => test(hostname) ?? never)
}

/** `in` is not supported and leaves only "valid JSON", as upstream. */
function isNamed (matcher: StringMatcher, dialect: Dialect): Fragment {
  const name = dialect.jsonText(column('meta_data'), 'jobName')
  return matchesWord(name, matcher) ?? matchesPattern(name, matcher, dialect) ?? dialect.isJson(column('meta_data'))
}

function isScheduled (schedule: string, dialect: Dialect): Fragment | undefined {
  if (schedule === 'interactive') return isNamed({ eq: 'interactive' }, dialect)
  return schedule === 'batch' ? isNamed({ neq: 'interactive' }, dialect) : undefined
}
