/**
 * Fastify over HTTP with each library: one read, and a transaction of three statements, under 64 connections.
 *
 * How it measures: each contender is a process of its own (server.ts), with a database of its own; one after the other is under load, in interleaved rounds. The
 * processor time is that of the server's process, the memory its resident set after its turn. Before, the answers are compared; afterwards, the accounts have to agree
 * with the entries.
 */
import type { EngineName } from '../../plugins/db/types.ts'
import { engineTitles } from '../contenders/contender.ts'
import { isThere } from '../contenders/index.ts'
import { audit } from '../contenders/data.ts'
import { RAW } from '../contenders/sqlite-drivers.ts'
import { rateFigure } from '../measure/figures.ts'
import { boundFor, type Bound, type Chart, type Figure, type Outcome, type Table } from '../measure/measurement.ts'
import { formatNumber } from '../measure/report.ts'
import { runRounds, seenBy, type Turn } from '../measure/rounds.ts'
import { bestQuarter, median } from '../measure/statistics.ts'
import { newTarget } from '../operations/databases.ts'
import { sizeFor, type ServerMeasurement, type Settings } from '../measure/settings.ts'
import type { HttpContender } from './contender.ts'
import { HELLO, httpContenders, OURS, OURS_NOT_AWAITED, OURS_READ_TX, PG_NAMED, PG_TEXT } from './contenders.ts'
import { findLoadTool, type LoadTool } from './load-tool.ts'
import { WebServer } from './web-server.ts'

const sizes = {
  full: { rounds: 6, seconds: 1, warmUp: 2 },
  short: { rounds: 1, seconds: 1, warmUp: 0 },
  tiny: { rounds: 1, seconds: 1, warmUp: 0 }
}

const CONNECTIONS = 64

/** What the others stand against. */
const bases: Readonly<Record<EngineName, string>> = { sqlite: RAW, postgres: PG_TEXT }
/** With `--ci`. */
const shortNames: ReadonlySet<string> = new Set([HELLO, PG_TEXT, RAW, OURS, OURS_NOT_AWAITED])

export interface Served {
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of the server, for a request. */
  readonly cpuMicros: number
  readonly rssMb: number
}

type Seen = ReadonlyMap<string, Served[]>

export const httpOn = (engine: EngineName, name: string): ServerMeasurement => ({
  name,
  title: `Fastify on ${engineTitles[engine]} with each library, ${CONNECTIONS} connections`,
  measure: async settings => await measure(engine, settings)
})

async function measure (engine: EngineName, settings: Settings): Promise<Outcome> {
  const tool = await findLoadTool(settings.scratch)
  const wanted = httpContenders[engine].filter(({ name }) => settings.effort === 'full' || shortNames.has(name))
  const { servers, absent } = await startServers(engine, wanted, settings)
  try {
    const reading = servers.filter(({ contender }) => contender.reads)
    const moving = servers.filter(({ contender }) => contender.moves)
    const problems = await check(reading, moving, settings.servers.rows)
    const { reads, moves } = await runHttp(reading, moving, tool, settings, problems)
    for (const { contender, target } of moving) problems.push(...(await audit(engine, target, NOTHING, ANYTHING)).map(problem => `${contender.name}: ${problem}`))
    return {
      tables: [tableOf('GET, one read', reads), tableOf('POST, a transaction of three statements', moves)],
      figures: [...figuresOf('read', engine, reads, settings), ...figuresOf('transaction', engine, moves, settings)],
      charts: [chartOf(engine, reads, moves)],
      problems,
      notes: [`load by ${tool.name}, with one thread`, ...absent]
    }
  } finally {
    for (const { server } of servers) await server.stop()
  }
}

const NOTHING = { transfers: 0, notes: 0 }
/** Who makes the load leaves in the middle of requests. */
const ANYTHING = { transfers: Infinity, notes: Infinity }

interface Started { readonly contender: HttpContender, readonly server: WebServer, readonly target: string }

/** A library that cannot be started is told, and the others are measured. */
async function startServers (engine: EngineName, wanted: readonly HttpContender[], settings: Settings): Promise<{ servers: Started[], absent: string[] }> {
  const servers: Started[] = []
  const absent: string[] = []
  const { rows } = settings.servers
  for (const contender of wanted) {
    const { name, needs } = contender
    if (!isThere(contender)) {
      absent.push(`${name}: not installed, so not measured (npm run bench:setup)`)
      continue
    }
    const target = await newTarget(engine, rows, settings)
    const starting = WebServer.start({ engine, contender: name, target, rows }).then(server => { servers.push({ contender, server, target }) })
    if (needs === undefined) await starting
    else await starting.catch((error: unknown) => { absent.push(`${name}: could not be started, so not measured: ${String(error)}`) })
  }
  return { servers, absent }
}

async function check (reading: readonly Started[], moving: readonly Started[], rows: number): Promise<string[]> {
  const problems: string[] = []
  for (const { contender, server } of reading) if (contender.name !== HELLO) problems.push(...await server.checkReads(rows))
  for (const { server } of moving) problems.push(...await server.checkMoves())
  return problems
}

async function runHttp (reading: readonly Started[], moving: readonly Started[], tool: LoadTool, settings: Settings, problems: string[]): Promise<{ reads: Seen, moves: Seen }> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const { warmUp } = sizes[settings.effort]
  const turnsOf = async (servers: readonly Started[], method: 'GET' | 'POST', path: string): Promise<Array<Turn<Served> & { readonly server: WebServer }>> => {
    const load: Serving = { method, path, connections: CONNECTIONS, seconds }
    if (warmUp > 0) for (const { server } of servers) await serve(server, tool, { ...load, seconds: warmUp }, problems) // for the compiler: a server runs for days
    return servers.map(({ server }) => ({ name: `${method} ${path}: ${server.name}`, server, run: () => serve(server, tool, load, problems) }))
  }
  const [reads, moves] = [await turnsOf(reading, 'GET', '/read'), await turnsOf(moving, 'POST', '/move')]
  const seen = await runRounds([...reads, ...moves], rounds, 'http')
  const byServer = (turns: typeof reads): Seen => new Map(turns.map(({ name, server }) => [server.name, seenBy(seen, name)]))
  return { reads: byServer(reads), moves: byServer(moves) }
}

interface Serving { readonly method: 'GET' | 'POST', readonly path: string, readonly connections: number, readonly seconds: number }

/** One turn of load on a server. */
export async function serve (server: WebServer, tool: LoadTool, { method, path, connections, seconds }: Serving, problems: string[]): Promise<Served> {
  const before = await server.usage()
  const { requests, perSecond, p50Ms, p99Ms, failed } = await tool.run({ url: `${server.address}${path}`, method }, connections, seconds)
  const after = await server.usage()
  if (failed > 0) problems.push(`${server.name}: ${failed} of ${requests} requests for ${path} failed`)
  return { requests, perSecond, p50Ms, p99Ms, cpuMicros: (after.cpuMicros - before.cpuMicros) / requests, rssMb: after.rss / 1e6 }
}

// --- the report ------------------------------------------------------------------------------------------------------------------

function ratesOf (seen: Seen, name: string): number[] {
  return seenBy(seen, name).map(({ perSecond }) => perSecond)
}

/** All against the base of the engine; ours against whom it is promised to beat. */
function figuresOf (what: string, engine: EngineName, seen: Seen, settings: Settings): Figure[] {
  const base = bases[engine]
  const bounds = engine === 'postgres' ? boundsOf(what, seen, settings) : []
  const bounded = new Set(bounds.map(({ name, against }) => `${name} / ${against}`))
  const pairs = [...seen.keys()].filter(name => name !== base).map(name => ({ name, against: base, bound: undefined }))
  return [...bounds, ...pairs.filter(({ name, against }) => !bounded.has(`${name} / ${against}`))]
    .map(({ name, against, bound }) => rateFigure(`${what}: ${name} / ${against}`, ratesOf(seen, name), ratesOf(seen, against), bound))
}

function boundsOf (what: string, seen: Seen, settings: Settings): Array<{ name: string, against: string, bound: Bound | undefined }> {
  if (what === 'transaction') {
    return [
      { name: OURS_NOT_AWAITED, against: PG_TEXT, bound: boundFor(settings, { atLeast: 2 }, { atLeast: 1.3 }) },
      ...seen.has(PG_NAMED) ? [{ name: OURS_NOT_AWAITED, against: PG_NAMED, bound: undefined }] : []
    ]
  }
  const others = [...seen.keys()].filter(name => ![HELLO, OURS, OURS_READ_TX].includes(name))
  const best = others.toSorted((a, b) => bestQuarter(ratesOf(seen, b)) - bestQuarter(ratesOf(seen, a)))[0] ?? PG_TEXT
  return [
    { name: OURS, against: PG_TEXT, bound: boundFor(settings, { atLeast: 3 }, { atLeast: 1.8 }) },
    { name: OURS, against: HELLO, bound: boundFor(settings, { atLeast: 0.6 }, { atLeast: 0.4 }) },
    ...best === PG_TEXT ? [] : [{ name: OURS, against: best, bound: boundFor(settings, { atLeast: 1 }, { atLeast: 1 }) }]
  ]
}

function tableOf (title: string, seen: Seen): Table {
  const middle = (list: readonly Served[], get: (served: Served) => number): string => formatNumber(median(list.map(get)))
  const row = (name: string, list: readonly Served[]): string[] => [
    name,
    formatNumber(Math.round(bestQuarter(list.map(({ perSecond }) => perSecond)))),
    middle(list, ({ p50Ms }) => p50Ms),
    middle(list, ({ p99Ms }) => p99Ms),
    middle(list, ({ cpuMicros }) => cpuMicros),
    middle(list, ({ rssMb }) => Math.round(rssMb))
  ]
  return [[title, 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs/request', 'RSS MB'], ...[...seen].map(([name, list]) => row(name, list))]
}

function chartOf (engine: EngineName, reads: Seen, moves: Seen): Chart {
  const bars = (panel: string, seen: Seen): Chart['points'] => [...seen.keys()].map(name => ({ panel, series: name, y: Math.round(bestQuarter(ratesOf(seen, name))) }))
  return {
    name: `http-${engine}`,
    title: `Fastify on ${engineTitles[engine]}, ${CONNECTIONS} connections; longer is better`,
    kind: 'bars',
    y: 'requests a second',
    points: [...bars('one read', reads), ...bars('a transaction of three statements', moves)]
  }
}
