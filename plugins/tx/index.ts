/**
 * The plugin that runs each request in a transaction of its own, begun by the first statement and committed before the first byte of the reply.
 *
 * The hooks, and nothing but the hooks:
 *   onRequest   opens the scope: callback style, since AsyncLocalStorage that an async hook enters does not hold for the handler. Sends nothing.
 *   handler     is wrapped: enters the scope again, for a hook may have lost it in somebody else's callback; and runs again what may be retried.
 *   onError     remembers that the handler failed, also if an error handler makes a 2xx of it.
 *   onSend      ends the transaction. Appended to each route through onRoute, so that it comes after everybody else's; for routes that have no onRoute (404) it is
 *               the instance's.
 * 'close' of the reply always comes, also where no hook does: aborts, hijacked replies, replies past Fastify. A request that asks nothing of the database costs the
 * scope, and four looks at it.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type {} from '../db/index.ts' // app.db
import { TxRoutes } from '../errors.ts'
import { currentScope, runInScope } from '../db/scope.ts'
import { isRetryable, withRetries } from '../db/retry.ts'
import { headOf, isStreamed, restoreHead } from './reply.ts'
import { RequestScope, type RequestSettings } from './request-scope.ts'
import type { RequestTransaction, RequestTx } from './request-transaction.ts'
import { defaultFor, resolveRoute, type RouteSettings, type RouteTx } from './route.ts'

export type { RequestTx } from './request-transaction.ts'
export type { RouteTx, RouteTxOptions } from './route.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The transaction of this request; undefined on routes without one. */
    tx: RequestTx | undefined
  }
  interface FastifyContextConfig {
    /** The transaction of the route. Default: by its method. */
    tx?: RouteTx
  }
}

export interface TxPluginOptions {
  /** What holds for routes that say nothing, by HTTP method. Default: 'read' for GET, HEAD, OPTIONS, TRACE and QUERY, 'write' for all others. */
  methods?: Readonly<Record<string, RouteTx>>
}

type Handler = RouteOptions['handler']

/** In the config of a route that has its hook: what holds for it; undefined: no transaction. */
const kSettings = Symbol('tandem.tx')

interface EquippedConfig { [kSettings]?: { readonly settings: RouteSettings | undefined } }

async function tx (app: FastifyInstance, { methods = {} }: TxPluginOptions): Promise<void> {
  const fallbackOf = (method: string): RouteTx => methods[method] ?? defaultFor(method)
  const lookUp = (request: FastifyRequest): RequestSettings => settingsOf(request, fallbackOf)

  refuseEarlierRoutes(app)
  app.decorateRequest(kScope, null as unknown as RequestScope)
  app.decorateRequest('tx', { getter (this: FastifyRequest) { return scopeOf(this)?.transaction } })
  app.addHook('onRoute', route => { equip(route, fallbackOf) })
  app.addHook('onRequest', (request, reply, done) => {
    const scope = new RequestScope(request, reply, lookUp)
    carry(request, scope)
    runInScope(scope, done)
  })
  app.addHook('onError', (request, _reply, error, done) => {
    transactionOf(request)?.fail(error)
    done()
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    transactionOf(request)?.answer()
    // a route with a hook of its own is ended by that, after all others
    if (request.is404) {
      transactionOf(request)?.leaveRoute()
      settle(request, reply, payload, done)
    } else done(null, payload)
  })
}

/** Routes that were there before have no onSend of ours: what they write would never be committed. */
function refuseEarlierRoutes (app: FastifyInstance): void {
  const routes = app.printRoutes({ commonPrefix: false }).split('\n').map(line => line.replace(/^[^/*]*/, '').trim()).filter(line => line !== '')
  if (routes.length > 0) throw new TxRoutes(routes.join(', '))
}

/** Gives a route its onSend, behind its own, and its handler the scope. Runs again for the HEAD that Fastify makes of a GET. */
function equip (route: RouteOptions, fallbackOf: (method: string) => RouteTx): void {
  const [method = 'GET'] = [route.method].flat()
  const fallback = fallbackOf(method)
  const settings = resolveRoute(route.config?.tx ?? fallback, fallback)
  const equipped: EquippedConfig = { [kSettings]: { settings } }
  route.config = { ...route.config, ...equipped }
  const hooks = [route.onSend ?? []].flat()
  if (!hooks.includes(endOnSend)) route.onSend = [...hooks, endOnSend]
  if (settings !== undefined && !wrapped.has(route.handler)) wrapped.add(route.handler = inScope(route.handler, settings.retry))
}

/** So that the HEAD of a GET is not retried for each of its retries. */
const wrapped = new WeakSet<Handler>()

type Done = (error: Error | null, payload?: unknown) => void

function endOnSend (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done): void {
  settle(request, reply, payload, done)
}

function settle (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done): void {
  const scope = scopeOf(request)
  // a stream may ask for rows later, and that is to be known before the reply leaves
  const transaction = isStreamed(payload) ? scope?.transaction : scope?.opened
  if (transaction === undefined) {
    scope?.seal()
    done(null, payload)
  } else if (!transaction.isUsed && !transaction.spans(payload)) {
    transaction.seal()
    done(null, payload)
  } else {
    transaction.settle(payload).then(
      settled => { goOn(request, reply, () => { done(null, settled) }) },
      (error: unknown) => { goOn(request, reply, () => { done(error as Error) }) })
  }
}

/** Lets Fastify send. What it throws there would be nobody's, and end the process; a reply that was sent by somebody else meanwhile is left alone. */
function goOn (request: FastifyRequest, reply: FastifyReply, send: () => void): void {
  if (reply.raw.headersSent) return
  try {
    send()
  } catch (error) {
    request.log.error({ err: error }, 'a reply could not be sent; its connection was closed')
    reply.raw.destroy()
  }
}

/** What the route says, or, where there is none, what holds for the method. */
function settingsOf (request: FastifyRequest, fallbackOf: (method: string) => RouteTx): RequestSettings {
  const route = (request.routeOptions.config as EquippedConfig | undefined)?.[kSettings]
  if (route !== undefined) return { settings: route.settings, isOfRoute: true }
  const fallback = fallbackOf(request.method)
  return { settings: resolveRoute(fallback, fallback), isOfRoute: false }
}

const kScope = Symbol('tandem.scope')

type Carrier = FastifyRequest & { [kScope]: RequestScope | null }

function carry (request: FastifyRequest, scope: RequestScope): void {
  (request as Carrier)[kScope] = scope
}

function scopeOf (request: FastifyRequest): RequestScope | undefined {
  return (request as Carrier)[kScope] ?? undefined
}

/** Undefined as long as nobody has asked for it. */
function transactionOf (request: FastifyRequest): RequestTransaction | undefined {
  return scopeOf(request)?.opened
}

// --- the handler -----------------------------------------------------------------------------------------------------------------

function inScope (handler: Handler, retry: number): Handler {
  return retry === 0
    ? function (request, reply) {
      const scope = scopeOf(request)
      if (scope === undefined || currentScope() === scope) return handler.call(this, request, reply)
      return runInScope(scope, () => handler.call(this, request, reply))
    }
    : async function (request, reply) { return await runWithRetries(request, reply, retry, () => handler.call(this, request, reply)) }
}

/**
 * Runs the handler until its transaction is committed. That happens when it returns, not in onSend, where it could not be run again; a handler that sends the reply
 * itself is run once.
 */
async function runWithRetries (request: FastifyRequest, reply: FastifyReply, retry: number, handler: () => unknown): Promise<unknown> {
  const transaction = scopeOf(request)?.transaction
  if (transaction === undefined) return await handler()
  const head = headOf(reply)
  return await withRetries(retry, async attempt => {
    if (attempt > 1) {
      await transaction.restart()
      restoreHead(reply, head)
    }
    const value = await transaction.run(handler)
    if (!transaction.isAnswered && value !== undefined && value !== reply) await transaction.settleAttempt()
    return value
  }, error => isRetryable(error) && !transaction.isAnswered)
}

/** Register it before the routes. */
export default fastifyPlugin(tx, { name: 'tandem-tx', dependencies: ['tandem-db'], fastify: '5.x' })
