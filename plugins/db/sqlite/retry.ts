/** Waiting for the lock of another process: between attempts, on a timer, and never inside of SQLite, which would keep the event loop. */
import { setTimeout as pause } from 'node:timers/promises'
import { errorKind } from '../../errors.ts'
import { checkLimits } from '../scope.ts'
import type { Limits } from '../types.ts'
import { isBusy, toOurError } from './errors.ts'

/** SQLite's own delays (sqliteDefaultBusyCallback), in ms. */
const BACK_OFF_MS = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100]

/** Tries again while another process holds the lock. `attempt` does nothing when it fails that way. Throws ours, of kind `busy` when the deadline comes first. */
export async function retryBusy<T> (sql: string, limits: Limits, attempt: () => T | Promise<T>): Promise<T> {
  let busy: unknown
  for (let tries = 0; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (!isBusy(error)) throw toOurError(busy !== undefined && errorKind(error) === 'timeout' ? busy : error, sql) // the time was lost waiting
      busy = error
      const wait = (BACK_OFF_MS[tries] ?? 100) * (0.5 + Math.random())
      if (performance.now() + wait > limits.deadline) throw toOurError(error, sql)
      await pause(wait, undefined, { signal: limits.signal }).catch(() => { checkLimits(limits, sql) })
    }
  }
}
