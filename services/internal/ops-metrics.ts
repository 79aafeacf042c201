/** The outbox among the metrics of operators, `/ops/metrics`: as /api/v1/internal/metrics tells it. Asked for at each scrape, outside of every transaction. */
import type { FastifyInstance } from 'fastify'
import { Gauge } from 'prom-client'
import type {} from '../../plugins/ops/index.ts' // app.ops
import type { VaultContext } from '../common/context.ts'
import { measureOutbox } from './store/gauges.ts'

export function countOutbox ({ db, ops }: FastifyInstance, { now }: VaultContext): void {
  const registers = [ops.registry]
  const overdue = new Gauge({ name: 'vault_outbox_overdue_seconds', help: 'How long the oldest delivery that is not done has been due.', registers })
  new Gauge({
    name: 'vault_outbox',
    help: 'Deliveries to webhooks.',
    labelNames: ['status'],
    registers,
    async collect () {
      const { byStatus, overdueMs } = await db.outsideTx(async () => await measureOutbox(db, now()))
      for (const [status, count] of byStatus) this.set({ status }, count)
      overdue.set(overdueMs / 1000)
    }
  })
}
