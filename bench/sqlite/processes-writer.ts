/** One of the processes that write to one file: opens it, waits for the start, writes, and tells how it went. */
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { leave, readJob, tell } from '../measure/child.ts'
import { addEntry, prepareRawEntry } from './ledger.ts'
import { openRaw } from './raw.ts'
import { openTandem } from './tandem.ts'

export interface Job {
  readonly who: 'db' | 'better-sqlite3'
  readonly path: string
  /** Of the keys of this process. */
  readonly prefix: string
  readonly transactions: number
}

export interface Told {
  /** Of the transactions that succeeded. */
  readonly keys: readonly string[]
  readonly errors: readonly string[]
  /** In ms. */
  readonly latencies: readonly number[]
  readonly ms: number
  readonly longestDelayMs: number
}

const AT_ONCE = 4

const job = readJob<Job>()
const { add, close } = await open()
await tell('ready')
await once(process, 'message')
await tell(await write())
await close()
leave()

async function open (): Promise<{ add: (key: string) => unknown, close: () => unknown }> {
  if (job.who === 'better-sqlite3') {
    const raw = openRaw(job.path)
    return { add: prepareRawEntry(raw), close: () => raw.close() }
  }
  const db = await openTandem(job.path)
  return { add: key => addEntry(db, key), close: () => db.close() }
}

async function write (): Promise<Told> {
  const keys: string[] = []
  const errors: string[] = []
  const latencies: number[] = []
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const start = performance.now()
  let next = 0
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < job.transactions) {
      const key = `${job.prefix}-${next++}`
      const began = performance.now()
      try {
        await add(key)
        keys.push(key)
      } catch (error) {
        errors.push(String(error))
      }
      latencies.push(performance.now() - began)
      await nextTurn()
    }
  }))
  const ms = performance.now() - start
  await pause(5) // the histogram has its last entry
  delay.disable()
  return { keys, errors, latencies, ms, longestDelayMs: delay.max / 1e6 }
}
