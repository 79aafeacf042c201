/** Which failures are worth another attempt of the whole transaction, and how long to wait before it. */
import { setTimeout as pause } from 'node:timers/promises'
import { errorKind, TxLost, TxOutcomeUnknown } from '../errors.ts'

const RETRYABLE: ReadonlySet<unknown> = new Set(['serialization', 'deadlock', 'busy'])
const LONGEST_PAUSE_MS = 1000

/** True if nothing of the transaction was kept, and the same again may succeed. Looked for through the causes; an unknown outcome is never repeated. */
export function isRetryable (error: unknown): boolean {
  for (let e = error, depth = 0; e instanceof Error && depth < 10; e = e.cause, depth++) {
    if (e instanceof TxOutcomeUnknown) return false
    if (e instanceof TxLost) return true
  }
  return RETRYABLE.has(errorKind(error))
}

/** Runs `attempt` (its argument counts from 1) until it succeeds, fails for another reason, or was run `retries` + 1 times; the last error then has `attempts`. */
export async function withRetries<T> (retries: number, attempt: (number: number) => Promise<T>, mayRetry: (error: unknown) => boolean = isRetryable): Promise<T> {
  for (let number = 1; ; number++) {
    try {
      return await attempt(number)
    } catch (error) {
      if (number > retries || !mayRetry(error)) throw retries > 0 && error instanceof Error ? Object.assign(error, { attempts: number }) : error
      await pause(Math.random() * Math.min(LONGEST_PAUSE_MS, 5 * 2 ** number))
    }
  }
}
