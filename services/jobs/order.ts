/**
 * In which order jobs are listed, and which page of them.
 *
 * What is kept true: the order is total (the id breaks ties, in the direction of the sort), so that pages never overlap; NULL comes first when ascending, on both
 * engines; only columns of this list can be sorted by.
 */
import { column, isPlainKey, type Dialect } from './dialect.ts'
import { JobsBadOrderField, JobsBadPage } from './errors.ts'
import { empty, sql, type Fragment } from './fragment.ts'
import type { Order, Page } from './schema.ts'

interface SortColumn { readonly name: string, readonly isNullable?: boolean }

const sortColumns: ReadonlyMap<string, SortColumn> = new Map<string, SortColumn>([
  ['id', { name: 'id' }],
  ['jobId', { name: 'job_id' }],
  ['user', { name: 'hpc_user' }],
  ['hpcUser', { name: 'hpc_user' }],
  ['project', { name: 'project' }],
  ['cluster', { name: 'cluster' }],
  ['subCluster', { name: 'subcluster' }],
  ['subcluster', { name: 'subcluster' }],
  ['partition', { name: 'cluster_partition', isNullable: true }],
  ['clusterPartition', { name: 'cluster_partition', isNullable: true }],
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
  ['energy', { name: 'energy' }],
  ['jobState', { name: 'job_state' }],
  ['shared', { name: 'shared' }],
  ['monitoringStatus', { name: 'monitoring_status' }]
])

/** The fields that an order of type 'col' may name. */
export const sortFields: readonly string[] = [...sortColumns.keys()]

/** True if every schema has an index in this order, our own and cc-backend's. */
export function isIndexed (order: Order | undefined): boolean {
  return order === undefined || (order.type === 'col' && (order.field === 'startTime' || order.field === 'id'))
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

function sortTerm ({ field, type }: Order, dialect: Dialect): { term: Fragment, isNullable: boolean } {
  if (type !== 'col') {
    if (!isPlainKey(field)) throw new JobsBadOrderField(field.slice(0, 40), 'the key of a footprint, of letters, digits and _')
    return { term: dialect.jsonNumber(column('footprint'), field), isNullable: true }
  }
  const sorted = sortColumns.get(field)
  if (sorted === undefined) throw new JobsBadOrderField(field.slice(0, 40), `one of ${sortFields.join(', ')}`)
  return { term: column(sorted.name), isNullable: sorted.isNullable === true }
}

/** ` LIMIT ? OFFSET ?`, or nothing for all rows. A page below 1 is the first. Throws `TDM_ERR_JOBS_BAD_PAGE`. */
export function limitTo (page: Page | undefined): Fragment {
  if (page === undefined || page.itemsPerPage === -1) return empty
  if (!Number.isSafeInteger(page.itemsPerPage) || page.itemsPerPage < 1) throw new JobsBadPage('itemsPerPage to be -1 (all) or at least 1', String(page.itemsPerPage))
  const offset = (Math.max(page.page, 1) - 1) * page.itemsPerPage
  if (!Number.isSafeInteger(offset)) throw new JobsBadPage('a page that can be counted to', String(page.page))
  return sql` LIMIT ${page.itemsPerPage} OFFSET ${offset}`
}

/** As `limitTo`, but a page below 1 is refused. */
export function limitStrictlyTo (page: Page | undefined): Fragment {
  if (page !== undefined && page.itemsPerPage !== -1 && page.page < 1) throw new JobsBadPage('page to be at least 1', String(page.page))
  return limitTo(page)
}
