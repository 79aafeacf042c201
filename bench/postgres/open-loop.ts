/**
 * An open loop: statements are sent when they are due, however late the answers are, at random times of a given rate (a Poisson process). Latencies count from when a
 * statement was due. The loop ticks each millisecond, so up to one of each latency is its own, for everybody alike.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Random } from '../faults/random.ts'

export interface OpenLoop {
  /** Milliseconds, of those that `isCounted` says. */
  readonly latencies: readonly number[]
  /** Of this process, in processors. */
  readonly cores: number
}

export interface Arrival {
  readonly isCounted: boolean
  readonly done: Promise<unknown>
}

/** `send`: its argument is the number of the arrival. Resolves when everything is answered. */
export async function runOpenLoop (perSecond: number, seconds: number, send: (i: number) => Arrival): Promise<OpenLoop> {
  const times = arrivalsOf(perSecond, seconds)
  const latencies: number[] = []
  const answers: Array<Promise<void>> = []
  const before = process.cpuUsage()
  const start = performance.now()
  for (let i = 0; i < times.length;) {
    await pause(1)
    for (let due = times[i]; due !== undefined && start + due <= performance.now(); due = times[++i]) answers.push(sendOne(send(i), start + due, latencies))
  }
  await Promise.all(answers)
  const { user, system } = process.cpuUsage(before)
  return { latencies, cores: (user + system) / 1000 / (performance.now() - start) }
}

async function sendOne ({ isCounted, done }: Arrival, due: number, latencies: number[]): Promise<void> {
  await done
  if (isCounted) latencies.push(performance.now() - due)
}

/** Milliseconds after the start; the same each time. */
function arrivalsOf (perSecond: number, seconds: number): number[] {
  const random = new Random(7)
  const times: number[] = []
  for (let at = 0; at < seconds * 1000; times.push(at)) at += -Math.log(1 - random.next()) * 1000 / perSecond
  return times
}
