/** What metrics need to know of the tables. */
import type { Database } from '../../../plugins/db/types.ts'
import { toNumber, toNumberOrNull, toText } from '../../common/columns.ts'

type Db = Pick<Database, 'prepare'>

export interface OutboxGauges {
  readonly byStatus: ReadonlyMap<string, number>
  /** Of those that are to be delivered, how long the oldest has been due, in milliseconds; 0: nothing waits. */
  readonly overdueMs: number
}

const statuses = ['pending', 'sending', 'delivered', 'dead', 'cancelled'] as const

export async function measureOutbox (db: Db, now: number): Promise<OutboxGauges> {
  const rows = await db.prepare('SELECT status, COUNT(*) AS count FROM outbox GROUP BY status').all()
  const counts = new Map(rows.map(row => [toText(row.status), toNumber(row.count)]))
  const oldest = await db.prepare(`SELECT MIN(next_attempt_at) AS at FROM outbox WHERE status IN ('pending', 'sending')`).get()
  const dueAt = toNumberOrNull(oldest?.at ?? null)
  return { byStatus: new Map(statuses.map(status => [status, counts.get(status) ?? 0])), overdueMs: dueAt === null ? 0 : Math.max(0, now - dueAt) }
}

/** Events of the payment provider that are stored and not applied. */
export async function countPendingPayments (db: Db): Promise<number> {
  return toNumber((await db.prepare('SELECT COUNT(*) AS count FROM billing_events WHERE processed_at IS NULL').get())?.count)
}
