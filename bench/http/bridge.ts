/**
 * Against a synchronous bridge (bridge-client.ts): one read over HTTP, by 1, 32 and 256 connections.
 *
 * How it measures: as index.ts. There are two variants of the bridge, and a claim about it says which: "poll" looks each 10 ms, "notify" is woken.
 */
import { boundFor, type Figure, type Outcome, type Table } from '../measure/measurement.ts'
import { formatNumber } from '../measure/report.ts'
import { bestQuarter, median } from '../measure/statistics.ts'
import { BRIDGE_NOTIFY, BRIDGE_POLL, OURS, PG_TEXT } from './contenders.ts'
import { findLoadTool } from './load-tool.ts'
import { serve, type Served } from './index.ts'
import { rateFigure } from '../measure/figures.ts'
import { sizeFor, type ServerMeasurement, type Settings } from '../measure/settings.ts'
import { runRounds, seenBy } from '../measure/rounds.ts'
import { WebServer } from './web-server.ts'

const sizes = {
  full: { rounds: 5, seconds: 1 },
  short: { rounds: 1, seconds: 1 },
  tiny: { rounds: 1, seconds: 1 }
}

const names = { full: [BRIDGE_POLL, BRIDGE_NOTIFY, PG_TEXT, OURS], short: [BRIDGE_POLL, BRIDGE_NOTIFY, OURS], tiny: [BRIDGE_POLL, BRIDGE_NOTIFY, OURS] }

type Seen = ReadonlyMap<string, Served[]>

export const bridge: ServerMeasurement = { name: 'bridge', title: 'A read over HTTP, against a synchronous bridge', measure }

async function measure (settings: Settings): Promise<Outcome> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const url = await settings.servers.database()
  const tool = await findLoadTool(settings.scratch)
  const servers: WebServer[] = []
  const problems: string[] = []
  const measured = new Map<number, Seen>()
  try {
    for (const contender of names[settings.effort]) servers.push(await WebServer.start({ engine: 'postgres', contender, target: url, rows: settings.servers.rows }))
    for (const server of servers) problems.push(...await server.checkReads(settings.servers.rows))
    for (const connections of settings.effort === 'full' ? [1, 32, 256] : [32]) {
      const turns = servers.map(server => ({ name: server.name, run: () => serve(server, tool, { method: 'GET', path: '/read', connections, seconds: secondsFor(server.name, connections, seconds) }, problems) }))
      measured.set(connections, await runRounds(turns, rounds, `bridge, ${connections} connections`))
    }
  } finally {
    for (const server of servers) await server.stop()
  }
  return {
    tables: [tableOf(measured, servers)],
    figures: [...measured].flatMap(([connections, seen]) => figuresOf(connections, seen, settings)),
    problems,
    notes: [`load by ${tool.name}; a cell: requests a second (p99 in ms)`]
  }
}

/** The bridge answers nobody before it has read for everybody who has asked, 10 ms each: long enough for a few times that. */
function secondsFor (name: string, connections: number, seconds: number): number {
  return name === BRIDGE_POLL ? Math.max(seconds, connections * 0.04) : seconds
}

function figuresOf (connections: number, seen: Seen, settings: Settings): Figure[] {
  const ratesOf = (name: string): number[] => seenBy(seen, name).map(({ perSecond }) => perSecond)
  const against = (name: string, full: number, short: number): Figure =>
    rateFigure(`${OURS} / ${name}, ${connections} connections`, ratesOf(OURS), ratesOf(name), connections === 32 ? boundFor(settings, { atLeast: full }, { atLeast: short }) : undefined)
  return [against(BRIDGE_POLL, 400, 100), against(BRIDGE_NOTIFY, 10, 4)]
}

function tableOf (measured: ReadonlyMap<number, Seen>, servers: readonly WebServer[]): Table {
  const cell = (list: readonly Served[]): string => `${formatNumber(Math.round(bestQuarter(list.map(({ perSecond }) => perSecond))))} (${formatNumber(median(list.map(({ p99Ms }) => p99Ms)))})`
  return [['', ...[...measured.keys()].map(connections => `${connections} connections`)], ...servers.map(({ name }) => [name, ...[...measured.values()].map(seen => cell(seenBy(seen, name)))])]
}
