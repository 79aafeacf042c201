/** `GET /healthz`: the process answers. `GET /readyz`: it can do its work. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import packageJson from '../../../package.json' with { type: 'json' }
import { API, describe } from '../../common/route.ts'
import { probeDatabase } from '../probe.ts'

const HealthAnswer = Type.Object({ ok: Type.Boolean(), version: Type.String(), uptime: Type.Integer({ description: 'seconds' }) })
const ReadyAnswer = Type.Object({
  ok: Type.Boolean(),
  shuttingDown: Type.Boolean(),
  db: Type.Object({ driver: Type.Enum(['sqlite', 'postgres']), ok: Type.Boolean(), ms: Type.Integer() }),
  migrations: Type.Literal('applied', { description: 'the app does not start without them' }),
  catalog: Type.Union([Type.Integer(), Type.Null()], { description: 'its version; null: there is none yet' })
})

export function healthRoutes (app: FastifyInstance): void {
  let shuttingDown = false
  app.addHook('preClose', async () => { shuttingDown = true })

  const health = describe({ family: 'ops', summary: 'The process answers', answers: { 200: HealthAnswer } })
  app.get(`${API}/healthz`, { ...health, config: { ...health.config, tx: false } }, async () => ({ ok: true, version: packageJson.version, uptime: Math.floor(process.uptime()) }))

  const ready = describe({ family: 'ops', summary: 'The app can do its work', answers: { 200: ReadyAnswer, 503: ReadyAnswer } })
  app.get(`${API}/readyz`, { ...ready, config: { ...ready.config, tx: false } }, async (_request, reply) => {
    const { ok, ms, catalog, error } = await probeDatabase(app.db)
    if (error !== undefined) app.log.warn({ err: error }, 'not ready: the database does not answer')
    const isReady = ok && !shuttingDown
    if (!isReady) reply.code(503).header('retry-after', '1')
    return { ok: isReady, shuttingDown, db: { driver: app.db.engine, ok, ms }, migrations: 'applied', catalog }
  })
}
