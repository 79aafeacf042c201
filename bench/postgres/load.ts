/** A closed loop in this process: so many at a time, each followed by the next as soon as it is answered. */
import { formatNumber } from '../measure/report.ts'
import { bestQuarter, median } from '../measure/statistics.ts'

export interface Speed {
  readonly perSecond: number
  /** Of this process, for each. */
  readonly cpuMicros: number
}

let sent = 0

/** Runs `task` for so many seconds, `inFlight` at a time. Its argument is another number each time, in the whole process. */
export async function loadFor (seconds: number, inFlight: number, task: (i: number) => Promise<void>): Promise<Speed> {
  const start = performance.now()
  const end = start + seconds * 1000
  const before = process.cpuUsage()
  let count = 0
  const work = async (): Promise<void> => {
    while (performance.now() < end) {
      await task(sent++)
      count++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, work))
  const { user, system } = process.cpuUsage(before)
  return { perSecond: count / ((performance.now() - start) / 1000), cpuMicros: (user + system) / count }
}

/** '12,345 (6.7)': a second, of the fastest quarter, as ratios are; and the median of the µs. Without the time where it is not known. */
export function formatSpeed (list: readonly Speed[]): string {
  const micros = median(list.map(({ cpuMicros }) => cpuMicros))
  return `${formatNumber(Math.round(bestQuarter(list.map(({ perSecond }) => perSecond))))}${Number.isNaN(micros) ? '' : ` (${formatNumber(micros)})`}`
}
