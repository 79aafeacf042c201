/**
 * What became of a transaction whose COMMIT was not answered: the server keeps the fate of each transaction id, and `pg_xact_status` tells it. It is asked over fresh
 * connections, for some seconds, since the server may be on its way back; 'in progress' is asked again.
 *
 * Only the run of the server that gave the id is believed: one that has recovered from a crash may give an id that was lost to somebody else.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import type { Limits } from '../types.ts'
import type { CommitOutcome } from './connection.ts'
import { RUN_OF_SERVER } from './open.ts'

const LONGEST_MS = 5000
const BETWEEN_MS = 100

type Connect = (timeoutMs: number) => Promise<pg.Client>

/** Undefined: nobody who knows could be asked in time. */
export async function askOutcome (connect: Connect, id: string, run: string | undefined, limits: Limits): Promise<CommitOutcome> {
  const until = Math.min(performance.now() + LONGEST_MS, limits.deadline)
  for (;;) {
    const answer = await ask(connect, id, until - performance.now())
    if (answer !== undefined && answer.run !== run) return undefined
    if (answer?.status === 'committed' || answer?.status === 'aborted') return answer.status
    if (performance.now() + BETWEEN_MS > until) return undefined
    await pause(BETWEEN_MS)
  }
}

/** A connection of its own: those of the pool may all be in use, by those who wait for the same. */
async function ask (connect: Connect, id: string, timeoutMs: number): Promise<{ status: string | null, run: string } | undefined> {
  const within = Math.max(1, timeoutMs)
  const client = await connect(within).catch(() => {})
  if (client === undefined) return undefined
  const cut = setTimeout(() => { client.connection.stream.destroy() }, within)
  try {
    await client.query("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'") // the run is compared as text
    const { rows } = await client.query<{ status: string | null, run: string }>(`SELECT pg_xact_status($1::xid8) AS status, ${RUN_OF_SERVER} AS run`, [id])
    return rows[0]
  } catch {
    return undefined
  } finally {
    clearTimeout(cut)
    await client.end().catch(() => {})
  }
}
