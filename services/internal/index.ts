/** The routes of metrics, the outbox, the reset of a development database: for who runs the app, see access.ts. */
import type { FastifyInstance } from 'fastify'
import { errorKind } from '../../plugins/errors.ts'
import type { VaultContext } from '../common/context.ts'
import { countOutbox } from './ops-metrics.ts'
import { metricsRoute } from './routes/metrics.ts'
import { outboxRoute } from './routes/outbox.ts'
import { resetRoute } from './routes/reset.ts'
import { markEnvironment } from './store/environment.ts'

export default async function internal (app: FastifyInstance, context: VaultContext): Promise<void> {
  await mark(app, context)
  countOutbox(app, context)
  metricsRoute(app, context)
  outboxRoute(app, context)
  resetRoute(app, context)
}

/** None in a database that can only be read. */
async function mark ({ db }: FastifyInstance, { settings }: VaultContext): Promise<void> {
  try {
    await markEnvironment(db, settings.devTools)
  } catch (error) {
    if (errorKind(error) !== 'readonly') throw error
  }
}
