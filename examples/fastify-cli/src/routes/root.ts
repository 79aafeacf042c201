/** GET /: which engine it runs on. */
import type { FastifyInstance } from 'fastify'

export default async function root (fastify: FastifyInstance): Promise<void> {
  fastify.get('/', async () => ({ engine: fastify.db.engine }))
}
