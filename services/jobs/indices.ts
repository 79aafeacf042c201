/**
 * The indices on `job`: our own, and those that cc-backend had, for comparison. What each of ours is for: docs/jobs-data.md.
 *
 * What is kept true: the migrations create exactly `indexSets.ours`; names of ours begin with `job_`, those of cc-backend with `jobs_`, so that both fit into one database.
 */
import type { EngineName } from '../../plugins/db/types.ts'

export interface Index {
  readonly name: string
  readonly columns: readonly string[]
  readonly isUnique?: boolean
  /** Of the rows that it has: those for which this holds. A statement has to say it in these words. */
  readonly where?: string
}

const measures = ['duration', 'job_state', 'num_nodes', 'num_hwthreads', 'num_acc']

/** What is not usual: one job in five. As a condition on `job`, in the words of the indices that have only those. */
export const UNUSUAL = 'job_state <> \'completed\''

/** Behind the start time comes the id, so that rows that start together are in order; and then what can be looked at without the row. */
const ours: readonly Index[] = [
  { name: 'job_key', columns: ['job_id', 'cluster', 'start_time'], isUnique: true },
  { name: 'job_start', columns: ['start_time'] },
  { name: 'job_user_start', columns: ['hpc_user', 'start_time'] },
  { name: 'job_project_start', columns: ['project', 'start_time'] },
  { name: 'job_user_project', columns: ['hpc_user', 'project', 'start_time'] },
  { name: 'job_cluster_start', columns: ['cluster', 'start_time', 'id', ...measures, 'hpc_user', 'project', 'subcluster'] },
  { name: 'job_cluster_user', columns: ['cluster', 'hpc_user', 'start_time', 'id', ...measures, 'project'] },
  { name: 'job_cluster_project', columns: ['cluster', 'project', 'start_time', 'id', ...measures, 'hpc_user'] },
  { name: 'job_partition_start', columns: ['cluster', 'cluster_partition', 'start_time'] },
  { name: 'job_long', columns: ['cluster', 'start_time'], where: 'duration > 259200' },
  { name: 'job_state_start', columns: ['job_state', 'start_time'], where: UNUSUAL },
  { name: 'job_cluster_state', columns: ['cluster', 'job_state', 'start_time'], where: UNUSUAL },
  { name: 'job_user_state', columns: ['hpc_user', 'job_state', 'start_time', 'id', 'cluster', 'project'], where: UNUSUAL },
  { name: 'job_project_state', columns: ['project', 'job_state', 'start_time', 'id', 'cluster', 'hpc_user'], where: UNUSUAL }
]

// --- those of cc-backend -------------------------------------------------------------------------------------------------------

/** The words that its index names have for columns. */
const words: Readonly<Record<string, string>> = {
  hpc_user: 'user', cluster_partition: 'partition', job_state: 'jobstate', start_time: 'starttime', num_nodes: 'numnodes', num_hwthreads: 'numhwthreads', num_acc: 'numacc', array_job_id: 'arrayjobid'
}

function named (...columns: string[]): Index {
  return { name: `jobs_${columns.map(column => words[column] ?? column).join('_')}`, columns }
}

/** Each prefix with each ending. */
function each (prefixes: readonly string[][], endings: readonly string[][]): Index[] {
  return prefixes.flatMap(prefix => endings.map(ending => named(...prefix, ...ending)))
}

const times = [['start_time', 'duration'], ['duration', 'start_time']]
const sizes = ['num_nodes', 'num_hwthreads', 'num_acc', 'energy']
const partition = ['cluster', 'cluster_partition']

/** Those that both versions have. */
const common: readonly Index[] = [
  ...each([['cluster']], [['hpc_user'], ['project'], ['subcluster'], ...sizes.map(size => [size]), ['duration', 'start_time'], ['start_time', 'duration']]),
  ...each([partition], [['hpc_user'], ['project'], ['job_state'], ['shared'], ...times]),
  ...each([['cluster', 'job_state']], times),
  ...each([['cluster', 'shared']], [['hpc_user'], ['project'], ...times]),
  ...each([['hpc_user']], times),
  ...each([['project']], [['hpc_user'], ...times]),
  ...each([['job_state'], ['shared']], [['hpc_user'], ['project'], ...times]),
  ...each([['array_job_id'], ['duration'], ...sizes.map(size => [size])], [['start_time']]),
  ...each([['start_time'], ...sizes.map(size => [size])], [['duration']]),
  named('start_time')
]

/** What made the slow query of March 2026 slow is among these: (job_state, energy). */
const march2026: readonly Index[] = [
  ...common,
  ...each([partition, ['cluster', 'job_state'], ['cluster', 'shared'], ['hpc_user'], ['project'], ['job_state'], ['shared']], sizes.map(size => [size])),
  ...each([['cluster', 'job_state']], [['hpc_user'], ['project']]),
  named('cluster', 'array_job_id', 'start_time'),
  named('duration')
]

const totals = ['num_nodes', 'num_hwthreads', 'num_acc']

const v11: readonly Index[] = [
  ...common,
  ...['hpc_user', 'project'].map(group => ({ name: `${named('cluster', group, 'start_time').name}_stats`, columns: ['cluster', group, 'start_time', 'duration', 'job_state', ...totals] })),
  ...['hpc_user', 'project', 'subcluster'].map(group => ({
    name: `${named('cluster', 'job_state', group).name}_stats`, columns: ['cluster', 'job_state', group, 'duration', 'start_time', ...totals]
  })),
  ...['hpc_user', 'project', 'subcluster'].map(group => ({
    name: `${named('running', group).name}_stats`, columns: ['cluster', group, ...totals, 'duration', 'start_time'], where: 'job_state = \'running\''
  }))
]

export const indexSets = { ours, '2026-03': march2026, v11 } as const
export type IndexSet = keyof typeof indexSets

/** The statement that makes it. */
export function createIndex ({ name, columns, isUnique = false, where }: Index, engine: EngineName): string {
  // every index of SQLite ends with the row's id
  const fields = engine === 'postgres' && !isUnique && columns.at(-1) === 'start_time' ? [...columns, 'id'] : columns
  return `CREATE ${isUnique ? 'UNIQUE ' : ''}INDEX ${name} ON job (${fields.join(', ')})${where === undefined ? '' : ` WHERE ${where}`}`
}
