/** The service as an app has it, on either engine: for tests that ask it over HTTP. */
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import config from '../../../plugins/config/index.ts'
import db from '../../../plugins/db/index.ts'
import type { EngineName } from '../../../plugins/db/types.ts'
import tx from '../../../plugins/tx/index.ts'
import { importJobs } from '../../../services/jobs/import.ts'
import jobs, { type JobsServiceOptions } from '../../../services/jobs/index.ts'
import { createToken, type Role } from '../../../services/jobs/tokens.ts'
import { NOW, writeJobDb, type JobData } from '../../data/jobs.ts'
import { freshFolder } from '../../helper/db.ts'
import { migratedUrl } from '../../helper/migrated.ts'
import { isNotice } from '../../helper/native.ts'
import { tables } from './databases.ts'

export interface ServiceSettings {
  options?: JobsServiceOptions
  env?: Record<string, string>
  /** Lines of the log from level warn on are put here. */
  logged?: object[]
}

/** The service on the database at `url`; closed with the test. */
export async function openService (t: Test, url: string, { options = {}, env = {}, logged = [] }: ServiceSettings = {}): Promise<FastifyInstance> {
  const stream = { write: (line: string) => { if (!isNotice(line)) logged.push(JSON.parse(line) as object) } }
  const app = Fastify({ forceCloseConnections: true, logger: { level: 'warn', stream }, routerOptions: { ignoreTrailingSlash: true } })
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: url, ...env } })
  await app.register(db, { migrations: tables })
  await app.register(tx)
  await app.register(jobs, { now: () => NOW, ...options })
  await app.ready()
  return app
}

/** The service on a database of ours that holds these jobs; unlike one of cc-backend it keeps tokens. */
export async function openWith (t: Test, engine: EngineName, data: JobData, settings: ServiceSettings & { statements?: string[] } = {}): Promise<FastifyInstance> {
  const path = join(freshFolder(t), 'source.db')
  writeJobDb(path, data, { statements: settings.statements ?? [] })
  const app = await openService(t, await migratedUrl(t, engine, tables), settings)
  await importJobs(app.db, path)
  return app
}

/** The header of a new token. */
export async function bearer ({ db }: FastifyInstance, roles: readonly Role[], username = 'someone', projects: string[] = []): Promise<{ authorization: string }> {
  const { token } = await createToken(db, { username, roles, projects }, NOW)
  return { authorization: `Bearer ${token}` }
}
