/** The routes of what a group has, and its changes. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'
import { bootstrapRoutes } from './routes/bootstrap.ts'
import { eventsRoutes } from './routes/events.ts'
import { vaultRoutes } from './routes/vault.ts'

export default async function vault (app: FastifyInstance, context: VaultContext): Promise<void> {
  vaultRoutes(app, context)
  bootstrapRoutes(app, context)
  await eventsRoutes(app, context)
}
