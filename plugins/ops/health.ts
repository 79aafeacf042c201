/**
 * `GET /ops/health/live`: the process answers. `GET /ops/health/ready`: it can do its work; otherwise 503. Neither says anything about the inside.
 *
 * Ready, if and only if
 *  1. it is not shutting down,
 *  2. the database answers within two seconds, waiting for a connection included,
 *  3. no migration is missing or was changed. That is looked up again after some seconds. A database that is newer than this process is no reason: that is how one version
 *     replaces another, and the old one has to answer until then.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { planMigrations } from '../db/migrate.ts'
import type {} from '../db/index.ts' // app.db, app.dbMigrations
import { MigrateChanged, MigrateTooNew } from '../errors.ts'
import type {} from '../tx/index.ts' // config.tx

const DATABASE_DEADLINE_MS = 2000
const SCHEMA_FRESH_MS = 5000

/** Adds the routes to `scope`. `isClosing`: the app is shutting down. */
export function addHealth (scope: FastifyInstance, isClosing: () => boolean): void {
  const ping = scope.db.prepare('SELECT 1 AS one')
  const schema = new Schema(scope)
  scope.get('/ops/health/live', { config: { tx: false } }, async () => ({ status: 'ok' }))
  scope.get('/ops/health/ready', { config: { tx: false } }, async (_request, reply) => {
    if (isClosing()) return notReady(reply, 'shutting down')
    try {
      return await scope.db.deadline(DATABASE_DEADLINE_MS, async () => {
        await ping.get()
        return await schema.isComplete() ? { status: 'ok' } : notReady(reply, 'migrations are missing')
      })
    } catch (error) {
      scope.log.warn({ err: error }, 'not ready: the database does not answer')
      return notReady(reply, 'the database does not answer')
    }
  })
}

function notReady (reply: FastifyReply, reason: string): { status: string, reason: string } {
  reply.code(503).header('retry-after', '1')
  return { status: 'unavailable', reason }
}

/** What the database lacks. Only a good answer is remembered. */
class Schema {
  readonly #scope: FastifyInstance
  #freshUntil = -Infinity

  constructor (scope: FastifyInstance) {
    this.#scope = scope
  }

  async isComplete (): Promise<boolean> {
    const now = performance.now()
    if (this.#scope.dbMigrations.length === 0 || now < this.#freshUntil) return true
    const isComplete = await this.#look()
    if (isComplete) this.#freshUntil = now + SCHEMA_FRESH_MS
    return isComplete
  }

  async #look (): Promise<boolean> {
    const { db, dbMigrations, log } = this.#scope
    try {
      const missing = (await planMigrations(db, dbMigrations)).flatMap(plan => plan.missing)
      if (missing.length > 0) log.warn({ missing }, 'not ready: migrations are missing')
      return missing.length === 0
    } catch (error) {
      if (error instanceof MigrateTooNew) return true
      if (!(error instanceof MigrateChanged)) throw error
      log.warn({ err: error }, 'not ready: a migration was changed')
      return false
    }
  }
}
