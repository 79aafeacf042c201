/** The routes of health and flags; and the housekeeping, which lives as long as the app. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'
import { startHousekeeping } from './housekeeping.ts'
import { flagRoutes } from './routes/flags.ts'
import { healthRoutes } from './routes/health.ts'

export default async function ops (app: FastifyInstance, context: VaultContext): Promise<void> {
  healthRoutes(app)
  flagRoutes(app, context)
  let stop: (() => Promise<void>) | undefined
  app.addHook('onReady', async () => { stop = startHousekeeping(app.db, context) })
  app.addHook('onClose', async () => { await stop?.() })
}
