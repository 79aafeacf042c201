/** The OpenAPI document of the group vault, and a page to read and try it, at `/api/v1/docs`. It says nothing about groups, so anybody may read it. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { API, families } from './route.ts'

const description = `Groups of players who share their items. People sign in and have a session cookie; what they change needs the header x-csrf-token. Plugins have a token.
Errors have one form and a stable code.`

/** Describes the routes that are registered from now on. */
export async function documentRoutes (app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'group vault', version: '1', description },
      components: {
        securitySchemes: {
          session: { type: 'apiKey', in: 'cookie', name: 'vault_sid', description: 'after signing in' },
          plugin: { type: 'http', scheme: 'bearer', description: 'after pairing' }
        }
      },
      tags: families.map(name => ({ name: `vault: ${name}` }))
    }
  })
  await app.register(swaggerUi, { routePrefix: `${API}/docs` })
}
