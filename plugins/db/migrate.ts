/**
 * Brings the schema up to date: runs the migration files that the database does not have yet, with postgrator.
 *
 * A set is a folder with `sqlite/` and `postgres/`, each holding the same versions as `001.do.create-jobs.sql`, `002.do.…`; or, if both engines take the same text, a
 * folder that holds these files itself. What was applied is recorded per set in `tandem_migrations_<name>`, with a checksum that does not depend on line endings.
 *
 * What is kept true:
 *  1. Everything is read and judged before anything is written: a changed file in the last set keeps the first from being applied.
 *  2. A start with nothing to do reads, and takes no lock: it works on a read-only database and next to a long write.
 *  3. A set is applied in one transaction: all of its missing files, or none of them.
 *  4. Of several processes that start at once one applies, the others wait and find it done: PostgreSQL by an advisory lock that ends with the
 *     transaction, SQLite by the write transaction itself. What is missing is decided again under that lock.
 *  5. A foreign schema is never touched, nor is it missing anything.
 *  6. A database that a copy has not finished is refused, so that no app is served from half of its rows.
 *
 * Hence what a migration cannot hold: BEGIN and COMMIT (the transaction is not its own), VACUUM, CREATE INDEX CONCURRENTLY. Nothing here goes back:
 * `undo` files are refused, because an app that starts must never take a schema away.
 */
import { readdir } from 'node:fs/promises'
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import Postgrator from 'postgrator'
import { CopyIncomplete, MigrateChanged, MigrateFailed, MigrateFiles, MigrateMissing, MigrateTooNew, TxOutcomeUnknown } from '../errors.ts'
import { RECORD } from './copy/record.ts'
import type { Database, EngineName, Log, Queryable, Transaction, TxOptions } from './types.ts'

export interface MigrationSet {
  /** Lower-case letters, digits and underscores: part of a table's name. Never changes. */
  readonly name: string
  /** Holds `sqlite/` and `postgres/`, or the files themselves. */
  readonly directory: URL
  /** True: one text is for both engines. Default: each engine has a folder of its own. */
  readonly sameForBoth?: boolean
  /** True: the tables of this set belong to somebody else, who also keeps them up to date. Default: they are ours. */
  readonly isForeign?: (db: Database) => Promise<boolean>
}

/** One file of one set, by its file name without the folder. */
export interface AppliedMigration {
  readonly set: string
  readonly version: number
  readonly file: string
}

/** What one set would need. */
export interface MigrationPlan {
  readonly set: MigrationSet
  readonly isForeign: boolean
  readonly missing: readonly AppliedMigration[]
}

export interface MigrateOptions {
  /** 'on': apply what is missing. 'off': touch nothing, and throw `TDM_ERR_MIGRATE_MISSING` if anything is. */
  readonly mode: 'on' | 'off'
  readonly log: Log
  /** True: for a copy that goes on in this database. Default: one that is half copied is refused. */
  readonly isCopied?: boolean
}

type Migration = Postgrator.Migration
interface Applied { version: number, name: string, md5: string }

/** Recognised by every process that migrates the same PostgreSQL database; any number will do, as long as it stays this one. */
const LOCK = 7_236_101_913
const FILE = /^\d+\.do(?:\.[\w-]+)?\.sql$/
const NAME = /^[a-z][a-z0-9_]{0,39}$/

/**
 * Applies what the database lacks, set by set in the given order, and answers with what it applied.
 * Throws `TDM_ERR_MIGRATE_FAILED` (that set is left as it was), `TDM_ERR_MIGRATE_CHANGED`, `TDM_ERR_MIGRATE_TOO_NEW`, `TDM_ERR_MIGRATE_MISSING`,
 * `TDM_ERR_COPY_INCOMPLETE`.
 * Takes as long as it takes: of the time limits only `db.deadline` and `db.signal` around the call hold.
 */
export async function migrate (db: Database, sets: readonly MigrationSet[], { mode, log, isCopied = false }: MigrateOptions): Promise<AppliedMigration[]> {
  if (!isCopied && await hasTable(db, db.engine, RECORD)) throw new CopyIncomplete('database')
  const plans = await planMigrations(db, sets)
  const missing = plans.flatMap(plan => plan.missing)
  if (mode === 'off' && missing.length > 0) throw new MigrateMissing(missing.map(({ set, file }) => `${set}/${file}`).join(', '))
  const applied: AppliedMigration[] = []
  for (const plan of plans) {
    if (plan.isForeign) log.info({ set: plan.set.name }, 'this schema belongs to another application and is not migrated')
    if (plan.missing.length > 0) applied.push(...await applySet(db, plan.set, log))
  }
  return applied
}

/** What `migrate` would apply. Only reads. Throws as `migrate` does for files that changed and for a database that is too new. */
export async function planMigrations (db: Database, sets: readonly MigrationSet[]): Promise<MigrationPlan[]> {
  checkNames(sets)
  const plans: MigrationPlan[] = []
  for (const set of sets) plans.push(await planSet(db, set))
  return plans
}

async function planSet (db: Database, set: MigrationSet): Promise<MigrationPlan> {
  if (await set.isForeign?.(db) === true) return { set, isForeign: true, missing: [] }
  const files = await readFiles(createPostgrator(db, db.engine, set), set, db.engine)
  const missing = findMissing(set, files, await findApplied(db, db.engine, set))
  return { set, isForeign: false, missing: missing.map(file => describe(set, file)) }
}

// --- applying --------------------------------------------------------------------------------------------------------------

async function applySet (db: Database, set: MigrationSet, log: Log): Promise<AppliedMigration[]> {
  const progress = new Progress(set, log)
  try {
    const hasLocks = db.status().postgres?.can.advisoryLocks ?? false
    return await db.tx(async tx => await applyMissing(tx, db.engine, hasLocks, set, progress), transactionOptions(db.engine))
  } catch (error) {
    // Whether a COMMIT without an answer was rolled back nobody knows; waiting for the lock is no migration's failure.
    if (progress.current === undefined || error instanceof TxOutcomeUnknown) throw error
    throw new MigrateFailed(progress.current, { cause: error })
  }
}

/** Without `hasLocks` two that begin at the same time meet in the table of migrations, and one of them fails. */
async function applyMissing (tx: Transaction, engine: EngineName, hasLocks: boolean, set: MigrationSet, progress: Progress): Promise<AppliedMigration[]> {
  if (hasLocks) await tx.prepare('SELECT pg_advisory_xact_lock(?)').all(LOCK)
  const postgrator = createPostgrator(tx, engine, set)
  const files = await readFiles(postgrator, set, engine)
  const missing = findMissing(set, files, await findApplied(tx, engine, set))
  if (missing.length === 0) return []
  progress.follow(postgrator)
  await createTable(tx, set)
  await postgrator.runMigrations(missing)
  return missing.map(file => describe(set, file))
}

/** READ COMMITTED, because the snapshot must be younger than the lock; the time limits of ordinary work do not hold. */
function transactionOptions (engine: EngineName): TxOptions {
  const options: TxOptions = { mode: 'write', propagation: 'never', timeout: Infinity, statementTimeout: Infinity }
  return engine === 'postgres' ? { ...options, isolation: 'read committed' } : options
}

/** Knows which file is being applied, and logs those that are through. */
class Progress {
  current: string | undefined
  readonly #set: MigrationSet
  readonly #log: Log
  #startedAt = 0

  constructor (set: MigrationSet, log: Log) {
    this.#set = set
    this.#log = log
  }

  follow (postgrator: Postgrator): void {
    postgrator.on('migration-started', migration => { this.#start(migration) })
    postgrator.on('migration-finished', migration => { this.#finish(migration) })
  }

  #start (migration: Migration): void {
    this.current = `${this.#set.name}/${describe(this.#set, migration).file}`
    this.#startedAt = performance.now()
  }

  #finish (migration: Migration): void {
    this.#log.info({ ...describe(this.#set, migration), ms: Math.round(performance.now() - this.#startedAt) }, 'migration ran')
  }
}

// --- judging ---------------------------------------------------------------------------------------------------------------

/** The files that the database lacks, in order. Throws when what it has is not the beginning of what the files say. */
function findMissing (set: MigrationSet, files: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const newest = Math.max(0, ...applied.map(row => row.version))
  const latest = Math.max(0, ...files.map(file => file.version))
  if (newest > latest) throw new MigrateTooNew(`${set.name} is at version ${newest}, the files end with ${latest}`)
  for (const row of applied) checkUnchanged(set, row, files.find(file => file.version === row.version))
  const missing = files.filter(file => !applied.some(row => row.version === file.version))
  const late = missing.find(file => file.version < newest)
  if (late !== undefined) throw new MigrateChanged(`${set.name}/${describe(set, late).file} appeared after version ${newest} was applied`)
  return missing
}

function checkUnchanged (set: MigrationSet, row: Applied, file: Migration | undefined): void {
  if (file === undefined) throw new MigrateChanged(`${set.name} version ${row.version} (${row.name}) has no file any more`)
  if (file.md5 !== row.md5) throw new MigrateChanged(`${set.name}/${describe(set, file).file}`)
}

function describe (set: MigrationSet, { version, filename }: Migration): AppliedMigration {
  return { set: set.name, version, file: filename.slice(Math.max(filename.lastIndexOf('/'), filename.lastIndexOf(sep)) + 1) }
}

// --- the record in the database ----------------------------------------------------------------------------------------------

function tableOf (set: MigrationSet): string {
  return `tandem_migrations_${set.name}`
}

/** What postgrator would create, except that `run_at` is text: it writes UTC without saying so, which a session's time zone would shift. */
async function createTable (tx: Transaction, set: MigrationSet): Promise<void> {
  await tx.exec(`CREATE TABLE IF NOT EXISTS ${tableOf(set)} (version BIGINT PRIMARY KEY, name TEXT NOT NULL, md5 TEXT NOT NULL, run_at TEXT NOT NULL)`)
}

async function findApplied (db: Queryable, engine: EngineName, set: MigrationSet): Promise<Applied[]> {
  if (!await hasTable(db, engine, tableOf(set))) return []
  return await db.prepare<Applied>(`SELECT version, name, md5 FROM ${tableOf(set)} ORDER BY version`).all()
}

/**
 * PostgreSQL is asked for rows of its catalog, in the schemas that the statements which follow look in. `to_regclass` would not do: it may answer from the
 * session's cache, which the wait for the lock does not refresh, and then a table that another process has just made is not there.
 */
async function hasTable (db: Queryable, engine: EngineName, table: string): Promise<boolean> {
  const sql = engine === 'postgres'
    ? 'SELECT 1 AS found FROM pg_catalog.pg_tables WHERE schemaname = ANY (current_schemas(false)) AND tablename = ?'
    : 'SELECT 1 AS found FROM sqlite_master WHERE type = \'table\' AND name = ?'
  return await db.prepare(sql).get(table) !== undefined
}

// --- the files -----------------------------------------------------------------------------------------------------------------

function createPostgrator (db: Queryable, engine: EngineName, set: MigrationSet): Postgrator {
  return new Postgrator({
    driver: engine === 'postgres' ? 'pg' : 'sqlite3',
    schemaTable: tableOf(set),
    migrationPattern: `${escapeGlob(folderOf(set, engine))}/*.sql`,
    newline: 'LF',
    execQuery: async sql => ({ rows: await db.prepare(sql).all() }),
    execSqlScript: async sql => { await db.exec(sql) }
  })
}

function folderOf ({ directory, sameForBoth = false }: MigrationSet, engine: EngineName): string {
  const folder = new URL(directory)
  if (!folder.pathname.endsWith('/')) folder.pathname += '/'
  return fileURLToPath(sameForBoth ? folder : new URL(engine, folder)).replace(/[\\/]$/, '')
}

/** postgrator finds files by a pattern: what is magic in the folder's own name is taken at its word, and Windows' separators become slashes. */
function escapeGlob (path: string): string {
  return path.replaceAll(sep, '/').replace(/[\\?*()[\]{}]/g, '\\$&')
}

/** The files in order of their versions. postgrator passes over a file whose name it does not understand; here that is an error. */
async function readFiles (postgrator: Postgrator, set: MigrationSet, engine: EngineName): Promise<Migration[]> {
  const names = (await readdir(folderOf(set, engine)).catch(refuseFiles(set))).filter(name => name.endsWith('.sql'))
  const odd = names.find(name => !FILE.test(name))
  if (odd !== undefined) refuseFiles(set)(new Error(`${odd} is not named like 001.do.create-jobs.sql`))
  const files = await postgrator.getMigrations().catch(refuseFiles(set))
  return files.sort((a, b) => a.version - b.version)
}

function refuseFiles (set: MigrationSet): (cause: unknown) => never {
  return cause => { throw new MigrateFiles(set.name, { cause }) }
}

function checkNames (sets: readonly MigrationSet[]): void {
  const names = sets.map(set => set.name)
  const wrong = names.find((name, i) => !NAME.test(name) || names.indexOf(name) !== i)
  if (wrong !== undefined) throw new MigrateFiles(wrong, { cause: new Error('a set has a name of its own: lower-case letters, digits and underscores, at most 40') })
}
