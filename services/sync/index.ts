/** The routes of plugins: pairing, sessions, uploads, events; and two of the public group tracker, so that its plugin can report here. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'
import { compatRoutes } from './routes/compat.ts'
import { eventRoutes } from './routes/events.ts'
import { pairingRoutes } from './routes/pairing.ts'
import { sessionRoutes } from './routes/session.ts'
import { uploadRoutes } from './routes/uploads.ts'

export default async function sync (app: FastifyInstance, context: VaultContext): Promise<void> {
  for (const addRoutes of [pairingRoutes, sessionRoutes, uploadRoutes, eventRoutes]) addRoutes(app, context)
  await app.register(compatRoutes, context)
}
