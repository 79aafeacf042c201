/**
 * The service under test: the application of app.ts in a process of its own. Argument: an `AppJob` as JSON. It tells what it holds four times a second, and measures what only it
 * can see: how long the places of the database stay taken when clients leave. Ends with its parent.
 *
 * A header `x-deadline` gives the handler so many milliseconds, by `db.deadline`: the limit of a route, only shorter and at random.
 */
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import application, { options } from '../../app.ts'
import type { EngineStatus } from '../../plugins/db/types.ts'
import { readJob, tell } from '../measure/child.ts'
import { isDeclared } from './judge.ts'

export interface AppJob { readonly env: Readonly<Record<string, string>> }

export interface Route { readonly method: string, readonly url: string }

export type Told =
  | { readonly ready: { readonly port: number, readonly routes: readonly Route[] } }
  | { readonly rssBytes: number, readonly heapBytes: number }
  /** Since the last one: how long handlers and streams went on whose client had left. */
  | { readonly held: readonly Held[] }
  /** In answer to 'busy': somebody has a place. To 'free': so long after the last client had left it was the last place that was free; undefined: it is not. */
  | { readonly isBusy: boolean }
  | { readonly freedMs: number | undefined, readonly load: string }
  | { readonly problem: string }

export interface Held { readonly route: string, readonly ms: number }

export type Asked = 'busy' | 'free' | 'close'

const TELL_MS = 250
/** How long somebody may take to begin, and to end. */
const BUSY_MS = 2000
const FREE_MS = 20_000

const { env } = readJob<AppJob>()
const problem = (text: string): void => { void tell({ problem: text } satisfies Told) }
process.on('unhandledRejection', reason => { problem(`an unhandled rejection: ${describe(reason)}`) })
process.on('uncaughtException', error => { problem(`an uncaught exception: ${describe(error)}`) })
process.on('warning', warning => { if (warning.name !== 'ExperimentalWarning') problem(`a warning: ${describe(warning)}`) })

const stream = { write: (line: string) => { noteLine(JSON.parse(line) as LogLine) } }
const app = Fastify({ ...options, forceCloseConnections: true, logger: { level: 'error', stream, serializers: { err: describeLogged } } })
const routes: Route[] = []
let active = 0
/** Since there is no request: when the last place was free after that, in ms. */
let freed: Promise<number | undefined> = Promise.resolve(0)
let held: Held[] = []

/** The handler of a request and its stream. */
class Work {
  readonly #route: string
  #count = 0
  #leftAt: number | undefined

  constructor (route: string) {
    this.#route = route
  }

  begin (): void {
    this.#count++
  }

  end (): void {
    if (--this.#count === 0 && this.#leftAt !== undefined) this.#note(performance.now() - this.#leftAt)
  }

  leave (): void {
    this.#leftAt = performance.now()
    if (this.#count === 0) this.#note(0)
  }

  #note (ms: number): void {
    held.push({ route: this.#route, ms })
  }
}

const left = new Set<string>()
const works = new WeakMap<object, Work>()

app.addHook('onRoute', route => {
  for (const method of [route.method].flat()) if (method !== 'HEAD') routes.push({ method, url: route.url })
  if (!/^\/(?:user)?api\//.test(route.url)) return
  const { handler } = route
  route.handler = async function (request, reply) {
    const ms = Number(request.headers['x-deadline'])
    const work = begin(request)
    try {
      return await (ms > 0 ? app.db.deadline(ms, () => handler.call(this, request, reply)) : handler.call(this, request, reply))
    } finally {
      work.end()
    }
  }
})
app.addHook('onRequest', (request, reply, done) => {
  const work = new Work(`${request.method} ${request.routeOptions.url}`)
  works.set(request, work)
  active++
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) {
      work.leave()
      left.add(request.id)
    }
    if (--active === 0) freed = timeOf(() => active > 0 || loadOf(app.db.status()) === 0)
  })
  done()
})
app.addHook('onSend', (request, _reply, payload, done) => {
  if (payload instanceof Readable) {
    const work = begin(request)
    payload.once('close', () => { work.end() })
  }
  done(null, payload)
})
await app.register(fastifyPlugin(application), { env })

process.on('message', (asked: Asked) => {
  if (asked === 'busy') void waitFor(() => loadOf(app.db.status()) > 0, BUSY_MS).then(async isBusy => { await tell({ isBusy } satisfies Told) })
  else if (asked === 'free') void tellFree()
  else void app.close().then(() => { process.exit(0) })
})
const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
await tell({ ready: { port: Number(port), routes } } satisfies Told)
setInterval(() => {
  const { rss, heapUsed } = process.memoryUsage()
  void tell({ rssBytes: rss, heapBytes: heapUsed } satisfies Told)
  if (held.length > 0) void tell({ held } satisfies Told)
  held = []
}, TELL_MS).unref()

interface LoggedError { readonly type: string, readonly code: string | undefined, readonly message: string, readonly stack: string, readonly cause: string }
interface LogLine { readonly msg?: string, readonly reqId?: string, readonly err?: LoggedError }

/** With what the driver says: nobody's values are in here. */
function describeLogged (error: Error): LoggedError & Record<string, unknown> {
  const { name: type, message, stack = message } = error
  return { type, code: (error as { code?: string }).code, message, stack, cause: error.cause instanceof Error ? error.cause.stack ?? '' : '' }
}

/** What may be answered may be logged; and what is said of a request whose client has left, nobody was told. */
function noteLine ({ msg, reqId = '', err }: LogLine): void {
  if (!isDeclared(err?.code ?? '') && !left.has(reqId)) problem(`the log has "${msg}": ${shorten(err?.stack ?? '')}\n  cause: ${shorten(err?.cause ?? '')}`)
}

function begin (request: object): Work {
  const work = works.get(request)
  if (work === undefined) throw new Error('onRequest was not called')
  work.begin()
  return work
}

async function tellFree (): Promise<void> {
  await waitFor(() => active === 0, FREE_MS)
  const freedMs = active > 0 ? undefined : await freed
  await tell({ freedMs, load: JSON.stringify(app.db.status().queues) } satisfies Told)
}

/** Milliseconds from now until it is true; undefined: it does not become true. */
async function timeOf (isTrue: () => boolean): Promise<number | undefined> {
  const startedAt = performance.now()
  return await waitFor(isTrue, FREE_MS) ? performance.now() - startedAt : undefined
}

/** Looks every millisecond. */
async function waitFor (isTrue: () => boolean, ms: number): Promise<boolean> {
  const until = performance.now() + ms
  while (!isTrue()) {
    if (performance.now() > until) return false
    await sleep(1)
  }
  return true
}

/**
 * Places that are taken, and who waits for one. Not counted: the writer, who also puts the write-ahead log away; and the lanes of PostgreSQL, which stay open, but for
 * what is under way on them.
 */
function loadOf ({ queues }: EngineStatus): number {
  const { writer: _, lanes = { used: 0, waiting: 0 }, ...others } = queues
  const taken = Object.values(others).reduce((sum, { used, waiting }) => sum + used + waiting, 0)
  return taken + lanes.waiting
}

function describe (error: unknown): string {
  return error instanceof Error ? shorten(error.stack ?? error.message) : String(error)
}

/** The message, and where it came from. */
function shorten (stack: string): string {
  return stack.split('\n').slice(0, 6).map(line => line.slice(0, 300)).join('\n')
}
