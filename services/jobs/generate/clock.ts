/**
 * When jobs start: over 4.5 years up to a fixed end, at twice the rate in the end as in the beginning, most of them by day and on weekdays.
 *
 * What is kept true: the `i`th of `count` starts lies in the `i`th of `count` parts of all work, so starts never go back and are spread over the whole time, whatever `count` is.
 */

export const SPAN_SECONDS = Math.round(4.5 * 365.25 * 86_400)

const HOUR = 3600
/** By hour of the day; most jobs start from 8 to 20 o'clock. */
const byHour = [0.35, 0.3, 0.25, 0.25, 0.25, 0.3, 0.5, 0.8, 1.2, 1.6, 1.8, 1.7, 1.5, 1.6, 1.7, 1.7, 1.6, 1.5, 1.3, 1.1, 0.9, 0.7, 0.6, 0.5]
/** By day of the week, Thursday first: that is 1970-01-01. */
const byDay = [1.2, 1.05, 0.6, 0.55, 1.1, 1.2, 1.2]

export class Starts {
  readonly #begin: number
  readonly #perJob: number
  /** Work of each hour. */
  readonly #hours: Float64Array
  #hour = 0
  /** Work of all hours before. */
  #before = 0

  /** `until`: unix seconds. */
  constructor (count: number, until: number) {
    this.#begin = until - SPAN_SECONDS
    const hours = SPAN_SECONDS / HOUR
    this.#hours = Float64Array.from({ length: hours }, (_, hour) => workAt(this.#begin + hour * HOUR) * 2 ** (hour / hours))
    this.#perJob = this.#hours.reduce((sum, work) => sum + work, 0) / count
  }

  /** Unix seconds. To be called with i = 0, 1, 2, …; `within`: where in its part, from 0 up to 1. */
  startOf (i: number, within: number): number {
    const work = (i + within) * this.#perJob
    while (this.#hour < this.#hours.length - 1 && this.#before + (this.#hours[this.#hour] as number) <= work) this.#before += this.#hours[this.#hour++] as number
    const share = Math.min((work - this.#before) / (this.#hours[this.#hour] as number), 1)
    return Math.min(this.#begin + Math.floor((this.#hour + share) * HOUR), this.#begin + SPAN_SECONDS - 1)
  }
}

function workAt (seconds: number): number {
  const hour = Math.floor(seconds / HOUR)
  return (byHour[hour % 24] as number) * (byDay[Math.floor(hour / 24) % 7] as number)
}
