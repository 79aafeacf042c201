/**
 * The plugin that gives each request a scope of its own: what its statements run under, and nothing of any other request's.
 *
 * What is kept true:
 *  1. A request starts without a transaction, deadline or signal of the code that it was made by: `app.inject()` inside of a handler is a request of its own, and
 *     nothing of the last request on the same socket is left.
 *  2. When the client goes away before the answer is complete, the request's statements are given up (TDM_ERR_DB_ABORTED).
 * Callback style, since AsyncLocalStorage entered by an async hook does not hold for the handler.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { runInFreshScope } from '../db/scope.ts'

async function tx (app: FastifyInstance): Promise<void> {
  app.addHook('onRequest', openScope)
}

function openScope (_request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const client = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) client.abort(new Error('the client closed the connection before the answer was complete'))
  })
  runInFreshScope({ signal: client.signal }, done)
}

/** Register it before the routes. */
export default fastifyPlugin(tx, { name: 'tandem-tx', dependencies: ['tandem-db'], fastify: '5.x' })
