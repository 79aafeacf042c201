/** The OpenAPI document of the service, and a page to read and try it, at `/docs`. It says nothing about jobs, so anybody may read it. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

const description = `Jobs of HPC clusters: lists, statistics, and what a scheduler reports. Answers show what the user of the token may see.
Errors have one form and a stable code; 503 says which limit it was, and may work later.`

/** Describes the routes that are registered from now on. */
export async function documentRoutes (app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'jobs', version: '1', description },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'npm run token -- create' } } },
      security: [{ token: [] }],
      tags: [{ name: 'jobs', description: 'Jobs and what they add up to' }]
    }
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
}
