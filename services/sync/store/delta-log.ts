/** The deltas of the last day, with what they added: that none counts twice, and that a snapshot which belongs before one does not undo it. Store: no Fastify. */
import { toText } from '../../common/columns.ts'
import { KEPT_MS, recordOnce } from '../../common/idempotency-keys.ts'
import type { Slot } from '../content.ts'
import { isAfter, type Db, type Moment } from './place.ts'

export interface LoggedDelta extends Moment { readonly add: readonly Slot[] }

const scopeOf = (memberId: string): string => `delta:${memberId}`

/** False: it is there already. Inside a transaction. Throws `IDEMPOTENCY_MISMATCH` if that was another delta. */
export async function logDelta (db: Db, memberId: string, deltaId: string, requestHash: string, delta: LoggedDelta, now: number): Promise<boolean> {
  return await recordOnce(db, { scope: scopeOf(memberId), key: deltaId, requestHash }, now, { answer: { status: 200, response: JSON.stringify(delta) } })
}

/** In the order in which they came. */
export async function listDeltasAfter (db: Db, memberId: string, moment: Moment, now: number): Promise<Array<readonly Slot[]>> {
  const rows = await db.prepare('SELECT response FROM idempotency_keys WHERE scope = ? AND created_at > ? ORDER BY created_at, key').all(scopeOf(memberId), now - KEPT_MS)
  return rows.map(row => JSON.parse(toText(row.response)) as LoggedDelta).filter(delta => isAfter(delta, moment)).map(({ add }) => add)
}
