/**
 * Point reads beside statements that fail: one in ten is a unique violation. A pool of pg closes the connection of each error; what that costs, and that ours closes
 * none. Each contender has a database of its own, since the server counts the connections that were ever made (`pg_stat_database.sessions`) for each database.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { boundFor, type Outcome } from '../measure/measurement.ts'
import { spreadId } from '../measure/ids.ts'
import { formatNumber } from '../measure/report.ts'
import { median } from '../measure/statistics.ts'
import { CONNECTIONS } from '../contenders/contender.ts'
import { closeAll, openOurs, openPool, openPostgresJs, OURS, type Client } from './clients.ts'
import { loadFor } from './load.ts'
import { rateFigure } from '../measure/figures.ts'
import { sizeFor, type Settings } from '../measure/settings.ts'
import { runRoundsAndClose, seenBy } from '../measure/rounds.ts'
import { ask } from './servers.ts'

const sizes = {
  full: { rounds: 5, seconds: 1 },
  short: { rounds: 2, seconds: 0.2 },
  tiny: { rounds: 1, seconds: 0.02 }
}

const IN_FLIGHT = 16
const ERROR_EVERY = 10
const UNIQUE_VIOLATION = '23505'

interface Subject {
  readonly client: Client
  readonly url: string
  /** Connections that others had made before. */
  readonly before: number
  made: number
}

export async function measureErrors (settings: Settings): Promise<Outcome> {
  const { rounds, seconds } = sizeFor(settings, sizes)
  const subjects = await openSubjects(settings)
  const problems: string[] = []
  const turns = subjects.map(({ client }) => ({ name: client.name, run: () => loadFor(seconds, IN_FLIGHT, i => readOrFail(client, i, settings.servers.rows, problems)) }))
  const speeds = await runRoundsAndClose(turns, rounds, 'point, with errors', () => closeAll(subjects.map(({ client }) => client)))
  for (const subject of subjects) subject.made = await countConnections(subject.url) - subject.before
  const ratesOf = (name: string): number[] => seenBy(speeds, name).map(({ perSecond }) => perSecond)
  const surplus = (subjects.find(({ client }) => client.name === OURS)?.made ?? NaN) - CONNECTIONS
  return {
    tables: [[['10 % unique violations, 16 in flight', 'a second', 'connections made'], ...subjects.map(({ client: { name }, made }) => [name, formatNumber(Math.round(median(ratesOf(name)))), formatNumber(made)])]],
    figures: [
      rateFigure(`${OURS} / pool.query, named, 10 % errors`, ratesOf(OURS), ratesOf('pool.query, named'), boundFor(settings, { atLeast: 15 }, { atLeast: 6 })),
      { name: `${OURS}: connections beyond its ${CONNECTIONS}, 10 % errors`, value: Math.max(0, surplus), unit: '', bound: { atMost: 0 } }
    ],
    problems,
    notes: []
  }
}

async function openSubjects ({ servers }: Settings): Promise<Subject[]> {
  const openings = [(url: string) => openPool(url, 'named'), async (url: string) => (await openPostgresJs(url))[0], openOurs]
  const subjects: Subject[] = []
  for (const open of openings) {
    const url = await servers.database()
    const before = await countConnections(url)
    const client = await open(url)
    if (client !== undefined) subjects.push({ client, url, before, made: NaN })
  }
  return subjects
}

async function readOrFail (client: Client, i: number, rows: number, problems: string[]): Promise<void> {
  const id = spreadId(i, rows)
  if (i % ERROR_EVERY !== 0) {
    if (await client.one('point', id) === undefined) problems.push(`${client.name} does not find the row ${id}`)
    return
  }
  try {
    await client.all('duplicate', id)
    problems.push(`${client.name} has inserted ${id} again`)
  } catch (error) {
    if (!isUniqueViolation(error)) problems.push(`${client.name}: ${String(error)}`)
  }
}

/** The driver's error, or ours with it as its cause. */
function isUniqueViolation (error: unknown): boolean {
  const { code, cause } = error as { code?: string, cause?: { code?: string } }
  return code === UNIQUE_VIOLATION || cause?.code === UNIQUE_VIOLATION || code === 'TDM_ERR_DB_UNIQUE'
}

/** Connections that were ever made to this database. The server knows for sure when they have ended. */
async function countConnections (url: string): Promise<number> {
  const database = new URL(url).pathname.slice(1)
  const admin = new URL(url)
  admin.pathname = '/postgres'
  for (;;) {
    const [alive] = await ask(admin.href, 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1', [database])
    if (alive?.n === 0) break
    await pause(20)
  }
  const [row] = await ask(admin.href, 'SELECT sessions::int AS n FROM pg_stat_database WHERE datname = $1', [database])
  return Number(row?.n)
}
