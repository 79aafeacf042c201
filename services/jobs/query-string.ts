/**
 * The query strings of the routes: their schemas, and how they become filters, orders and pages of the store.
 *
 * What is kept true: what the schema lets through, the store accepts, and so does each engine (no U+0000 in text, no number beyond 2^53). An unknown name is
 * refused, not dropped (routes/route.ts): a filter with a slip in it must not show all jobs.
 */
import { Type, type Static } from 'typebox'
import { sortFields } from './order.ts'
import { JobState, Shared, SortBy, type IntRange, type JobFilter, type Order, type Page, type StringMatcher } from './schema.ts'

const text = (description: string, example: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$', description, examples: [example] }))
const number = '(?:\\d{1,15}(?:\\.\\d{1,15})?)'
const positive = '[1-9]\\d{0,14}'
const from = 'from-to; either side can be left out'

/** `4`, `2-64`, `2-` or `-64`. */
const intPattern = `(?:${positive}|\\d{1,15}-\\d{0,15}|-\\d{1,15})`
const intRange = (what: string) => Type.Optional(Type.String({ pattern: `^${intPattern}$`, description: `${what}: a number, or ${from}`, examples: ['1-64'] }))
const floatPattern = `(?:${number}-${number}?|-${number})`
const floatRange = (what: string) => Type.Optional(Type.String({ pattern: `^${floatPattern}$`, description: `${what}: ${from}`, examples: ['0.5-10'] }))
const metricRange = Type.String({ maxLength: 128, pattern: `^[a-zA-Z0-9_]+:${floatPattern}$` })

const filters = {
  cluster: text('exactly', 'alex'),
  subCluster: text('exactly', 'a40'),
  partition: text('exactly', 'a40'),
  user: text('exactly', 'ann'),
  project: text('exactly', 'p1'),
  state: Type.Optional(Type.Array(JobState, { maxItems: 12, description: 'one or more', examples: [['running', 'completed']] })),
  shared: Type.Optional(Shared),
  jobId: Type.Optional(Type.String({ pattern: '^\\d{1,18}$', description: 'of the scheduler', examples: ['398793'] })),
  arrayJobId: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: '0: not part of an array', examples: [0] })),
  'start-time': Type.Optional(Type.String({ pattern: '^(?:\\d{1,12}-\\d{0,12}|-\\d{1,12})$', description: `unix seconds: ${from}`, examples: ['1675900000-1675960000'] })),
  duration: intRange('seconds'),
  numNodes: intRange('nodes'),
  numHwthreads: intRange('hardware threads'),
  numAcc: intRange('accelerators'),
  energy: floatRange('kWh'),
  metric: Type.Optional(Type.Array(metricRange, { maxItems: 20, description: 'in the footprint, as cpu_load_avg:from-to', examples: [['cpu_load_avg:1-72']] })),
  tag: Type.Optional(Type.Array(Type.String({ pattern: '^\\d{1,18}$' }), { maxItems: 1000, description: 'ids; jobs that have at least one', examples: [['1', '2']] })),
  node: text('a host of the job, exactly', 'a0128'),
  jobName: text('a part of it', 'train'),
  schedule: Type.Optional(Type.Union([Type.Literal('interactive'), Type.Literal('batch')]))
}

const page = Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31, description: 'from 1', examples: [1] }))
const limit = Type.Integer({ minimum: 1, maximum: 1000, description: 'of a page', examples: [25] })
/** For lists and single jobs. */
export const WithMetadata = Type.Optional(Type.Boolean({ description: 'with meta data, and the energy by metric', examples: [true] }))
const closed = { additionalProperties: false }

export const CountQuery = Type.Object(filters, closed)
export type CountQuery = Static<typeof CountQuery>

export const ListQuery = Type.Object({
  ...filters,
  sort: Type.Optional(Type.String({
    pattern: `^-?(?:${sortFields.join('|')}|footprint\\.[a-zA-Z0-9_]{1,100})$`,
    description: 'a field of the job or of its footprint; with - the largest first. Default: -startTime',
    examples: ['-startTime', 'footprint.cpu_load_avg']
  })),
  limit: Type.Optional(limit),
  'items-per-page': Type.Optional({ ...limit, description: 'another name for limit' }),
  page,
  'with-metadata': WithMetadata,
  cursor: Type.Optional(Type.String({ pattern: '^[\\w-]+$', maxLength: 4096, description: 'the nextCursor of the page before, asked for with the same filter and order' }))
}, closed)
export type ListQuery = Static<typeof ListQuery>

export const groups = { user: 'USER', project: 'PROJECT', cluster: 'CLUSTER', subcluster: 'SUBCLUSTER' } as const
const sorts = ['totalWalltime', 'totalJobs', 'totalUsers', 'totalNodes', 'totalNodeHours', 'totalCores', 'totalCoreHours', 'totalAccs', 'totalAccHours'] as const

export const StatsQuery = Type.Object({
  ...filters,
  groupBy: Type.Optional(Type.Enum(Object.keys(groups) as Array<keyof typeof groups>)),
  sortBy: Type.Optional(Type.Enum([...sorts], { description: 'the largest first' })),
  limit: Type.Optional(limit),
  page
}, closed)
export type StatsQuery = Static<typeof StatsQuery>

// --- to the store --------------------------------------------------------------------------------------------------------------

export function toFilter (query: CountQuery): JobFilter {
  const filter: JobFilter = {}
  for (const name of ['cluster', 'subCluster', 'partition', 'user', 'project', 'node', 'jobId'] as const) put(filter, name, toMatcher(query[name]))
  for (const name of ['state', 'shared', 'arrayJobId', 'schedule'] as const) put(filter, name, query[name])
  put(filter, 'tags', query.tag)
  put(filter, 'jobName', query.jobName === undefined ? undefined : { contains: query.jobName })
  put(filter, 'startTime', toTimes(query['start-time']))
  put(filter, 'duration', toRange(query.duration))
  put(filter, 'numNodes', toRange(query.numNodes))
  put(filter, 'numHWThreads', toRange(query.numHwthreads))
  put(filter, 'numAccelerators', toRange(query.numAcc))
  put(filter, 'energy', toRange(query.energy))
  put(filter, 'metricStats', query.metric?.map(toMetric))
  return filter
}

export function toOrder ({ sort = '-startTime' }: ListQuery): Order {
  const name = sort.replace(/^-/, '')
  const metric = name.startsWith('footprint.') ? name.slice('footprint.'.length) : undefined
  return { field: metric ?? name, type: metric === undefined ? 'col' : 'foot', order: sort.startsWith('-') ? 'DESC' : 'ASC' }
}

export function toPage (query: ListQuery): Page {
  return { itemsPerPage: query.limit ?? query['items-per-page'] ?? 25, page: query.page ?? 1 }
}

/** Undefined: all groups. */
export function toGroupPage ({ limit, page }: StatsQuery): Page | undefined {
  return limit === undefined && page === undefined ? undefined : { itemsPerPage: limit ?? 25, page: page ?? 1 }
}

export function toSortBy ({ sortBy = 'totalJobs' }: StatsQuery): SortBy {
  const found = SortBy.anyOf.find(({ const: word }) => word === sortBy.toUpperCase())
  return found?.const ?? 'TOTALJOBS'
}

function put<Name extends keyof JobFilter> (filter: JobFilter, name: Name, value: JobFilter[Name]): void {
  if (value !== undefined) filter[name] = value
}

function toMatcher (eq: string | undefined): StringMatcher | undefined {
  return eq === undefined ? undefined : { eq }
}

/** A number alone is both ends. */
function toRange (range: string | undefined): IntRange | undefined {
  if (range === undefined) return undefined
  const [from = '', to = from] = range.split('-')
  return { from: Number(from), to: Number(to) }
}

/** Unlike for other ranges, 0 is a time, and a side that is left out is no side. */
function toTimes (range: string | undefined): JobFilter['startTime'] {
  if (range === undefined) return undefined
  const [from = '', to = ''] = range.split('-')
  return { ...(from === '' ? {} : { from: Number(from) }), ...(to === '' ? {} : { to: Number(to) }) }
}

function toMetric (text: string): { metricName: string, range: IntRange } {
  const [metricName = '', range] = text.split(':')
  return { metricName, range: toRange(range) ?? {} }
}
