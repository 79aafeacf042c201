/** Apps for tests: the plugins on a fresh database, or the whole application. */
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Test } from 'tap'
import application from '../../app.ts'
import config from '../../plugins/config/index.ts'
import db, { type DbOptions } from '../../plugins/db/index.ts'
import type { EngineName } from '../../plugins/db/types.ts'
import { freshUrl } from './db.ts'

/** Fastify with config and db; closed with the test. Routes are added by the test. */
export async function startPlugins (t: Test, engine: EngineName, options: DbOptions = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const url = await freshUrl(t, engine) // first, since what is made last is ended first
  const app = Fastify(server)
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: url } })
  await app.register(db, options)
  return app
}

/** The application of app.ts; closed with the test. */
export async function startApp (t: Test, env: Record<string, string>): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(fastifyPlugin(application), { env }) // not encapsulated, so that the test can reach app.db
  await app.ready()
  return app
}
