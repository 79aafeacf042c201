/**
 * 6. Single statements that write, each its own transaction: an UPDATE by primary key, 32 in flight, with COMMITs that wait for the disk, and without.
 */
import { spreadId } from '../measure/ids.ts'
import type { Outcome, Table } from '../measure/measurement.ts'
import { closeAll, openOurs, openPipelined, openPool, openPostgresJs, OURS } from './clients.ts'
import { ACCOUNTS } from '../contenders/data.ts'
import { formatSpeed, loadFor, type Speed } from './load.ts'
import { rateFigure } from '../measure/figures.ts'
import { sizeFor, type ServerMeasurement, type Settings } from '../measure/settings.ts'
import { runRoundsAndClose, seenBy } from '../measure/rounds.ts'
import { ask, type Sync } from './servers.ts'

const sizes = {
  full: { rounds: 5, seconds: 1 },
  short: { rounds: 2, seconds: 0.15 },
  tiny: { rounds: 1, seconds: 0.02 }
}

const IN_FLIGHT = 32
const syncs: readonly Sync[] = ['off', 'on']

type Speeds = ReadonlyMap<string, Speed[]>

export const writes: ServerMeasurement = { name: 'writes', title: 'Single statements that write', measure }

async function measure (settings: Settings): Promise<Outcome> {
  const problems: string[] = []
  const measured = new Map<Sync, Speeds>()
  for (const sync of syncs) measured.set(sync, await measureWith(sync, settings, problems))
  const ratesOf = (sync: Sync, name: string): number[] => seenBy(measured.get(sync) ?? new Map<string, Speed[]>(), name).map(({ perSecond }) => perSecond)
  return {
    tables: [tableOf(measured)],
    figures: syncs.map(sync => rateFigure(`${OURS} / pool.query, named, sync ${sync}`, ratesOf(sync, OURS), ratesOf(sync, 'pool.query, named'))),
    problems,
    notes: ['a cell: writes a second (µs of this process\'s processor time for each)']
  }
}

async function measureWith (sync: Sync, settings: Settings, problems: string[]): Promise<Speeds> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const url = await settings.servers.database(sync)
  const others = settings.effort === 'full' ? [openPool(url, 'text'), await openPipelined(url), ...await openPostgresJs(url)] : []
  const clients = [openPool(url, 'named'), ...others, await openOurs(url)]
  let written = 0
  const turns = clients.map(({ name, all }) => ({
    name,
    run: () => loadFor(seconds, IN_FLIGHT, async i => {
      await all('add', spreadId(i, ACCOUNTS))
      written++
    })
  }))
  const speeds = await runRoundsAndClose(turns, rounds, `writes, sync ${sync}`, () => closeAll(clients))
  const [row] = await ask(url, 'SELECT sum(n)::float8 AS n FROM account')
  if (row?.n !== written) problems.push(`sync ${sync}: ${written} writes were answered, and the accounts say ${String(row?.n)}`)
  return speeds
}

function tableOf (measured: ReadonlyMap<Sync, Speeds>): Table {
  const names = [...measured.get('off')?.keys() ?? []]
  return [['32 in flight', ...syncs.map(sync => `sync ${sync}`)], ...names.map(name => [name, ...syncs.map(sync => formatSpeed(seenBy(measured.get(sync) ?? new Map<string, Speed[]>(), name)))])]
}
