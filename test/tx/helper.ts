/**
 * Apps with request transactions, on both engines, and what tells the truth about them: the outcome on the channel 'tandem:tx', and rows as others see them.
 *
 * What is kept true for each test: every outcome was taken by the test (so a second one for the same request is found), and when it ends all connections are
 * free again and in no transaction.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { connect, type Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import pg from 'pg'
import tap, { type Test } from 'tap'
import config from '../../plugins/config/index.ts'
import db from '../../plugins/db/index.ts'
import type { Database, EngineName } from '../../plugins/db/types.ts'
import tx from '../../plugins/tx/index.ts'
import { engines, freshUrl } from '../helper/db.ts'
import { isNotice } from '../helper/native.ts'

/** A message of 'tandem:tx'. */
export interface Outcome {
  outcome: 'committed' | 'rolledback' | 'unknown' | 'none'
  mode: 'write' | 'read'
  durationMs: number
  statements: number
  retries: number
  route: string | undefined
  method: string | undefined
}

/** A line of the app's log. */
export interface LogLine { level: number, msg: string, [name: string]: unknown }

export interface Server {
  readonly app: FastifyInstance
  readonly db: Database
  readonly url: string
  readonly log: LogLine[]
  /** The outcome that the test has not taken yet; waits for it. */
  readonly nextOutcome: () => Promise<Outcome>
  /** How many outcomes came that the test has not taken. */
  readonly untaken: () => number
  /** Inserts into `a`, in the transaction of the code that calls. */
  readonly insert: (id: number) => Promise<unknown>
  /** Inserts a row that COMMIT refuses (TDM_ERR_DB_FOREIGN_KEY). */
  readonly insertForCommitToFail: () => Promise<unknown>
  /** The ids in `a`. */
  readonly ids: () => Promise<unknown[]>
}

export interface Options {
  engines?: readonly EngineName[]
  env?: Record<string, string>
  server?: FastifyServerOptions
  /** Called before the plugin is registered. */
  before?: (app: FastifyInstance) => void
}

const tables = `
  CREATE TABLE a (id BIGINT PRIMARY KEY);
  CREATE TABLE p (id BIGINT PRIMARY KEY);
  CREATE TABLE c (p BIGINT REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)`

/** A test on each engine. The name begins with the number of the case. */
export function onEngines (name: string, run: (t: Test, server: Server) => Promise<void>, options: Options = {}): void {
  for (const engine of options.engines ?? engines) {
    void tap.test(`${name} (${engine})`, { timeout: 60_000 }, async t => {
      const { server, end } = await startServer(t, engine, options)
      await run(t, server)
      await end()
    })
  }
}

async function startServer (t: Test, engine: EngineName, options: Options): Promise<{ server: Server, end: () => Promise<void> }> {
  const url = await freshUrl(t, engine) // first, since what is made last is ended first
  const log: LogLine[] = []
  const stream = { write: (line: string): void => { if (!isNotice(line)) log.push(JSON.parse(line) as LogLine) } }
  const app = Fastify({ forceCloseConnections: true, logger: { level: 'info', stream }, ...options.server })
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: url, DB_ACQUIRE_TIMEOUT: '5s', ...(engine === 'postgres' ? { DB_POOL_MAX: '2' } : {}), ...options.env } })
  await app.register(db)
  options.before?.(app)
  await app.register(tx)
  await app.db.exec(tables)
  const outcomes = collectOutcomes(t)
  const server = {
    app,
    db: app.db,
    url,
    log,
    nextOutcome: outcomes.next,
    untaken: outcomes.untaken,
    insert: (id: number) => app.db.prepare('INSERT INTO a (id) VALUES (?)').run(id), // not async, so that it is the promise of the layer
    insertForCommitToFail: async () => await app.db.prepare('INSERT INTO c (p) VALUES (99)').run(),
    ids: async () => (await app.db.prepare('SELECT id FROM a ORDER BY id').all()).map(row => row.id)
  }
  const end = async (): Promise<void> => {
    await outcomes.ignoreDuring(async () => { await useAllConnections(app.db) })
    await app.close()
    t.equal(outcomes.untaken(), 0, 'there is one outcome for each request')
  }
  return { server, end }
}

function collectOutcomes (t: Test) {
  const arrived: Outcome[] = []
  const waiting: Array<(outcome: Outcome) => void> = []
  let isIgnored = false
  const onMessage = (message: unknown): void => {
    if (isIgnored) return
    const outcome = message as Outcome
    const first = waiting.shift()
    if (first === undefined) arrived.push(outcome)
    else first(outcome)
  }
  subscribe('tandem:tx', onMessage)
  t.teardown(() => { unsubscribe('tandem:tx', onMessage) })
  return {
    untaken: () => arrived.length,
    next: async (): Promise<Outcome> => arrived.shift() ?? await new Promise<Outcome>(resolve => { waiting.push(resolve) }),
    ignoreDuring: async (fn: () => Promise<void>): Promise<void> => {
      isIgnored = true
      await fn()
      isIgnored = false
    }
  }
}

/** Fails if a connection was not given back: takes the writer of SQLite, and both connections of the pool on PostgreSQL. */
async function useAllConnections (db: Database): Promise<void> {
  const use = async (): Promise<unknown> => await db.prepare('INSERT INTO p (id) VALUES (1) ON CONFLICT DO NOTHING').run()
  await db.tx(async () => {
    await use()
    if (db.engine === 'postgres') await db.tx(async () => { await db.prepare('SELECT id FROM p').all() }, { propagation: 'new' })
  })
}

/** The states of the transactions at the moments when the heads of their replies are written. To be called before the routes are added. */
export function watchHeads (app: FastifyInstance): unknown[] {
  const states: unknown[] = []
  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = reply
    const writeHead = raw.writeHead.bind(raw) as (...args: unknown[]) => typeof raw
    raw.writeHead = (...args: unknown[]) => {
      states.push(request.tx?.state)
      return writeHead(...args)
    }
    done()
  })
  return states
}

// --- clients over a real socket ----------------------------------------------------------------------------------------------

export async function listen ({ app }: Pick<Server, 'app'>): Promise<number> {
  return Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
}

export interface Ask { method?: string, headers?: OutgoingHttpHeaders, body?: string | Buffer }

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  trailers: NodeJS.Dict<string>
  body: string
  /** False when the message was cut off. */
  complete: boolean
  /** Status codes of what came before the answer. */
  informational: number[]
}

/** Sends a request on a connection of its own and reads the answer, also one that is cut off. Rejects when there is none. */
export async function send (port: number, path: string, ask: Ask = {}): Promise<Answer> {
  const informational: number[] = []
  const response = await begin(port, path, ask, informational)
  return { ...await readToEnd(response), informational }
}

/** As `send`, but only up to the head of the answer. */
export async function begin (port: number, path: string, { method = 'GET', headers = {}, body }: Ask = {}, informational: number[] = []): Promise<IncomingMessage> {
  const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false })
  request.on('information', ({ statusCode }) => { informational.push(statusCode) })
  request.end(body)
  const [response] = await once(request, 'response') as [IncomingMessage]
  return response
}

export async function readToEnd (response: IncomingMessage): Promise<Omit<Answer, 'informational'>> {
  const chunks: Buffer[] = []
  await new Promise<void>(resolve => {
    response.on('data', (chunk: Buffer) => { chunks.push(chunk) }).on('error', () => {}).on('close', resolve)
  })
  const { statusCode = 0, headers, trailers, complete } = response
  return { status: statusCode, headers, trailers, complete, body: Buffer.concat(chunks).toString() }
}

/** A socket to which the given text was written. */
export function openSocket (port: number, text: string): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write(text)
  return socket
}

export const post = (path: string, body = '{}'): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

export const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`

/** The rest of the callbacks that are due now run first. */
export async function nextTurn (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

// --- PostgreSQL ----------------------------------------------------------------------------------------------------------------

/** A client of the test's own. */
export async function openClient (t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'admin' })
  await client.connect()
  t.teardown(async () => { await client.end() })
  return client
}

export interface HeldCommits { readonly inFlight: () => Promise<void>, readonly letGo: () => Promise<void> }

/** From now on a COMMIT of rows in `a` waits on the server, until it is let go. */
export async function holdCommits (t: Test, { url }: Pick<Server, 'url'>): Promise<HeldCommits> {
  const client = await openClient(t, url)
  await client.query(`
    CREATE FUNCTION hold () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold();
    SELECT pg_advisory_lock(1)`)
  return {
    inFlight: async () => { await until(client, 'SELECT 1 FROM pg_locks WHERE locktype = \'advisory\' AND NOT granted AND pid <> pg_backend_pid()') },
    letGo: async () => { await client.query('SELECT pg_advisory_unlock(1)') }
  }
}

/** Asks until there is a row. */
export async function until (client: pg.Client, sql: string): Promise<void> {
  while ((await client.query(sql)).rows.length === 0) await nextTurn()
}
