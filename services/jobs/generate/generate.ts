/**
 * Fills an empty database with jobs that are made up, for measurements and tests.
 *
 * What is kept true:
 *  1. The same options give the same rows, on both engines.
 *  2. Rows go in without indices, some 50,000 a transaction; then the indices are made, each in a transaction of its own.
 *  3. What is interrupted can be gone on with: a record of what is there (`job_generation`) is written in the transactions of the rows. It is gone when everything is done.
 *  4. Nothing that somebody else has written is touched: a table with jobs and no record is refused.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Database, Queryable, Row, TxOptions, Value } from '../../../plugins/db/types.ts'
import { bulkRows, findIndices, prepareRows, type BulkTable, type Write } from '../bulk.ts'
import { JobsGenerate } from '../errors.ts'
import { converterOf, tables, type ColumnSpec } from '../import-tables.ts'
import { createIndex, indexSets, type IndexSet } from '../indices.ts'
import { columns, Jobs, people, type RowOptions } from './rows.ts'
import { tags, Taggings } from './tags.ts'

export interface GenerateOptions extends RowOptions {
  readonly indices: IndexSet
  /** Rows of one transaction. Default: 50,000. */
  readonly chunkRows?: number
  /** Called after each transaction. */
  readonly onProgress?: (progress: GenerateProgress) => void
  /** Told before what takes long and counts no rows, such as an index. */
  readonly onStep?: (step: string) => void
  /** Gives up after the transaction that is under way is undone; `generateJobs` rejects. */
  readonly signal?: AbortSignal
}

export interface GenerateProgress { readonly rows: number, readonly total: number }

/** What was there already, and the time that each part took. */
export interface GenerateSummary { readonly resumedAt: number, readonly rowSeconds: number, readonly indexSeconds: number }

/** What decides about the rows. */
interface Recorded extends RowOptions { readonly indices: IndexSet }

const CHUNK_ROWS = 50_000
const TEXT_EVERY = 100

const unlimited: TxOptions = { timeout: Infinity, statementTimeout: Infinity }

/**
 * Makes the jobs. The tables have to be there (see migrations/), with no jobs in them but those of an earlier call with the same options that was interrupted.
 * Throws `TDM_ERR_JOBS_GENERATE`.
 */
export async function generateJobs (db: Database, options: GenerateOptions): Promise<GenerateSummary> {
  const { signal } = options
  const run = async (): Promise<GenerateSummary> => await new Generation(db, options).run()
  return await (signal === undefined ? run() : db.signal(signal, run))
}

class Generation {
  readonly #db: Database
  readonly #options: GenerateOptions
  readonly #jobs: Jobs
  readonly #taggings: Taggings
  readonly #table: BulkTable
  readonly #convert: ReadonlyArray<(value: Value) => Value>
  readonly #chunkRows: number

  constructor (db: Database, options: GenerateOptions) {
    this.#db = db
    this.#options = options
    this.#chunkRows = options.chunkRows ?? CHUNK_ROWS
    this.#jobs = new Jobs(options)
    this.#taggings = new Taggings(options.seed)
    this.#table = { name: 'job', columns: columns.map(name => ({ name, isBlob: specOf(name).kind === 'json' })) }
    this.#convert = columns.map(name => converterOf(specOf(name), 'postgres', () => {}) as (value: Value) => Value)
  }

  async run (): Promise<GenerateSummary> {
    const resumedAt = await this.#begin()
    const startedAt = performance.now()
    await this.#writeRows()
    const writtenAt = performance.now()
    await this.#makeIndices()
    await this.#finish()
    return { resumedAt, rowSeconds: (writtenAt - startedAt) / 1000, indexSeconds: (performance.now() - writtenAt) / 1000 }
  }

  // --- begin, or go on ---------------------------------------------------------------------------------------------------------

  /** How many rows are there already. */
  async #begin (): Promise<number> {
    const { rows, seed, meta, badRows, until, indices } = this.#options
    const recorded: Recorded = { rows, seed, meta, badRows, until, indices }
    return await this.#db.tx(async tx => {
      const done = await findRecord(tx, this.#db, recorded)
      if (done === undefined) await this.#prepare(tx, recorded)
      this.#skip(done ?? 0)
      return done ?? 0
    }, unlimited)
  }

  async #prepare (tx: Queryable, recorded: Recorded): Promise<void> {
    for (const { name } of await findIndices(tx, this.#db.engine, 'job')) await tx.exec(`DROP INDEX ${name}`)
    await tx.exec('CREATE TABLE job_generation (options TEXT NOT NULL, done BIGINT NOT NULL)')
    await tx.prepare('INSERT INTO job_generation (options, done) VALUES (?, 0)').run(JSON.stringify(recorded))
    await this.#writeSome(tx, { name: 'hpc_user', columns: [{ name: 'username' }, { name: 'name' }, { name: 'roles' }, { name: 'projects' }] },
      people.map(({ username, name, project }) => [username, name, '["user"]', JSON.stringify([project])]))
    await this.#writeSome(tx, { name: 'tag', columns: [{ name: 'id' }, { name: 'tag_type' }, { name: 'tag_name' }] }, tags.map(({ id, type, name }) => [id, type, name]))
  }

  /** What is there already is made once more, and not written. */
  #skip (done: number): void {
    while (this.#jobs.done < done) {
      const rows = this.#jobs.take(Math.min(this.#chunkRows, done - this.#jobs.done))
      this.#taggings.take(rows.length)
    }
  }

  // --- rows --------------------------------------------------------------------------------------------------------------------

  async #writeRows (): Promise<void> {
    const { rows: total, onProgress } = this.#options
    while (this.#jobs.done < total) {
      await this.#db.tx(async tx => { await this.#writeChunk(tx) }, unlimited)
      onProgress?.({ rows: this.#jobs.done, total })
    }
  }

  /** The next rows are made while the database writes the last. */
  async #writeChunk (tx: Queryable): Promise<void> {
    const size = bulkRows[this.#db.engine]
    let writing: Promise<unknown> = tx.prepare('UPDATE job_generation SET done = ?').run(Math.min(this.#options.rows, this.#jobs.done + this.#chunkRows))
    for (let left = this.#chunkRows; left > 0; left -= size) {
      const rows = this.#jobs.take(Math.min(size, left))
      if (rows.length === 0) break
      const write = this.#prepareJobs(rows)
      await writing
      await nextTurn() // Ctrl-C
      writing = write(tx)
      writing.catch(() => {}) // it is awaited, but not before the next rows are made
    }
    await writing
    const taggings = this.#taggings.take(this.#jobs.done - this.#taggings.done)
    await this.#writeSome(tx, { name: 'jobtag', columns: [{ name: 'job_id' }, { name: 'tag_id' }] }, taggings)
  }

  /** One job in 100 has its JSON as text. */
  #prepareJobs (rows: readonly Value[][]): Write {
    if (this.#db.engine === 'sqlite') return prepareRows('sqlite', this.#table, rows, TEXT_EVERY)
    const fitting = this.#options.badRows ? rows.map(row => row.map((value, i) => (this.#convert[i] as (value: Value) => Value)(value))) : rows
    return prepareRows('postgres', this.#table, fitting)
  }

  async #writeSome (tx: Queryable, table: BulkTable, rows: readonly Value[][]): Promise<void> {
    const size = bulkRows[this.#db.engine]
    for (let i = 0; i < rows.length; i += size) await prepareRows(this.#db.engine, table, rows.slice(i, i + size))(tx)
  }

  // --- indices -----------------------------------------------------------------------------------------------------------------

  async #makeIndices (): Promise<void> {
    const { engine } = this.#db
    const there = new Set((await findIndices(this.#db, engine, 'job')).map(({ name }) => name))
    const missing = indexSets[this.#options.indices].filter(({ name }) => !there.has(name))
    for (const [i, index] of missing.entries()) {
      this.#options.onStep?.(`index ${i + 1} of ${missing.length}: ${index.name}`)
      await this.#db.tx(async tx => { await tx.exec(createIndex(index, engine)) }, unlimited)
    }
  }

  async #finish (): Promise<void> {
    await this.#db.tx(async tx => {
      await tx.exec('DROP TABLE job_generation')
      if (this.#db.engine === 'sqlite') return
      for (const table of ['job', 'tag']) {
        await tx.prepare(`SELECT setval(pg_get_serial_sequence('${table}', 'id'), MAX(id)) FROM ${table}`).all()
      }
      this.#options.onStep?.('ANALYZE')
      await tx.exec('ANALYZE job; ANALYZE jobtag; ANALYZE hpc_user; ANALYZE tag')
    }, unlimited)
  }
}

/** How many rows an interrupted call has left; undefined: there was none, and no jobs are there. Throws `TDM_ERR_JOBS_GENERATE`. */
async function findRecord (tx: Queryable, { engine }: Database, options: Recorded): Promise<number | undefined> {
  const exists = engine === 'sqlite' ? 'SELECT 1 AS found FROM sqlite_master WHERE name = \'job_generation\'' : 'SELECT 1 AS found FROM pg_class WHERE oid = to_regclass(\'job_generation\')'
  const record = await tx.prepare(exists).get() === undefined ? undefined : await tx.prepare('SELECT options, done FROM job_generation').get()
  if (record !== undefined) return doneOf(record, options)
  for (const table of ['job', 'hpc_user', 'tag']) {
    if (await tx.prepare(`SELECT 1 AS found FROM ${table} LIMIT 1`).get() !== undefined) throw new JobsGenerate(`there are rows in ${table} already. Only a fresh database is filled.`)
  }
  return undefined
}

function doneOf (record: Row, options: Recorded): number {
  const recorded: unknown = JSON.parse(String(record.options))
  if (isDeepStrictEqual(recorded, options)) return Number(record.done)
  throw new JobsGenerate(`it has ${String(record.done)} rows of a call that was interrupted, with other options: ${String(record.options)}. Use those, or a fresh database.`)
}

const specs = new Map(tables.find(({ name }) => name === 'job')?.columns.map(spec => [spec.name, spec]))

function specOf (name: string): ColumnSpec {
  return specs.get(name) as ColumnSpec
}
