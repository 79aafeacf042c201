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

/** Which of the two counts a function sets. */
export const CountKind = Type.Union([Type.Literal('running'), Type.Literal('short')])
export type CountKind = Static<typeof CountKind>

/** What a group is counted in: seconds for the hours, as upstream did. Without one: jobs. */
export const Weight = Type.Union([Type.Literal('NODE_COUNT'), Type.Literal('NODE_HOURS'), Type.Literal('CORE_COUNT'), Type.Literal('CORE_HOURS')])
export type Weight = Static<typeof Weight>

export const GroupCount = Type.Object({ name: Type.String(), count: Type.Integer() }, closed)
export type GroupCount = Static<typeof GroupCount>

// --- histograms --------------------------------------------------------------------------------------------------------------

export const HistogramColumn = Type.Union([Type.Literal('num_nodes'), Type.Literal('num_hwthreads'), Type.Literal('num_acc')])
export type HistogramColumn = Static<typeof HistogramColumn>

export const HistoPoint = Type.Object({ value: Type.Integer(), count: Type.Integer() }, closed)
export type HistoPoint = Static<typeof HistoPoint>

/** `min` and `max` are what the bin is labelled with. The true edges are those of `peak / bins`. */
export const MetricPoint = Type.Object({ bin: Type.Integer(), count: Type.Integer(), min: Type.Integer(), max: Type.Integer() }, closed)
export type MetricPoint = Static<typeof MetricPoint>

export const MetricHistogram = Type.Object({ metric: Type.String(), unit: Type.String(), stat: Type.String(), data: Type.Array(MetricPoint) }, closed)
export type MetricHistogram = Static<typeof MetricHistogram>

export const Histograms = Type.Object({
  histDuration: Type.Array(HistoPoint),
  histNumNodes: Type.Array(HistoPoint),
  histNumCores: Type.Array(HistoPoint),
  histNumAccs: Type.Array(HistoPoint)
}, closed)
export type Histograms = Static<typeof Histograms>

/** Of one metric on one cluster. `footprint`: its statistic in the footprints of jobs, such as avg; empty if it is not in them. */
export const Metric = Type.Object({ peak: Type.Number(), unit: Type.String(), footprint: Type.String() }, closed)
export type Metric = Static<typeof Metric>

/** Cluster → metric. */
export const MetricConfig = Type.Record(Type.String(), Type.Record(Type.String(), Metric))
export type MetricConfig = Readonly<Record<string, Readonly<Record<string, Readonly<Metric>>>>>

// --- what belongs to jobs ------------------------------------------------------------------------------------------------------

/** `scope`: global, admin, or the one user who sees it. */
export const Tag = Type.Object({ id: Type.Integer(), type: Type.String(), name: Type.String(), scope: Type.String() }, closed)
export type Tag = Static<typeof Tag>

/** A tag by what it is called. `scope`: default global. */
export const TagName = Type.Object({
  type: Type.String({ minLength: 1 }),
  name: Type.String({ minLength: 1 }),
  scope: Type.Optional(Type.String())
}, closed)
export type TagName = Static<typeof TagName>

/** `counts`: jobs by type, name and id of the tag, one behind the other. */
export const TagCounts = Type.Object({ tags: Type.Array(Tag), counts: Type.Record(Type.String(), Type.Integer()) }, closed)
export type TagCounts = Static<typeof TagCounts>

export const MetaData = Type.Record(Type.String(), Type.String())
export type MetaData = Static<typeof MetaData>

/** A job with what belongs to it: its tags, left out if it has none, and, if they were asked for, its meta data and the energy that it has taken by metric (kWh). */
export const DetailedJob = Type.Object({
  ...Job.properties,
  energyFootprint: Type.Union([Footprint, Type.Null()]),
  metaData: Type.Union([MetaData, Type.Null()]),
  tags: Type.Optional(Type.Array(Tag))
}, closed)
export type DetailedJob = Static<typeof DetailedJob>

/** `listQuery`: the query string that lists them. */
export const ConcurrentJobs = Type.Object({
  listQuery: Type.String(),
  items: Type.Array(Type.Object({ id: Type.String(), jobId: Type.Integer() }, closed)),
  count: Type.Integer()
}, closed)
export type ConcurrentJobs = Static<typeof ConcurrentJobs>

// --- what is written -----------------------------------------------------------------------------------------------------------

const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const positive = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
const word = Type.String({ minLength: 1 })

/** A job that begins. What else it may have is known when it ends. */
export const StartJob = Type.Object({
  jobId: positive,
  user: word,
  project: word,
  cluster: word,
  subCluster: word,
  partition: Type.Optional(Type.String()),
  arrayJobId: Type.Optional(count),
  numNodes: positive,
  numHwthreads: Type.Optional(count),
  numAcc: Type.Optional(count),
  smt: Type.Optional(count),
  shared: Type.Optional(Shared),
  monitoringStatus: Type.Optional(Type.Integer({ minimum: 0, maximum: 3 })),
  startTime: positive,
  submitTime: Type.Optional(count),
  walltime: Type.Optional(count),
  resources: Type.Array(Resource, { minItems: 1 }),
  metaData: Type.Optional(MetaData),
  jobState: Type.Optional(Type.String({ description: 'not looked at: a job that starts is running' })),
  duration: Type.Optional(Type.Integer({ description: 'not looked at' }))
}, closed)
export type StartJob = Static<typeof StartJob>

/** Which jobs a deletion leaves: none, those with any tag, or those with a tag that a user gave them (a type other than app and jobClass). */
export const OmitTagged = Type.Union([Type.Literal('none'), Type.Literal('all'), Type.Literal('user')])
export type OmitTagged = Static<typeof OmitTagged>

// --- inputs of the store functions -------------------------------------------------------------------------------------------

/** Who asks, for which jobs. `user: null`: nobody is known, which is refused. */
export interface JobsInput { user: User | null, filter?: readonly JobFilter[] }
/** `after`: only what comes behind this row, in the order of `order`; pages are counted from there. */
export interface JobsListInput extends JobsInput { page?: Page, order?: Order, after?: Position }
export interface JobsStatsInput extends JobsInput { fields?: readonly StatsField[] }
export interface JobsStatsGroupedInput extends JobsStatsInput { groupBy: GroupBy, sortBy?: SortBy, page?: Page }
export interface JobByIdInput { user: User | null, id: number }
export interface JobCountGroupedInput extends JobsInput { groupBy: GroupBy }
/** `stats`: what to set the count in. Default: the groups of `jobCountGrouped`. */
export interface AddJobCountGroupedInput extends JobCountGroupedInput { kind: CountKind, stats?: readonly GroupStats[] }
/** `stats`: what to set the count in. Default: one element of zeros. */
export interface AddJobCountInput extends JobsInput { kind: CountKind, stats?: readonly Stats[] }
export interface CountGroupedInput extends JobCountGroupedInput { weight?: Weight, limit?: number }
export interface ValueHistogramInput extends JobsInput { column: HistogramColumn }
/** `bins`: 1m, 10m, 1h, 6h or 12h; anything else: 24 of an hour. */
export interface DurationHistogramInput extends JobsInput { bins?: string }
/** `stat`: what to add the histograms to. Default: zeros. */
export interface AddHistogramsInput extends DurationHistogramInput { stat?: GroupStats }
/** The first of `metrics`. `nbins`: default 10. */
export interface MetricHistogramInput extends JobsInput { metrics: readonly string[], nbins?: number }
export interface AddMetricHistogramsInput extends MetricHistogramInput { stat?: Stats }
export interface JobByJobIdInput { user: User | null, jobId: number, startTime: number, cluster: string }
/** Of several the newest row. */
export interface JobLookup { jobId: number, cluster?: string, startTime?: number }
/** One job: by the id of its row, or by what the scheduler knows of it. */
export type JobSelector = { id: number } | JobLookup
/** `limit: 0`: all, whatever the offset. `after`: only ids above it, which costs the same however far the list has been read. */
export interface JobListInput { limit: number, offset?: number, after?: number }
export interface FindJobsBetweenInput { from: number, to: number, omitTagged?: OmitTagged }
/** Without `user`: whoever asks may see it. */
export interface JobColumnInput { user?: User | null, id: number }
export interface StopJobInput extends JobLookup { stopTime: number, jobState?: JobState }
/** `limit`: at most so many, the oldest first. */
export interface DeleteJobsBeforeInput { before: number, omitTagged?: OmitTagged, limit?: number }
export interface JobTagsInput { user: User | null, id: number, tags: readonly TagName[] }
export interface TagsInput { user: User | null, tags: readonly TagName[] }
export type EditMetaInput = JobSelector & { user: User | null, key: string, value: string }
