/**
 * What an app asks of a database all day, by everybody: a row by its key, a list of 100, an insert, a transaction of three statements; 1, 32 and 256 in flight.
 *
 * How it measures: each contender is a process of its own, with a database of its own. Their answers are compared first; afterwards nothing that was written may be
 * missing. In between, closed loops in many short interleaved rounds, of which the fastest quarter counts.
 */
import type { EngineName } from '../../plugins/db/types.ts'
import { engineTitles, operations, type Entrant, type Operation } from '../contenders/contender.ts'
import { entrants, isThere } from '../contenders/index.ts'
import { OURS } from '../contenders/tandem.ts'
import { rateFigure } from '../measure/figures.ts'
import type { Chart, Figure, Outcome, Table } from '../measure/measurement.ts'
import { formatNumber } from '../measure/report.ts'
import { runRounds, seenBy } from '../measure/rounds.ts'
import { bestQuarter, median } from '../measure/statistics.ts'
import { sizeFor, type ServerMeasurement, type Settings } from '../measure/settings.ts'
import { Competitor } from './competitor.ts'
import { newTarget } from './databases.ts'
import type { Speed } from './process.ts'

const sizes = {
  full: { rounds: 18, seconds: 0.06, warmUp: 0.6 },
  short: { rounds: 2, seconds: 0.1, warmUp: 0.2 },
  tiny: { rounds: 1, seconds: 0.01, warmUp: 0.02 }
}

const depths = { full: [1, 32, 256], short: [32], tiny: [1, 32] }

export const titles: Readonly<Record<Operation, string>> = { point: 'a row by its key', list: 'a list of 100 rows', insert: 'an insert', transfer: 'a transaction of three statements' }

/** What was seen of one operation, by the number in flight. */
type Seen = ReadonlyMap<number, ReadonlyMap<string, Speed[]>>

export const operationsOn = (engine: EngineName): ServerMeasurement => ({
  name: engine,
  title: `${engineTitles[engine]}: four operations, with everybody`,
  measure: async settings => await measure(engine, settings)
})

async function measure (engine: EngineName, settings: Settings): Promise<Outcome> {
  const { competitors, absent } = await startAll(engine, entrants[engine], settings)
  const problems: string[] = []
  let seen: ReadonlyMap<Operation, Seen>
  try {
    for (const competitor of competitors) problems.push(...await competitor.check())
    seen = await race(engine, competitors, settings)
    for (const competitor of competitors) problems.push(...await competitor.finish())
  } finally {
    for (const competitor of competitors) competitor.kill()
  }
  const base = entrants[engine][0]?.name ?? ''
  return {
    tables: [...seen].map(([operation, speeds]) => tableOf(operation, speeds, base)),
    figures: [...seen].flatMap(([operation, speeds]) => figuresOf(operation, speeds, base)),
    charts: [chartOf(engine, seen)],
    problems,
    notes: [`a cell: operations a second (× ${base}); CPU: processor time of the client's process for one, threads included`, ...absent]
  }
}

/** Those that can be opened, and what is to be said of the others. */
export async function startAll (engine: EngineName, wanted: readonly Entrant[], settings: Settings, rows = settings.servers.rows): Promise<{ competitors: Competitor[], absent: string[] }> {
  const competitors: Competitor[] = []
  const absent: string[] = []
  for (const entrant of wanted) {
    if (!isThere(entrant)) {
      absent.push(`${entrant.name}: not installed, so not measured (npm run bench:setup)`)
      continue
    }
    const starting = Competitor.start(engine, entrant, await newTarget(engine, rows, settings), rows)
    if (entrant.needs === undefined) competitors.push(await starting) // without it there is nothing to compare with
    else await starting.then(competitor => { competitors.push(competitor) }, (error: unknown) => { absent.push(`${entrant.name}: could not be started, so not measured: ${String(error)}`) })
  }
  return { competitors, absent }
}

/** A round is everything once, so that a bad minute of the machine hits one round of each comparison, and not all rounds of one. */
async function race (engine: EngineName, competitors: readonly Competitor[], settings: Settings): Promise<ReadonlyMap<Operation, Seen>> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const { warmUp } = sizes[settings.effort]
  const turns = operations.flatMap(operation => depths[settings.effort].flatMap(inFlight => competitors.filter(competitor => competitor.can(operation)).map(competitor =>
    ({ operation, inFlight, competitor, name: `${titles[operation]}, ${inFlight} in flight: ${competitor.name}`, run: () => competitor.work({ operation, inFlight, ms: seconds * 1000 }) }))))
  for (const { operation, inFlight, competitor } of turns) if (inFlight === 32) await competitor.work({ operation, inFlight, ms: warmUp * 1000 }) // for the compiler
  const seen = await runRounds(turns, rounds, engineTitles[engine])
  const byOperation = new Map<Operation, Map<number, Map<string, Speed[]>>>()
  for (const { operation, inFlight, competitor, name } of turns) {
    const byDepth = byOperation.get(operation) ?? new Map<number, Map<string, Speed[]>>()
    byOperation.set(operation, byDepth)
    byDepth.set(inFlight, (byDepth.get(inFlight) ?? new Map<string, Speed[]>()).set(competitor.name, seenBy(seen, name)))
  }
  return byOperation
}

// --- the report ------------------------------------------------------------------------------------------------------------------

export function ratesOf (speeds: ReadonlyMap<string, Speed[]>, name: string): number[] {
  return seenBy(speeds, name).map(({ count, ms }) => count * 1000 / ms)
}

function figuresOf (operation: Operation, seen: Seen, base: string): Figure[] {
  return [...seen].flatMap(([inFlight, speeds]) => [...speeds.keys()].filter(name => name !== base).map(name =>
    rateFigure(`${titles[operation]}, ${inFlight} in flight: ${name} / ${base}`, ratesOf(speeds, name), ratesOf(speeds, base))))
}

function tableOf (operation: Operation, seen: Seen, base: string): Table {
  const names = [...seen.values().next().value?.keys() ?? []]
  const cell = (speeds: ReadonlyMap<string, Speed[]>, name: string): string => {
    const rates = ratesOf(speeds, name)
    return `${formatNumber(Math.round(bestQuarter(rates)))} (${formatNumber(bestQuarter(rates) / bestQuarter(ratesOf(speeds, base)))} ×)`
  }
  const cpu = (speeds: ReadonlyMap<string, Speed[]>, name: string): string => formatNumber(median(seenBy(speeds, name).map(({ cpuMicros, count }) => cpuMicros / count)))
  const at = [...seen.keys()]
  const last = seen.get(32) ?? new Map<string, Speed[]>()
  return [
    [titles[operation], ...at.map(inFlight => `${inFlight} in flight`), 'CPU µs, 32 in flight'],
    ...names.map(name => [name, ...[...seen.values()].map(speeds => cell(speeds, name)), cpu(last, name)])
  ]
}

function chartOf (engine: EngineName, seen: ReadonlyMap<Operation, Seen>): Chart {
  const points = [...seen].flatMap(([operation, speeds]) => {
    const at = speeds.get(32) ?? new Map<string, Speed[]>()
    return [...at.keys()].map(name => ({ panel: titles[operation], series: name, y: Math.round(bestQuarter(ratesOf(at, name))) }))
  })
  return { name: engine, title: `${engineTitles[engine]}, 32 in flight; longer is better (${OURS} is highlighted)`, kind: 'bars', y: 'operations a second', points }
}
