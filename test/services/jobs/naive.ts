/** The filters of the store once more, over rows in memory, written from the specification and as simply as possible: what the SQL is compared with. */
import type { FloatRange, JobFilter, StringMatcher, User } from '../../../services/jobs/schema.ts'
import type { JobData, JobRow } from '../../data/jobs.ts'

export function select ({ jobs, jobTags }: JobData, user: User, filters: readonly JobFilter[], now: number): JobRow[] {
  const tagsOf = (id: number): string[] => jobTags.filter(({ job_id }) => job_id === id).map(({ tag_id }) => String(tag_id))
  return jobs.filter(job => sees(user, job) && filters.every(filter => matches(job, filter, tagsOf(job.id), now)))
}

function sees ({ username, roles, projects = [] }: User, job: JobRow): boolean {
  if (roles.join() === 'api' || roles.includes('admin') || roles.includes('support')) return true
  return job.hpc_user === username || (roles.includes('manager') && projects.includes(job.project))
}

function matches (job: JobRow, filter: JobFilter, tags: string[], now: number): boolean {
  const { dbId, arrayJobId, state, shared, schedule, startTime, metricStats = [] } = filter
  return isText(job.hpc_user, filter.user) && isText(job.project, filter.project) && isText(job.cluster, filter.cluster) &&
    isText(job.subcluster, filter.subCluster) && isText(job.cluster_partition, filter.partition) && isText(String(job.job_id), filter.jobId) &&
    (dbId === undefined || dbId.includes(String(job.id))) && (arrayJobId === undefined || job.array_job_id === arrayJobId) &&
    (state === undefined || state.some(one => one === job.job_state)) && (shared === undefined || job.shared === shared) &&
    isIn(job.duration, filter.duration) && isIn(job.num_nodes, filter.numNodes) && isIn(job.num_acc, filter.numAccelerators) &&
    isIn(job.num_hwthreads, filter.numHWThreads) && isIn(job.energy, filter.energy) && isStarted(job.start_time, startTime, now) &&
    metricStats.every(({ metricName, range }) => hasMetric(job, metricName, range)) &&
    (filter.tags === undefined || filter.tags.some(tag => tags.includes(tag))) && isOn(job, filter.node) &&
    isNamed(job, filter.jobName) && (schedule !== 'interactive' || nameOf(job) === 'interactive') &&
    (schedule !== 'batch' || ![undefined, 'interactive'].includes(nameOf(job)))
}

/** null: not known, which matches no condition. */
function isText (text: string | null | undefined, matcher: StringMatcher | undefined): boolean {
  if (matcher === undefined) return true
  const { eq, neq, startsWith, endsWith, contains } = matcher
  const pattern = startsWith === undefined ? endsWith === undefined ? contains === undefined ? undefined : `%${contains}%` : `%${endsWith}` : `${startsWith}%`
  if (eq === undefined && neq === undefined && pattern === undefined && matcher.in === undefined) return true
  if (text === null || text === undefined) return false
  if (eq !== undefined) return text === eq
  if (neq !== undefined) return text !== neq
  return pattern === undefined ? matcher.in?.includes(text) === true : isLike(text, pattern)
}

function isLike (text: string, pattern: string): boolean {
  const lower = (s: string): string => s.replace(/[A-Z]/g, letter => letter.toLowerCase())
  const source = [...lower(pattern)].map(c => c === '%' ? '.*' : c === '_' ? '.' : c.replace(/[.*+?^${}()|[\]\\]/, '\\$&')).join('')
  return new RegExp(`^${source}$`, 'su').test(lower(text))
}

function isIn (value: number | null, { from = 0, to = 0 }: FloatRange = {}): boolean {
  if (from < 0 || to < 0 || (from === 0 && to === 0)) return true
  return value !== null && (from === 0 || value >= from) && (to === 0 || value <= to)
}

function isStarted (start: number, times: JobFilter['startTime'], now: number): boolean {
  const { from, to, range } = times ?? {}
  const seconds = (time: number | string): number => typeof time === 'number' ? time : Date.parse(time) / 1000
  if (from !== undefined || to !== undefined) return (from === undefined || start >= seconds(from)) && (to === undefined || start <= seconds(to))
  const hours = { last6h: 6, last24h: 24, last7d: 168, last30d: 720 }[range ?? '']
  return hours === undefined || start >= now - hours * 3600
}

function hasMetric ({ footprint }: JobRow, name: string, range: FloatRange): boolean {
  const json = parse(footprint) as Record<string, unknown> | undefined
  if (!/^[a-zA-Z0-9_]+$/.test(name) || json === undefined) return false
  const value = json[name]
  return isIn(typeof value === 'number' ? value : null, range)
}

function isOn ({ resources }: JobRow, matcher: StringMatcher | undefined): boolean {
  const json = parse(resources)
  if (matcher === undefined) return true
  if (matcher.in !== undefined || Object.keys(matcher).length === 0) return json !== undefined
  return Array.isArray(json) && json.some(({ hostname }: { hostname?: string }) => isText(hostname, matcher))
}

function isNamed (job: JobRow, matcher: StringMatcher | undefined): boolean {
  if (matcher === undefined) return true
  if (matcher.in !== undefined || Object.keys(matcher).length === 0) return parse(job.meta_data) !== undefined
  return isText(nameOf(job), matcher)
}

function nameOf ({ meta_data }: JobRow): string | undefined {
  return (parse(meta_data) as { jobName?: string } | undefined)?.jobName
}

/** Undefined for what is not JSON. */
export function parse (json: string | null): unknown {
  try {
    return json === null ? undefined : JSON.parse(json)
  } catch {
    return undefined
  }
}
