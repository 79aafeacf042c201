/**
 * The group vault as one Fastify plugin: what its services share, then the services, each with its own routes.
 *
 * What is kept true: its errors have their own form, and its validation refuses what it does not know; neither reaches other services of the app.
 */
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type {} from '../plugins/config/index.ts' // app.config
import type {} from '../plugins/db/index.ts' // app.db
import activity from './activity/index.ts'
import access from './auth/access.ts'
import auth from './auth/index.ts'
import billing from './billing/index.ts'
import catalog from './catalog/index.ts'
import { answerError } from './common/answer-error.ts'
import type { VaultContext } from './common/context.ts'
import { documentRoutes } from './common/openapi.ts'
import rateLimits from './common/rate-limits.ts'
import { validateStrictly } from './common/route.ts'
import { Sealer } from './common/sealing.ts'
import demo from './demo/index.ts'
import groupAccess from './groups/access.ts'
import groups from './groups/index.ts'
import internal from './internal/index.ts'
import routeCounts from './internal/route-counts.ts'
import ops from './ops/index.ts'
import { findKeys } from './ops/keys.ts'
import pages from './pages/index.ts'
import { readSettings } from './settings.ts'
import sync from './sync/index.ts'
import vault from './vault/index.ts'

export interface GroupVaultOptions {
  /** Milliseconds since 1970. Default: the clock. */
  readonly now?: () => number
  /** How many times as many requests as the rate limits say. Default: 1. */
  readonly rateLimitFactor?: number
  /** Make the demo group when the app begins to listen, and let it live; only with VAULT_DEV_TOOLS. Default: true. */
  readonly hasDemo?: boolean
}

const services: ReadonlyArray<FastifyPluginAsync<VaultContext>> = [auth, groups, sync, vault, activity, catalog, billing, ops, internal, pages]

export default async function groupVault (app: FastifyInstance, { now = Date.now, rateLimitFactor = 1, hasDemo = true }: GroupVaultOptions): Promise<void> {
  const settings = readSettings(app.config.own)
  const context: VaultContext = { settings, now, log: app.log, sealer: new Sealer(settings.keys ?? await findKeys(app.db)) }
  app.setErrorHandler(answerError)
  validateStrictly(app)
  await app.register(routeCounts)
  await app.register(rateLimits, { factor: rateLimitFactor })
  await app.register(access, context)
  await app.register(groupAccess, context)
  await documentRoutes(app)
  if (hasDemo && settings.devTools) await app.register(demo, context)
  for (const service of services) await app.register(service, context)
}
