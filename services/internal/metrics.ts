/** Which metrics there are. Those of the tables are asked for now, the others are of this process. */
import type { Database } from '../../plugins/db/types.ts'
import { hubOf } from '../vault/hub.ts'
import { listCounted } from './counters.ts'
import type { Metric } from './exposition.ts'
import { countPendingPayments, measureOutbox } from './store/gauges.ts'

export async function collectMetrics (db: Database, now: number): Promise<Metric[]> {
  const outbox = await measureOutbox(db, now)
  const queues = Object.entries(db.status().queues)
  return [
    { name: 'vault_requests_total', help: 'Requests that were answered.', type: 'counter', samples: samplesOf('vault_requests_total') },
    { name: 'vault_sync_results_total', help: 'What became of containers that plugins have reported.', type: 'counter', samples: samplesOf('vault_sync_results_total') },
    { name: 'vault_sse_streams', help: 'Pages that watch a group.', type: 'gauge', samples: [{ labels: {}, value: hubOf(db).size }] },
    { name: 'vault_outbox', help: 'Deliveries to webhooks.', type: 'gauge', samples: [...outbox.byStatus].map(([status, value]) => ({ labels: { status }, value })) },
    { name: 'vault_outbox_overdue_seconds', help: 'How long the oldest delivery that is not done has been due.', type: 'gauge', samples: [{ labels: {}, value: outbox.overdueMs / 1000 }] },
    { name: 'vault_billing_events_pending', help: 'Events of the payment provider that could not be applied yet.', type: 'gauge', samples: [{ labels: {}, value: await countPendingPayments(db) }] },
    { name: 'vault_db_used', help: 'Places of the database that are taken.', type: 'gauge', samples: queues.map(([queue, { used }]) => ({ labels: { queue }, value: used })) },
    { name: 'vault_db_waiting', help: 'Who waits for a place of the database.', type: 'gauge', samples: queues.map(([queue, { waiting }]) => ({ labels: { queue }, value: waiting })) }
  ]
}

function samplesOf (name: string): Metric['samples'] {
  return listCounted().filter(counted => counted.name === name)
}
