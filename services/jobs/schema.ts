/**
 * What the store functions take and answer, once as schema and once as type under the same name. The JSON is that of cc-backend.
 *
 * A field that may be missing is `Optional`; a filter field or a matcher that is missing means "no condition".
 */
import { Type, type Static } from 'typebox'

const closed = { additionalProperties: false } as const
const seconds = { description: 'unix seconds' } as const

// --- jobs ----------------------------------------------------------------------------------------------------------------

/** The states that Slurm reports. A database may hold others: they are shown, but cannot be asked for. */
export const JobState = Type.Union([
  Type.Literal('boot_fail'), Type.Literal('cancelled'), Type.Literal('completed'), Type.Literal('deadline'), Type.Literal('failed'),
  Type.Literal('node_fail'), Type.Literal('out_of_memory'), Type.Literal('pending'), Type.Literal('preempted'), Type.Literal('running'),
  Type.Literal('suspended'), Type.Literal('timeout')
])
export type JobState = Static<typeof JobState>

export const Shared = Type.Union([Type.Literal('none'), Type.Literal('single_user'), Type.Literal('multi_user')])
export type Shared = Static<typeof Shared>

/** One host of a job, and what of it the job has. */
export const Resource = Type.Object({
  hostname: Type.String(),
  hwthreads: Type.Optional(Type.Array(Type.Integer())),
  accelerators: Type.Optional(Type.Array(Type.String())),
  configuration: Type.Optional(Type.String())
}, closed)
export type Resource = Static<typeof Resource>

/** Metric to number, by the full key such as `cpu_load_avg`. */
export const Footprint = Type.Record(Type.String(), Type.Number())
export type Footprint = Static<typeof Footprint>

/** Fields that are 0 or empty are left out, those that a list does not load are null. */
export const Job = Type.Object({
  id: Type.Integer({ description: 'of the row' }),
  jobId: Type.Integer({ description: 'of the scheduler' }),
  user: Type.String(),
  project: Type.String(),
  cluster: Type.String(),
  subCluster: Type.String(),
  partition: Type.Optional(Type.String()),
  arrayJobId: Type.Optional(Type.Integer()),
  numNodes: Type.Integer(),
  numHwthreads: Type.Optional(Type.Integer()),
  numAcc: Type.Optional(Type.Integer()),
  smt: Type.Optional(Type.Integer()),
  shared: Type.String(),
  jobState: Type.String(),
  monitoringStatus: Type.Optional(Type.Integer()),
  startTime: Type.Integer(seconds),
  duration: Type.Integer({ description: 'seconds; of a running job until now' }),
  walltime: Type.Optional(Type.Integer({ description: 'seconds' })),
  energy: Type.Number({ description: 'kWh' }),
  resources: Type.Array(Resource),
  footprint: Footprint,
  energyFootprint: Type.Null(),
  metaData: Type.Null(),
  statistics: Type.Null(),
  concurrentJobs: Type.Object({ items: Type.Null(), count: Type.Integer() }, closed)
}, closed)
export type Job = Static<typeof Job>

// --- who asks ------------------------------------------------------------------------------------------------------------

export const User = Type.Object({
  username: Type.String(),
  name: Type.Optional(Type.String()),
  email: Type.Optional(Type.String()),
  roles: Type.Array(Type.String({ description: 'anonymous, api, user, manager, support or admin' })),
  projects: Type.Optional(Type.Array(Type.String()))
})
export type User = Static<typeof User>

// --- what is asked for ---------------------------------------------------------------------------------------------------

/** The first that is present, in this order, is used. */
export const StringMatcher = Type.Object({
  eq: Type.Optional(Type.String()),
  neq: Type.Optional(Type.String()),
  startsWith: Type.Optional(Type.String()),
  endsWith: Type.Optional(Type.String()),
  contains: Type.Optional(Type.String()),
  in: Type.Optional(Type.Array(Type.String()))
}, closed)
export type StringMatcher = Static<typeof StringMatcher>

/** Inclusive. A side that is 0 is open; both 0, or a negative side: no condition. */
export const IntRange = Type.Object({ from: Type.Optional(Type.Integer()), to: Type.Optional(Type.Integer()) }, closed)
export type IntRange = Static<typeof IntRange>

/** As `IntRange`. */
export const FloatRange = Type.Object({ from: Type.Optional(Type.Number()), to: Type.Optional(Type.Number()) }, closed)
export type FloatRange = Static<typeof FloatRange>

/** Inclusive. `from` and `to`, as unix seconds or RFC 3339, beat `range`: last6h, last24h, last7d or last30d. Any other range: no condition. */
export const TimeRange = Type.Object({
  from: Type.Optional(Type.Union([Type.Integer(seconds), Type.String({ description: 'RFC 3339' })])),
  to: Type.Optional(Type.Union([Type.Integer(seconds), Type.String({ description: 'RFC 3339' })])),
  range: Type.Optional(Type.String())
}, closed)
export type TimeRange = Static<typeof TimeRange>

/** All fields have to hold. */
export const JobFilter = Type.Object({
  dbId: Type.Optional(Type.Array(Type.String({ description: 'an integer' }))),
  jobId: Type.Optional(StringMatcher),
  arrayJobId: Type.Optional(Type.Integer({ description: '0: not part of an array' })),
  user: Type.Optional(StringMatcher),
  project: Type.Optional(StringMatcher),
  cluster: Type.Optional(StringMatcher),
  subCluster: Type.Optional(StringMatcher),
  partition: Type.Optional(StringMatcher),
  state: Type.Optional(Type.Array(JobState)),
  shared: Type.Optional(Shared),
  schedule: Type.Optional(Type.String({ description: 'interactive or batch' })),
  duration: Type.Optional(IntRange),
  numNodes: Type.Optional(IntRange),
  numAccelerators: Type.Optional(IntRange),
  numHWThreads: Type.Optional(IntRange),
  energy: Type.Optional(FloatRange),
  startTime: Type.Optional(TimeRange),
  metricStats: Type.Optional(Type.Array(Type.Object({ metricName: Type.String(), range: FloatRange }, closed))),
  tags: Type.Optional(Type.Array(Type.String({ description: 'an integer; a job has at least one of them' }))),
  node: Type.Optional(StringMatcher),
  jobName: Type.Optional(StringMatcher)
}, closed)
export type JobFilter = Static<typeof JobFilter>

/** `type: 'col'`: by a column of the job; anything else: by a number in its footprint. */
export const Order = Type.Object({
  field: Type.String(),
  type: Type.String(),
  order: Type.Union([Type.Literal('ASC'), Type.Literal('DESC')])
}, closed)
export type Order = Static<typeof Order>

/** `itemsPerPage: -1`: everything. Pages count from 1. */
export const Page = Type.Object({ itemsPerPage: Type.Integer(), page: Type.Integer() }, closed)
export type Page = Static<typeof Page>

/** A row of a sorted list: what it is sorted by, as text, and its id. */
export interface Position { value: string | null, id: string }

// --- statistics ------------------------------------------------------------------------------------------------------------

export const Stats = Type.Object({
  totalUsers: Type.Integer(),
  totalJobs: Type.Integer(),
  runningJobs: Type.Integer(),
  shortJobs: Type.Integer(),
  totalWalltime: Type.Integer({ description: 'hours' }),
  totalNodes: Type.Integer(),
  totalNodeHours: Type.Integer(),
  totalCores: Type.Integer(),
  totalCoreHours: Type.Integer(),
  totalAccs: Type.Integer(),
  totalAccHours: Type.Integer()
}, closed)
export type Stats = Static<typeof Stats>
export type StatsField = keyof Stats

/** `id`: the value that the jobs have in common. `name`: of the user with that id, else empty. */
export const GroupStats = Type.Object({ id: Type.String(), name: Type.String(), ...Stats.properties }, closed)
export type GroupStats = Static<typeof GroupStats>

export const GroupBy = Type.Union([Type.Literal('USER'), Type.Literal('PROJECT'), Type.Literal('CLUSTER'), Type.Literal('SUBCLUSTER')])
export type GroupBy = Static<typeof GroupBy>

export const SortBy = Type.Union([
  Type.Literal('TOTALWALLTIME'), Type.Literal('TOTALJOBS'), Type.Literal('TOTALUSERS'), Type.Literal('TOTALNODES'), Type.Literal('TOTALNODEHOURS'),
  Type.Literal('TOTALCORES'), Type.Literal('TOTALCOREHOURS'), Type.Literal('TOTALACCS'), Type.Literal('TOTALACCHOURS')
])
export type SortBy = Static<typeof SortBy>

// --- inputs of the store functions -------------------------------------------------------------------------------------------

/** Who asks, for which jobs. `user: null`: nobody is known, which is refused. */
export interface JobsInput { user: User | null, filter?: readonly JobFilter[] }
/** `after`: only what comes behind this row, in the order of `order`; pages are counted from there. */
export interface JobsListInput extends JobsInput { page?: Page, order?: Order, after?: Position }
export interface JobsStatsInput extends JobsInput { fields?: readonly StatsField[] }
export interface JobsStatsGroupedInput extends JobsStatsInput { groupBy: GroupBy, sortBy?: SortBy, page?: Page }
export interface JobByIdInput { user: User | null, id: number }
