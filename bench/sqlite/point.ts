/**
 * 1. A read by id: `await db.prepare(sql).get(id)` against better-sqlite3's synchronous `get(id)` and against a worker thread, on one file.
 *
 * How it measures: the answers are compared first. Then rounds in which each contender has its turn, about the same time each, every other round backwards. Each
 * time stands against the first one's in the same round; the figure is the median of these ratios. What has a bound runs in short rounds of two, so that what else
 * the machine does hits both alike; then everybody runs.
 */
import { isDeepStrictEqual } from 'node:util'
import { Progress } from '../../scripts/terminal.ts'
import { readByWorker, readRaw, readTandem, timeMany, type Contender } from './contenders.ts'
import { spreadId, type Span } from '../measure/ids.ts'
import { boundFor, type Figure, type Measurement, type Outcome, type Settings } from '../measure/measurement.ts'
import { openRaw } from './raw.ts'
import { median, ratios, spread } from '../measure/statistics.ts'
import { openTandem } from './tandem.ts'

const sizes = {
  full: { rounds: 41, turnMs: 20 },
  short: { rounds: 11, turnMs: 10 },
  tiny: { rounds: 1, turnMs: 1 }
}

/** Ids that stay in the page cache of every contender; all ids would measure the file system too, which helps the slower one. */
const CACHED_IDS = 10_000
const AT_ONCE = 50

/** More than anybody reads in a turn, so that no round finds the pages of the one before. */
const IDS_PER_ROUND = 1_000_000

type Times = Map<Contender, number[]>
type Time = (contender: Contender, span: Span) => Promise<number>

export const point: Measurement = { name: 'point', title: 'A row by its id', measure }

async function measure (settings: Settings): Promise<Outcome> {
  const { path, rows } = settings
  const raw = openRaw(path)
  const db = await openTandem(path)
  const [sync, ...rawOthers] = readRaw(raw)
  const [tandem, ...tandemOthers] = readTandem(db)
  const worker = await readByWorker(path)
  if (sync === undefined || tandem === undefined) throw new Error('there is nothing to compare')
  const all = [sync, ...rawOthers, tandem, ...tandemOthers, worker]
  try {
    const problems = await compareAnswers(all, sync, rows)
    const ids = Math.min(CACHED_IDS, rows)
    const one: Time = ({ time }, span) => time(span)
    const cached = await race([sync, tandem], ids, settings, one)
    const everywhere = await race([sync, tandem], rows, settings, one)
    const byWorker = await race([tandem, worker], ids, settings, one)
    const many = await race([tandem, worker], ids, settings, (contender, span) => timeMany(contender, AT_ONCE, span))
    const everybody = await race(all, ids, settings, one)
    const figures: Figure[] = [
      { ...against(tandem, sync, cached), bound: boundFor(settings, { atMost: 1.5 }, { atMost: 3 }) },
      { ...against(tandem, sync, everywhere), name: `${tandem.name}, ids of the whole table`, bound: boundFor(settings, { atMost: 1.5 }, { atMost: 3 }) },
      { ...against(worker, tandem, byWorker), name: `${worker.name}, against ${tandem.name}`, bound: boundFor(settings, { atLeast: 8 }, { atLeast: 3 }) },
      { ...against(worker, tandem, many), name: `the same, ${AT_ONCE} reads at a time` },
      absolute(sync, cached),
      { ...absolute(sync, everywhere), name: `${sync.name}, ids of the whole table` },
      ...all.filter(contender => contender !== sync && contender !== tandem).map(contender => against(contender, sync, everybody))
    ]
    const notes = [`× is against the first, in the same round; ids from 1 to ${ids} unless it says otherwise`]
    return { figures, problems, notes }
  } finally {
    for (const { close } of all) await close()
    await db.close()
    raw.close()
  }
}

async function compareAnswers (contenders: readonly Contender[], sync: Contender, rows: number): Promise<string[]> {
  const problems: string[] = []
  for (const id of Array.from({ length: 20 }, (_, i) => spreadId(i, rows))) {
    const expected = sync.get(id)
    for (const { name, get } of contenders) {
      const got = { ...await get(id) as object } // an entity is no plain object
      if (!isDeepStrictEqual(got, expected)) problems.push(`${name} answers ${JSON.stringify(got)} for ${id}, not ${JSON.stringify(expected)}`)
    }
  }
  return problems
}

async function race (contenders: readonly Contender[], ids: number, { effort }: Settings, time: Time): Promise<Times> {
  const { rounds, turnMs } = sizes[effort]
  const progress = new Progress({ unit: 'rounds' })
  const reads = new Map<Contender, number>()
  for (const contender of contenders) {
    await time(contender, { reads: 50, ids, first: 0 })
    reads.set(contender, Math.ceil(turnMs * 1e6 / await time(contender, { reads: 200, ids, first: 50 })))
  }
  const times: Times = new Map(contenders.map(contender => [contender, []]))
  // the first two are for the compiler
  for (let round = -2; round < rounds; round++) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const ns = await time(contender, { reads: reads.get(contender) ?? 1, ids, first: (round + 3) * IDS_PER_ROUND })
      if (round >= 0) times.get(contender)?.push(ns)
    }
    progress.update(round, rounds, 'point')
  }
  progress.clear()
  return times
}

function absolute (contender: Contender, times: Times): Figure {
  const list = (times.get(contender) ?? []).map(ns => ns / 1000)
  return { name: contender.name, value: median(list), unit: 'µs', spread: spread(list) }
}

function against (contender: Contender, base: Contender, times: Times): Figure {
  const list = ratios(times.get(contender) ?? [], times.get(base) ?? [])
  return { name: contender.name, value: median(list), unit: '×', spread: spread(list) }
}
