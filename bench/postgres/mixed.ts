/**
 * 4. Fast statements beside slow ones: what waits behind a statement of 50 ms, when they share 10 connections.
 *
 * How it measures: open loops (open-loop.ts) of 8,000 statements a second, in interleaved rounds; each round has its own percentiles of the fast ones, and
 * the figures are their medians. The slow ones are another statement, or the same one by its parameter, so that no text tells them apart. "naive" is what pipelining
 * comes to without a thought for this: 10 pipelined connections, one after the other.
 */
import { Random } from '../faults/random.ts'
import { spreadId } from '../measure/ids.ts'
import { boundFor, type Figure, type Outcome, type Table } from '../measure/measurement.ts'
import { formatNumber } from '../measure/report.ts'
import { median, percentile } from '../measure/statistics.ts'
import { CONNECTIONS } from '../contenders/contender.ts'
import { closeAll, openOurs, openPipelined, openPool, OURS, type Client } from './clients.ts'
import type { Item } from '../contenders/data.ts'
import { SLOW_MS } from './data.ts'
import { tailFigure } from '../measure/figures.ts'
import { sizeFor, type ServerMeasurement, type Settings } from '../measure/settings.ts'
import { runOpenLoop, type Arrival } from './open-loop.ts'
import { runRounds, seenBy } from '../measure/rounds.ts'

const sizes = {
  full: { rounds: 7, seconds: 1 },
  short: { rounds: 2, seconds: 0.5 },
  tiny: { rounds: 1, seconds: 0.05 }
}

interface Mix {
  readonly name: string
  readonly perSecond: number
  readonly slowShare: number
  /** Who is slow: 'slow' beside point reads, or some of 'either'. */
  readonly statement: 'slow' | 'either'
}

const kinds = [
  { name: '1 % another statement', slowShare: 0.01, statement: 'slow' },
  { name: '1 % of the same statement', slowShare: 0.01, statement: 'either' },
  { name: '0.2 % of the same statement', slowShare: 0.002, statement: 'either' },
  { name: 'none is slow', slowShare: 0, statement: 'slow' }
] as const

const PER_SECOND = 8000

const mixes: readonly Mix[] = kinds.map(kind => ({ ...kind, perSecond: PER_SECOND, name: `${kind.name}, ${formatNumber(PER_SECOND)}/s` }))

const PERCENTILES = [0.5, 0.99, 0.999]

interface Seen { readonly percentiles: readonly number[], readonly cores: number }

interface Measured { readonly mix: Mix, readonly seen: ReadonlyMap<string, Seen[]> }

export const mixed: ServerMeasurement = { name: 'mixed', title: `Fast statements beside some that take ${SLOW_MS} ms`, measure }

async function measure (settings: Settings): Promise<Outcome> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const url = await settings.servers.database()
  const clients = [openPool(url, 'named'), await openPipelined(url, CONNECTIONS), await openOurs(url)]
  const problems: string[] = []
  const measured: Measured[] = []
  try {
    for (const mix of settings.effort === 'full' ? mixes : mixes.slice(0, 1)) {
      const turns = clients.map(client => ({ name: client.name, run: () => runMix(client, mix, seconds, settings.servers.rows, problems) }))
      measured.push({ mix, seen: await runRounds(turns, rounds, mix.name) })
    }
  } finally {
    await closeAll(clients)
  }
  return {
    tables: measured.map(tableOf),
    figures: measured.flatMap(one => figuresOf(one, settings)),
    problems,
    notes: ['latencies of the fast ones in ms, from when they were due; up to 1 ms is the resolution of the loop']
  }
}

async function runMix (client: Client, { perSecond, slowShare, statement }: Mix, seconds: number, rows: number, problems: string[]): Promise<Seen> {
  const random = new Random(11)
  const { latencies, cores } = await runOpenLoop(perSecond, seconds, i => {
    const isSlow = random.chance(slowShare)
    return { isCounted: !isSlow, done: send(client, statement, isSlow, spreadId(i, rows), problems) } satisfies Arrival
  })
  return { percentiles: PERCENTILES.map(share => percentile(latencies, share)), cores }
}

async function send (client: Client, statement: Mix['statement'], isSlow: boolean, id: number, problems: string[]): Promise<void> {
  if (statement === 'slow' && isSlow) {
    await client.one('slow')
    return
  }
  const row = await (statement === 'slow' ? client.one('point', id) : client.one('either', id, isSlow ? 1 : 0)) as Item | undefined
  if (row?.id !== id) problems.push(`${client.name} answers the row ${id} with ${JSON.stringify(row)}`)
}

function figuresOf ({ mix, seen }: Measured, settings: Settings): Figure[] {
  const p99Of = (name: string): number[] => seenBy(seen, name).map(({ percentiles }) => percentiles[1] ?? NaN)
  const pool = 'pool.query, named'
  const bound = mix.slowShare === 0 ? undefined : boundFor(settings, { atMost: 1.25 }, { atMost: 3 })
  return [tailFigure(`${OURS} / ${pool}, p99, ${mix.name}`, p99Of(OURS), p99Of(pool), bound)]
}

function tableOf ({ mix, seen }: Measured): Table {
  const cells = (list: readonly Seen[]): string[] => [
    ...PERCENTILES.map((_, i) => formatNumber(median(list.map(({ percentiles }) => percentiles[i] ?? NaN)))),
    formatNumber(median(list.map(({ cores }) => cores)))
  ]
  const nameOf = (name: string): string => name.startsWith('pg pipeline') ? `naive: ${name}` : name
  return [[mix.name, 'p50', 'p99', 'p99.9', 'client cores'], ...[...seen].map(([name, list]) => [nameOf(name), ...cells(list)])]
}
