/**
 * The plugin for operators: health for everybody, and for those who are let in what the database layer does, its numbers, and a way to stop what should stop (docs/ops.md).
 * What is slow is in the log, with its plan, whoever is let in.
 *
 * What is kept true:
 *  1. Without a token and without a hook only health exists; and with them nothing but health answers to those who are not let in.
 *  2. With an address of its own the rest is on that server, and not on the app's.
 *  3. A shutdown answers the requests under way and then ends: kept-alive connections do not hold it up. The server of its own ends last, so that what holds a shutdown up can be stopped.
 */
import Fastify, { type FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { Registry } from 'prom-client'
import type {} from '../config/index.ts' // app.config
import type {} from '../db/index.ts' // app.db
import { guard, type Access } from './access.ts'
import { adviceRoutes } from './advice.ts'
import { addHealth } from './health.ts'
import { addMetrics } from './metrics.ts'
import { pageRoutes } from './page/index.ts'
import { startSlowLog, slowRoutes, type SlowLog } from './slow-log.ts'
import { addStatements } from './statements.ts'

export type { Access } from './access.ts'

export interface OpsPluginOptions {
  /** 16 characters or more. Default: `OPS_TOKEN`. */
  token?: string | undefined
  /** Lets in beside the token, by whatever the app knows of a request. Default: none. */
  access?: Access
  /** A server of its own for all but health. Default: `OPS_HOST` and `OPS_PORT`, if there is a port. */
  address?: { host?: string, port: number }
  /** From which duration on a statement is in the slow log; Infinity: never. Default: `OPS_SLOW`. */
  slowMs?: number
}

export interface Ops {
  /** What `/ops/metrics` shows. An app adds its own: `new Gauge({ …, registers: [app.ops.registry] })`. */
  readonly registry: Registry
  readonly slowMs: number
  /** The server of its own, if there is one. */
  readonly server: FastifyInstance | undefined
}

declare module 'fastify' {
  interface FastifyInstance { ops: Ops }
}

async function ops (app: FastifyInstance, options: OpsPluginOptions): Promise<void> {
  const { config } = app
  const { token = config.ops.token, access, slowMs = config.ops.slowMs } = options
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
    closeConnectionsAsTheyGetIdle(app)
  })
  addHealth(app, () => isClosing)
  const isOn = token !== undefined || access !== undefined
  const address = isOn ? addressOf(app, options) : undefined
  const server = address === undefined ? undefined : Fastify({ loggerInstance: app.log, forceCloseConnections: true })
  const slowLog = startSlowLog(app, { slowMs })
  app.decorate('ops', { registry: new Registry(), slowMs, server })
  if (!isOn) return
  if (server !== undefined) lend(app, server)
  const place = server ?? app
  await place.register(async scope => {
    guard(scope, token, access, `${place.prefix}/ops`)
    addRoutes(scope, slowLog)
  })
  if (server === undefined) return
  addHealth(server, () => isClosing)
  app.addHook('onReady', async () => { await server.listen(address) })
  app.addHook('onClose', async () => { await server.close() })
}

function addressOf ({ config: { ops: { host, port } } }: FastifyInstance, { address }: OpsPluginOptions): { host: string, port: number } | undefined {
  if (address !== undefined) return { host, ...address }
  return port === undefined ? undefined : { host, port }
}

/** What the routes need of the app. */
function lend (app: FastifyInstance, server: FastifyInstance): void {
  server.decorate('db', app.db)
  server.decorate('dbMigrations', app.dbMigrations)
  server.decorate('config', app.config)
  server.decorate('ops', app.ops)
}

/** Everything that is guarded. What they need of the app, `db`, `config`, `ops` and `log`, `scope` has. */
function addRoutes (scope: FastifyInstance, slowLog: SlowLog): void {
  addMetrics(scope)
  addStatements(scope)
  slowRoutes(scope, slowLog)
  adviceRoutes(scope)
  pageRoutes(scope)
}

/** Node.js closes idle connections once, when the server closes; those that become idle later would keep it open until the client leaves. */
function closeConnectionsAsTheyGetIdle ({ server }: FastifyInstance): void {
  if (!server.listening) return
  const timer = setInterval(() => { server.closeIdleConnections() }, 50)
  server.once('close', () => { clearInterval(timer) })
}

export default fastifyPlugin(ops, { name: 'tandem-ops', dependencies: ['tandem-db'], fastify: '5.x' })
