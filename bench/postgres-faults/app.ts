/**
 * The app's side of the fault run, in a process of its own: clients on databases that are opened as an app opens them. Argument: an `AppPlan` as JSON. Messages:
 * sends 'ready'; 'begin' starts the clients; sends a `Tally` twice a second; 'end' lets them finish, tries each database, closes all, and sends an `AppReport`.
 */
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { readConfig } from '../../plugins/config/index.ts'
import { openDatabase } from '../../plugins/db/open.ts'
import type { Database } from '../../plugins/db/types.ts'
import { Random } from '../faults/random.ts'
import { Client } from './clients.ts'
import type { LedgerData } from './ledger.ts'
import { schema, type Times } from './tables.ts'

export interface AppPlan extends Times {
  readonly seed: number
  readonly clients: number
  /** Ways to the server; client n takes the (n mod length)-th. */
  readonly paths: ReadonlyArray<{ readonly name: string, readonly url: string }>
  readonly env: Readonly<Record<string, string>>
}

export interface Tally { readonly calls: number }

export interface AppReport {
  readonly ledgers: readonly LedgerData[]
  readonly problems: readonly string[]
  /** The longest time in which the process could not do anything; no call is faster than that. */
  readonly longestStallMs: number
  /** Until the first call succeeded when the faults were over, by path. */
  readonly recoveryMs: Readonly<Record<string, number>>
}

const RECOVERY_MS = 15_000
const CLOSE_MS = 10_000

const plan = JSON.parse(process.argv[2] ?? '{}') as AppPlan
const problems: string[] = []
process.on('uncaughtException', (error, origin) => { problems.push(`${origin}: ${error.stack ?? String(error)}`) })
process.once('disconnect', () => { process.exit(1) })

const quiet = (): void => {}
const databases: Array<{ name: string, db: Database }> = []
for (const { name, url } of plan.paths) databases.push({ name, db: await openDatabase(readConfig({ DATABASE_URL: url, ...plan.env }), { info: quiet, warn: quiet, error: quiet }) })
await databases[0]?.db.exec(schema)
process.send?.('ready')
await once(process, 'message')

const stalls = monitorEventLoopDelay({ resolution: 10 })
stalls.enable()
let isOver = false
const clients = Array.from({ length: plan.clients }, (_, i) => {
  const { db } = databases[i % databases.length] ?? {}
  if (db === undefined) throw new Error('there is no path to a server')
  return new Client(i, db, new Random(plan.seed * 7919 + i), plan)
})
const tally = setInterval(() => { process.send?.({ calls: clients.reduce((sum, { ledger }) => sum + ledger.length, 0) } satisfies Tally) }, 500)
const working = Promise.all(clients.map(async client => { await client.work(() => isOver) }))
await once(process, 'message')

isOver = true
await working
clearInterval(tally)
stalls.disable()
const recoveries = await Promise.all(databases.map(async ({ name, db }) => [name, await recover(name, db)] as const))
for (const { name, db } of databases) await close(name, db)
const report: AppReport = {
  ledgers: clients.map(({ ledger }) => ledger.toData()),
  problems: [...problems, ...clients.flatMap(client => client.problems)],
  longestStallMs: stalls.max / 1e6,
  recoveryMs: Object.fromEntries(recoveries)
}
process.send?.(report, () => { process.disconnect() })

async function recover (name: string, db: Database): Promise<number> {
  const startedAt = performance.now()
  for (;;) {
    const error = await db.prepare('SELECT 1 AS one').get().then(() => undefined, (error: unknown) => error)
    const ms = performance.now() - startedAt
    if (error === undefined) return ms
    if (ms > RECOVERY_MS) {
      problems.push(`${name}: still fails ${RECOVERY_MS} ms after the last fault: ${(error as Error).stack}`)
      return ms
    }
    await sleep(20)
  }
}

async function close (name: string, db: Database): Promise<void> {
  const late = setTimeout(() => { problems.push(`${name}: close() has not ended after ${CLOSE_MS} ms`) }, CLOSE_MS)
  await Promise.race([db.close(), sleep(CLOSE_MS + 100)])
  clearTimeout(late)
}
