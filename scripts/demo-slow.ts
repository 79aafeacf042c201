/**
 * `npm run demo:slow`: an app with a problem, to try the page of plugins/ops on. Some 200 short reads and writes a second, and every 20 seconds a request for a report that will not end.
 *
 * Everything is made up, in a database of its own that is removed at the end.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import config from '../plugins/config/index.ts'
import db from '../plugins/db/index.ts'
import type { Database } from '../plugins/db/types.ts'
import ops from '../plugins/ops/index.ts'
import tx from '../plugins/tx/index.ts'
import { PostgresServer } from '../test/helper/postgres-server.ts'
import { explain, watchInterrupt } from './command.ts'
import { formatCount, formatSeconds } from './terminal.ts'

const usage = `Usage: npm run demo:slow [-- options]

  --engine <name>   sqlite (default), or postgres: one of its own is started
  --port <n>        default: 3100
  --rows <n>        orders that are made up; default: 1000000
  --help            this text

Ctrl-C ends it and removes what it has made.`

export interface DemoOptions {
  readonly engine: 'sqlite' | 'postgres'
  readonly port: number
  readonly rows: number
  /** Who knows it may open /ops. */
  readonly token: string
}

const CUSTOMERS = 5000
const REQUESTS_A_SECOND = 200
const STUCK_EVERY_MS = 20_000
const STUCK_FIRST_MS = 3000
const BATCH = 50_000

/** One step every time: compares each order with each other one. */
const YEARLY = 'SELECT count(*) AS pairs, sum(a.cents) AS cents FROM orders a JOIN orders b ON a.cents < b.cents AND a.placed_on < b.placed_on WHERE a.status <> \'cancelled\''

/** Started; ends with `close`. */
export class Demo {
  readonly address: string
  readonly app: FastifyInstance
  readonly #undo: Array<() => unknown>

  private constructor (app: FastifyInstance, address: string, undo: Array<() => unknown>) {
    this.app = app
    this.address = address
    this.#undo = undo
  }

  static async start ({ engine, port, rows, token }: DemoOptions, signal: AbortSignal, say: (text: string) => void): Promise<Demo> {
    const undo: Array<() => unknown> = []
    try {
      const url = engine === 'sqlite' ? makeFolder(undo) : await startServer(undo, say)
      const app = Fastify({ forceCloseConnections: true })
      undo.push(async () => { await app.close() })
      await app.register(config, { env: { DATABASE_URL: url, DB_STATEMENT_TIMEOUT: '2min', DB_TX_TIMEOUT: '2min', SQLITE_READERS: '6', OPS_TOKEN: token } })
      await app.register(db)
      await app.register(tx)
      await app.register(ops)
      addRoutes(app)
      await makeRows(app.db, rows, signal, say)
      return new Demo(app, await app.listen({ port, host: '127.0.0.1' }), undo)
    } catch (error) {
      await undoAll(undo)
      throw error
    }
  }

  /** Until the signal is aborted. `say`: what becomes of the stuck requests. */
  async run (signal: AbortSignal, say: (text: string) => void): Promise<void> {
    const timers = [
      setInterval(() => { void this.#visit(signal) }, 1000 / REQUESTS_A_SECOND),
      setTimeout(() => { void this.#stick(signal, say) }, STUCK_FIRST_MS),
      setInterval(() => { void this.#stick(signal, say) }, STUCK_EVERY_MS)
    ]
    await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
    for (const timer of timers) clearInterval(timer)
  }

  async close (): Promise<void> {
    await undoAll(this.#undo)
  }

  /** Like somebody in a shop: reads mostly. */
  async #visit (signal: AbortSignal): Promise<void> {
    const customer = 1 + Math.floor(Math.random() * CUSTOMERS)
    const chance = Math.random()
    const order = { customer, cents: 100 + Math.floor(Math.random() * 50_000) }
    const request = chance < 0.75
      ? fetch(`${this.address}/customers/${customer}/orders`, { signal })
      : chance < 0.8
        ? fetch(`${this.address}/orders/latest`, { signal })
        : fetch(`${this.address}/orders`, { method: 'POST', body: JSON.stringify(order), headers: { 'content-type': 'application/json' }, signal })
    await request.then(async answer => await answer.arrayBuffer()).catch(() => {}) // the page shows what fails
  }

  async #stick (signal: AbortSignal, say: (text: string) => void): Promise<void> {
    const startedAt = performance.now()
    try {
      const answer = await fetch(`${this.address}/reports/yearly`, { signal })
      const { code = '' } = await answer.json() as { code?: string }
      say(`GET /reports/yearly was answered after ${formatSeconds((performance.now() - startedAt) / 1000)}: ${answer.status} ${code}`)
    } catch {} // the demo ends
  }
}

function makeFolder (undo: Array<() => unknown>): string {
  const folder = mkdtempSync(join(tmpdir(), 'demo-slow-'))
  undo.push(() => { rmSync(folder, { recursive: true, force: true }) })
  return `sqlite:${join(folder, 'demo.db')}`
}

async function startServer (undo: Array<() => unknown>, say: (text: string) => void): Promise<string> {
  say('Starting a PostgreSQL …')
  const server = await PostgresServer.start()
  undo.push(async () => { await server.stop() })
  return server.url
}

/** The last thing made is the first undone. */
async function undoAll (undo: Array<() => unknown>): Promise<void> {
  for (const one of undo.splice(0).reverse()) await one()
}

interface Order { customer: number, cents: number }

function addRoutes (app: FastifyInstance): void {
  const ofCustomer = app.db.prepare('SELECT id, cents, status, placed_on FROM orders WHERE customer = ? ORDER BY id DESC LIMIT 20')
  const latest = app.db.prepare('SELECT id, customer, cents FROM orders ORDER BY id DESC LIMIT 50')
  const insert = app.db.prepare('INSERT INTO orders (customer, cents, status, placed_on) VALUES (:customer, :cents, \'new\', :placedOn) RETURNING id')
  const touch = app.db.prepare('UPDATE customers SET orders = orders + 1 WHERE id = ?')
  const yearly = app.db.prepare(YEARLY)
  app.get<{ Params: { id: number } }>('/customers/:id/orders', { schema: { params: { type: 'object', properties: { id: { type: 'integer' } } } } }, async ({ params: { id } }) => await ofCustomer.all(id))
  app.get('/orders/latest', async () => await latest.all())
  app.post<{ Body: Order }>('/orders', async ({ body: { customer, cents } }) => {
    await touch.run(customer)
    return await insert.get({ customer, cents, placedOn: new Date().toISOString().slice(0, 10) })
  })
  app.get('/reports/yearly', async () => await yearly.get())
}

async function makeRows (db: Database, rows: number, signal: AbortSignal, say: (text: string) => void): Promise<void> {
  say(`Making up ${formatCount(rows)} orders …`)
  const id = db.engine === 'sqlite' ? 'INTEGER PRIMARY KEY' : 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY'
  await db.exec(`CREATE TABLE customers (id BIGINT PRIMARY KEY, orders BIGINT NOT NULL);
CREATE TABLE orders (id ${id}, customer BIGINT NOT NULL, cents BIGINT NOT NULL, status TEXT NOT NULL, placed_on TEXT NOT NULL)`)
  const numbers = 'WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < :count)'
  await db.prepare(`INSERT INTO customers (id, orders) ${numbers} SELECT i, 0 FROM n`).run({ count: CUSTOMERS })
  const insert = db.prepare(`INSERT INTO orders (customer, cents, status, placed_on) ${numbers}
SELECT 1 + i * 7919 % ${CUSTOMERS}, 100 + i * 104729 % 50000, CASE WHEN i % 23 = 0 THEN 'cancelled' ELSE 'paid' END, '2025-0' || CAST(1 + i % 9 AS TEXT) || '-' || CAST(10 + i % 18 AS TEXT) FROM n`)
  await db.signal(signal, async () => {
    for (let made = 0; made < rows; made += BATCH) await insert.run({ count: Math.min(BATCH, rows - made) })
    await db.exec('CREATE INDEX orders_customer ON orders (customer)')
    await db.exec('ANALYZE')
  })
}

function readOptions (): DemoOptions | undefined {
  const { values: { engine = 'sqlite', port = '3100', rows = '1000000', help } } = parseArgs({ options: { engine: { type: 'string' }, port: { type: 'string' }, rows: { type: 'string' }, help: { type: 'boolean', short: 'h' } } })
  if (help === true) return undefined
  if (engine !== 'sqlite' && engine !== 'postgres') throw new Error(`expected --engine as sqlite or postgres, got ${engine}.`)
  return { engine, port: readNumber('port', port, 65_535), rows: readNumber('rows', rows, 100_000_000), token: randomBytes(9).toString('base64url') + randomBytes(6).toString('hex') }
}

function readNumber (name: string, text: string, most: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > most) throw new Error(`expected --${name} as a whole number up to ${formatCount(most)}, got ${text}.`)
  return value
}

async function main (): Promise<void> {
  const options = readOptions()
  if (options === undefined) {
    console.log(usage)
    return
  }
  const signal = watchInterrupt()
  const say = (text: string): void => { console.log(text) }
  const demo = await Demo.start(options, signal, say)
  say(`
  Something in this app is slow. Find it, and stop it.

  1. Open      ${demo.address}/ops
  2. Token     ${options.token}
  3. Look      what has been running longest, and for which route
  4. Stop it   and see here what its caller gets

  The first one comes in ${STUCK_FIRST_MS / 1000} seconds, then one every ${STUCK_EVERY_MS / 1000}. Ctrl-C ends everything.
`)
  await demo.run(signal, say)
  say('\nCleaning up …')
  await demo.close()
}

if (import.meta.main) {
  try {
    await main()
  } catch (error) {
    console.error(`demo:slow: ${explain(error)}`)
    process.exitCode = 1
  }
}
