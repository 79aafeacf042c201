/** What a copy and a comparison can be told, what they answer, and the transactions that they run in. */
import type { Queryable, TxOptions } from '../types.ts'
import type { Table } from './types.ts'

export interface CompareOptions {
  /** Names of tables of the source. Default: all. */
  readonly tables?: readonly string[] | undefined
  /** Called after each step. */
  readonly onProgress?: OnProgress | undefined
}

export interface CopyOptions extends CompareOptions {
  /** Empties the tables of the target that are copied into before it begins; not when it goes on. Default: false. */
  readonly force?: boolean
  /** Takes away what an unfinished copy has left, and begins anew. Default: false, it goes on. */
  readonly restart?: boolean
  /** Rows that are committed together, if they are not too large for that. Minimum: 1. Default: 2000. */
  readonly stepRows?: number
  /** Called when the target is marked: from now on it is incomplete, until the copy has ended. */
  readonly onBegin?: () => void
}

export type OnProgress = (progress: CopyProgress) => void

/** `rows`: copied, or read on either side, by this call, in all tables together; `table`: the one that is being worked on. */
export interface CopyProgress { readonly doing: 'copy' | 'compare', readonly table: string, readonly rows: number, readonly total: number }

export interface CopySummary {
  /** In the order in which they were copied. The checksum is the same on both engines. */
  readonly tables: ReadonlyArray<{ readonly table: string, readonly rows: number, readonly checksum: string }>
  /** Tables of the source that were not: virtual ones of SQLite, foreign ones of PostgreSQL. */
  readonly leftOut: readonly string[]
}

export const writing: TxOptions = { propagation: 'never', timeout: Infinity, statementTimeout: Infinity }
export const reading: TxOptions = { ...writing, mode: 'read', isolation: 'repeatable read' }

export async function countRows (db: Queryable, { relation }: Table): Promise<number> {
  const row = await db.prepare(`SELECT count(*) AS count FROM ${relation}`).get()
  return Number(row?.count)
}
