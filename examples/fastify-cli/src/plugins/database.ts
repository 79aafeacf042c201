/** The database, and a transaction for each request. DATABASE_URL says which; without it: SQLite in data/app.db. */
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { config, db, ops, tx } from 'fastify-tandem'

const migrations = [{ name: 'app', directory: new URL('../migrations/', import.meta.url), sameForBoth: true }]

async function database (fastify: FastifyInstance): Promise<void> {
  await fastify.register(config)
  await fastify.register(db, { migrations })
  await fastify.register(tx)
  await fastify.register(ops) // GET /ops/health/ready
}

export default fastifyPlugin(database, { name: 'database', fastify: '5.x' })
