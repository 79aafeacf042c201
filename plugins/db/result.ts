/** All rows of a statement, as long as they are not too many. */
import { DbResultTooLarge } from '../errors.ts'
import type { Row } from './types.ts'

/** What one `all()` may bring; Infinity: no limit. */
export interface ResultLimits { readonly maxRows: number, readonly maxBytes: number }

export class Result {
  readonly rows: Row[] = []
  readonly #limits: ResultLimits
  #bytes = 0

  constructor (limits: ResultLimits) {
    this.#limits = limits
  }

  /** Throws `TDM_ERR_DB_RESULT_TOO_LARGE`. */
  add ({ rows, bytes }: { readonly rows: readonly Row[], readonly bytes: number }): void {
    const { maxRows, maxBytes } = this.#limits
    for (const row of rows) this.rows.push(row)
    this.#bytes += bytes
    if (this.rows.length > maxRows) throw new DbResultTooLarge(`${maxRows} rows`, 'DB_MAX_ROWS')
    if (this.#bytes > maxBytes) throw new DbResultTooLarge(`${maxBytes} bytes`, 'DB_MAX_RESULT')
  }
}

/** About what the row takes in memory, in bytes. */
export function sizeOf (row: Row): number {
  let bytes = 16
  for (const name in row) {
    const column = row[name]
    bytes += typeof column === 'string' ? 16 + column.length : column instanceof Uint8Array ? 80 + column.byteLength : 8
  }
  return bytes
}
