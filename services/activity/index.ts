/** The routes of what happened, and webhooks; and the worker that delivers, which lives as long as the app. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'
import { activityRoutes } from './routes/activity.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { OutboxWorker } from './worker.ts'

export default async function activity (app: FastifyInstance, context: VaultContext): Promise<void> {
  activityRoutes(app)
  webhookRoutes(app, context)
  const worker = new OutboxWorker(app.db, context)
  app.addHook('onReady', async () => { await worker.start() })
  app.addHook('preClose', async () => { worker.pause() })
  app.addHook('onClose', async () => { await worker.stop() })
}
