/**
 * A cc-backend database that is read for an import: row by row, from one snapshot, never written to.
 *
 * What is kept true: a file that is not such a database, or has a schema version other than 9 to 11, is refused before anything is copied, with a message that says
 * what it is. Knows better-sqlite3, since what is read here is always an SQLite file, whatever the database of the service is.
 */
import { existsSync, statSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import Sqlite from 'better-sqlite3'
import { JobsImport } from './errors.ts'
import type { SourceValue, TableSpec } from './import-tables.ts'
import { problemOf } from './migrations/index.ts'

export class ImportSource {
  readonly path: string
  readonly #db: Sqlite.Database
  readonly #columns = new Map<string, ReadonlySet<string>>()

  /** Throws `TDM_ERR_JOBS_IMPORT`. */
  constructor (path: string) {
    this.path = path
    this.#db = open(path)
    try {
      this.#db.exec('BEGIN') // one snapshot for all tables
      this.#check()
    } catch (error) {
      this.close()
      throw error instanceof JobsImport ? error : new JobsImport(path, reasonOf(error), { cause: error })
    }
  }

  close (): void {
    this.#db.close()
  }

  /** True if it is the file at `other`. */
  async is (other: string): Promise<boolean> {
    return other !== '' && await realpath(other) === await realpath(this.path)
  }

  /** How many rows there are to copy, and how many more are left out because their parent is missing. */
  count (table: TableSpec): { rows: number, orphans: number } {
    if (!this.#has(table)) return { rows: 0, orphans: 0 }
    const rows = this.#countWhere(table, `WHERE ${hasParents(table)}`)
    return { rows, orphans: table.parents.length === 0 ? 0 : this.#countWhere(table, '') - rows }
  }

  /** The rows, values in the order of the columns of the table. */
  rows (table: TableSpec): IterableIterator<SourceValue[]> {
    if (!this.#has(table)) return [].values()
    const columns = this.#columnsOf(table.name)
    const fields = table.columns.map(({ name }) => columns.has(name) ? `${table.name}.${name}` : 'NULL')
    return this.#db.prepare(`SELECT ${fields.join(', ')} FROM ${table.name} WHERE ${hasParents(table)} ORDER BY ${table.primaryKey.join(', ')}`)
      .raw().iterate() as IterableIterator<SourceValue[]>
  }

  /** The first column that an import cannot do without and that is not there, as `table.column`. */
  findMissing (tables: readonly TableSpec[]): string | undefined {
    for (const table of tables.filter(candidate => this.#has(candidate))) {
      const missing = table.columns.find(({ name, isOptional }) => !isOptional && !this.#columnsOf(table.name).has(name))
      if (missing !== undefined) return `${table.name}.${missing.name}`
    }
    return undefined
  }

  #check (): void {
    const isCcBackend = ['version', 'dirty'].every(name => this.#columnsOf('schema_migrations').has(name)) && this.#columnsOf('job').has('job_id')
    if (!isCcBackend) throw new JobsImport(this.path, 'it is an SQLite database, but not one of cc-backend (which has the tables schema_migrations and job).')
    const record = this.#db.prepare('SELECT version, dirty FROM schema_migrations').get() as { version: unknown, dirty: unknown } | undefined
    const problem = problemOf(record?.version, record?.dirty)
    if (problem !== undefined) throw new JobsImport(this.path, problem)
  }

  #has (table: TableSpec): boolean {
    return this.#columnsOf(table.name).size > 0
  }

  #columnsOf (table: string): ReadonlySet<string> {
    const known = this.#columns.get(table)
    if (known !== undefined) return known
    const names = new Set(this.#db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[])
    this.#columns.set(table, names)
    return names
  }

  #countWhere (table: TableSpec, condition: string): number {
    return this.#db.prepare(`SELECT COUNT(*) FROM ${table.name} ${condition}`).pluck().get() as number
  }
}

/** As a condition; a column that may be NULL need not point anywhere. */
function hasParents ({ name, columns, parents }: TableSpec): string {
  const conditions = parents.map(({ column, table, key }) => {
    const exists = `EXISTS (SELECT 1 FROM ${table} AS parent WHERE parent.${key} = ${name}.${column})`
    return columns.find(spec => spec.name === column)?.isNullable === true ? `(${name}.${column} IS NULL OR ${exists})` : exists
  })
  return conditions.length === 0 ? 'TRUE' : conditions.join(' AND ')
}

function open (path: string): Sqlite.Database {
  if (!existsSync(path)) throw new JobsImport(path, 'there is no such file.')
  if (!statSync(path).isFile()) throw new JobsImport(path, 'it is not a file. Give the path of a job.db.')
  try {
    return new Sqlite(path, { readonly: true, fileMustExist: true })
  } catch (cause) {
    throw new JobsImport(path, reasonOf(cause), { cause })
  }
}

function reasonOf (error: unknown): string {
  const code = error instanceof Sqlite.SqliteError ? error.code : ''
  if (code.startsWith('SQLITE_NOTADB')) return 'it is not an SQLite database.'
  if (code.startsWith('SQLITE_CORRUPT')) return 'it is a damaged SQLite database. Check it with "sqlite3 job.db .recover".'
  if (code.startsWith('SQLITE_BUSY')) return 'another program has locked it. Try again, or import a copy.'
  if (code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_READONLY')) {
    return 'it cannot be opened. A database in WAL mode needs a folder that can be written to, even for reading: import a copy from such a folder.'
  }
  return 'it cannot be read.'
}
