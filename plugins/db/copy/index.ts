/**
 * Copies the rows of one database into another one, from engine to engine or within one, and compares them. The tables have to be there; their schema is not made here.
 *
 * What is kept true:
 *  1. Rows are committed in steps, in the order of a key, each with the place that was reached (progress.ts). What was interrupted, however, goes on from there.
 *  2. From before the first row until everything is compared, the target is marked: no app starts on it (migrate.ts).
 *  3. The source is only read, each time from one snapshot. If it has changed between two times, the comparison finds it.
 *  4. No value is rounded, cut or taken for another one: what a column of the target cannot hold as it is ends the copy. Only the form differs (a boolean of
 *     PostgreSQL is 1 or 0 in SQLite, a timestamp is ISO-8601 text, NaN is the text 'NaN'), so that the way back ends where it began.
 *  5. Two steps of rows are in memory, whatever the size of the tables.
 *  6. Foreign keys hold at every COMMIT: parents come before their children. A table with a key that points at itself, and tables in a circle, are one step, as is a table without
 *     a key to go by.
 *
 * Triggers of the target fire as for any other insert; if they change rows that are copied, the comparison finds it.
 */
import { CopySame } from '../../errors.ts'
import type { Database, EngineName, Queryable } from '../types.ts'
import { compareTables, type Side } from './compare.ts'
import { Copying } from './copying.ts'
import { reading, type CompareOptions, type CopyOptions, type CopySummary } from './options.ts'
import { findLeftOut, makePlans } from './plan.ts'
import { postgres } from './postgres.ts'
import { sqlite } from './sqlite.ts'
import type { Dialect } from './types.ts'

export type { CompareOptions, CopyOptions, CopyProgress, CopySummary } from './options.ts'

const dialects: Readonly<Record<EngineName, Dialect>> = { sqlite, postgres }

/**
 * Copies the rows of all tables, or of those in `tables`, going on where an earlier call has stopped, and compares. Takes as long as it takes; the deadlines and signals of the
 * scope hold for both databases.
 *
 * Throws `TDM_ERR_COPY_SAME`, `TDM_ERR_COPY_SCHEMA`, `TDM_ERR_COPY_NOT_EMPTY`, `TDM_ERR_COPY_OTHER` before anything is written, and `TDM_ERR_COPY_INCOMPLETE` if the source is an unfinished
 * copy itself; `TDM_ERR_COPY_FAILED`, `TDM_ERR_COPY_DIFFERS`, `TDM_ERR_COPY_CONCURRENT` afterwards.
 */
export async function copyDatabase (source: Database, target: Database, options: CopyOptions = {}): Promise<CopySummary> {
  await refuseSame(source, target)
  return await source.tx(async from => await new Copying(sideOf(source, from), sideOf(target, target), options).run(), reading)
}

/** Compares the rows of all tables of the source, or of those in `tables`, with the target's. Throws `TDM_ERR_COPY_DIFFERS`, `TDM_ERR_COPY_SAME`, `TDM_ERR_COPY_SCHEMA`. */
export async function compareDatabases (source: Database, target: Database, { tables, onProgress }: CompareOptions = {}): Promise<CopySummary> {
  await refuseSame(source, target)
  return await source.tx(async from => await target.tx(async to => {
    const sides = [sideOf(source, from), sideOf(target, to)] as const
    const [sources, targets] = [await sides[0].dialect.readTables(from), await sides[1].dialect.readTables(to)]
    return { tables: await compareTables(...sides, makePlans(sources, targets, tables), onProgress), leftOut: findLeftOut(sources) }
  }, reading), reading)
}

async function refuseSame (source: Database, target: Database): Promise<void> {
  if (source.engine !== target.engine) return
  const { identify } = dialects[source.engine]
  if (await identify(source) === await identify(target)) throw new CopySame()
}

function sideOf (db: Database, tx: Queryable): Side {
  return { db, tx, dialect: dialects[db.engine] }
}
