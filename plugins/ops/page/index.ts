/** `GET /ops`: the page. `GET /ops/live`: what it shows, as server-sent events. Who may see them is decided before. */
import type { FastifyInstance } from 'fastify'
import type {} from '../../config/index.ts' // app.config
import type {} from '../../db/index.ts' // app.db
import type {} from '../../tx/index.ts' // config.tx
import { Live } from '../live.ts'
import { makePage } from './document.ts'

export function pageRoutes (app: FastifyInstance): Live {
  const { html, policy } = makePage()
  const live = new Live(app)
  app.addHook('preClose', async () => { live.close() })
  app.get('/ops', { config: { tx: false } }, async (_request, reply) => {
    return await reply.headers({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY'
    }).send(html)
  })
  app.get('/ops/live', { config: { tx: false }, exposeHeadRoute: false }, async (_request, reply) => {
    return await reply.headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }).send(live.watch())
  })
  return live
}
