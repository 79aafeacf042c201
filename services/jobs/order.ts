/**
 * In which order jobs are listed, and which page of them.
 *
 * What is kept true: the order is total (the id breaks ties, in the direction of the sort), so that pages never overlap; NULL comes first when ascending, on both
 * engines; only columns of this list can be sorted by. A page that begins behind a row costs what the first one costs, where an index has the order.
 */
import type { Column, Value } from '../../plugins/db/types.ts'
import { column, isPlainKey, type Dialect } from './dialect.ts'
import { JobsBadCursor, JobsBadOrderField, JobsBadPage } from './errors.ts'
import { empty, sql, toInteger, type Fragment } from './fragment.ts'
import { toText } from './rows.ts'
import type { Order, Page, Position } from './schema.ts'

interface SortColumn { readonly name: string, readonly kind?: SortKind, readonly isNullable?: boolean }
/** What the values are, so that one can be read from text. Default: integers. */
type SortKind = 'integer' | 'number' | 'text'

const sortColumns: ReadonlyMap<string, SortColumn> = new Map<string, SortColumn>([
  ['id', { name: 'id' }],
  ['jobId', { name: 'job_id' }],
  ['user', { name: 'hpc_user', kind: 'text' }],
  ['hpcUser', { name: 'hpc_user', kind: 'text' }],
  ['project', { name: 'project', kind: 'text' }],
  ['cluster', { name: 'cluster', kind: 'text' }],
  ['subCluster', { name: 'subcluster', kind: 'text' }],
  ['subcluster', { name: 'subcluster', kind: 'text' }],
  ['partition', { name: 'cluster_partition', kind: 'text', isNullable: true }],
  ['clusterPartition', { name: 'cluster_partition', kind: 'text', isNullable: true }],
  ['arrayJobId', { name: 'array_job_id', isNullable: true }],
  ['startTime', { name: 'start_time' }],
  ['submitTime', { name: 'submit_time' }],
  ['duration', { name: 'duration' }],
  ['walltime', { name: 'walltime' }],
  ['numNodes', { name: 'num_nodes' }],
  ['numHwthreads', { name: 'num_hwthreads', isNullable: true }],
  ['numHWThreads', { name: 'num_hwthreads', isNullable: true }],
  ['numAcc', { name: 'num_acc', isNullable: true }],
  ['smt', { name: 'smt' }],
  ['energy', { name: 'energy', kind: 'number' }],
  ['jobState', { name: 'job_state', kind: 'text' }],
  ['shared', { name: 'shared', kind: 'text' }],
  ['monitoringStatus', { name: 'monitoring_status' }]
])

/** The fields that an order of type 'col' may name. */
export const sortFields: readonly string[] = [...sortColumns.keys()]

/** True if every schema has an index in this order, our own and cc-backend's. */
export function isIndexed (order: Order | undefined): boolean {
  return order === undefined || (order.type === 'col' && (order.field === 'startTime' || order.field === 'id'))
}

/** True if the order is that of the start times: see walk.ts. */
export function isByStart (order: Order | undefined): order is Order {
  return order?.type === 'col' && order.field === 'startTime'
}

/** Conditions that come with the order: rows whose footprint is not valid JSON cannot be sorted by it, and are left out. */
export function sortable (order: Order | undefined, dialect: Dialect): Fragment[] {
  return order === undefined || order.type === 'col' ? [] : [dialect.isJson(column('footprint'))]
}

/** ` ORDER BY …`. Throws `TDM_ERR_JOBS_BAD_ORDER_FIELD`. */
export function orderBy (order: Order | undefined, dialect: Dialect): Fragment {
  if (order === undefined) return sql` ORDER BY ${column('id')} ASC`
  const direction = order.order === 'ASC' ? sql`ASC` : sql`DESC`
  const nulls = order.order === 'ASC' ? sql` NULLS FIRST` : sql` NULLS LAST`
  const { term, isNullable } = sortTerm(order, dialect)
  return sql` ORDER BY ${term} ${direction}${isNullable ? nulls : empty}, ${column('id')} ${direction}`
}

/** For the rows of several walks: by the columns that they have selected. */
export function orderMergedBy (order: Order): Fragment {
  const direction = order.order === 'ASC' ? sql`ASC` : sql`DESC`
  return sql` ORDER BY start_time ${direction}, id ${direction}`
}

interface SortTerm { readonly term: Fragment, readonly kind: SortKind, readonly isNullable: boolean }

function sortTerm ({ field, type }: Order, dialect: Dialect): SortTerm {
  if (type !== 'col') {
    if (!isPlainKey(field)) throw new JobsBadOrderField(field.slice(0, 40), 'the key of a footprint, of letters, digits and _')
    return { term: dialect.jsonNumber(column('footprint'), field), kind: 'number', isNullable: true }
  }
  const sorted = sortColumns.get(field)
  if (sorted === undefined) throw new JobsBadOrderField(field.slice(0, 40), `one of ${sortFields.join(', ')}`)
  return { term: column(sorted.name), kind: sorted.kind ?? 'integer', isNullable: sorted.isNullable === true }
}

// --- pages ---------------------------------------------------------------------------------------------------------------------

/** ` LIMIT ? OFFSET ?`, or nothing for all rows. A page below 1 is the first. `extra`: so many rows beyond its end. Throws `TDM_ERR_JOBS_BAD_PAGE`. */
export function limitTo (page: Page | undefined, extra = 0): Fragment {
  if (page === undefined || page.itemsPerPage === -1) return empty
  if (!Number.isSafeInteger(page.itemsPerPage) || page.itemsPerPage < 1) throw new JobsBadPage('itemsPerPage to be -1 (all) or at least 1', String(page.itemsPerPage))
  const offset = (Math.max(page.page, 1) - 1) * page.itemsPerPage
  if (!Number.isSafeInteger(offset)) throw new JobsBadPage('a page that can be counted to', String(page.page))
  return sql` LIMIT ${page.itemsPerPage + extra} OFFSET ${offset}`
}

/** As `limitTo`, but a page below 1 is refused. */
export function limitStrictlyTo (page: Page | undefined): Fragment {
  if (page !== undefined && page.itemsPerPage !== -1 && page.page < 1) throw new JobsBadPage('page to be at least 1', String(page.page))
  return limitTo(page)
}

// --- positions -----------------------------------------------------------------------------------------------------------------

const byId: Order = { field: 'id', type: 'col', order: 'ASC' }

/** What the rows are sorted by: to be selected, for `positionOf`. */
export function sortValue (order: Order = byId, dialect: Dialect): Fragment {
  return sortTerm(order, dialect).term
}

/** Of a row, given what `sortValue` has selected of it. */
export function positionOf (value: Column | undefined, id: Column | undefined): Position {
  return { value: value === null || value === undefined ? null : toText(value), id: toText(id) }
}

/**
 * The rows behind `after`; none of the conditions if that is absent. A comparison of rows, since an index can begin there. NULL comes first when ascending, so it
 * has to be said on which side it is. Throws `TDM_ERR_JOBS_BAD_CURSOR` for a position that no row of this order can have.
 */
export function behind (order: Order = byId, after: Position | undefined, dialect: Dialect): Fragment[] {
  if (after === undefined) return []
  const { term, kind, isNullable } = sortTerm(order, dialect)
  const isAscending = order.order === 'ASC'
  const id = readValue('integer', after.id)
  const isBehindId = isAscending ? sql`${column('id')} > ${id}` : sql`${column('id')} < ${id}`
  if (after.value === null) {
    if (!isNullable) throw new JobsBadCursor('it holds no value to go on from.')
    return [isAscending ? sql`(${term} IS NOT NULL OR ${isBehindId})` : sql`(${term} IS NULL AND ${isBehindId})`]
  }
  if (order.field === 'id' && order.type === 'col') return [isBehindId]
  const row = sql`(${readValue(kind, after.value)}, ${id})`
  if (isAscending) return [sql`(${term}, ${column('id')}) > ${row}`]
  const isBehind = sql`(${term}, ${column('id')}) < ${row}`
  return [isNullable ? sql`(${isBehind} OR ${term} IS NULL)` : isBehind]
}

/** A cursor comes from a client, so it may hold anything. */
function readValue (kind: SortKind, text: string): Value {
  const value = kind === 'text' ? readText(text) : kind === 'integer' ? toInteger(text) : readNumber(text)
  if (value === undefined) throw new JobsBadCursor('it holds a value that is not of the field that is sorted by.')
  return value
}

function readText (text: string): string | undefined {
  return text.includes('\0') ? undefined : text
}

/** Digits that a number would lose stay text, which only PostgreSQL has: its numeric. */
function readNumber (text: string): Value | undefined {
  if (!/^-?(?:\d{1,400}(?:\.\d{1,400})?(?:e[+-]?\d{1,3})?|Infinity)$/.test(text)) return undefined
  const number = Number(text)
  return String(number) === text ? number : toInteger(text) ?? text
}
