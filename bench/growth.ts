/**
 * What an operation costs as the table grows from 10^4 to 10^7 rows, and as more is in flight: 1 to 1,000 operations at a time, 1 to 1,000 connections over HTTP.
 *
 * How it measures: as operations/ and http/, this package beside the driver that it stands on. All sizes take part in the same rounds, so that what grows is the cost,
 * and not what else the machine does.
 */
import { setMaxListeners } from 'node:events'
import type { EngineName } from '../plugins/db/types.ts'
import { engineTitles, operations, type Operation } from './contenders/contender.ts'
import { entrants } from './contenders/index.ts'
import { RAW } from './contenders/sqlite-drivers.ts'
import { OURS } from './contenders/tandem.ts'
import { HELLO, httpContenders, PG_TEXT } from './http/contenders.ts'
import { serve, type Served } from './http/index.ts'
import { findLoadTool } from './http/load-tool.ts'
import { WebServer } from './http/web-server.ts'
import { rateFigure } from './measure/figures.ts'
import type { Chart, Figure, Outcome, Table } from './measure/measurement.ts'
import { formatNumber } from './measure/report.ts'
import { runRounds, seenBy } from './measure/rounds.ts'
import { bestQuarter } from './measure/statistics.ts'
import { Competitor } from './operations/competitor.ts'
import { newTarget } from './operations/databases.ts'
import { ratesOf, titles } from './operations/index.ts'
import { sizeFor, type ServerMeasurement, type Settings } from './measure/settings.ts'

const sizes = {
  full: { rounds: 18, seconds: 0.06 },
  short: { rounds: 2, seconds: 0.1 },
  tiny: { rounds: 1, seconds: 0.01 }
}

const rowCounts = { full: [1e4, 1e5, 1e6, 1e7], short: [1e4, 1e5], tiny: [1e3, 1e4] }
const loads = { full: [1, 10, 100, 1000], short: [1, 100], tiny: [1, 100] }
const HTTP_ROUNDS = { full: 5, short: 1, tiny: 1 }

const engines: readonly EngineName[] = ['sqlite', 'postgres']

/** The operations a second of one contender at one size. */
interface Line { readonly panel: string, readonly name: string, readonly x: number, readonly rates: readonly number[] }

export const growth: ServerMeasurement = { name: 'growth', title: 'What an operation costs as rows and load grow', measure }

async function measure (settings: Settings): Promise<Outcome> {
  setMaxListeners(50) // as many processes
  const problems: string[] = []
  const [byRows, byLoad, byConnections]: [Line[], Line[], Line[]] = [[], [], []]
  for (const engine of engines) byRows.push(...await growRows(engine, settings, problems))
  for (const engine of engines) byLoad.push(...await growLoad(engine, settings, problems))
  byConnections.push(...await growConnections(settings, problems))
  return {
    tables: [tableOf('rows of the table, 32 in flight', byRows), tableOf('operations in flight', byLoad), tableOf('connections over HTTP', byConnections)],
    figures: [
      ...figuresOf(byRows, 'rows'), ...figuresOf(byLoad, 'in flight'), ...figuresOf(byConnections, 'connections')
    ],
    charts: [
      chartOf('growth-rows', 'One operation as the table grows, 32 in flight', 'rows', byRows),
      chartOf('growth-load', 'One operation as more is in flight', 'operations in flight', byLoad),
      chartOf('growth-connections', 'One request as connections are added', 'connections', byConnections)
    ],
    problems,
    notes: ['a cell: operations (requests) a second']
  }
}

// --- rows and operations ---------------------------------------------------------------------------------------------------------

interface Sized { readonly rows: number, readonly competitor: Competitor }

/** The driver and this package, each on a database of its own. */
async function start (engine: EngineName, rows: number, settings: Settings): Promise<Sized[]> {
  const list: Sized[] = []
  for (const entrant of entrants[engine].slice(0, 2)) list.push({ rows, competitor: await Competitor.start(engine, entrant, await newTarget(engine, rows, settings), rows) })
  return list
}

async function growRows (engine: EngineName, settings: Settings, problems: string[]): Promise<Line[]> {
  const all: Sized[] = []
  try {
    for (const rows of rowCounts[settings.effort]) all.push(...await start(engine, rows, settings))
    const racing = operations.flatMap(operation => all.map(({ rows, competitor }) => ({ x: rows, operation, inFlight: 32, competitor })))
    const lines = await race(engine, racing, settings, 'rows')
    for (const { competitor } of all) problems.push(...await competitor.finish())
    return lines
  } finally {
    for (const { competitor } of all) competitor.kill()
  }
}

async function growLoad (engine: EngineName, settings: Settings, problems: string[]): Promise<Line[]> {
  const both = await start(engine, settings.servers.rows, settings)
  try {
    const racing = (['point', 'transfer'] as const).flatMap(operation => loads[settings.effort].flatMap(inFlight => both.map(({ competitor }) => ({ x: inFlight, operation, inFlight, competitor }))))
    const lines = await race(engine, racing, settings, 'in flight')
    for (const { competitor } of both) problems.push(...await competitor.finish())
    return lines
  } finally {
    for (const { competitor } of both) competitor.kill()
  }
}

interface Racing { readonly x: number, readonly operation: Operation, readonly inFlight: number, readonly competitor: Competitor }

async function race (engine: EngineName, list: readonly Racing[], settings: Settings, what: string): Promise<Line[]> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const turns = list.map(({ x, operation, inFlight, competitor }) =>
    ({ x, operation, competitor, name: `${operation}, ${x} ${what}: ${competitor.name}`, run: () => competitor.work({ operation, inFlight, ms: seconds * 1000 }) }))
  const seen = await runRounds(turns, rounds, engineTitles[engine])
  return turns.map(({ x, operation, competitor, name }) => ({ panel: panelOf(engine, operation), name: competitor.name, x, rates: ratesOf(seen, name) }))
}

function panelOf (engine: EngineName, operation: Operation): string {
  return `${engineTitles[engine]}: ${titles[operation]}`
}

// --- connections -----------------------------------------------------------------------------------------------------------------

const httpNames: Readonly<Record<EngineName, readonly string[]>> = { sqlite: [RAW, OURS], postgres: [PG_TEXT, OURS] }

async function growConnections (settings: Settings, problems: string[]): Promise<Line[]> {
  const tool = await findLoadTool(settings.scratch)
  const lines: Line[] = []
  for (const engine of engines) {
    const servers: WebServer[] = []
    try {
      for (const { name } of httpContenders[engine].filter(({ name }) => name === HELLO || httpNames[engine].includes(name))) {
        servers.push(await WebServer.start({ engine, contender: name, target: await newTarget(engine, settings.servers.rows, settings), rows: settings.servers.rows }))
      }
      const turns = loads[settings.effort].flatMap(connections => servers.map(server => ({
        name: `${server.name} at ${connections}`,
        x: connections,
        server,
        run: (): Promise<Served> => serve(server, tool, { method: 'GET', path: '/read', connections, seconds: settings.seconds ?? 1 }, problems)
      })))
      const seen = await runRounds(turns, settings.rounds ?? HTTP_ROUNDS[settings.effort], `${engineTitles[engine]}, connections`)
      lines.push(...turns.map(({ name, x, server }) => ({ panel: `${engineTitles[engine]}: GET, one read`, name: server.name, x, rates: seenBy(seen, name).map(({ perSecond }) => perSecond) })))
    } finally {
      for (const server of servers) await server.stop()
    }
  }
  return lines
}

// --- the report ------------------------------------------------------------------------------------------------------------------

/** For each panel: what ours does at the largest size against the smallest, and against the other at the largest. */
function figuresOf (lines: readonly Line[], what: string): Figure[] {
  const panels = [...new Set(lines.map(({ panel }) => panel))]
  return panels.flatMap(panel => {
    const here = lines.filter(line => line.panel === panel)
    const ours = here.filter(({ name }) => name === OURS).toSorted((a, b) => a.x - b.x)
    const [first, last] = [ours[0], ours.at(-1)]
    if (first === undefined || last === undefined) return []
    const others = here.filter(({ name, x }) => name !== OURS && x === last.x)
    return [
      rateFigure(`${panel}: ${OURS}, ${formatNumber(last.x)} / ${formatNumber(first.x)} ${what}`, last.rates, first.rates),
      ...others.map(other => rateFigure(`${panel}, ${formatNumber(last.x)} ${what}: ${OURS} / ${other.name}`, last.rates, other.rates))
    ]
  })
}

function tableOf (title: string, lines: readonly Line[]): Table {
  const sizesThere = [...new Set(lines.map(({ x }) => x))].toSorted((a, b) => a - b)
  const rows = new Map(lines.map(({ panel, name }) => [`${panel}: ${name}`, { panel, name }]))
  const cell = (panel: string, name: string, x: number): string => {
    const line = lines.find(other => other.panel === panel && other.name === name && other.x === x)
    return line === undefined ? '' : formatNumber(Math.round(bestQuarter(line.rates)))
  }
  return [[title, ...sizesThere.map(formatNumber)], ...[...rows].map(([label, { panel, name }]) => [label, ...sizesThere.map(x => cell(panel, name, x))])]
}

function chartOf (name: string, title: string, x: string, lines: readonly Line[]): Chart {
  const points = lines.map(line => ({ panel: line.panel, series: line.name, x: line.x, y: Math.round(bestQuarter(line.rates)) }))
  return { name, title, kind: 'lines', x, y: 'a second', isLogarithmic: true, points }
}
