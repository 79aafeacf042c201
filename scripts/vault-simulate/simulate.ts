/**
 * One simulation: groups in a fresh database, the app in a process of its own, a plugin for each member over real sockets, and at the end the tables against the ledger.
 *
 * What is kept true: the ledger counts what was acknowledged from the first report on; figures are those of the ticks alone, after everybody has signed in and ticked for
 * `WARM_UP_SECONDS`: that a thousand players begin within one second is no part of the load that is simulated.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { readConfig } from '../../plugins/config/index.ts'
import { migrate } from '../../plugins/db/migrate.ts'
import { openDatabase } from '../../plugins/db/open.ts'
import type { Database } from '../../plugins/db/types.ts'
import { migrations } from '../../services/migrations.ts'
import { quietLog } from '../command.ts'
import type { Load } from './app.ts'
import { AppProcess } from './app-process.ts'
import { readHoldings, readTotals } from './holdings.ts'
import { findDifferences, totalsOf } from './ledger.ts'
import { Player } from './player.ts'
import { makeGroup, type SimulatedGroup } from './population.ts'
import { Tally } from './tally.ts'

export interface SimulateOptions {
  /** Of a database without tables. */
  readonly url: string
  readonly groups: number
  readonly members: number
  readonly seconds: number
  readonly seed: number
  readonly signal: AbortSignal
  readonly onProgress: (done: number, total: number, label: string) => void
}

export interface Simulated {
  readonly tally: Tally
  readonly load: Load
  /** Of the ticks. */
  readonly seconds: number
  /** What the tables have and the ledger has not, or the other way round. */
  readonly differences: readonly string[]
}

const TICK_MS = 1000
const WARM_UP_SECONDS = 3
const SIGNING_IN = 16

export async function simulate (options: SimulateOptions): Promise<Simulated> {
  const { url, signal, onProgress } = options
  const groups = await withDatabase(url, async db => await populate(db, options))
  const app = new AppProcess({ DATABASE_URL: url })
  try {
    const port = await app.port()
    const before = new Tally()
    const tally = new Tally()
    const players = groups.flatMap((group, g) => group.members.map((member, m) => new Player({ port, seed: options.seed * 100_000 + g * 100 + m, group, member, tally: before })))
    await signInAll(players, signal, onProgress)
    const playAll = async (seconds: number, onTick: () => void): Promise<void> => { await Promise.all(players.map(async (player, i) => { await play(player, i / players.length, { ...options, seconds }, onTick) })) }
    await playAll(Math.min(WARM_UP_SECONDS, options.seconds), () => { onProgress(before.requests % players.length, players.length, 'warming up') })
    await app.load()
    for (const player of players) player.tally = tally
    const startedAt = performance.now()
    await playAll(options.seconds, () => { onProgress(tally.requests, players.length * options.seconds, 'playing') })
    const seconds = (performance.now() - startedAt) / 1000
    const load = await app.load()
    await Promise.all(players.map(async player => { await player.signOut() }))
    for (const [what, count] of before.errors) tally.errors.set(`signing in: ${what}`, count)
    tally.failures += before.failures
    await app.close()
    signal.throwIfAborted()
    return { tally, load, seconds, differences: await withDatabase(url, async db => await compare(db, groups, onProgress)) }
  } finally {
    app.kill()
  }
}

async function withDatabase<T> (url: string, fn: (db: Database) => Promise<T>): Promise<T> {
  const db = await openDatabase(readConfig({ DATABASE_URL: url }), quietLog)
  try {
    return await fn(db)
  } finally {
    await db.close()
  }
}

async function populate (db: Database, { groups, members, signal, onProgress }: SimulateOptions): Promise<SimulatedGroup[]> {
  await migrate(db, migrations, { mode: 'on', log: quietLog })
  const made: SimulatedGroup[] = []
  for (let i = 0; i < groups; i++) {
    signal.throwIfAborted()
    made.push(await makeGroup(db, i, members, Date.now()))
    onProgress(i + 1, groups, 'making groups')
  }
  return made
}

async function signInAll (players: readonly Player[], signal: AbortSignal, onProgress: SimulateOptions['onProgress']): Promise<void> {
  const waiting = [...players]
  await Promise.all(Array.from({ length: SIGNING_IN }, async () => {
    for (let player = waiting.pop(); player !== undefined && !signal.aborted; player = waiting.pop()) {
      await player.signIn()
      onProgress(players.length - waiting.length, players.length, 'signing in')
    }
  }))
  signal.throwIfAborted()
}

/** Ticks once a second, from a moment of its own on. A tick that is not answered in time takes the place of the next one. */
async function play (player: Player, phase: number, { seconds, signal }: Pick<SimulateOptions, 'seconds' | 'signal'>, onTick: () => void): Promise<void> {
  const startedAt = performance.now() + phase * TICK_MS
  for (let i = 0; i < seconds && !signal.aborted; i++) {
    const wait = startedAt + i * TICK_MS - performance.now()
    if (wait <= -TICK_MS) continue
    await sleep(Math.max(0, wait), undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    await player.tick()
    onTick()
  }
}

async function compare (db: Database, groups: readonly SimulatedGroup[], onProgress: SimulateOptions['onProgress']): Promise<string[]> {
  const differences: string[] = []
  for (const [i, { groupId, sharedMemberId, ledger, members }] of groups.entries()) {
    const expected = ledger.holdings(sharedMemberId)
    differences.push(...findDifferences(expected, await readHoldings(db, groupId)).map(text => `${groupId}: ${text}`))
    const [a, b] = [totalsOf(expected), await readTotals(db, groupId)]
    if (a.size !== b.size || [...a].some(([item, quantity]) => b.get(item) !== quantity)) differences.push(`${groupId}: the totals differ`)
    // one that made the group, one for each member who got the name of the character
    const row = await db.prepare('SELECT version FROM groups WHERE id = ?').get(groupId)
    const changes = Number(row?.version) - 1 - members.length
    if (changes !== ledger.changes) differences.push(`${groupId}: ${changes} versions for ${ledger.changes} changes`)
    onProgress(i + 1, groups.length, 'comparing')
  }
  return differences
}
