/**
 * The plugin for operators.
 *
 * `GET /ops/health/live`: the process answers. `GET /ops/health/ready`: it can do its work, that is, it is not shutting down and the database answers within
 * two seconds; otherwise 503. Neither says anything about the inside.
 * A shutdown answers the requests under way and then ends: kept-alive connections do not hold it up.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type {} from '../db/index.ts' // app.db
import type {} from '../tx/index.ts' // config.tx

const DATABASE_DEADLINE_MS = 2000

async function ops (app: FastifyInstance): Promise<void> {
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
    closeConnectionsAsTheyGetIdle(app)
  })
  const ping = app.db.prepare('SELECT 1 AS one')
  app.get('/ops/health/live', { config: { tx: false } }, async () => ({ status: 'ok' }))
  app.get('/ops/health/ready', { config: { tx: false } }, async (_request, reply) => {
    if (isClosing) return notReady(reply, 'shutting down')
    try {
      await app.db.deadline(DATABASE_DEADLINE_MS, async () => await ping.get())
      return { status: 'ok' }
    } catch (error) {
      app.log.warn({ err: error }, 'not ready: the database does not answer')
      return notReady(reply, 'the database does not answer')
    }
  })
}

/** Node.js closes idle connections once, when the server closes; those that become idle later would keep it open until the client leaves. */
function closeConnectionsAsTheyGetIdle ({ server }: FastifyInstance): void {
  if (!server.listening) return
  const timer = setInterval(() => { server.closeIdleConnections() }, 50)
  server.once('close', () => { clearInterval(timer) })
}

function notReady (reply: FastifyReply, reason: string): { status: string, reason: string } {
  reply.code(503).header('retry-after', '1')
  return { status: 'unavailable', reason }
}

export default fastifyPlugin(ops, { name: 'tandem-ops', dependencies: ['tandem-db'], fastify: '5.x' })
