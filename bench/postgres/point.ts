/**
 * 1. Reads by primary key, at 1, 32 and 256 in flight; results of 100 rows; and reads beside statements that fail.
 *
 * How it measures: closed loops in this process, in interleaved rounds (rounds.ts). × is the fastest quarter of the rounds against that of the other one. The processor time is
 * that of this process, so all that a client costs, and nothing of the server.
 */
import { boundFor, type Figure, type Outcome, type Table } from '../measure/measurement.ts'
import { spreadId } from '../measure/ids.ts'
import { median } from '../measure/statistics.ts'
import { compareAnswers } from './answers.ts'
import { closeAll, openOurs, openPipelined, openPool, openPostgresJs, OURS, type Client } from './clients.ts'
import { RANGE, type Item } from '../contenders/data.ts'
import { measureErrors } from './errors.ts'
import { formatSpeed, loadFor, type Speed } from './load.ts'
import { medianFigure, rateFigure } from '../measure/figures.ts'
import { sizeFor, type ServerMeasurement, type Settings } from '../measure/settings.ts'
import { isPgbenchInstalled, runPgbench } from './pgbench.ts'
import { runRounds, seenBy } from '../measure/rounds.ts'

const sizes = {
  full: { rounds: 7, seconds: 1 },
  short: { rounds: 2, seconds: 0.2 },
  tiny: { rounds: 1, seconds: 0.02 }
}

const depths = { full: [1, 32, 256], short: [32], tiny: [1, 32] }
const PGBENCH = 'pgbench, 32 a pipeline'

type Speeds = ReadonlyMap<string, Speed[]>

export const point: ServerMeasurement = { name: 'point', title: 'A row by its primary key', measure }

async function measure (settings: Settings): Promise<Outcome> {
  const url = await settings.servers.database()
  const clients = [openPool(url, 'text'), openPool(url, 'named'), await openPipelined(url), ...await openPostgresJs(url), await openOurs(url)]
  try {
    const problems = await compareAnswers(clients, settings.servers.rows)
    const points = await measurePoints(clients, url, settings)
    const ranges = await measureRanges(clients, settings)
    const errors = await measureErrors(settings)
    return {
      tables: [...points.tables ?? [], ...ranges.tables ?? [], ...errors.tables ?? []],
      figures: [...points.figures, ...ranges.figures, ...errors.figures],
      problems: [...problems, ...points.problems, ...ranges.problems, ...errors.problems],
      notes: [...points.notes, ...errors.notes]
    }
  } finally {
    await closeAll(clients)
  }
}

// --- one row ---------------------------------------------------------------------------------------------------------------------

async function measurePoints (clients: readonly Client[], url: string, settings: Settings): Promise<Outcome> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const { rows } = settings.servers
  const withPgbench = settings.effort !== 'tiny' && await isPgbenchInstalled()
  const wrong: string[] = []
  const speeds = new Map<number, Speeds>()
  for (const depth of depths[settings.effort]) {
    const turns = clients.map(client => ({ name: client.name, run: () => loadFor(seconds, depth, i => readPoint(client, spreadId(i, rows), wrong)) }))
    const pgbench = { name: PGBENCH, run: async () => ({ perSecond: await runPgbench(url, rows, seconds, settings.scratch), cpuMicros: NaN }) }
    speeds.set(depth, await runRounds(withPgbench && depth === 32 ? [...turns, pgbench] : turns, rounds, `point, ${depth} in flight`))
  }
  const at32 = speeds.get(32) ?? new Map<string, Speed[]>()
  return {
    tables: [tableOf(speeds)],
    figures: [...figuresOf(at32, settings, withPgbench), ...[...speeds].filter(([depth]) => depth !== 32).map(figureAt)],
    problems: wrong,
    notes: [
      'a cell: reads a second (µs of this process\'s processor time for each)',
      ...withPgbench ? [] : ['pgbench: not installed, so not measured'],
      ...clients.some(({ name }) => name.startsWith('postgres.js')) ? [] : ['postgres.js: not installed, so not measured (npm run bench:setup)']
    ]
  }
}

async function readPoint (client: Client, id: number, wrong: string[]): Promise<void> {
  const row = await client.one('point', id) as Item | undefined
  if (row?.id !== id) wrong.push(`${client.name} answers the row ${id} with ${JSON.stringify(row)}`)
}

function figuresOf (at32: Speeds, settings: Settings, withPgbench: boolean): Figure[] {
  const ours = ratesOf(at32, OURS)
  const against = (name: string, atLeast: number, generous: number): Figure => rateFigure(`${OURS} / ${name}, 32 in flight`, ours, ratesOf(at32, name), boundFor(settings, { atLeast }, { atLeast: generous }))
  const postgresJs = fastest(at32, [...at32.keys()].filter(name => name.startsWith('postgres.js')))
  return [
    against('pool.query, text', 4, 2.5),
    against('pool.query, named', 3, 1.8),
    against('pg pipeline × 1, named', 1.5, 1.1),
    ...postgresJs === undefined ? [] : [against(postgresJs, 1.5, 1.1)],
    ...withPgbench ? [against(PGBENCH, 0.85, 0.4)] : [],
    medianFigure(`${OURS}: processor time of a read, 32 in flight`, seenBy(at32, OURS).map(({ cpuMicros }) => cpuMicros), 'µs', boundFor(settings, { atMost: 5 }, { atMost: 10 }))
  ]
}

function figureAt ([depth, speeds]: readonly [number, Speeds]): Figure {
  return rateFigure(`${OURS} / pool.query, named, ${depth} in flight`, ratesOf(speeds, OURS), ratesOf(speeds, 'pool.query, named'))
}

function fastest (speeds: Speeds, names: readonly string[]): string | undefined {
  return names.toSorted((a, b) => median(ratesOf(speeds, b)) - median(ratesOf(speeds, a)))[0]
}

function ratesOf (speeds: Speeds, name: string): number[] {
  return seenBy(speeds, name).map(({ perSecond }) => perSecond)
}

function tableOf (speeds: ReadonlyMap<number, Speeds>): Table {
  const names = [...speeds.get(32)?.keys() ?? []]
  const cell = (list: readonly Speed[] | undefined): string => list === undefined ? '' : formatSpeed(list)
  return [['', ...[...speeds.keys()].map(depth => `${depth} in flight`)], ...names.map(name => [name, ...[...speeds.values()].map(at => cell(at.get(name)))])]
}

// --- 100 rows --------------------------------------------------------------------------------------------------------------------

async function measureRanges (clients: readonly Client[], settings: Settings): Promise<Outcome> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const wrong: string[] = []
  const last = settings.servers.rows - RANGE
  const turns = clients.filter(({ name }) => name !== 'pool.query, text').map(client => ({ name: client.name, run: () => loadFor(seconds, 16, i => readRange(client, spreadId(i, last), wrong)) }))
  const speeds = await runRounds(turns, rounds, `point, ${RANGE} rows`)
  return {
    tables: [[['', `${RANGE} rows, 16 in flight`], ...[...speeds].map(([name, list]) => [name, formatSpeed(list)])]],
    figures: [rateFigure(`${OURS} / pool.query, named, ${RANGE} rows, 16 in flight`, ratesOf(speeds, OURS), ratesOf(speeds, 'pool.query, named'), boundFor(settings, { atLeast: 2.5 }, { atLeast: 1.5 }))],
    problems: wrong,
    notes: []
  }
}

async function readRange (client: Client, first: number, wrong: string[]): Promise<void> {
  const rows = await client.all('list', first) as Item[]
  if (rows.length !== RANGE || rows[0]?.id !== first) wrong.push(`${client.name} answers ${rows.length} rows from ${rows[0]?.id}, not ${RANGE} from ${first}`)
}
