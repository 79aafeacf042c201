/** Can the app do its work? One look at the database, which has a second. Stores: no Fastify. */
import type { Database } from '../../plugins/db/types.ts'
import { toNumber } from '../common/columns.ts'

const DEADLINE_MS = 1000

export interface Probe {
  readonly ok: boolean
  readonly ms: number
  /** The version of the item catalog; null: there is none yet, or the database does not answer. */
  readonly catalog: number | null
  readonly error?: unknown
}

/** Never throws. */
export async function probeDatabase (db: Database): Promise<Probe> {
  const begin = performance.now()
  const took = (): number => Math.round(performance.now() - begin)
  try {
    const row = await db.outsideTx(async () => await db.deadline(DEADLINE_MS, async () => await db.prepare('SELECT version FROM catalog_active').get()))
    return { ok: true, ms: took(), catalog: row === undefined ? null : toNumber(row.version) }
  } catch (error) {
    return { ok: false, ms: took(), catalog: null, error }
  }
}
