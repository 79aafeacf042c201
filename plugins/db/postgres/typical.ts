/**
 * What something usually takes, and what it takes at least, of late. A machine that has too much to do makes everything slower at once: what is slow is told by comparing.
 */

/** Of the median, by which it follows each time. */
const STEP = 0.05
/** Of what the shortest is too short by, forgotten each time. */
const FORGETS = 0.01
const LEAST_MS = 0.001

export class Typical {
  /** A running median. */
  medianMs: number
  shortestMs: number

  constructor (firstMs: number) {
    this.medianMs = firstMs
    this.shortestMs = firstMs
  }

  add (ms: number): void {
    this.medianMs = Math.max(LEAST_MS, this.medianMs * (ms > this.medianMs ? 1 + STEP : 1 - STEP))
    this.shortestMs = ms < this.shortestMs ? ms : this.shortestMs + FORGETS * (ms - this.shortestMs)
  }
}
