/** For the tests of plugins/ops: an app with everything that operators see. */
import Fastify, { type FastifyInstance, type InjectOptions, type LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import config from '../../plugins/config/index.ts'
import db, { type DbOptions } from '../../plugins/db/index.ts'
import type { EngineName } from '../../plugins/db/types.ts'
import ops from '../../plugins/ops/index.ts'
import tx from '../../plugins/tx/index.ts'
import { freshUrl } from '../helper/db.ts'

export const token = 'the-token-of-the-tests'

/** Config, db, tx and ops on a fresh database; closed with the test. */
export async function startOps (t: Test, engine: EngineName, env: Record<string, string> = {}, options: DbOptions = {}): Promise<FastifyInstance> {
  const url = await freshUrl(t, engine)
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: url, OPS_TOKEN: token, ...env } })
  await app.register(db, options)
  await app.register(tx)
  await app.register(ops)
  return app
}

/** As an operator. */
export async function ask (app: FastifyInstance, url: string, { headers, ...options }: InjectOptions = {}): Promise<LightMyRequestResponse> {
  return await app.inject({ url, headers: { authorization: `Bearer ${token}`, ...headers }, ...options })
}

/** The values of `/ops/metrics`, by name and labels as they are written. */
export async function scrape (app: FastifyInstance): Promise<Map<string, number>> {
  return parseMetrics((await ask(app, '/ops/metrics')).body)
}

export function parseMetrics (text: string): Map<string, number> {
  return new Map(text.split('\n').filter(line => line !== '' && !line.startsWith('#')).map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}
