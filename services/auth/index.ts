/** The routes of people: sign-in, sessions, accounts. They are in routes/, by theme. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'
import { registerProviders } from './providers.ts'
import { meRoutes } from './routes/me.ts'
import { mockRoutes } from './routes/mock.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { signInRoutes } from './routes/sign-in.ts'

export default async function auth (app: FastifyInstance, context: VaultContext): Promise<void> {
  signInRoutes(app, context, await registerProviders(app, context))
  mockRoutes(app, context)
  meRoutes(app, context)
  sessionRoutes(app, context)
}
