/**
 * Who watches which group, and what they are told: the notifications of all processes, handed on to the streams of this one.
 *
 * What is kept true:
 *  1. One listener per channel and process, from the first stream on, however many there are. It holds no connection of the pool.
 *  2. After a gap everybody is told to read anew.
 *  3. Who is removed, whose session ends, and whose group is deleted is told so, and nothing else any more. If nobody has sent word of it, a look every 25 s finds it.
 *  4. A person has 4 streams in one process, an address that looks at the demo group 10: with one more the oldest ends. (A browser that was put to sleep holds streams that nobody
 *     reads; to refuse the new one would lock its owner out.)
 */
import type { ChannelEvent, Database, Listener, Log } from '../../plugins/db/types.ts'
import { errorKind } from '../../plugins/errors.ts'
import { SESSION_CHANNEL } from '../auth/sessions.ts'
import { CATALOG_CHANNEL } from '../catalog/channel.ts'
import { CHANNEL, type GroupNews } from '../groups/lock.ts'
import { EventQueue, type VaultEvent } from './event-queue.ts'
import { mayWatch, type Viewer } from './watchers.ts'

export const MOST_PER_USER = 4
export const MOST_PER_ADDRESS = 10
const LOOK_MS = 25_000

export interface Watcher extends Viewer {
  /** Of who is counted, if there is no user. */
  readonly address: string
}

export class Hub {
  readonly #db: Database
  /** In the order in which they came. */
  readonly #streams = new Map<EventQueue, Watcher>()
  readonly #byGroup = new Map<string, Set<EventQueue>>()
  #listening: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor (db: Database) {
    this.#db = db
  }

  /** Streams of this process. */
  get size (): number {
    return this.#streams.size
  }

  /** Resolves when nothing is missed any more. Throws as `db.listen` does; the next call tries again. */
  async start (log: Log, now: () => number): Promise<void> {
    this.#listening ??= this.#listen(log)
    try {
      await this.#listening
    } catch (error) {
      this.#listening = undefined
      throw error
    }
    this.#timer ??= setInterval(() => { this.look(now()).catch((error: unknown) => { tell(log, error) }) }, LOOK_MS).unref()
  }

  add (watcher: Watcher): EventQueue {
    const queue = new EventQueue()
    if (this.#isClosed) {
      queue.end('closing')
      return queue
    }
    this.#streams.set(queue, watcher)
    this.#byGroup.set(watcher.groupId, (this.#byGroup.get(watcher.groupId) ?? new Set<EventQueue>()).add(queue))
    this.#endOldest(watcher)
    return queue
  }

  /** The client is not there any more, or was told everything. */
  remove (queue: EventQueue): void {
    queue.end()
    const { groupId = '' } = this.#streams.get(queue) ?? {}
    this.#streams.delete(queue)
    const others = this.#byGroup.get(groupId)
    others?.delete(queue)
    if (others?.size === 0) this.#byGroup.delete(groupId)
  }

  /** Ends the streams of those who may not watch any more. */
  async look (now: number): Promise<void> {
    for (const [queue, watcher] of Array.from(this.#streams)) {
      if (!await mayWatch(this.#db, watcher, now)) queue.end('signed-out')
    }
  }

  close (): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const queue of this.#streams.keys()) queue.end('closing')
  }

  async #listen (log: Log): Promise<void> {
    const hears: ReadonlyArray<readonly [channel: string, hear: (payload: string) => void]> = [
      [CHANNEL, payload => { this.#hearGroup(parseNews(payload, log)) }],
      [SESSION_CHANNEL, sessionId => { this.#endIf('signed-out', watcher => watcher.sessionId === sessionId) }],
      [CATALOG_CHANNEL, version => { this.#tellAll({ event: 'catalog', data: { catalogVersion: Number(version) } }) }]
    ]
    const listeners: Listener[] = []
    try {
      // one after the other: they share a connection
      for (const [channel, hear] of hears) listeners.push(await this.#db.listen(channel, event => { this.#hear(channel, event, hear) }))
    } catch (error) {
      for (const listener of listeners) await listener.close()
      throw error
    }
  }

  /** All channels have their gaps together, so one of them is enough. */
  #hear (channel: string, { payload, gap }: ChannelEvent, hear: (payload: string) => void): void {
    if (gap !== true) hear(payload)
    else if (channel === CHANNEL) this.#tellAll({ event: 'resync', data: {} })
  }

  #hearGroup (news: GroupNews | undefined): void {
    const watchers = news === undefined ? undefined : this.#byGroup.get(news.groupId)
    if (news === undefined || watchers === undefined) return
    if (news.kind === 'deleted') this.#endIf('deleted', ({ groupId }) => groupId === news.groupId)
    else if (news.kind === 'removed') this.#endIf('removed', ({ groupId, userId }) => groupId === news.groupId && userId !== null && userId === news.userId)
    else for (const queue of watchers.keys()) queue.push(toEvent(news, news.kind))
  }

  #endIf (reason: 'deleted' | 'removed' | 'signed-out', matches: (watcher: Watcher) => boolean): void {
    for (const [queue, watcher] of this.#streams) if (matches(watcher)) queue.end(reason)
  }

  #tellAll (event: VaultEvent): void {
    for (const queue of this.#streams.keys()) queue.push(event)
  }

  #endOldest ({ userId, address }: Watcher): void {
    const own = Array.from(this.#streams).filter(([, other]) => userId === null ? other.userId === null && other.address === address : other.userId === userId)
    const [oldest] = own
    if (oldest === undefined || own.length <= (userId === null ? MOST_PER_ADDRESS : MOST_PER_USER)) return
    const [queue] = oldest
    queue.end('too-many')
    this.remove(queue)
  }
}

function parseNews (payload: string, log: Log): GroupNews | undefined {
  try {
    return JSON.parse(payload) as GroupNews
  } catch (error) {
    log.warn({ err: error }, 'a notification could not be read')
    return undefined
  }
}

/** A change of settings is one of the roster for those who watch: name and limits of the group are read with it. */
function toEvent ({ version, memberId }: GroupNews, kind: Exclude<GroupNews['kind'], 'removed' | 'deleted'>): VaultEvent {
  return {
    event: kind === 'settings' ? 'roster' : kind,
    ...(version !== undefined && { version }),
    data: { ...(version !== undefined && { version }), ...(memberId !== undefined && { memberId }) }
  }
}

function tell (log: Log, error: unknown): void {
  if (errorKind(error) !== 'aborted') log.warn({ err: error }, 'whether streams of events may go on could not be found out')
}

const hubs = new WeakMap<Database, Hub>()

/** The one hub of a database in this process. */
export function hubOf (db: Database): Hub {
  const hub = hubs.get(db) ?? new Hub(db)
  hubs.set(db, hub)
  return hub
}
