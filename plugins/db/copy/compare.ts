/**
 * Compares the rows of two databases, table by table: each side is read once, in its own order, and summed up (checksum.ts). Of a table that is not the same, some of the
 * rows that differ are looked for in a second reading.
 *
 * What is kept true: one step of rows is in memory, and of the second reading only what falls into a few of its buckets. Both sides are only read.
 */
import { CopyDiffers } from '../../errors.ts'
import type { Column as Content, Database, Queryable, Row } from '../types.ts'
import { bucketOf, Checksum, digest } from './checksum.ts'
import { contentName, keyName, namesOf } from './names.ts'
import { countRows, type OnProgress } from './options.ts'
import type { Column, Contents, Dialect, Plan, Table } from './types.ts'

/** One of the two databases, in a transaction. */
export interface Side { readonly db: Database, readonly tx: Queryable, readonly dialect: Dialect }

export interface Compared { readonly table: string, readonly rows: number, readonly checksum: string }

const STEP_ROWS = 500
const STEP_BYTES = 1_048_576
/** Those that are looked at in a second reading. */
const BUCKETS = 8

/** All tables are looked at before it throws `TDM_ERR_COPY_DIFFERS`. */
export async function compareTables (source: Side, target: Side, plans: readonly Plan[], onProgress: OnProgress | undefined): Promise<Compared[]> {
  let total = 0
  for (const plan of plans) total += await countRows(source.tx, plan.source) + await countRows(target.tx, plan.target)
  let rows = 0
  const compared: Compared[] = []
  const problems: string[] = []
  for (const plan of plans) {
    const table = plan.source.name
    const { checksum, problem } = await compareTable(source, target, plan, more => { onProgress?.({ doing: 'compare', table, rows: rows += more, total }) })
    compared.push({ table, rows: checksum.rows, checksum: String(checksum) })
    if (problem !== undefined) problems.push(`${table} (${problem})`)
  }
  if (problems.length > 0) throw new CopyDiffers(problems.join('; '))
  return compared
}

/** `onRows`: told of rows that were read, of both sides. */
async function compareTable (source: Side, target: Side, { source: from, target: to, columns }: Plan, onRows: (rows: number) => void): Promise<{ checksum: Checksum, problem?: string }> {
  const [froms, tos] = [columns.map(pair => pair.source), columns.map(pair => pair.target)]
  const readers = [new Reader(source, target, from, froms, tos), new Reader(target, source, to, tos, froms)] as const
  const [there, here] = [await sumUp(readers[0], onRows), await sumUp(readers[1], onRows)]
  const buckets = there.compare(here)
  if (buckets.length === 0) return { checksum: there }
  return { checksum: there, problem: `${tellCounts(there, here)}${await tellRows(readers, new Set(buckets.slice(0, BUCKETS)))}` }
}

/** The rows of one side. */
class Reader {
  readonly table: Table
  readonly #side: Side
  readonly #other: Side
  readonly #columns: readonly Column[]
  readonly #otherColumns: readonly Column[]

  constructor (side: Side, other: Side, table: Table, columns: readonly Column[], otherColumns: readonly Column[]) {
    this.table = table
    this.#side = side
    this.#other = other
    this.#columns = columns
    this.#otherColumns = otherColumns
  }

  /** Calls `visit` with the hash of each row, and, if `hasKeys`, its key. */
  async read (hasKeys: boolean, visit: (digest: Buffer, key: string) => void, onRows: (rows: number) => void = () => {}): Promise<void> {
    for await (const rows of inSteps(this.#side.tx.prepare(this.#select(hasKeys)).iterate())) {
      const contents = await this.#contentsOf(rows)
      for (const [i, row] of rows.entries()) visit(digest(contents[i] as readonly Content[]), hasKeys ? this.#keyOf(row) : '')
      onRows(rows.length)
    }
  }

  #select (hasKeys: boolean): string {
    const { dialect } = this.#side
    const form = dialect === this.#other.dialect ? dialect.ownField : dialect.commonField
    const fields = this.#columns.map((column, i) => `${form(column)} AS ${contentName(i)}`)
    const keys = hasKeys ? this.table.label.map((column, i) => `${dialect.keyField(column)} AS ${keyName(i)}`) : []
    const order = hasKeys && keys.length > 0 ? ` ORDER BY ${namesOf(this.table.label)}` : ''
    return `SELECT ${[...fields, ...keys].join(', ') || '1 AS none'} FROM ${this.table.relation}${order}`
  }

  async #contentsOf (rows: readonly Row[]): Promise<Contents> {
    const contents = rows.map(row => this.#columns.map((_, i) => row[contentName(i)] as Content))
    const { dialect, db } = this.#other
    return this.#side.dialect === dialect ? contents : await dialect.normalise(db, this.#otherColumns, this.#side.dialect.settle(this.#columns, contents))
  }

  #keyOf (row: Row): string {
    return this.table.label.map(({ name }, i) => `${name} = ${String(row[keyName(i)])}`).join(', ')
  }
}

async function sumUp (reader: Reader, onRows: (rows: number) => void): Promise<Checksum> {
  const sum = new Checksum()
  await reader.read(false, row => { sum.add(row) }, onRows)
  return sum
}

/** Some rows at a time; a large one alone. */
async function * inSteps (rows: AsyncIterable<Row>): AsyncGenerator<Row[], undefined> {
  let step: Row[] = []
  let bytes = 0
  for await (const row of rows) {
    step.push(row)
    bytes += sizeOf(Object.values(row))
    if (step.length < STEP_ROWS && bytes < STEP_BYTES) continue
    yield step
    step = []
    bytes = 0
  }
  if (step.length > 0) yield step
}

export function sizeOf (values: readonly unknown[]): number {
  let bytes = 0
  for (const value of values) bytes += typeof value === 'string' || value instanceof Uint8Array ? value.length : 8
  return bytes
}

function tellCounts (there: Checksum, here: Checksum): string {
  return there.rows === here.rows ? `${there.rows} rows in both` : `${there.rows} rows in the source, ${here.rows} in the target`
}

/** ', first id = 7' */
async function tellRows ([there, here]: readonly [Reader, Reader], buckets: ReadonlySet<number>): Promise<string> {
  const rows = new Map<string, { key: string, more: number }>()
  const collect = (sign: number) => (digest: Buffer, key: string): void => {
    if (!buckets.has(bucketOf(digest))) return
    const name = digest.toString('base64')
    const more = (rows.get(name)?.more ?? 0) + sign
    if (more === 0) rows.delete(name)
    else rows.set(name, { key, more })
  }
  await there.read(true, collect(1))
  await here.read(true, collect(-1))
  const [first] = rows.values()
  return first === undefined || first.key === '' ? '' : `, first seen at ${first.key}${first.more > 0 ? '' : ' of the target'}`
}
