/**
 * An engine over one transaction of another engine: what its users commit is a savepoint that was released, and is gone when the outer transaction is rolled back.
 *
 * Kept true:
 *  1. There is one connection, so there is one transaction at a time; a statement on its own is one as well. Who comes second waits in order.
 *  2. What COMMIT would refuse (a deferred constraint) is refused when the savepoint is released. A read transaction cannot write.
 *  3. The outer transaction is never committed.
 */
import { Gate, type GateLease } from '../db/gate.ts'
import type { Activity, BackupOptions, BackupResult, BeginOptions, ChannelEvent, Connection, Engine, EngineName, EngineStatus, Limits, Listener, Method, Params, Parser, Query, Row, Script } from '../db/types.ts'

/** A wait in a sandbox ends with the deadline of who waits; this is for those who have none. */
const ACQUIRE_TIMEOUT_MS = 10_000

export class SandboxEngine implements Engine {
  readonly name: EngineName
  readonly parser: Parser
  readonly #engine: Engine
  readonly #connection: Connection
  readonly #gate = new Gate(1, ACQUIRE_TIMEOUT_MS)
  #savepoints = 0
  #closing: Promise<void> | undefined

  /** `connection`: a transaction of `engine` that has begun, or will with its first statement. */
  constructor (engine: Engine, connection: Connection) {
    this.name = engine.name
    this.parser = engine.parser
    this.#engine = engine
    this.#connection = connection
  }

  // --- on their own ------------------------------------------------------------------------------------------------------------

  async execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    return await this.#alone(query.sql, limits, async connection => await connection.execute(method, query, params, limits))
  }

  async * batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    const connection = await this.begin(alone, limits, query.sql)
    try {
      yield * connection.batches(query, params, limits)
      await connection.commit(limits)
    } finally {
      await connection.rollback()
      connection.release()
    }
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    await this.#alone(script.sql, limits, async connection => { await connection.exec(script, limits) })
  }

  /** Never delivered, since nothing of the sandbox is committed. */
  async notify (channel: string, payload: string, limits: Limits): Promise<void> {
    await this.#alone('NOTIFY', limits, async connection => { await connection.notify(channel, payload, limits) })
  }

  async #alone<T> (sql: string, limits: Limits, task: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.begin(alone, limits, sql)
    try {
      const value = await task(connection)
      await connection.commit(limits)
      return value
    } finally {
      await connection.rollback()
      connection.release()
    }
  }

  // --- transactions --------------------------------------------------------------------------------------------------------------

  /** The isolation is that of the sandbox. */
  async begin ({ mode }: BeginOptions, limits: Limits, first: string): Promise<Connection> {
    const lease = await this.#gate.acquire(limits, first)
    const connection = new SandboxConnection(this.#connection, `sandbox_${++this.#savepoints}`, lease, () => { this.#gate.release(lease) })
    try {
      await connection.begin(mode, limits)
      return connection
    } catch (error) {
      this.#gate.release(lease)
      throw error
    }
  }

  /** Hears what others commit; goes on when the sandbox has ended. */
  async listen (channel: string, fn: (event: ChannelEvent) => unknown, limits: Limits): Promise<Listener> {
    return await this.#engine.listen(channel, fn, limits)
  }

  /** Of what is committed. */
  async backup (path: string, options: BackupOptions, limits: Limits): Promise<BackupResult> {
    return await this.#engine.backup(path, options, limits)
  }

  status (): EngineStatus {
    return this.#engine.status()
  }

  activity (): Activity {
    return this.#engine.activity()
  }

  /** The app was closed in its sandbox. */
  async close (graceMs: number): Promise<void> {
    await this.end(graceMs)
    await this.#engine.close(graceMs)
  }

  /** Undoes everything and gives the connection back. */
  async end (graceMs: number): Promise<void> {
    return await (this.#closing ??= this.#end(graceMs))
  }

  async #end (graceMs: number): Promise<void> {
    await this.#gate.close(graceMs)
    this.#connection.cancel()
    await this.#connection.rollback()
    this.#connection.release()
  }
}

const alone: BeginOptions = { mode: 'write', isolation: undefined }

/** A savepoint in the part of a transaction. */
class SandboxConnection implements Connection {
  readonly lease: GateLease
  readonly #outer: Connection
  readonly #name: string
  readonly #onRelease: () => void
  #isOpen = false
  #isReadonly = false

  constructor (outer: Connection, name: string, lease: GateLease, onRelease: () => void) {
    this.#outer = outer
    this.#name = name
    this.lease = lease
    this.#onRelease = onRelease
  }

  get inTransaction (): boolean {
    return this.#isOpen && this.#outer.inTransaction
  }

  execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    return this.#outer.execute(method, query, params, limits)
  }

  batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    return this.#outer.batches(query, params, limits)
  }

  exec (script: Script, limits: Limits): Promise<void> {
    return this.#outer.exec(script, limits)
  }

  notify (channel: string, payload: string, limits: Limits): Promise<void> {
    return this.#outer.notify(channel, payload, limits)
  }

  cancel (): void {
    this.#outer.cancel()
  }

  async begin (mode: 'write' | 'read', limits: Limits): Promise<void> {
    await this.#outer.savepoint(this.#name, limits)
    this.#isOpen = true
    this.#isReadonly = mode === 'read'
    if (this.#isReadonly) await this.#outer.setReadonly(true)
  }

  async commit (limits: Limits): Promise<void> {
    await this.#outer.checkDeferred(limits)
    await this.#outer.releaseSavepoint(this.#name)
    await this.#leave()
  }

  async rollback (): Promise<void> {
    if (!this.inTransaction) return
    await this.#outer.rollbackToSavepoint(this.#name)
    await this.#leave()
  }

  async #leave (): Promise<void> {
    this.#isOpen = false
    if (this.#isReadonly) await this.#outer.setReadonly(false)
  }

  async savepoint (name: string, limits: Limits): Promise<void> {
    await this.#outer.savepoint(`${this.#name}_${name}`, limits)
  }

  async releaseSavepoint (name: string): Promise<void> {
    await this.#outer.releaseSavepoint(`${this.#name}_${name}`)
  }

  async rollbackToSavepoint (name: string): Promise<void> {
    await this.#outer.rollbackToSavepoint(`${this.#name}_${name}`)
  }

  async checkDeferred (limits: Limits): Promise<void> {
    await this.#outer.checkDeferred(limits)
  }

  async setReadonly (isReadonly: boolean): Promise<void> {
    await this.#outer.setReadonly(isReadonly)
  }

  release (): void {
    this.#onRelease()
  }
}
