/** How many requests were answered, by family and status. */
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { count } from './counters.ts'

async function routeCounts (app: FastifyInstance): Promise<void> {
  app.addHook('onResponse', ({ routeOptions }, { statusCode }, done) => {
    count('vault_requests_total', { family: routeOptions.config.family ?? 'none', status: statusCode })
    done()
  })
}

export default fastifyPlugin(routeCounts, { name: 'vault-route-counts', fastify: '5.x' })
