/**
 * What plugins/tx costs, in requests per second over HTTP, in interleaved rounds against the same without it:
 *   1. a route that asks nothing of the database: the app with the plugin, and without;
 *   2. a route that writes one row on PostgreSQL: the plugin, and BEGIN; query; COMMIT by hand on a pool of the same size.
 * Many short rounds, so that what else the machine does hits neighbours alike. Each app is a process of its own; the load comes from this one, over 32 keep-alive
 * sockets with one request at a time on each. Exit code 1 if the median of the ratios without queries is worse than the bound.
 *
 *   npm run bench:tx-cost -- [--rounds 60] [--ms 150] [--bound 3]
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { parseArgs } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import pg from 'pg'
import config from '../plugins/config/index.ts'
import db from '../plugins/db/index.ts'
import tx from '../plugins/tx/index.ts'
import { PostgresServer } from '../test/helper/postgres-server.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '60' },
    ms: { type: 'string', default: '150' },
    sockets: { type: 'string', default: '32' },
    pool: { type: 'string', default: '10' },
    bound: { type: 'string', default: '3' },
    serve: { type: 'string' },
    url: { type: 'string', default: '' },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log(`npm run bench:tx-cost -- [options]

  --rounds N     rounds, each with every contender (60)
  --ms N         how long each is under load in a round (150)
  --sockets N    (32)
  --pool N       connections to PostgreSQL (10)
  --bound N      how many percent fewer requests without queries there may be, 0 for no bound (3)

DATABASE_URL of a PostgreSQL may be given with --url; otherwise one is started.`)
  process.exit(0)
}

const contenders = ['plain', 'with plugin', 'by hand', 'with plugin, one INSERT'] as const
type Contender = typeof contenders[number]

if (values.serve === undefined) process.exitCode = await compare()
else await serve(values.serve as Contender)

// --- the apps ----------------------------------------------------------------------------------------------------------------------

/** One contender; tells its port, and what it has used of the processor each time it is asked. */
async function serve (contender: Contender): Promise<void> {
  const app = Fastify()
  await app.register(config, { env: contender.includes('one INSERT') ? { DATABASE_URL: values.url, DB_POOL_MAX: values.pool } : { DATABASE_URL: 'sqlite::memory:' } })
  await app.register(db)
  if (contender.includes('plugin')) await app.register(tx)
  if (contender === 'by hand') byHand(app)
  else if (contender === 'with plugin, one INSERT') app.post('/', async () => await app.db.prepare('INSERT INTO cost (name) VALUES (?)').run('some text'))
  else app.get('/', async () => ({ changes: 1 }))
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  process.on('disconnect', () => { process.exit(0) })
  process.on('message', () => { process.send?.(process.cpuUsage()) })
  process.send?.(Number(port))
}

/** What one writes without a library. */
function byHand (app: FastifyInstance): void {
  const pool = new pg.Pool({ connectionString: values.url, max: Number(values.pool) })
  app.post('/', async () => {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      const { rowCount } = await client.query('INSERT INTO cost (name) VALUES ($1)', ['some text'])
      await client.query('COMMIT')
      return { changes: rowCount, lastInsertRowid: null }
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
  })
}

// --- the comparison ------------------------------------------------------------------------------------------------------------------

interface Sample { readonly perSecond: number, readonly cpuMicros: number }

async function compare (): Promise<number> {
  const [rounds, ms, bound] = [values.rounds, values.ms, values.bound].map(Number) as [number, number, number]
  const server = values.url === '' ? await PostgresServer.start() : undefined
  const url = server?.url ?? values.url
  await query(url, 'DROP TABLE IF EXISTS cost; CREATE TABLE cost (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT NOT NULL)')
  const apps = new Map<Contender, { child: ChildProcess, port: number }>()
  const samples = new Map(contenders.map((name): [Contender, Sample[]] => [name, []]))
  try {
    for (const name of contenders) apps.set(name, await start(name, url))
    for (let round = -6; round < rounds; round++) {
      for (const name of round % 2 === 0 ? contenders : contenders.toReversed()) { // what comes first is not always the same
        const app = apps.get(name)
        if (app === undefined) continue
        const sample = await measure(app, name.includes('plain') || name === 'with plugin' ? 'GET' : 'POST', ms)
        if (round >= 0) samples.get(name)?.push(sample)
      }
    }
  } finally {
    for (const { child } of apps.values()) {
      const exited = once(child, 'exit')
      child.disconnect()
      await exited
    }
    if (server === undefined) await query(url, 'DROP TABLE cost')
    await server?.stop()
  }
  console.log(`${rounds} interleaved rounds of ${ms} ms, ${values.sockets} sockets, Node.js ${process.version}\n`)
  const ratio = report('a request without queries', samples.get('plain') ?? [], samples.get('with plugin') ?? [])
  report('a request with one INSERT in a transaction, against the same by hand', samples.get('by hand') ?? [], samples.get('with plugin, one INSERT') ?? [])
  const isMet = bound === 0 || ratio >= 1 - bound / 100
  console.log(`bound: at most ${bound} % fewer requests without queries: ${isMet ? 'met' : 'NOT met'}`)
  return isMet ? 0 : 1
}

async function start (name: Contender, url: string): Promise<{ child: ChildProcess, port: number }> {
  const child = fork(import.meta.filename, ['--serve', name, '--url', url, '--pool', values.pool], { execArgv: [] })
  const [port] = await once(child, 'message') as [number]
  return { child, port }
}

async function query (url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(sql)
  await client.end()
}

async function measure ({ child, port }: { child: ChildProcess, port: number }, method: string, ms: number): Promise<Sample> {
  const before = await cpuOf(child)
  const startedAt = performance.now()
  const requests = await load(port, method, ms)
  const seconds = (performance.now() - startedAt) / 1000
  const after = await cpuOf(child)
  return { perSecond: requests / seconds, cpuMicros: (after.user + after.system - before.user - before.system) / requests }
}

async function cpuOf (child: ChildProcess): Promise<NodeJS.CpuUsage> {
  child.send('cpu')
  const [usage] = await once(child, 'message') as [NodeJS.CpuUsage]
  return usage
}

/** As many requests as are answered within `ms`. Raw sockets, since a client that parses costs more than the server. */
async function load (port: number, method: string, ms: number): Promise<number> {
  const until = performance.now() + ms
  const body = method === 'POST' ? 'content-length: 2\r\ncontent-type: application/json\r\n\r\n{}' : '\r\n'
  const request = Buffer.from(`${method} / HTTP/1.1\r\nhost: x\r\n${body}`)
  const counts = await Promise.all(Array.from({ length: Number(values.sockets) }, async () => await new Promise<number>((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let answers = 0
    let text = ''
    socket.setEncoding('latin1').on('error', reject).on('connect', () => { socket.write(request) }).on('data', (chunk: string) => {
      text += chunk
      const end = text.indexOf('\r\n\r\n')
      if (end === -1 || text.length < end + 4 + Number(/content-length: (\d+)/.exec(text)?.[1])) return
      if (!text.startsWith('HTTP/1.1 200 ') || !text.includes('"changes":1')) {
        reject(new Error(`an answer that was not expected: ${text}`))
        socket.destroy()
        return
      }
      text = ''
      answers++
      if (performance.now() < until) socket.write(request)
      else socket.end(() => { resolve(answers) })
    })
  })))
  return counts.reduce((a, b) => a + b, 0)
}

/** Answers the ratio of requests per second: the second to the first. */
function report (title: string, base: readonly Sample[], other: readonly Sample[]): number {
  const ratios = base.map(({ perSecond }, i) => (other[i]?.perSecond ?? NaN) / perSecond).toSorted((a, b) => a - b)
  const cpu = median(base.map(({ cpuMicros }, i) => (other[i]?.cpuMicros ?? NaN) / cpuMicros))
  const best = (list: readonly Sample[]): number => list.map(({ perSecond }) => perSecond).toSorted((a, b) => b - a)[list.length >> 3] ?? NaN
  const line = (name: string, list: readonly Sample[]): string => {
    const [perSecond, micros] = [median(list.map(({ perSecond }) => perSecond)), median(list.map(({ cpuMicros }) => cpuMicros))]
    return `  ${name.padEnd(16)} ${perSecond.toFixed(0).padStart(6)} requests/s   ${micros.toFixed(1).padStart(6)} µs of the processor each`
  }
  const quarter = (share: number): string => (ratios[Math.floor((ratios.length - 1) * share)] ?? NaN).toFixed(3)
  const ratio = median(ratios)
  console.log(`${title}\n${line('without', base)}\n${line('with the plugin', other)}`)
  const spread = `quartiles ${quarter(0.25)} and ${quarter(0.75)}, from ${quarter(0)} to ${quarter(1)}`
  console.log(`  ratio by round: ${ratio.toFixed(3)} (${spread}); of the best eighths: ${(best(other) / best(base)).toFixed(3)}; of the processor: ${cpu.toFixed(3)}\n`)
  return ratio
}

function median (list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[list.length >> 1] ?? NaN
}
