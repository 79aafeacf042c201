/**
 * The rows of one table, read in the order of its key from behind a place, and made ready to be written some at a time.
 *
 * What is kept true: a step holds rows up to a number and a size, or one larger row; its place is that of its last row.
 */
import { CopyFailed } from '../../errors.ts'
import type { Column as Content, Row, Value } from '../types.ts'
import { sizeOf, type Side } from './compare.ts'
import { contentName, keyName, namesOf, quote } from './names.ts'
import type { Place } from './progress.ts'
import type { Column, Dialect, KeyColumn, Plan, Table, Write } from './types.ts'

/** Rows that are ready, and the place behind them. */
export interface Step { readonly write: Write, readonly rows: number, readonly place: Place }

const STEP_BYTES = 1_048_576

/** Throws `TDM_ERR_COPY_FAILED` for a value that would not be the same in the target. */
export async function * readSteps (from: Side, to: Dialect, plan: Plan, start: Place, stepRows: number): AsyncGenerator<Step, undefined> {
  const step = new Builder(to, plan, start, stepRows)
  for await (const row of from.tx.prepare(selectRows(from.dialect, to, plan, start)).iterate(...start.key ?? [])) {
    step.add(row)
    if (step.isFull) yield step.take()
  }
  if (!step.isEmpty) yield step.take()
}

class Builder {
  readonly #to: Dialect
  readonly #target: Table
  readonly #columns: readonly Column[]
  readonly #key: readonly KeyColumn[]
  readonly #stepRows: number
  #place: Place
  #rows: Value[][] = []
  #bytes = 0

  constructor (to: Dialect, { source, target, columns }: Plan, start: Place, stepRows: number) {
    this.#to = to
    this.#stepRows = stepRows
    this.#target = target
    this.#columns = columns.map(pair => pair.target)
    this.#key = source.key
    this.#place = start
  }

  get isEmpty (): boolean {
    return this.#rows.length === 0
  }

  get isFull (): boolean {
    return this.#rows.length >= this.#stepRows || this.#bytes >= STEP_BYTES
  }

  add (row: Row): void {
    this.#place = { key: this.#key.map((_, i) => row[keyName(i)] as Value), rows: this.#place.rows + 1, isDone: false }
    const values = this.#columns.map((column, i) => this.#to.convert(row[contentName(i)] as Content, column))
    if (values.includes(undefined)) throw unfit(this.#target, this.#place.rows, this.#columns[values.indexOf(undefined)])
    this.#rows.push(values as Value[])
    this.#bytes += sizeOf(values)
  }

  take (): Step {
    const step = { write: this.#to.prepare(this.#target, this.#columns, this.#rows), rows: this.#rows.length, place: this.#place }
    this.#rows = []
    this.#bytes = 0
    return step
  }
}

/** The value itself is not told. */
function unfit (table: Table, number: number, column: Column | undefined): Error {
  return new CopyFailed(table.name, `in row ${number}, the value of ${column?.name} would not be the same in the target's column (${column?.type || 'no type'}).`)
}

function selectRows (from: Dialect, to: Dialect, { source, columns }: Plan, start: Place): string {
  const fields = columns.map((column, i) => `${from === to ? from.ownField(column.source) : quote(column.source.name)} AS ${contentName(i)}`)
  const keys = source.key.map((column, i) => `${from.keyField(column)} AS ${keyName(i)}`)
  const names = namesOf(source.key)
  const after = start.key === undefined ? '' : ` WHERE (${names}) > (${source.key.map(from.keyValue).join(', ')})`
  return `SELECT ${[...fields, ...keys].join(', ') || '1 AS none'} FROM ${source.relation}${after}${names === '' ? '' : ` ORDER BY ${names}`}`
}
