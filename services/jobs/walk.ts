/**
 * Which index a list in order of start time is read from: one walk along an index for each combination of the values that are asked for, and the rows of all walks merged.
 *
 * Why it is decided here and not by the planner: without statistics SQLite takes an index of low cardinality and sorts a whole table, with them it skips through one that does not
 * have the order. And no index has the order for several values of its first column, but each value for itself does.
 *
 * What is kept true:
 *  1. The walks are disjoint and together have every row that matches, so that they can be merged (UNION ALL) without a sort.
 *  2. Each has an equality for every column before the start time of its index. What the index does not begin with is a condition that never chooses one.
 *  3. A state other than 'completed' has indices of its own, which hold one job in five. 'completed' has none: nearly every job that one looks at is.
 *  4. Where an index begins with one of two values only, the walk begins at the newest job that has both, found by one look into the index of the two: and ends there if there is none.
 *  5. An index is named only in a database that has it. Elsewhere one column alone is left for the planner to choose by.
 */
import { rolesOf, type Visible } from './access.ts'
import { column, dialects, type Dialect } from './dialect.ts'
import { inState, matching, type FilterContext } from './filter.ts'
import { Fragment, identifier, isNonEmpty, list, never, sql, where } from './fragment.ts'
import { indexSets, UNUSUAL } from './indices.ts'
import type { JobsDatabase } from './query.ts'
import type { JobFilter, JobsListInput, StringMatcher } from './schema.ts'

/** One of the statements that are merged: what stands behind FROM, and the conditions. */
export interface Walk { readonly from: Fragment, readonly conditions: readonly Fragment[] }

const dimensions = ['user', 'project', 'cluster'] as const
type Dimension = typeof dimensions[number]
const columns: Readonly<Record<Dimension, string>> = { user: 'hpc_user', project: 'project', cluster: 'cluster' }

/** What is asked for, of one branch of what the user may see. Undefined: anything. */
type Wanted = Readonly<Partial<Record<Dimension | 'state', readonly string[]>>>

/** `isFirst`: nothing else says where the walks begin. */
interface WalkContext extends FilterContext { readonly isFirst: boolean }

/** Beyond so many walks a value is a condition and not a reason for another one. */
const MOST_WALKS = 16

/** At least one. */
export function walksOf (db: JobsDatabase, { user, filter = [], after }: JobsListInput, now: number): Walk[] {
  const isFirst = after === undefined && filter.every(({ startTime }) => startTime === undefined)
  const context: WalkContext = { dialect: dialects[db.engine], now, steered: true, isFirst }
  const { wanted, rest } = readFilters(filter)
  const others = matching(rest, context)
  const walks = rolesOf(user).flatMap(visible => walksIn(visible, wanted, context, hasOurs(db)))
  return walks.length === 0 ? [{ from: sql`job`, conditions: [never] }] : walks.map(({ from, conditions }) => ({ from, conditions: [...conditions, ...others] }))
}

/** Takes the values that are asked for out of the filters. */
function readFilters (filters: readonly JobFilter[]): { wanted: Wanted, rest: JobFilter[] } {
  let wanted: Wanted = {}
  const rest = filters.map(filter => {
    const { state, ...others } = filter
    if (state !== undefined) wanted = narrow(wanted, 'state', state)
    for (const dimension of dimensions) {
      const values = valuesOf(filter[dimension])
      if (values === undefined) continue
      wanted = narrow(wanted, dimension, values)
      delete others[dimension]
    }
    return others
  })
  return { wanted, rest }
}

/** Undefined for what is no list of values. */
function valuesOf (matcher: StringMatcher | undefined): readonly string[] | undefined {
  if (matcher === undefined) return undefined
  const { eq, neq, startsWith, endsWith, contains, in: values } = matcher
  if (eq !== undefined) return [eq]
  return neq === undefined && startsWith === undefined && endsWith === undefined && contains === undefined ? values : undefined
}

function narrow (wanted: Wanted, name: keyof Wanted, values: readonly string[]): Wanted {
  const before = wanted[name]
  const unique = new Set(values)
  return { ...wanted, [name]: [...before === undefined ? unique : before.filter(value => unique.has(value))] }
}

// --- the walks of one branch -------------------------------------------------------------------------------------------------------

function walksIn (visible: Visible, asked: Wanted, context: WalkContext, isOurs: boolean): Walk[] {
  let wanted = asked
  if (visible.users !== undefined) wanted = narrow(wanted, 'user', visible.users)
  if (visible.projects !== undefined) wanted = narrow(wanted, 'project', visible.projects)
  const { dialect } = context
  const also = isNonEmpty(visible.notProjects) ? [sql`${dialect.unindexed(column('project'))} NOT IN ${list(visible.notProjects)}`] : []
  let walks: Place[] = [{ values: {}, conditions: also }]
  for (const dimension of dimensions) walks = split(walks, dimension, wanted[dimension], dialect)
  walks = splitByState(walks, wanted.state, context, isOurs)
  return walks.map(walk => isOurs ? alongOurs(walk, dialect, context.isFirst) : alongAny(walk, dialect))
}

/** A walk that is being made: the values that its rows have, and what else has to hold. */
interface Place { readonly values: Readonly<Partial<Record<Dimension, string>>>, readonly state?: string, readonly conditions: readonly Fragment[] }

/** A walk for each of the values, or a condition if that would be too many. */
function split (places: readonly Place[], dimension: Dimension, values: readonly string[] | undefined, dialect: Dialect): Place[] {
  if (values === undefined) return [...places]
  if (values.length * places.length <= MOST_WALKS) return values.flatMap(value => places.map(place => ({ ...place, values: { ...place.values, [dimension]: value } })))
  const condition = isNonEmpty(values) ? sql`${dialect.unindexed(column(columns[dimension]))} IN ${list(values)}` : never
  return places.map(place => ({ ...place, conditions: [...place.conditions, condition] }))
}

/** Only where there are indices for them; and not if 'completed' is among them, which nearly every job is. */
function splitByState (places: readonly Place[], states: readonly string[] | undefined, context: FilterContext, isOurs: boolean): Place[] {
  if (states === undefined) return [...places]
  if (isOurs && !states.includes('completed') && states.length * places.length <= MOST_WALKS) return states.flatMap(state => places.map(place => ({ ...place, state })))
  const condition = inState(states, context)
  return places.map(place => ({ ...place, conditions: [...place.conditions, condition] }))
}

// --- the index of a walk -------------------------------------------------------------------------------------------------------------

/** By what a walk has values of, u for a user, p for a project and c for a cluster: the index, and those that it begins with. */
const byValues: Readonly<Record<string, readonly [index: string, ...begins: Dimension[]]>> = {
  '': ['job_start'],
  u: ['job_user_start', 'user'],
  p: ['job_project_start', 'project'],
  c: ['job_cluster_start', 'cluster'],
  up: ['job_user_project', 'user', 'project'],
  uc: ['job_cluster_user', 'user', 'cluster'],
  pc: ['job_cluster_project', 'project', 'cluster'],
  upc: ['job_cluster_user', 'user', 'cluster']
}

/** The same for jobs in a state that is not 'completed'. */
const byValuesAndState: typeof byValues = {
  '': ['job_state_start'],
  u: ['job_user_state', 'user'],
  p: ['job_project_state', 'project'],
  c: ['job_cluster_state', 'cluster'],
  up: ['job_user_state', 'user'],
  uc: ['job_user_state', 'user'],
  pc: ['job_project_state', 'project'],
  upc: ['job_user_state', 'user']
}

function alongOurs ({ values, state, conditions }: Place, dialect: Dialect, isFirst: boolean): Walk {
  const key = dimensions.filter(dimension => values[dimension] !== undefined).map(dimension => dimension.charAt(0)).join('')
  const [index, ...begins] = (state === undefined ? byValues : byValuesAndState)[key] as typeof byValues[string]
  const states = state === undefined ? [] : [sql`${column('job_state')} = ${state}`, new Fragment(`job.${UNUSUAL}`)]
  const newest = isFirst ? upToNewest(values, begins, dialect) : []
  return { from: sql`job${dialect.along(index)}`, conditions: [...newest, ...equalities(values, begins, dialect), ...states, ...conditions] }
}

/** The indices that begin with two of them. */
const pairs: ReadonlyArray<readonly [index: string, Dimension, Dimension]> = [
  ['job_user_project', 'user', 'project'], ['job_cluster_user', 'user', 'cluster'], ['job_cluster_project', 'project', 'cluster']
]

/**
 * No job is newer than the newest that has both values. If there is none, neither is a row to begin with. For the first page only: a later one begins at its own place, and
 * between two places the planner might choose the wrong one.
 */
function upToNewest (values: Place['values'], begins: readonly Dimension[], dialect: Dialect): Fragment[] {
  let newest: Fragment | undefined
  for (const [index, one, two] of pairs) {
    const [a, b] = [values[one], values[two]]
    if (a === undefined || b === undefined || (begins.includes(one) && begins.includes(two))) continue
    const both = [sql`${identifier(`other.${columns[one]}`)} = ${a}`, sql`${identifier(`other.${columns[two]}`)} = ${b}`]
    const before = newest === undefined ? [] : [sql`other.start_time <= ${newest}`]
    newest = sql`(SELECT MAX(other.start_time) FROM job AS other${dialect.along(index)}${where([...both, ...before])})`
  }
  return newest === undefined ? [] : [sql`${column('start_time')} <= ${newest}`]
}

/** In a database with other indices: those that begin with one column have the order, those of two need not. */
function alongAny ({ values, conditions }: Place, dialect: Dialect): Walk {
  const begins = dimensions.filter(dimension => values[dimension] !== undefined).slice(0, 1)
  return { from: sql`job`, conditions: [...equalities(values, begins, dialect), ...conditions] }
}

function equalities (values: Place['values'], begins: readonly Dimension[], dialect: Dialect): Fragment[] {
  return dimensions.flatMap(dimension => {
    const value = values[dimension]
    if (value === undefined) return []
    const field = column(columns[dimension])
    return [sql`${begins.includes(dimension) ? field : dialect.unindexed(field)} = ${value}`]
  })
}

// --- which indices there are ---------------------------------------------------------------------------------------------------------

/** What was found out; nothing of a database that was not asked yet. An index that is taken away while the service runs is still counted on. */
const known = new WeakMap<JobsDatabase, boolean>()

/** As far as `learnIndices` has found out. */
export function hasOurs (db: JobsDatabase): boolean {
  return db.engine === 'postgres' || known.get(db) === true
}

/** Finds out whether the database has our indices. To be called before anything is listed; asks once. */
export async function learnIndices (db: JobsDatabase): Promise<void> {
  if (db.engine === 'postgres' || known.has(db)) return
  const rows = await db.prepare('SELECT name FROM sqlite_master WHERE type = \'index\' AND tbl_name = \'job\'').all()
  const names = new Set(rows.map(({ name }) => name))
  known.set(db, indexSets.ours.every(({ name, isUnique }) => isUnique === true || names.has(name)))
}
