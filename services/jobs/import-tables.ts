/**
 * The tables that an import copies, parents before their children, and what their columns hold.
 *
 * What is kept true: every column of our migrations is listed; no value of a source makes an import fail. SQLite keeps anything in any column, so what does not fit is
 * made to fit and counted: it becomes NULL, or 0, '' or '[]' where NULL is not allowed.
 */
import type { EngineName, Value } from '../../plugins/db/types.ts'

export interface ColumnSpec {
  readonly name: string
  readonly kind: 'integer' | 'real' | 'text' | 'json'
  readonly isNullable: boolean
  /** A source that lacks the column has NULL in it, or what the schema says. */
  readonly isOptional: boolean
}

export interface TableSpec {
  readonly name: string
  readonly columns: readonly ColumnSpec[]
  /** Rows with the same are the same row. */
  readonly primaryKey: readonly string[]
  /** Of two rows with the same, the imported one stays. Only where the primary key is `id`. */
  readonly uniqueKey?: readonly string[]
  /** Rows that point at a parent that is not there are left out. */
  readonly parents: readonly { readonly column: string, readonly table: string, readonly key: string }[]
}

const integer = (name: string): ColumnSpec => ({ name, kind: 'integer', isNullable: false, isOptional: false })
const real = (name: string): ColumnSpec => ({ name, kind: 'real', isNullable: false, isOptional: false })
const text = (name: string): ColumnSpec => ({ name, kind: 'text', isNullable: false, isOptional: false })
const json = (name: string): ColumnSpec => ({ name, kind: 'json', isNullable: false, isOptional: false })
const nullable = (column: ColumnSpec): ColumnSpec => ({ ...column, isNullable: true })
const optional = (column: ColumnSpec): ColumnSpec => ({ ...column, isNullable: true, isOptional: true })

const jobColumns = [
  integer('id'), integer('job_id'), text('cluster'), text('subcluster'), integer('submit_time'), integer('start_time'), text('hpc_user'), text('project'),
  nullable(text('cluster_partition')), nullable(integer('array_job_id')), integer('duration'), integer('walltime'), text('job_state'), nullable(json('meta_data')),
  json('resources'), integer('num_nodes'), nullable(integer('num_hwthreads')), nullable(integer('num_acc')), integer('smt'), text('shared'),
  integer('monitoring_status'), real('energy'), nullable(json('energy_footprint')), nullable(json('footprint'))
]

export const tables: readonly TableSpec[] = [
  {
    name: 'hpc_user',
    columns: [
      text('username'), nullable(text('password')), integer('ldap'), nullable(text('name')), json('roles'), nullable(text('email')), json('projects')
    ],
    primaryKey: ['username'],
    parents: []
  },
  {
    name: 'configuration',
    columns: [text('username'), text('confkey'), nullable(text('value'))],
    primaryKey: ['username', 'confkey'],
    parents: [{ column: 'username', table: 'hpc_user', key: 'username' }]
  },
  {
    name: 'tag',
    columns: [integer('id'), text('tag_type'), text('tag_name'), optional(text('insert_ts')), text('tag_scope')],
    primaryKey: ['id'],
    uniqueKey: ['tag_type', 'tag_name'],
    parents: []
  },
  { name: 'job', columns: jobColumns, primaryKey: ['id'], uniqueKey: ['job_id', 'cluster', 'start_time'], parents: [] },
  { name: 'job_cache', columns: jobColumns, primaryKey: ['id'], uniqueKey: ['job_id', 'cluster', 'start_time'], parents: [] },
  {
    name: 'jobtag',
    columns: [integer('job_id'), integer('tag_id'), optional(text('insert_ts'))],
    primaryKey: ['job_id', 'tag_id'],
    parents: [{ column: 'job_id', table: 'job', key: 'id' }, { column: 'tag_id', table: 'tag', key: 'id' }]
  },
  {
    name: 'node',
    columns: [integer('id'), text('hostname'), text('cluster'), text('subcluster'), nullable(json('meta_data'))],
    primaryKey: ['id'],
    uniqueKey: ['hostname', 'cluster'],
    parents: []
  },
  {
    name: 'node_state',
    columns: [
      integer('id'), integer('time_stamp'), integer('jobs_running'), integer('cpus_allocated'), integer('memory_allocated'), integer('gpus_allocated'),
      text('node_state'), text('health_state'), optional(json('health_metrics')), nullable(integer('node_id'))
    ],
    primaryKey: ['id'],
    parents: [{ column: 'node_id', table: 'node', key: 'id' }]
  }
]

// --- values ------------------------------------------------------------------------------------------------------------------

/** What better-sqlite3 hands over. */
export type SourceValue = number | string | Buffer | null

/** Called when a value had to be changed to fit. */
type Report = () => void

/** How a value of the column is taken over into a database of this engine. */
export function converterOf ({ kind, isNullable }: ColumnSpec, engine: EngineName, repaired: Report): (value: SourceValue) => Value {
  const orElse = (instead: Value): Value => isNullable ? null : instead
  switch (kind) {
    case 'integer': return value => toInteger(value, orElse(0), repaired)
    case 'real': return value => toReal(value, orElse(0), repaired)
    case 'text': return value => toText(value, orElse(''), repaired)
    case 'json': return engine === 'sqlite' ? value => value ?? orElse('[]') : value => toJsonb(value, orElse('[]'), repaired)
  }
}

function toInteger (value: SourceValue, instead: Value, repaired: Report): Value {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  if (value === null && instead === null) return null
  repaired()
  const number = typeof value === 'number' || typeof value === 'string' ? Math.trunc(Number(value)) : NaN
  return Number.isSafeInteger(number) ? number : instead
}

function toReal (value: SourceValue, instead: Value, repaired: Report): Value {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (value === null && instead === null) return null
  repaired()
  const number = typeof value === 'string' ? Number(value) : NaN
  return Number.isFinite(number) ? number : instead
}

/** PostgreSQL holds no U+0000 in text; it is taken out on both engines. */
function toText (value: SourceValue, instead: Value, repaired: Report): Value {
  if (typeof value === 'string' && !value.includes('\0')) return value
  if (value === null && instead === null) return null
  repaired()
  return value === null ? instead : String(value).replaceAll('\0', '')
}

const decoder = new TextDecoder()

/** A blob with JSON in it is how cc-backend writes, so that is no repair. */
function toJsonb (value: SourceValue, instead: Value, repaired: Report): Value {
  if (value === null && instead === null) return null
  const json = typeof value === 'object' && value !== null ? decoder.decode(value) : String(value)
  if (value !== null && isJsonb(json)) return json
  repaired()
  return instead
}

/** JSON that jsonb takes: without U+0000, half surrogate pairs, and exponents that numeric cannot hold (https://www.postgresql.org/docs/18/datatype-json.html). */
function isJsonb (json: string): boolean {
  try {
    JSON.parse(json)
  } catch {
    return false
  }
  return !(json.includes('\\u') && hasBadEscape(json)) && !(LARGE_EXPONENT.test(json) && LARGE_EXPONENT.test(json.replace(STRINGS, '""')))
}

const LARGE_EXPONENT = /\d[eE][+-]?\d{4}/
const STRINGS = /"(?:[^"\\]|\\.)*"/g

function hasBadEscape (json: string): boolean {
  const text = json.replaceAll('\\\\', '').replace(/\\u([0-9a-fA-F]{4})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return text.includes('\0') || !text.isWellFormed()
}
