/**
 * 2. Fastify over HTTP with each library: one read, and a transaction of three statements, under 64 connections.
 *
 * How it measures: each contender is a process of its own (http-server.ts); one after the other is under load, in interleaved rounds. The processor time is that of the
 * server's process, the memory its resident set after its turn. Before, the answers are compared; afterwards, the accounts have to agree with the entries.
 */
import { boundFor, type Figure, type Outcome, type Table } from '../sqlite/measurement.ts'
import { formatNumber } from '../sqlite/report.ts'
import { median } from '../sqlite/statistics.ts'
import { auditTransfers } from './data.ts'
import { HELLO, httpContenders, installed, OURS, OURS_DEFAULT, OURS_NOT_AWAITED, PG_NAMED, PG_TEXT } from './http-contenders.ts'
import { findLoadTool, type LoadTool } from './http-load.ts'
import { ratioFigure, sizeFor, type PostgresMeasurement, type Settings } from './measurement.ts'
import { runRounds, seenBy } from './rounds.ts'
import { WebServer } from './web-server.ts'

const sizes = {
  full: { rounds: 3, seconds: 2 },
  short: { rounds: 1, seconds: 1 },
  tiny: { rounds: 1, seconds: 1 }
}

const CONNECTIONS = 64

/** With `--ci`: those that have bounds. */
const shortNames = [HELLO, PG_TEXT, OURS, OURS_NOT_AWAITED]

export interface Served {
  readonly requests: number
  readonly perSecond: number
  readonly p99Ms: number
  /** Of the server, for a request. */
  readonly cpuMicros: number
  readonly rssMb: number
}

type Seen = ReadonlyMap<string, Served[]>

export const http: PostgresMeasurement = { name: 'http', title: `Fastify with each library, ${CONNECTIONS} connections`, measure }

async function measure (settings: Settings): Promise<Outcome> {
  const url = await settings.servers.database()
  const tool = await findLoadTool(settings.scratch)
  const wanted = Object.keys(httpContenders).filter(name => settings.effort === 'full' || shortNames.includes(name))
  const names = installed(httpContenders).filter(name => wanted.includes(name))
  const { servers, refused } = await startServers(names, url, settings)
  try {
    const { reads, moves, problems } = await check(servers, settings.servers.rows)
    const seenReads = await runHttp(reads, tool, 'GET', '/read', settings, problems)
    const seenMoves = await runHttp(moves, tool, 'POST', '/move', settings, problems)
    return {
      tables: [tableOf('GET, one read', seenReads), tableOf('POST, a transaction of three statements', seenMoves)],
      figures: [...figuresOfReads(seenReads, settings), ...figuresOfMoves(seenMoves, settings)],
      problems: [...problems, ...await auditTransfers(url, 0, Infinity)],
      notes: [
        `load by ${tool.name}, with one thread`,
        ...refused.map(({ name, why }) => `${name}: could not be run: ${why}`),
        ...wanted.filter(name => !names.includes(name)).map(name => `${name}: not installed, so not measured (npm ci --prefix bench)`)
      ]
    }
  } finally {
    for (const server of servers) await server.stop()
  }
}

interface Refused { readonly name: string, readonly why: string }

/** A library that cannot be started is told, and the others are measured. */
async function startServers (names: readonly string[], url: string, { servers: { rows } }: Settings): Promise<{ servers: WebServer[], refused: Refused[] }> {
  const servers: WebServer[] = []
  const refused: Refused[] = []
  for (const contender of names) {
    try {
      servers.push(await WebServer.start({ contender, url, rows }))
    } catch (error) {
      refused.push({ name: contender, why: error instanceof Error ? error.message : String(error) })
    }
  }
  return { servers, refused }
}

async function check (servers: readonly WebServer[], rows: number): Promise<{ reads: WebServer[], moves: WebServer[], problems: string[] }> {
  const reads = servers.filter(({ name }) => httpContenders[name]?.reads)
  const moves = servers.filter(({ name }) => httpContenders[name]?.moves)
  const problems: string[] = []
  for (const server of reads) if (server.name !== HELLO) problems.push(...await server.checkReads(rows))
  for (const server of moves) problems.push(...await server.checkMoves())
  return { reads, moves, problems }
}

async function runHttp (servers: readonly WebServer[], tool: LoadTool, method: 'GET' | 'POST', path: string, settings: Settings, problems: string[]): Promise<Seen> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const turns = servers.map(server => ({ name: server.name, run: () => serve(server, tool, { method, path, connections: CONNECTIONS, seconds }, problems) }))
  return await runRounds(turns, rounds, `http, ${method} ${path}`)
}

/** One turn of load on a server. */
export async function serve (server: WebServer, tool: LoadTool, { method, path, connections, seconds }: { method: 'GET' | 'POST', path: string, connections: number, seconds: number }, problems: string[]): Promise<Served> {
  const before = await server.usage()
  const { requests, perSecond, p99Ms, failed } = await tool.run({ url: `${server.address}${path}`, method }, connections, seconds)
  const after = await server.usage()
  if (failed > 0) problems.push(`${server.name}: ${failed} of ${requests} requests for ${path} failed`)
  return { requests, perSecond, p99Ms, cpuMicros: (after.cpuMicros - before.cpuMicros) / requests, rssMb: after.rss / 1e6 }
}

// --- the report ------------------------------------------------------------------------------------------------------------------

function ratesOf (seen: Seen, name: string): number[] {
  return seenBy(seen, name).map(({ perSecond }) => perSecond)
}

function figuresOfReads (seen: Seen, settings: Settings): Figure[] {
  const ours = ratesOf(seen, OURS)
  const others = [...seen.keys()].filter(name => ![HELLO, OURS, OURS_DEFAULT].includes(name))
  const best = others.toSorted((a, b) => median(ratesOf(seen, b)) - median(ratesOf(seen, a)))[0] ?? PG_TEXT
  return [
    ratioFigure(`read: ${OURS} / ${PG_TEXT}`, ours, ratesOf(seen, PG_TEXT), boundFor(settings, { atLeast: 3 }, { atLeast: 1.8 })),
    ratioFigure(`read: ${OURS} / ${HELLO}`, ours, ratesOf(seen, HELLO), boundFor(settings, { atLeast: 0.6 }, { atLeast: 0.4 })),
    ratioFigure(`read: ${OURS} / ${best}, the best of the others`, ours, ratesOf(seen, best), boundFor(settings, { atLeast: 1 }, { atLeast: 1 })),
    ...seen.has(OURS_DEFAULT) ? [ratioFigure(`read: ${OURS_DEFAULT} / ${PG_TEXT}`, ratesOf(seen, OURS_DEFAULT), ratesOf(seen, PG_TEXT))] : []
  ]
}

function figuresOfMoves (seen: Seen, settings: Settings): Figure[] {
  const text = ratesOf(seen, PG_TEXT)
  return [
    ratioFigure(`transaction: ${OURS_NOT_AWAITED} / ${PG_TEXT}`, ratesOf(seen, OURS_NOT_AWAITED), text, boundFor(settings, { atLeast: 2 }, { atLeast: 1.3 })),
    ...seen.has(PG_NAMED) ? [ratioFigure(`transaction: ${OURS_NOT_AWAITED} / ${PG_NAMED}`, ratesOf(seen, OURS_NOT_AWAITED), ratesOf(seen, PG_NAMED))] : [],
    ratioFigure(`transaction: ${OURS} / ${PG_TEXT}`, ratesOf(seen, OURS), text)
  ]
}

function tableOf (title: string, seen: Seen): Table {
  const middle = (list: readonly Served[], get: (served: Served) => number): string => formatNumber(median(list.map(get)))
  const row = (name: string, list: readonly Served[]): string[] => [
    name,
    middle(list, ({ perSecond }) => Math.round(perSecond)),
    middle(list, ({ p99Ms }) => p99Ms),
    middle(list, ({ cpuMicros }) => cpuMicros),
    middle(list, ({ rssMb }) => Math.round(rssMb))
  ]
  return [[title, 'requests/s', 'p99 ms', 'CPU µs/request', 'RSS MB'], ...[...seen].map(([name, list]) => row(name, list))]
}
