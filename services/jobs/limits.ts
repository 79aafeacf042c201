/**
 * What a request may take, and what it is told when that was not enough.
 *
 * What is kept true: every statement of a route has a deadline; who is stopped by a limit is told which one it was and what to do, and nothing of the SQL or of what the
 * driver says, which is the cause, for the log.
 */
import type { Database } from '../../plugins/db/types.ts'
import { errorKind, PoolTimeout } from '../../plugins/errors.ts'
import { JobsBusy, JobsMemoryLimit, JobsTimeLimit } from './errors.ts'

/** In milliseconds. */
export interface Deadlines {
  /** Lists, single jobs, and everything that changes something. Default: 5000. */
  readonly list: number
  /** Counts, statistics, histograms. Default: 30,000. */
  readonly totals: number
  /** How long the reader of a stream may take nothing; its rows may take as long as they take. Default: 30,000. */
  readonly streamIdle: number
}

export const defaultDeadlines: Deadlines = { list: 5000, totals: 30_000, streamIdle: 30_000 }

/** A timer may come so much too early. */
const EARLY_MS = 2

/** Runs `fn` within `ms`. Throws `TDM_ERR_JOBS_TIME_LIMIT`, `TDM_ERR_JOBS_MEMORY_LIMIT`, `TDM_ERR_JOBS_BUSY`, or what `fn` throws. */
export async function within<T> (db: Database, ms: number, fn: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  try {
    return await db.deadline(ms, fn)
  } catch (cause) {
    const hasPassed = performance.now() - startedAt >= ms - EARLY_MS
    throw explainLimit(cause, hasPassed ? ms : undefined)
  }
}

/** `ms`: the deadline of the route, if it has passed. */
export function explainLimit (cause: unknown, ms?: number): unknown {
  const kind = errorKind(cause)
  if (kind === 'timeout') return exposed(new JobsTimeLimit(ms === undefined ? 'a statement may take (DB_STATEMENT_TIMEOUT, DB_TX_TIMEOUT)' : `this may take (${ms / 1000} s)`, { cause }))
  if (kind === 'memory') return exposed(new JobsMemoryLimit({ cause }))
  return kind === 'busy' || cause instanceof PoolTimeout ? exposed(new JobsBusy({ cause })) : cause
}

/** The form in which an app shows the message of a 5xx: as http-errors has it. */
function exposed<E extends Error> (error: E): E & { expose: true } {
  return Object.assign(error, { expose: true as const })
}
