/**
 * The SQLite engine: one writer behind a queue, readers beside it; on the main thread what is short, in threads everything else.
 *
 * Kept true:
 *  1. There is one writer: at most one connection of this process is in a transaction that writes. Who wants to write waits in order, in JavaScript, not at SQLite's lock.
 *  2. Reads see committed data only: no read ever runs on a writer's connection while another's transaction is open on it. While nobody has it, short reads on their own run there.
 *  3. A connection with an open cursor or read transaction is lent to that alone, since it holds a snapshot.
 *  4. The main thread runs nothing longer than the budget, but for later statements of a transaction that writes (see connection.ts); without a watchdog it runs nothing.
 *  5. Threads are started on demand, without a watchdog a reader and the writer at once, and given tasks only when they are idle. Readers are closed before the writers, so
 *     that the last connection can put the WAL away, and that is done in a thread if there is much of it.
 */
import { DbClosed, DbCursorExpired, databaseError } from '../../errors.ts'
import { Gate, MAINTENANCE, type GateLease } from '../gate.ts'
import { Placement, type Cost } from '../placement.ts'
import { checkLimits } from '../scope.ts'
import { createParser, sqliteTokens, type Dialect } from '../sql.ts'
import type { Activity, BackupOptions, BackupResult, BeginOptions, ChannelEvent, Connection, Engine, EngineStatus, Limits, Listener, Log, Method, Params, Query, Row, Script } from '../types.ts'
import { abandon, expectedBytes, partialPathOf, watchBackup } from './backup.ts'
import { bind, SqliteConnection, type Home } from './connection.ts'
import { toOurError } from './errors.ts'
import { Inline, Interrupted } from './inline.ts'
import { Listening, type Notification } from './listening.ts'
import { Maintenance } from './maintenance.ts'
import { resolveFile, warnOfFile, type SqliteSettings } from './open.ts'
import { Opener, sizeOf, SMALL_WAL_BYTES, type Connections } from './opener.ts'
import { END_MS, Readers, runningOf } from './readers.ts'
import { retryBusy } from './retry.ts'
import type { Thread } from './thread.ts'
import { Turns } from './turns.ts'
import { watchdogProblem } from './watchdog.ts'

const dialect: Dialect = {
  tokens: sqliteTokens,
  nestedComments: false,
  placeholder: (_, name) => name === undefined ? '?' : /^\d/.test(name) ? `$${name}` : `:${name}`
}

/** To ask for the version costs as much as a point read; so long it is not asked for again, unless this process writes. What another one commits meanwhile only keeps a transaction where it is. */
const RECENT_MS = 2

/** A file up to this size has no statement that is worth a look at its plan. */
const SMALL_BYTES = 4e6

/** Opens the file. Throws `TDM_ERR_DB_OPEN`. */
export async function openSqlite (settings: SqliteSettings, log: Log): Promise<Engine> {
  const file = resolveFile(settings)
  const opener = new Opener(file, settings)
  try {
    const engine = new SqliteEngine(opener, log, await opener.open())
    await engine.prepareThreads()
    return engine
  } catch (error) {
    file.dispose()
    throw error
  }
}

class SqliteEngine implements Engine, Home {
  readonly name = 'sqlite'
  readonly parser = createParser(dialect)
  readonly placement: Placement
  readonly turns: Turns
  readonly #opener: Opener
  readonly #settings: SqliteSettings
  /** For reads on their own while the writer is lent; on the main thread, never lent itself. */
  readonly #reader: Inline
  readonly #writer: Inline | undefined
  readonly #writerGate: Gate
  readonly #snapshotGate: Gate
  /** The threads that read. */
  readonly readers: Readers
  readonly #maintenance: Maintenance
  readonly #listening: Listening
  #writerThread: Promise<Thread> | undefined
  /** The same, once it is there. */
  #writerNow: Thread | undefined
  readonly #snapshots = new Set<Inline>()
  readonly #idleSnapshots: Inline[] = []
  /** Of the event loop, by what ran longer than the budget. */
  readonly #stalls = { count: 0, longestMs: 0 }
  #size = { bytes: 0, at: -Infinity }
  #recent: { readonly version: unknown, readonly at: number } | undefined
  #closing: Promise<void> | undefined
  /** Nothing may begin any more, whatever it belongs to. */
  #hasEnded = false

  constructor (opener: Opener, log: Log, { reader, writer, writerThread }: Connections) {
    const { settings } = opener
    this.#opener = opener
    this.#settings = settings
    this.#reader = reader
    this.#writer = writer
    this.#writerThread = writerThread === undefined ? undefined : Promise.resolve(writerThread)
    writerThread?.watch(reader.handle.watchdog)
    this.placement = new Placement(reader.handle.watchdog === undefined ? 0 : settings.eventLoopBudgetMs)
    this.turns = new Turns(settings.eventLoopBudgetMs)
    const gateOf = (size: number): Gate => new Gate(size, settings.acquireTimeoutMs, settings.txIdleTimeoutMs, this.placement.meters.waits)
    this.#writerGate = gateOf(1)
    this.#snapshotGate = gateOf(settings.smallConnections)
    const gate = gateOf(settings.readers)
    const least = this.placement.budgetMs > 0 ? 0 : 1 // every read needs one
    this.readers = new Readers({ size: settings.readers, least }, gate, async () => await opener.thread(true, reader))
    this.#maintenance = new Maintenance(this, settings, log)
    this.#listening = new Listening(log)
    reader.handle.watchdog?.limitHeap(settings.hardHeapBytes)
    if (settings.watchdog === 'on' && reader.handle.watchdog === undefined) log.warn({ reason: watchdogProblem() }, 'SQLite runs without its watchdog: every statement in a thread, and none can be stopped')
    warnOfFile(opener.file.path, log)
  }

  /** Where every statement needs a thread, the first one's time is not for starting it. What cannot be started now is started when it is asked for. */
  async prepareThreads (): Promise<void> {
    const needsWriter = this.placement.budgetMs === 0 && this.#writer !== undefined
    await Promise.allSettled([this.readers.prepare(), needsWriter ? this.writerThread() : undefined])
  }

  // --- on their own ------------------------------------------------------------------------------------------------------------

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    if (this.#closing !== undefined) throw new DbClosed()
    const since = performance.now()
    const values = bind(query, params)
    try {
      checkLimits(limits, query.sql, since)
      const prepared = this.#reader.prepare(query.text)
      if (!prepared.statement.readonly) return await this.#writeAlone(method, query, params, limits)
      const cost = prepared.cost ??= this.costOf(query, values)
      if (cost.isShort) {
        const turn = this.turns.take()
        if (turn !== undefined) {
          await turn
          checkLimits(limits, query.sql)
        }
        const result = this.#tryOut(cost, method, query, values, limits, turn === undefined ? since : undefined)
        if (result !== OVERRAN) {
          this.placement.noteRun(cost, 'inline', performance.now() - since, limits.request)
          return result
        }
      }
      return await this.#readApart(cost, method, query, values, limits)
    } catch (error) {
      const ours = toOurError(error, query.sql)
      this.placement.noteFailure(query.sql, ours, limits.request)
      throw ours
    }
  }

  #tryOut (cost: Cost, method: Method, { text }: Query, values: readonly unknown[], limits: Limits, now: number | undefined): unknown {
    const place = this.#freshest()
    const prepared = place.prepare(text)
    for (let tries = 1; ; tries++) {
      try {
        const result = place.tryOut(method, prepared, values, limits, tries === 1 ? now : undefined)
        cost.shortRuns++
        return result
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error
        if (tries === 1 && this.placement.mayTryAgain(cost)) continue
        this.placement.overran(cost)
        return OVERRAN
      }
    }
  }

  /**
   * SQLite empties the page cache of a connection when another one has committed, so the one that writes knows most; but it is somebody's from BEGIN to COMMIT, and as long
   * as it is lent.
   */
  #freshest (): Inline {
    return this.#writer === undefined || this.#writerGate.isFull ? this.#reader : this.#writer
  }

  async #readApart (cost: Cost, method: Method, query: Query, values: readonly unknown[], limits: Limits): Promise<unknown> {
    const since = performance.now()
    const thread = await this.borrowThread('read', limits, query.sql)
    const before = thread.workedMs
    try {
      const value = await thread.execute(method, query.text, values, limits, query.sql)
      this.placement.ranApart(cost, thread.workedMs - before)
      this.placement.noteRun(cost, 'apart', performance.now() - since, limits.request)
      return value
    } finally {
      this.giveBack(thread)
    }
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    if (this.#closing !== undefined) throw new DbClosed()
    const values = bind(query, params)
    if (this.#reads(query)) yield * this.#readBatches(query, values, limits)
    else yield * this.#writeBatches(query, params, limits)
  }

  #reads ({ sql, text }: Query): boolean {
    try {
      return this.#reader.prepare(text).statement.readonly
    } catch (error) {
      throw toOurError(error, sql)
    }
  }

  async * #writeBatches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    const connection = await this.#borrowWriter({ mode: 'write', isolation: undefined }, limits, query.sql)
    const release = (): void => { connection.release() }
    yield * this.#untilExpired(this.#batchesOf(connection, query, params, limits), query.sql, noop, release) // to stop it would undo it
  }

  async * #batchesOf (connection: SqliteConnection, query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    let batches = connection.batches(query, params, limits)
    try {
      let next = await retryBusy(query.sql, limits, async () => {
        batches = connection.batches(query, params, limits)
        return await batches.next()
      })
      for (; next.done !== true; next = await batches.next()) yield next.value
    } finally {
      await batches.return(undefined)
    }
  }

  async * #readBatches (query: Query, values: readonly unknown[], limits: Limits): AsyncGenerator<Row[], undefined> {
    const thread = await this.borrowThread('read', limits, query.sql)
    const cancel = (): void => { thread.cancel() }
    yield * this.#untilExpired(thread.batches(query.text, values, limits, query.sql), query.sql, cancel, () => { this.giveBack(thread) })
  }

  /** A reader that is slow keeps a snapshot, and with it the WAL from being put away, or others from writing; so there is an end to that. */
  async * #untilExpired (batches: AsyncGenerator<Row[], undefined>, sql: string, cancel: () => void, release: () => void): AsyncGenerator<Row[], undefined> {
    const { cursorTimeoutMs } = this.#settings
    let expired: Error | undefined
    let isBack = false
    const giveBack = async (): Promise<void> => {
      await batches.return(undefined).catch(noop)
      if (!isBack) release()
      isBack = true
    }
    const timer = cursorTimeoutMs === Infinity ? undefined : setTimeout(() => {
      expired = new DbCursorExpired(cursorTimeoutMs)
      cancel()
      void giveBack()
    }, cursorTimeoutMs)
    try {
      for (;;) {
        const next = await batches.next()
        if (expired !== undefined) throw expired
        if (next.done === true) return
        yield next.value
      }
    } catch (error) {
      throw expired ?? toOurError(error, sql)
    } finally {
      clearTimeout(timer)
      await giveBack()
    }
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    await this.#withWriter(script.sql, limits, async writer => {
      if (script.statements <= 1) return await retryBusy(script.sql, limits, async () => { await writer.exec(script, limits) })
      await writer.begin(limits, script.sql)
      await writer.exec(script, limits)
      await writer.commit(limits)
    })
  }

  /** What fails is counted by `execute`. */
  async #writeAlone (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    return await this.#withWriter(query.sql, limits, async writer => await retryBusy(query.sql, limits, async () => await writer.execute(method, query, params, limits)))
  }

  async #withWriter<T> (sql: string, limits: Limits, task: (writer: SqliteConnection) => Promise<T>): Promise<T> {
    const connection = await this.#borrowWriter({ mode: 'write', isolation: undefined }, limits, sql)
    try {
      return await task(connection)
    } finally {
      connection.release()
    }
  }

  // --- events ----------------------------------------------------------------------------------------------------------------

  async listen (channel: string, fn: (event: ChannelEvent) => unknown, limits: Limits): Promise<Listener> {
    if (this.#closing !== undefined) throw new DbClosed()
    checkLimits(limits, 'LISTEN')
    return this.#listening.listen(channel, fn)
  }

  async notify (channel: string, payload: string, limits: Limits): Promise<void> {
    if (this.#closing !== undefined) throw new DbClosed()
    checkLimits(limits, 'NOTIFY')
    this.#listening.deliver([{ channel, payload }])
  }

  // --- transactions --------------------------------------------------------------------------------------------------------------

  async begin (options: BeginOptions, limits: Limits, first: string): Promise<Connection> {
    const connection = options.mode === 'write' ? await this.#borrowWriter(options, limits, first, true) : await this.#borrowReader(options, limits, first)
    try {
      await connection.begin(limits, first)
      return connection
    } catch (error) {
      connection.release()
      throw error
    }
  }

  async #borrowWriter ({ expire }: BeginOptions, limits: Limits, sql: string, isTransaction = false): Promise<SqliteConnection> {
    const lease = await this.#writerGate.acquire(limits, sql)
    try {
      if (this.#writer === undefined) throw databaseError('readonly', sql)
      // with synchronous=full COMMIT waits for the disk
      const isInline = this.#settings.synchronous === 'normal' && (isTransaction ? this.#startsShort(sql) : this.placement.budgetMs > 0)
      const place = isInline ? this.#writer : await this.borrowThread('write', limits, sql)
      lease.expire = expire
      return new SqliteConnection(this, 'write', place, lease, () => {
        this.#recent = undefined
        this.#maintenance.wake()
        this.#writerGate.release(lease)
      })
    } catch (error) {
      this.#writerGate.release(lease)
      throw error
    }
  }

  async #borrowReader ({ expire }: BeginOptions, limits: Limits, sql: string): Promise<SqliteConnection> {
    const lease = await this.#snapshotGate.acquire(limits, sql)
    try {
      const place = this.#startsShort(sql) ? await this.#borrowSnapshot() : await this.borrowThread('read', limits, sql, lease)
      lease.expire = expire
      return new SqliteConnection(this, 'read', place, lease, () => { this.#snapshotGate.release(lease) })
    } catch (error) {
      this.#snapshotGate.release(lease)
      throw error
    }
  }

  /** Of a transaction that begins with this statement. */
  #startsShort (first: string): boolean {
    return this.placement.find(first)?.isShort !== false && this.costOfTransaction(first).isShort
  }

  // --- what connections ask of it --------------------------------------------------------------------------------------------------

  costOf (query: Query, values: readonly unknown[]): Cost {
    return this.placement.costOf(query.sql, () => this.#isSmall() || this.#isSearch(query.text, values))
  }

  costOfTransaction (first: string): Cost {
    return this.placement.costOf(`BEGIN; ${first}`, () => true)
  }

  #isSearch (text: string, values: readonly unknown[]): boolean {
    try {
      return this.#reader.handle.isSearch(text, values)
    } catch {
      return true // a table that its transaction has just made
    }
  }

  #isSmall (): boolean {
    const now = performance.now()
    if (now - this.#size.at > 1000) this.#size = { bytes: sizeOf(this.#opener.file.path) + this.#opener.walBytes(), at: now }
    return this.#size.bytes < SMALL_BYTES
  }

  deliver (notifications: readonly Notification[]): void {
    this.#listening.deliver(notifications)
  }

  version (): unknown {
    try {
      return this.#reader.handle.version()
    } catch {
      return Symbol('unknown') // like no other
    }
  }

  recentVersion (): unknown {
    const now = performance.now()
    if (this.#recent === undefined || now - this.#recent.at > RECENT_MS) this.#recent = { version: this.version(), at: now }
    return this.#recent.version
  }

  noteStall (_sql: string, ms: number): void {
    this.#stalls.count++
    this.#stalls.longestMs = Math.max(this.#stalls.longestMs, ms)
  }

  // --- places ----------------------------------------------------------------------------------------------------------------------

  async #borrowSnapshot (): Promise<Inline> {
    const idle = this.#idleSnapshots.pop()
    if (idle !== undefined) return idle
    const snapshot = await this.#opener.inline(true, this.#settings.smallConnections)
    this.#snapshots.add(snapshot)
    return snapshot
  }

  /** The writer's thread for who holds the writer's place, or a reader's. `leader`: the lease that it is held with. */
  async borrowThread (mode: 'write' | 'read', limits: Limits, sql: string, leader?: GateLease): Promise<Thread> {
    if (this.#hasEnded) throw new DbClosed()
    return mode === 'read' ? await this.readers.borrow(limits, sql, leader) : await this.writerThread().catch((error: unknown) => { throw toOurError(error, sql) })
  }

  async writerThread (): Promise<Thread> {
    this.#writerThread ??= this.#opener.thread(false, this.#reader).catch((error: unknown) => {
      this.#writerThread = undefined
      throw error
    })
    const thread = await this.#writerThread
    this.#writerNow = thread
    if (thread.isAlive) return thread
    this.#writerThread = undefined
    return await this.writerThread()
  }

  giveBack (place: Inline | Thread): void {
    if (place instanceof Inline) {
      if (place !== this.#writer) this.#idleSnapshots.push(place)
      return
    }
    void place.settled.then(() => { this.#maintenance.wake() })
    this.readers.giveBack(place)
  }

  // --- what maintenance asks of it ---------------------------------------------------------------------------------------------------

  walBytes (): number {
    return this.#writer === undefined ? 0 : this.#opener.walBytes()
  }

  /** The writer's thread, while nobody writes. Undefined: there is none, or none was started. */
  async withWriterThread<T> (limits: Limits, task: (thread: Thread) => Promise<T>): Promise<T> {
    const lease = await this.#writerGate.acquire(limits, MAINTENANCE)
    try {
      return await task(await this.writerThread())
    } finally {
      this.#writerGate.release(lease)
    }
  }

  /** The writer's thread if it runs and has nothing to do. */
  async idleWriterThread (): Promise<Thread | undefined> {
    const thread = await this.#writerThread?.catch(noop)
    return thread?.isAlive === true && thread.isIdle && !thread.inTransaction ? thread : undefined
  }

  // --- operations ----------------------------------------------------------------------------------------------------------------------

  async backup (target: string, { overwrite = false, onProgress }: BackupOptions, limits: Limits): Promise<BackupResult> {
    const startedAt = performance.now()
    const partialPath = partialPathOf(target)
    const thread = await this.borrowThread('read', limits, 'backup')
    const unwatch = onProgress === undefined ? noop : watchBackup(partialPath, expectedBytes(name => this.#reader.handle.pragma(name)), onProgress)
    try {
      const bytes = await thread.run({ kind: 'backup', target, overwrite, partialPath }, limits, 'backup') as number
      return { bytes, durationMs: performance.now() - startedAt }
    } catch (error) {
      if (!thread.isIdle) abandon(partialPath) // the thread goes on and can end with the process
      throw error
    } finally {
      unwatch()
      this.giveBack(thread)
    }
  }

  status (): EngineStatus {
    const { watchdog } = this.#reader.handle
    return {
      statements: this.placement.list().map(({ sql, isShort, why, runs, meanMs, overruns, total, failures }) => ({ sql, runs: isShort ? 'inline' : 'apart', why, total, failures, apart: { runs, meanMs }, overruns })),
      meters: this.placement.meters,
      queues: { writer: this.#writerGate.load, snapshots: this.#snapshotGate.load, threads: this.readers.load },
      sqlite: {
        watchdog: watchdog !== undefined ? 'on' : (this.#settings.watchdog === 'on' ? watchdogProblem() : undefined) ?? 'off',
        threads: this.readers.count,
        idleThreads: this.readers.idleCount,
        stalls: { ...this.#stalls },
        walBytes: this.walBytes(),
        anonymousBytes: this.#reader.handle.isOpen ? watchdog?.anonBytes() : undefined
      }
    }
  }

  activity (): Activity {
    const running = this.#writerNow === undefined ? [] : runningOf(this.#writerNow, 'writer')
    const statements = [...this.readers.listRunning(), ...running, ...this.#writerGate.listWaiting(), ...this.#snapshotGate.listWaiting()]
    return { statements: statements.toSorted(bySince), transactions: [...this.#writerGate.listHeld(), ...this.#snapshotGate.listHeld()].toSorted(bySince) }
  }

  async close (graceMs: number): Promise<void> {
    return await (this.#closing ??= this.#close(graceMs))
  }

  async #close (graceMs: number): Promise<void> {
    const maintained = this.#maintenance.stop()
    this.#listening.close()
    await Promise.all([this.#writerGate, this.#snapshotGate, this.readers].map(async gate => { await gate.close(graceMs) }))
    this.#hasEnded = true
    await maintained
    const writerThread = await this.#lastThread()
    writerThread?.stop()
    await this.readers.end()
    for (const place of [...this.#snapshots, this.#reader]) place.close()
    this.#writer?.close()
    await writerThread?.end(END_MS)
    this.#opener.file.dispose()
  }

  /** Who closes last puts the WAL away: a thread, if there is much of it. */
  async #lastThread (): Promise<Thread | undefined> {
    if (this.#writerThread === undefined && this.walBytes() <= SMALL_WAL_BYTES) return undefined
    return await this.writerThread().catch(noop)
  }
}

/** No result of a statement is this. */
const OVERRAN = Symbol('it took longer than the budget')

function bySince (a: { readonly since: number }, b: { readonly since: number }): number {
  return a.since - b.since
}

const noop = (): undefined => undefined
