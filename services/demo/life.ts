/**
 * The demo group at work: every few seconds somebody in it gets something, puts it into the shared storage or takes it out, by the same functions as a plugin's reports.
 *
 * What is kept true: only while somebody watches; by one process at a time; each step is whole or was never taken, and one that fails is logged and forgotten. Of what has happened
 * the last 200 events are kept.
 */
import { randomUUID } from 'node:crypto'
import type { Database, Log } from '../../plugins/db/types.ts'
import { errorKind } from '../../plugins/errors.ts'
import { findPointer, loadCatalog } from '../catalog/load.ts'
import { readContent } from '../sync/content.ts'
import { applyContainers } from '../sync/store/apply.ts'
import { recordEvents } from '../sync/store/events.ts'
import { listSlots } from '../sync/store/items.ts'
import { findSharedMember } from '../sync/store/place.ts'
import { openSyncSession } from '../sync/store/sessions.ts'
import { findDemoGroup, listDemoPlugins, type DemoPlugin } from './find.ts'
import type { Happened } from './history.ts'
import { holdLease } from './lease.ts'
import { nextMove, type Move, type Scene } from './moves.ts'
import { pick, startRandom, type Random } from './random.ts'
import { chooseStock } from './stock.ts'

export interface DemoLifeOptions {
  readonly db: Database
  readonly log: Log
  readonly now: () => number
  /** Default: from the clock. */
  readonly random?: Random
}

const STEP_MS = 4000
/** Somebody who has asked for something within this time still watches. */
const WATCHED_MS = 60_000
const KEPT_EVENTS = 200
const STOCK_SEED = 7

/** Where a plugin is with its reports. */
interface Session { readonly epoch: number, seq: number }

export class DemoLife {
  readonly #options: DemoLifeOptions
  readonly #random: Random
  readonly #owner = randomUUID()
  readonly #sessions = new Map<string, Session>()
  #groupId: string | undefined
  #watching = 0
  #lastWatched = -Infinity
  #timer: NodeJS.Timeout | undefined
  #step: Promise<unknown> | undefined

  constructor (options: DemoLifeOptions) {
    this.#options = options
    this.#random = options.random ?? startRandom(options.now() | 0)
  }

  /** Undefined until it was looked for. */
  get groupId (): string | undefined {
    return this.#groupId
  }

  get isWatched (): boolean {
    return this.#watching > 0 || this.#options.now() - this.#lastWatched < WATCHED_MS
  }

  start (groupId: string): void {
    this.#groupId = groupId
    this.#timer = setInterval(() => { this.#stepIfWatched() }, STEP_MS)
    this.#timer.unref()
  }

  async stop (): Promise<void> {
    clearInterval(this.#timer)
    await this.#step
  }

  /** Somebody asks for something of the group; answers what is to be called when that is over. */
  watch (): () => void {
    this.#watching++
    return () => {
      this.#watching--
      this.#lastWatched = this.#options.now()
    }
  }

  #stepIfWatched (): void {
    if (!this.isWatched || this.#step !== undefined) return
    this.#step = this.step().catch((error: unknown) => {
      if (errorKind(error) !== 'aborted') this.#options.log.warn({ err: error }, 'the demo group could not go on')
    }).finally(() => { this.#step = undefined })
  }

  /** One step. False: somebody else takes it, or there is no demo group. */
  async step (): Promise<boolean> {
    const { db, now } = this.#options
    if (!await holdLease(db, this.#owner, now())) return false
    this.#groupId = await findDemoGroup(db)
    if (this.#groupId === undefined) return false
    const plugins = await listDemoPlugins(db, this.#groupId)
    if (plugins.length === 0) return false
    const plugin = pick(this.#random, plugins)
    const stock = chooseStock(await loadCatalog(db, await findPointer(db)), startRandom(STOCK_SEED))
    await this.#perform(plugin, nextMove(await this.#look(plugin), stock, this.#random))
    await forgetOldEvents(db, this.#groupId)
    return true
  }

  async #look ({ groupId, memberId }: DemoPlugin): Promise<Scene> {
    const { db } = this.#options
    const sharedId = await findSharedMember(db, groupId)
    const [inventory, bank, shared] = await Promise.all([listSlots(db, memberId, 'inventory'), listSlots(db, memberId, 'bank'), listSlots(db, sharedId, 'shared')])
    return { inventory, bank, shared }
  }

  /** As a plugin does: what it holds, then what has happened. */
  async #perform (plugin: DemoPlugin, { contents: pairs, happened }: Move): Promise<void> {
    const { db, now } = this.#options
    const session = await this.#sessionOf(plugin)
    const contents = new Map([...pairs].map(([name, list]) => [name, readContent(name, list, `/${name}`)]))
    if (contents.size > 0) {
      const { results } = await applyContainers(db, plugin, { epoch: session.epoch, seq: ++session.seq, capturedAt: now(), contents }, now())
      if (Object.values(results).includes('stale')) this.#sessions.delete(plugin.memberId) // another process had the lease in between
    }
    if (happened !== undefined) await this.#report(plugin, happened)
  }

  async #report (plugin: DemoPlugin, { type, data }: Happened): Promise<void> {
    const { db, now } = this.#options
    await recordEvents(db, plugin, [{ eventId: randomUUID(), type, occurredAt: now(), data }], now())
  }

  async #sessionOf (plugin: DemoPlugin): Promise<Session> {
    const known = this.#sessions.get(plugin.memberId)
    if (known !== undefined) return known
    const { db, now } = this.#options
    const { epoch } = await openSyncSession(db, plugin, { accountHash: plugin.accountHash, characterName: plugin.characterName, clientTime: now() }, now())
    const session = { epoch, seq: 0 }
    this.#sessions.set(plugin.memberId, session)
    return session
  }
}

async function forgetOldEvents (db: Database, groupId: string): Promise<void> {
  const sql = 'DELETE FROM activity_events WHERE group_id = :group AND group_seq <= (SELECT MAX(group_seq) FROM activity_events WHERE group_id = :group) - CAST(:kept AS BIGINT)'
  await db.prepare(sql).run({ group: groupId, kept: KEPT_EVENTS })
}
