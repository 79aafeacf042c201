/**
 * From a row of `job` to a Job.
 *
 * What is kept true: no row breaks a list. NULL is 0, '' or empty; JSON that is invalid or of another shape is empty, or loses the parts that are wrong;
 * what was repaired is reported with the row's id. JSON comes as text or, in a database written by cc-backend, as a blob with text in it.
 */
import type { Column } from '../../plugins/db/types.ts'
import type { Footprint, Job, MetaData, Resource } from './schema.ts'

/** The columns of `job` that a Job is made of. */
export const jobColumns = [
  'id', 'job_id', 'hpc_user', 'project', 'cluster', 'subcluster', 'start_time', 'cluster_partition', 'array_job_id', 'num_nodes', 'num_hwthreads', 'num_acc',
  'shared', 'monitoring_status', 'smt', 'job_state', 'duration', 'walltime', 'resources', 'footprint', 'energy'
] as const

export type JobColumn = typeof jobColumns[number]
export type JobRow = Record<JobColumn, Column>

/** Told about each column that could not be taken as it is. */
export type Report = (id: number, column: JobColumn) => void

/** `now`: unix seconds; a running job has lasted until then. */
export function toJob (row: JobRow, now: number, report: Report): Job {
  const id = toNumber(row.id)
  const value = (column: JobColumn): Column => {
    if (row[column] === null) report(id, column)
    return row[column]
  }
  const number = (column: JobColumn): number => toNumber(value(column))
  const text = (column: JobColumn): string => toText(value(column))
  const startTime = number('start_time')
  const jobState = text('job_state')
  return {
    id,
    jobId: number('job_id'),
    user: text('hpc_user'),
    project: text('project'),
    cluster: text('cluster'),
    subCluster: text('subcluster'),
    ...optional('partition', text('cluster_partition')),
    ...optional('arrayJobId', number('array_job_id')),
    numNodes: number('num_nodes'),
    ...optional('numHwthreads', number('num_hwthreads')),
    ...optional('numAcc', number('num_acc')),
    ...optional('smt', number('smt')),
    shared: text('shared'),
    jobState,
    ...optional('monitoringStatus', number('monitoring_status')),
    startTime,
    duration: jobState === 'running' ? now - startTime : number('duration'),
    ...optional('walltime', number('walltime')),
    energy: number('energy'),
    resources: toResources(value('resources'), () => { report(id, 'resources') }),
    footprint: toFootprint(value('footprint'), () => { report(id, 'footprint') }),
    energyFootprint: null,
    metaData: null,
    statistics: null,
    concurrentJobs: { items: null, count: 0 }
  }
}

function optional<Name extends keyof Job> (name: Name, value: NonNullable<Job[Name]>): Partial<Pick<Job, Name>> {
  return value === 0 || value === '' ? {} : { [name]: value } as unknown as Pick<Job, Name>
}

/** A number for JSON: of an integer beyond 2^53 the nearest one. */
export function toNumber (value: Column | undefined): number {
  const number = Number(value instanceof Uint8Array ? NaN : value ?? 0)
  return Number.isFinite(number) ? number : 0
}

export function toText (value: Column | undefined): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? decoder.decode(value) : String(value)
}

// --- JSON ------------------------------------------------------------------------------------------------------------------

const decoder = new TextDecoder()

function toResources (column: Column, bad: () => void): Resource[] {
  const json = parse(column) ?? []
  if (!Array.isArray(json)) return orElse([], bad)
  return json.flatMap(element => isObject(element) ? [toResource(element, bad)] : orElse([], bad))
}

function toResource ({ hostname, hwthreads, accelerators, configuration }: Record<string, unknown>, bad: () => void): Resource {
  const resource: Resource = { hostname: isString(hostname) ? hostname : orElse('', bad) }
  if (Array.isArray(hwthreads)) resource.hwthreads = hwthreads.filter(Number.isInteger)
  if (Array.isArray(accelerators)) resource.accelerators = accelerators.filter(isString)
  if (isString(configuration)) resource.configuration = configuration
  return resource
}

/** Text to text; what is not text is left out. null for none. */
export function toMetaData (column: Column, bad: () => void): MetaData | null {
  const json = parse(column)
  if (json === undefined || json === null) return null
  if (!isObject(json)) return orElse({}, bad)
  return Object.fromEntries(Object.entries(json).sort(byKey).filter((entry): entry is [string, string] => isString(entry[1]) || orElse(false, bad)))
}

/** As `toFootprint`; null for none. */
export function toEnergyFootprint (column: Column, bad: () => void): Footprint | null {
  return column === null ? null : toFootprint(column, bad)
}

/** A null in it is 0, as upstream; what is not a number is left out. Sorted, because jsonb keeps no order. */
function toFootprint (column: Column, bad: () => void): Footprint {
  const json = parse(column) ?? {}
  if (!isObject(json)) return orElse({}, bad)
  const footprint: Footprint = {}
  for (const [metric, value] of Object.entries(json).sort(byKey)) {
    if (value === null) footprint[metric] = 0
    else if (typeof value === 'number' && Number.isFinite(value)) footprint[metric] = value
    else bad()
  }
  return footprint
}

function byKey ([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1
}

const invalid = Symbol('not JSON')

/** Undefined for NULL, `invalid` for what is not JSON. */
function parse (column: Column): unknown {
  if (column === null) return undefined
  try {
    return JSON.parse(toText(column))
  } catch {
    return invalid
  }
}

function orElse<T> (instead: T, bad: () => void): T {
  bad()
  return instead
}

function isString (value: unknown): value is string {
  return typeof value === 'string'
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
