/** How many requests were answered, by family and status; and what became of the containers that plugins have reported. */
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { count } from './counters.ts'

const words: ReadonlySet<unknown> = new Set(['applied', 'unchanged', 'stale', 'duplicate', 'superseded'])

async function routeCounts (app: FastifyInstance): Promise<void> {
  app.addHook('preSerialization', ({ routeOptions }, _reply, payload, done) => {
    if (routeOptions.config.family === 'sync') countResults(payload as Answer)
    done(null, payload)
  })
  app.addHook('onResponse', ({ routeOptions }, { statusCode }, done) => {
    count('vault_requests_total', { family: routeOptions.config.family ?? 'none', status: statusCode })
    done()
  })
}

/** Of one container, or of several by name. */
interface Answer { readonly result?: unknown, readonly results?: Readonly<Record<string, unknown>> }

function countResults ({ result, results = {} }: Answer): void {
  for (const word of [result, ...Object.values(results)]) {
    if (words.has(word)) count('vault_sync_results_total', { result: String(word) })
  }
}

export default fastifyPlugin(routeCounts, { name: 'vault-route-counts', fastify: '5.x' })
