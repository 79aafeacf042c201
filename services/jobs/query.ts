/** What every store function starts from: the database, the clock, and the conditions that a job of the answer has to meet. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { visibleTo } from './access.ts'
import { dialects } from './dialect.ts'
import { matching } from './filter.ts'
import type { Fragment } from './fragment.ts'
import type { JobColumn } from './rows.ts'
import type { JobsInput } from './schema.ts'

/** What the functions need of a database. Inside of `db.tx(fn)` they run in that transaction. */
export type JobsDatabase = Pick<Database, 'engine' | 'prepare'>

/** Told once for an answer, which rows of it were repaired. */
export type Warn = (details: { ids: number[], columns: JobColumn[] }, message: string) => void

/** What the answers depend on besides the database. */
export interface JobsOptions {
  /** Unix seconds. Default: the clock. */
  readonly now?: () => number
  /** A job that took less is a short one, in seconds. Default: 300. */
  readonly shortJobSeconds?: number
  /** Told about rows with NULL or broken JSON, which were answered with 0 or empty values. Default: nobody. */
  readonly warn?: Warn
}

/** The options with their defaults, and the clock read once: one answer has one now. */
export interface Settings { readonly now: number, readonly shortJobSeconds: number, readonly warn: Warn }

export function settingsOf ({ now = readClock, shortJobSeconds = 300, warn = warnNobody }: JobsOptions): Settings {
  return { now: now(), shortJobSeconds, warn }
}

/** The conditions of the user's role and of the filters. `steered`: see filter.ts. */
export function conditionsOf (db: JobsDatabase, { user, filter = [] }: JobsInput, now: number, steered = false): Fragment[] {
  return [...visibleTo(user), ...matching(filter, { dialect: dialects[db.engine], now, steered })]
}

export async function findRows<R = Row> (db: JobsDatabase, { text, values }: Fragment): Promise<R[]> {
  return await db.prepare<R>(text).all(...values)
}

function readClock (): number {
  return Math.floor(Date.now() / 1000)
}

function warnNobody (): void {}
