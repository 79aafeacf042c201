/**
 * 3. Transactions of three statements when the server is a millisecond away, and when it is not; with COMMITs that wait for the disk, and without.
 *
 * How it measures: closed loops of 10 transactions at a time, in interleaved rounds, through a proxy (delay-proxy.ts) whose delay is measured first, by a statement
 * alone with and without it. Afterwards the accounts have to agree with the entries.
 */
import pg from 'pg'
import { Child } from '../measure/child.ts'
import { spreadId } from '../measure/ids.ts'
import { boundFor, type Figure, type Outcome } from '../measure/measurement.ts'
import { formatNumber } from '../measure/report.ts'
import { bestQuarter, median } from '../measure/statistics.ts'
import { ACCOUNTS, audit } from '../contenders/data.ts'
import type { DelayJob } from './delay-proxy.ts'
import { loadFor } from './load.ts'
import { medianFigure, rateFigure } from '../measure/figures.ts'
import { sizeFor, type ServerMeasurement, type Settings } from '../measure/settings.ts'
import { runRoundsAndClose, seenBy } from '../measure/rounds.ts'
import type { Sync } from './servers.ts'
import { AWAITED, LAST, NOT_AWAITED, openTransferrers, TRANSACT, type Transferrer } from './transfers.ts'

const sizes = {
  full: { rounds: 9, seconds: 0.5 },
  short: { rounds: 2, seconds: 0.4 },
  tiny: { rounds: 1, seconds: 0.05 }
}

const IN_FLIGHT = 10
const DELAY_MS = 0.5

interface Place { readonly name: string, readonly sync: Sync, readonly isFar: boolean }

/** The first has the bounds. */
const places: readonly Place[] = [
  { name: '1 ms away, sync off', sync: 'off', isFar: true },
  { name: '1 ms away, sync on', sync: 'on', isFar: true },
  { name: 'loopback, sync off', sync: 'off', isFar: false },
  { name: 'loopback, sync on', sync: 'on', isFar: false }
]

/** Transactions a second, and how long the median one took. */
interface Seen { readonly perSecond: number, readonly p50: number }

interface Measured { readonly place: Place, readonly seen: ReadonlyMap<string, Seen[]>, readonly addedMs: readonly number[], readonly problems: readonly string[] }

export const rtt: ServerMeasurement = { name: 'rtt', title: 'Transactions of three statements, and round trips', measure }

async function measure (settings: Settings): Promise<Outcome> {
  const measured: Measured[] = []
  for (const place of settings.effort === 'full' ? places : places.slice(0, 1)) measured.push(await measureAt(place, settings))
  return {
    tables: [tableOf(measured)],
    figures: measured.flatMap((one, i) => [
      ...one.place.isFar ? [medianFigure(`${one.place.name}: what the proxy really adds to a round trip`, one.addedMs, 'ms')] : [],
      ...figuresOf(one, i === 0 ? settings : undefined)
    ]),
    problems: measured.flatMap(({ problems }) => problems),
    notes: ['a cell: transactions a second (median in ms)']
  }
}

async function measureAt (place: Place, settings: Settings): Promise<Measured> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const direct = await settings.servers.database(place.sync)
  const proxy = place.isFar ? await startProxy(direct) : undefined
  const url = proxy?.url ?? direct
  const addedMs = place.isFar ? await measureAdded(direct, url) : []
  const { all, close } = await openTransferrers(url)
  let transfers = 0
  const turns = all.map(transferrer => ({ name: transferrer.name, run: () => transferFor(seconds, transferrer, () => { transfers++ }) }))
  const seen = await runRoundsAndClose(turns, rounds, place.name, close)
  proxy?.stop()
  return { place, seen, addedMs, problems: await audit('postgres', direct, { transfers, notes: 0 }) }
}

async function transferFor (seconds: number, { transfer }: Transferrer, count: () => void): Promise<Seen> {
  const latencies: number[] = []
  const { perSecond } = await loadFor(seconds, IN_FLIGHT, async i => {
    const start = performance.now()
    await transfer(spreadId(i, ACCOUNTS))
    latencies.push(performance.now() - start)
    count()
  })
  return { perSecond, p50: median(latencies) }
}

async function startProxy (target: string): Promise<{ url: string, stop: () => void }> {
  const child = new Child<{ port: number }>(new URL('delay-proxy.ts', import.meta.url), { port: Number(new URL(target).port), delayMs: DELAY_MS } satisfies DelayJob)
  const { port } = await child.next()
  const url = new URL(target)
  url.port = String(port)
  return { url: url.href, stop: () => child.process.disconnect() }
}

// --- the delay -------------------------------------------------------------------------------------------------------------------

const PINGS = 50

/** What a statement takes more by the second address, in ms: each time against the median without the delay. */
async function measureAdded (direct: string, delayed: string): Promise<number[]> {
  const base = median(await timePings(direct))
  return (await timePings(delayed)).map(ms => ms - base)
}

async function timePings (url: string): Promise<number[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const times: number[] = []
  for (let i = 0; i < PINGS; i++) {
    const start = performance.now()
    await client.query('SELECT 1')
    times.push(performance.now() - start)
  }
  await client.end()
  return times
}

// --- the report ------------------------------------------------------------------------------------------------------------------

const bounds = new Map<string, [full: number, short: number]>([[AWAITED, [1.25, 1.1]], [LAST, [1.6, 1.3]], [NOT_AWAITED, [2.4, 1.7]]])

/** `settings`: undefined for figures without bounds. */
function figuresOf ({ place, seen }: Measured, settings: Settings | undefined): Figure[] {
  const ratesOf = (name: string): number[] => seenBy(seen, name).map(({ perSecond }) => perSecond)
  return [...seen.keys()].filter(name => bounds.has(name)).map(name => {
    const [full, short] = bounds.get(name) ?? [0, 0]
    const bound = settings === undefined ? undefined : boundFor(settings, { atLeast: full }, { atLeast: short })
    return rateFigure(`${place.name}: ${name} / transact`, ratesOf(name), ratesOf(TRANSACT), bound)
  })
}

function tableOf (measured: readonly Measured[]): string[][] {
  const names = [...measured[0]?.seen.keys() ?? []]
  const cell = (list: readonly Seen[]): string => `${formatNumber(Math.round(bestQuarter(list.map(({ perSecond }) => perSecond))))} (${formatNumber(median(list.map(({ p50 }) => p50)))})`
  return [['10 at a time', ...measured.map(({ place }) => place.name)], ...names.map(name => [name, ...measured.map(({ seen }) => cell(seenBy(seen, name)))])]
}
