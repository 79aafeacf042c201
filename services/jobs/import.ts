/**
 * Copies a cc-backend database (job.db, schema version 9 to 11) into the database of the service.
 *
 * What is kept true:
 *  1. All or nothing: everything is one transaction, also when it is given up half way.
 *  2. Repeatable: ids are kept; a row that is there already (same primary key) is overwritten, one that has only the unique key in common makes way. Rows
 *     that only the target has stay.
 *  3. Streaming: two batches of rows are in memory, whatever the size of the source. Between batches others get a turn.
 *  4. The source is only read, and read from one snapshot.
 *  5. A table that is empty is filled as fast as the engine can (bulk.ts): without its indices, which are made afterwards.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Database, EngineName, Queryable, Value } from '../../plugins/db/types.ts'
import { JobsImport } from './errors.ts'
import type { Fragment } from './fragment.ts'
import { bulkRows, prepareRows, withoutIndices } from './bulk.ts'
import { deleteRivals, replaceRows, type Batch } from './import-batch.ts'
import { ImportSource } from './import-source.ts'
import { converterOf, tables, type SourceValue, type TableSpec } from './import-tables.ts'
import { isForeign } from './migrations/index.ts'

export interface ImportOptions {
  /** Called after each batch. */
  readonly onProgress?: (progress: ImportProgress) => void
  /** Told before each index that is made. */
  readonly onIndex?: (name: string) => void
  /** Gives up: nothing is imported, and `importJobs` rejects. */
  readonly signal?: AbortSignal
}

/** Of all tables together, except `table`: the one that is being copied. */
export interface ImportProgress { readonly table: string, readonly rows: number, readonly total: number }

export interface TableSummary {
  readonly table: string
  /** Rows copied. */
  readonly rows: number
  /** Values that did not fit, such as invalid JSON, and were imported as NULL or empty. */
  readonly repaired: number
  /** Rows left out, because what they point at is not in the source. */
  readonly orphans: number
}

/**
 * Copies all tables and answers with one summary each. The tables have to be there (see migrations/).
 * Throws `TDM_ERR_JOBS_IMPORT` for a source or a target that cannot be used, and leaves the target as it was with any error.
 */
export async function importJobs (db: Database, sourcePath: string, options: ImportOptions = {}): Promise<TableSummary[]> {
  const { signal } = options
  const source = new ImportSource(sourcePath)
  try {
    signal?.throwIfAborted()
    await checkTarget(db, source)
    const unlimited = { timeout: Infinity, statementTimeout: Infinity }
    const run = async (): Promise<TableSummary[]> => await db.tx(async tx => await copyAll(source, tx, db, options), unlimited)
    return await (signal === undefined ? run() : db.signal(signal, run))
  } finally {
    source.close()
  }
}

async function checkTarget (db: Database, source: ImportSource): Promise<void> {
  const missing = source.findMissing(tables)
  if (missing !== undefined) throw new JobsImport(source.path, `it has no column ${missing}.`)
  if (db.engine !== 'sqlite') return
  const target = await db.prepare('SELECT file FROM pragma_database_list WHERE name = \'main\'').get()
  if (await source.is(String(target?.file))) throw new JobsImport(source.path, 'it is the configured database itself.')
  if (!await isForeign(db)) return
  throw new JobsImport(source.path, 'the configured database belongs to a cc-backend, and is used as it is. Configure another one to import into (DATABASE_URL).')
}

async function copyAll (source: ImportSource, tx: Queryable, { engine }: Database, { onProgress, onIndex }: ImportOptions): Promise<TableSummary[]> {
  const counts = tables.map(table => source.count(table))
  const total = counts.reduce((sum, { rows }) => sum + rows, 0)
  const summaries: TableSummary[] = []
  let before = 0
  for (const [i, table] of tables.entries()) {
    const copy = new TableCopy(tx, table, engine, rows => { onProgress?.({ table: table.name, rows: before + rows, total }) })
    await copy.run(source.rows(table), onIndex)
    summaries.push({ table: table.name, rows: copy.rows, repaired: copy.repaired, orphans: counts[i]?.orphans ?? 0 })
    before += copy.rows
    if (engine === 'postgres') await finishTable(tx, table)
  }
  return summaries
}

/** The next id comes after all that were copied, and the planner knows the table. */
async function finishTable (tx: Queryable, { name, primaryKey }: TableSpec): Promise<void> {
  if (primaryKey.join() === 'id') {
    await tx.prepare(`SELECT setval(sequence, GREATEST(largest, pg_sequence_last_value(CAST(sequence AS regclass)))) FROM
      (SELECT pg_get_serial_sequence('${name}', 'id') AS sequence, MAX(id) AS largest FROM ${name}) AS ids WHERE largest IS NOT NULL`).all()
  }
  await tx.exec(`ANALYZE ${name}`)
}

/** The copy of one table: collects rows to batches, and collects the next one while the database writes the last. */
class TableCopy {
  rows = 0
  repaired = 0
  readonly #tx: Queryable
  readonly #table: TableSpec
  readonly #engine: EngineName
  readonly #onBatch: (rows: number) => void
  readonly #convert: Array<(value: SourceValue) => Value>
  #isReplacing = true

  constructor (tx: Queryable, table: TableSpec, engine: EngineName, onBatch: (rows: number) => void) {
    this.#tx = tx
    this.#table = table
    this.#engine = engine
    this.#onBatch = onBatch
    this.#convert = table.columns.map(column => converterOf(column, engine, () => { this.repaired++ }))
  }

  async run (source: Iterable<SourceValue[]>, onIndex: ImportOptions['onIndex']): Promise<void> {
    this.#isReplacing = await this.#tx.prepare(`SELECT 1 AS found FROM ${this.#table.name} LIMIT 1`).get() !== undefined
    if (this.#isReplacing) await this.#copy(source)
    else await withoutIndices(this.#tx, this.#engine, this.#table.name, async () => { await this.#copy(source) }, onIndex)
  }

  async #copy (source: Iterable<SourceValue[]>): Promise<void> {
    let writing = Promise.resolve()
    for (const rows of this.#batches(source)) {
      const write = this.#prepare({ table: this.#table, rows })
      await writing
      writing = write()
      writing.catch(() => {}) // it is awaited, but not before the next batch has been read
      await nextTurn()
    }
    await writing
  }

  * #batches (source: Iterable<SourceValue[]>): Generator<Value[][]> {
    let batch: Value[][] = []
    for (const row of source) {
      batch.push(this.#convert.map((convert, i) => convert(row[i] ?? null)))
      if (batch.length < bulkRows[this.#engine]) continue
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  }

  /** What can be done of it while the last batch is written. */
  #prepare (batch: Batch): () => Promise<void> {
    const write = this.#isReplacing ? async () => { await this.#replace(batch) } : prepareRows(this.#engine, this.#table, batch.rows)
    return async () => {
      await write(this.#tx)
      this.rows += batch.rows.length
      this.#onBatch(this.rows)
    }
  }

  async #replace (batch: Batch): Promise<void> {
    const { uniqueKey } = this.#table
    if (uniqueKey !== undefined) await this.#run(deleteRivals(batch, uniqueKey, this.#engine))
    await this.#run(replaceRows(batch, this.#engine))
  }

  async #run ({ text, values }: Fragment): Promise<void> {
    await this.#tx.prepare(text).run(...values)
  }
}
