/**
 * The plugin that runs each request in a transaction of its own, begun by the first statement and committed before the first byte of the reply.
 *
 * The hooks, and nothing but the hooks:
 *   onRequest   opens the scope: callback style, since AsyncLocalStorage that an async hook enters does not hold for the handler. Sends nothing.
 *   handler     is wrapped: enters the scope again, for a hook may have lost it in somebody else's callback; and runs again what may be retried.
 *   onError     remembers that the handler failed, also if an error handler makes a 2xx of it.
 *   onSend      ends the transaction. Appended to each route through onRoute, so that it comes after everybody else's; for routes that have no onRoute (404) it is
 *               the instance's.
 *   onResponse  runs what was left for after the response.
 *   'close' of the reply's socket always comes, also where no hook does: aborts, hijacked replies, replies past Fastify.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type {} from '../db/index.ts' // app.db
import { TxRoutes } from '../errors.ts'
import { runInScope, type Scope } from '../db/scope.ts'
import { isRetryable, withRetries } from '../db/retry.ts'
import { clientLeft, rememberHead, wasSent } from './reply.ts'
import { RequestTransaction, type RequestTx } from './request-transaction.ts'
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
  const notFound = (method: string): RouteSettings | undefined => resolveRoute(fallbackOf(method), fallbackOf(method))

  refuseEarlierRoutes(app)
  app.decorateRequest('tx', undefined)
  app.addHook('onRoute', route => { equip(route, fallbackOf) })
  app.addHook('onRequest', (request, reply, done) => { openScope(request, reply, notFound, done) })
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
  app.addHook('onResponse', (request, _reply, done) => {
    transactionOf(request)?.runAfterResponse()
    done()
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
  if (settings !== undefined) route.handler = inScope(route.handler, settings.retry)
}

type Done = (error: Error | null, payload?: unknown) => void

function endOnSend (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done): void {
  settle(request, reply, payload, done)
}

function settle (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done): void {
  const transaction = transactionOf(request)
  if (transaction === undefined) done(null, payload)
  else if (!transaction.isUsed && !transaction.spans(payload)) {
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

/** A request starts without a transaction, deadline or signal of the code that made it: `app.inject()` inside of a handler is a request of its own. */
function openScope (request: FastifyRequest, reply: FastifyReply, notFound: (method: string) => RouteSettings | undefined, done: () => void): void {
  const route = (request.routeOptions.config as EquippedConfig | undefined)?.[kSettings]
  const settings = route === undefined ? notFound(request.method) : route.settings
  if (settings === undefined) {
    runInScope(new ClientScope(reply), done)
    return
  }
  const transaction = new RequestTransaction(request, reply, settings, route !== undefined)
  request.tx = transaction
  reply.raw.once('close', () => { void transaction.close() })
  transaction.run(done)
}

/** The scope of a route without a transaction: its statements are given up when the client leaves. */
class ClientScope implements Scope {
  readonly deadline = Infinity
  readonly link = undefined
  #client: AbortController | undefined
  #hasLeft = false

  constructor (reply: FastifyReply) {
    reply.raw.once('close', () => {
      if (wasSent(reply)) return
      this.#hasLeft = true
      this.#client?.abort(clientLeft())
    })
  }

  /** Made when a statement asks for it. */
  get signal (): AbortSignal {
    if (this.#client === undefined) {
      this.#client = new AbortController()
      if (this.#hasLeft) this.#client.abort(clientLeft())
    }
    return this.#client.signal
  }
}

function transactionOf ({ tx }: FastifyRequest): RequestTransaction | undefined {
  return tx as RequestTransaction | undefined
}

// --- the handler -----------------------------------------------------------------------------------------------------------------

function inScope (handler: Handler, retry: number): Handler {
  return retry === 0
    ? function (request, reply) { return transactionOf(request)?.run(() => handler.call(this, request, reply)) }
    : async function (request, reply) { return await runWithRetries(request, reply, retry, () => handler.call(this, request, reply)) }
}

/**
 * Runs the handler until its transaction is committed. That happens when it returns, not in onSend, where it could not be run again; a handler that sends the reply
 * itself is run once.
 */
async function runWithRetries (request: FastifyRequest, reply: FastifyReply, retry: number, handler: () => unknown): Promise<unknown> {
  const transaction = transactionOf(request)
  if (transaction === undefined) return await handler()
  const restoreHead = rememberHead(reply)
  return await withRetries(retry, async attempt => {
    if (attempt > 1) {
      await transaction.restart()
      restoreHead()
    }
    const value = await transaction.run(handler)
    if (!transaction.isAnswered && value !== undefined && value !== reply) await transaction.settleAttempt()
    return value
  }, error => isRetryable(error) && !transaction.isAnswered)
}

/** Register it before the routes. */
export default fastifyPlugin(tx, { name: 'tandem-tx', dependencies: ['tandem-db'], fastify: '5.x' })
