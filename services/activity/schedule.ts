/** When a delivery that failed is tried again. */
const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/** Before the first attempt, the second, … */
const DELAYS_MS = [0, 5 * SECOND_MS, 30 * SECOND_MS, 2 * MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS]
const JITTER = 0.2

/** After so many it is dead. */
export const MOST_ATTEMPTS = DELAYS_MS.length
/** Answers "too many" beyond these count as failures. */
export const MOST_THROTTLES = 20
/** So many dead ones in a row, and the webhook is disabled. */
export const MOST_DEAD = 5

/** After `failures` failed attempts, 1 to 7. `random`: 0 to 1. */
export function retryDelayMs (failures: number, random: () => number = Math.random): number {
  return Math.round((DELAYS_MS[failures] ?? 0) * (1 + JITTER * (2 * random() - 1)))
}
