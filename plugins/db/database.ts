/**
 * `Database`: the app's interface over one engine.
 *
 * Each call looks at the scope once: inside a transaction of this database it goes to that transaction, otherwise to the engine, which runs it on its own.
 * Knows neither SQL nor a driver.
 */
import { TestingSandbox, TxClosed, TxOptions as InvalidTxOptions, TxPropagation } from '../errors.ts'
import { checkChannel, checkListener, checkPayload } from './channels.ts'
import { RowCursor } from './cursor.ts'
import { publishTx, type TxEvent } from './events.ts'
import { withRetries } from './retry.ts'
import { currentScope, findTransaction, limitsOf, runInTransaction, runWithDeadline, runWithSignal, type Link } from './scope.ts'
import { PreparedStatement, type Runner } from './statement.ts'
import { Tx, type TransactionHost, type TxSettings } from './transaction.ts'
import type { Activity, BackupOptions, BackupResult, ChannelEvent, Database, DatabaseStatus, Engine, EngineName, Lease, Limits, Listener, Log, Method, Params, Query, Row, Statement, Transaction, TxOptions } from './types.ts'

export interface DatabaseSettings {
  /** What a statement may take, in ms; Infinity for no limit. */
  readonly statementTimeoutMs: number
  /** What a transaction may take, in ms; Infinity for no limit. */
  readonly txTimeoutMs: number
  readonly log: Log
}

type TxFunction<T> = (tx: Transaction) => T | Promise<T>

const PROPAGATIONS: ReadonlySet<unknown> = new Set(['required', 'nested', 'new', 'mandatory', 'never'])
const MODES: ReadonlySet<unknown> = new Set(['write', 'read'])
const ISOLATIONS: ReadonlySet<unknown> = new Set([undefined, 'read committed', 'repeatable read', 'serializable'])
const OPTIONS: ReadonlySet<string> = new Set(['mode', 'propagation', 'isolation', 'timeout', 'statementTimeout', 'retry'])

/**
 * For what begins and ends a transaction in different places, as the hooks of a request do: a link for a scope, whose transaction is opened by the first statement
 * that comes by. `prepare` opens it, in the scope whose limits are to hold, and may do something with it. Whoever has the link ends the transaction, by `commit()` or
 * `rollback(error)`. The options are taken as they are.
 */
export function linkTransaction (db: Database, options: TxOptions, prepare: (open: () => Tx) => Tx): TransactionLink {
  if (!(db instanceof EngineDatabase)) throw new TypeError('expected a database that was made by createDatabase()')
  return db.link(options, prepare)
}

export class TransactionLink implements Link {
  readonly database: object
  readonly outer = undefined
  readonly #open: () => Tx
  /** Undefined as long as nobody has asked for it. */
  opened: Tx | undefined
  #isSealed = false

  constructor (database: object, open: () => Tx) {
    this.database = database
    this.#open = open
  }

  get transaction (): Tx {
    if (this.opened === undefined) {
      this.opened = this.#open()
      if (this.#isSealed) this.opened.seal()
    }
    return this.opened
  }

  /** A statement that comes first from now on comes too late. */
  seal (): void {
    this.#isSealed = true
    this.opened?.seal()
  }

  get lease (): Lease | undefined {
    return this.opened?.lease
  }
}

/** What the attempts of one transaction come to. */
export class Account {
  readonly #startedAt = performance.now()
  readonly #attempts: Tx[] = []

  follow (attempt: Tx): Tx {
    this.#attempts.push(attempt)
    return attempt
  }

  describe (request: { route?: string | undefined, method?: string | undefined, mode?: 'write' | 'read' } = {}): TxEvent {
    const last = this.#attempts.at(-1)
    return {
      outcome: last?.outcome ?? 'none',
      mode: last?.mode ?? request.mode ?? 'write',
      durationMs: performance.now() - this.#startedAt,
      statements: this.#attempts.reduce((sum, { statements }) => sum + statements, 0),
      retries: Math.max(0, this.#attempts.length - 1),
      route: request.route,
      method: request.method
    }
  }
}

/** The interface of `types.ts` over an engine that is open. */
export function createDatabase (engine: Engine, settings: DatabaseSettings): Database {
  return new EngineDatabase(engine, settings)
}

/**
 * Puts the engine that `wrap` makes of the database's own in its place, until the answer is called; for what comes from then on. Throws `TDM_ERR_TESTING_SANDBOX` if
 * that was done already.
 */
export async function replaceEngine (db: Database, wrap: (engine: Engine) => Promise<Engine>): Promise<() => void> {
  if (!(db instanceof EngineDatabase)) throw new TypeError('expected a database that was made by createDatabase()')
  return await db.replaceEngine(wrap)
}

class EngineDatabase implements Database, Runner {
  readonly engine: EngineName
  readonly #settings: DatabaseSettings
  readonly #host: TransactionHost
  #isReplaced = false

  constructor (engine: Engine, settings: DatabaseSettings) {
    this.engine = engine.name
    this.#settings = settings
    this.#host = { engine, log: settings.log, transact: (fn, options, inside) => this.#transact(fn, options, inside) }
  }

  /** See `replaceEngine`. */
  async replaceEngine (wrap: (engine: Engine) => Promise<Engine>): Promise<() => void> {
    if (this.#isReplaced) throw new TestingSandbox()
    this.#isReplaced = true
    const { engine } = this.#host
    const restore = (): void => {
      this.#host.engine = engine
      this.#isReplaced = false
    }
    try {
      this.#host.engine = await wrap(engine)
      return restore
    } catch (error) {
      restore()
      throw error
    }
  }

  // --- statements ----------------------------------------------------------------------------------------------------------

  prepare<R = Row> (sql: string): Statement<R> {
    return new PreparedStatement<R>(this, this.#host.engine.parser.parseQuery(sql))
  }

  execute (method: Method, query: Query, params: Params): Promise<unknown> {
    const scope = currentScope()
    if (scope.link !== undefined) {
      const tx = findTransaction(scope, this.#host)
      if (tx instanceof Tx) return tx.execute(method, query, params)
    }
    return this.#host.engine.execute(method, query, params, limitsOf(scope, this.#host, this.#settings.statementTimeoutMs))
  }

  iterate (query: Query, params: Params): AsyncIterableIterator<Row> {
    const scope = currentScope()
    const tx = findTransaction(scope, this.#host)
    return tx instanceof Tx ? tx.iterate(query, params) : new RowCursor(query.sql, this.#host.engine.batches(query, params, limitsOf(scope, this.#host, Infinity)))
  }

  async exec (sql: string, input?: Uint8Array): Promise<void> {
    const scope = currentScope()
    const tx = findTransaction(scope, this.#host)
    if (tx instanceof Tx) await tx.exec(sql, input)
    else await this.#host.engine.exec({ ...this.#host.engine.parser.parseScript(sql), input }, limitsOf(scope, this.#host, this.#settings.statementTimeoutMs))
  }

  // --- events ----------------------------------------------------------------------------------------------------------------

  async listen (channel: string, fn: (event: ChannelEvent) => unknown): Promise<Listener> {
    checkChannel(channel)
    checkListener(fn)
    return await this.#host.engine.listen(channel, fn, limitsOf(currentScope(), this.#host, this.#settings.statementTimeoutMs))
  }

  notify (channel: string, payload = ''): Promise<void> {
    const scope = currentScope()
    const tx = findTransaction(scope, this.#host)
    return tx instanceof Tx ? tx.notify(channel, payload) : this.#notifyNow(channel, payload, limitsOf(scope, this.#host, this.#settings.statementTimeoutMs))
  }

  async #notifyNow (channel: string, payload: string, limits: Limits): Promise<void> {
    checkChannel(channel)
    checkPayload(payload)
    await this.#host.engine.notify(channel, payload, limits)
  }

  // --- scopes ----------------------------------------------------------------------------------------------------------------

  deadline<T> (ms: number, fn: () => T): T {
    return runWithDeadline(performance.now() + ms, fn)
  }

  signal<T> (signal: AbortSignal, fn: () => T): T {
    return runWithSignal(signal, fn)
  }

  outsideTx<T> (fn: () => T): T {
    return runInTransaction(this.#host, undefined, fn)
  }

  async backup (path: string, options: BackupOptions = {}): Promise<BackupResult> {
    return await this.#host.engine.backup(path, options, limitsOf(currentScope(), this.#host, Infinity))
  }

  status (): DatabaseStatus {
    return { engine: this.engine, ...this.#host.engine.status() }
  }

  activity (): Activity {
    return this.#host.engine.activity()
  }

  async close ({ graceMs = 5000 }: { graceMs?: number } = {}): Promise<void> {
    await this.#host.engine.close(graceMs)
  }

  // --- transactions ------------------------------------------------------------------------------------------------------------

  tx<T> (fn: TxFunction<T>, options?: TxOptions): Promise<T> {
    const current = findTransaction(currentScope(), this.#host)
    const result = this.#transact(fn, options, undefined)
    return current instanceof Tx ? current.expect(result) : result
  }

  /** Chooses by `propagation` between joining, nesting and a transaction of its own. */
  async #transact<T> (fn: TxFunction<T>, options: TxOptions = {}, inside?: Tx): Promise<T> {
    checkOptions(fn, options)
    const { propagation = 'required' } = options
    const current = inside ?? findTransaction(currentScope(), this.#host)
    if (!(current instanceof Tx)) {
      if (propagation === 'mandatory') throw new TxPropagation(propagation, 'there is no transaction to join.')
      return await this.#own(fn, options)
    }
    if (propagation === 'never') throw new TxPropagation(propagation, 'there is a transaction already.')
    if (propagation === 'new') return await this.#own(fn, options)
    checkFits(options, current)
    return propagation === 'nested' ? await this.#nest(fn, options, current) : await this.#join(fn, options, current)
  }

  async #own<T> (fn: TxFunction<T>, options: TxOptions): Promise<T> {
    const account = new Account()
    try {
      return await withRetries(options.retry ?? 0, async () => await account.follow(this.#open(options)).around(fn))
    } finally {
      publishTx(() => account.describe())
    }
  }

  /** A transaction of its own, for the code that runs now. */
  #open (options: TxOptions): Tx {
    const scope = currentScope()
    const settings: TxSettings = {
      mode: options.mode ?? 'write',
      isolation: options.isolation,
      statementTimeoutMs: options.statementTimeout ?? this.#settings.statementTimeoutMs,
      timeoutMs: options.timeout ?? this.#settings.txTimeoutMs,
      deadline: Math.min(scope.deadline, performance.now() + (options.timeout ?? this.#settings.txTimeoutMs))
    }
    return new Tx(this.#host, settings, limitsOf(scope, this.#host, Infinity).held)
  }

  /** See `linkTransaction`. */
  link (options: TxOptions, prepare: (open: () => Tx) => Tx): TransactionLink {
    return new TransactionLink(this.#host, () => prepare(() => this.#open(options)))
  }

  async #nest<T> (fn: TxFunction<T>, options: TxOptions, outer: Tx): Promise<T> {
    const settings: TxSettings = {
      ...outer.settings,
      statementTimeoutMs: options.statementTimeout ?? outer.settings.statementTimeoutMs,
      deadline: Math.min(outer.settings.deadline, performance.now() + (options.timeout ?? Infinity))
    }
    return await new Tx(this.#host, settings, [], outer).around(fn)
  }

  async #join<T> (fn: TxFunction<T>, { timeout = Infinity }: TxOptions, current: Tx): Promise<T> {
    return await runWithDeadline(performance.now() + timeout, async () => await current.join(fn))
  }
}

/** Throws `TDM_ERR_TX_OPTIONS` for what no transaction can have. */
function checkOptions (fn: unknown, options: TxOptions): void {
  if (typeof fn !== 'function') throw new InvalidTxOptions(`expected a function, got ${typeof fn}.`)
  const { mode = 'write', propagation = 'required', isolation, timeout = 1, statementTimeout = 1, retry = 0 } = options
  const unknown = Object.keys(options).find(name => !OPTIONS.has(name))
  if (unknown !== undefined) throw new InvalidTxOptions(`"${unknown}" does not exist; there are ${[...OPTIONS].join(', ')}.`)
  if (!MODES.has(mode)) throw new InvalidTxOptions(`mode is 'write' or 'read', not ${String(mode)}.`)
  if (!PROPAGATIONS.has(propagation)) throw new InvalidTxOptions(`propagation is one of ${[...PROPAGATIONS].join(', ')}, not ${String(propagation)}.`)
  if (!ISOLATIONS.has(isolation)) throw new InvalidTxOptions(`isolation is 'read committed', 'repeatable read' or 'serializable', not ${String(isolation)}.`)
  if (!(Number.isInteger(retry) && retry >= 0)) throw new InvalidTxOptions(`retry is a number of further attempts, not ${String(retry)}.`)
  if (!(timeout > 0 && statementTimeout > 0)) throw new InvalidTxOptions('timeout and statementTimeout are positive numbers of milliseconds.')
}

/** Throws `TDM_ERR_TX_OPTIONS` for what cannot be had inside of `current`, `TDM_ERR_TX_CLOSED` when that has ended. */
function checkFits ({ mode, isolation }: TxOptions, current: Tx): void {
  if (current.state !== 'open') throw new TxClosed(current.state, 'db.tx()')
  if (mode === 'write' && current.mode === 'read') throw new InvalidTxOptions('a transaction that writes cannot be inside of one that reads.')
  if (isolation !== undefined && isolation !== current.settings.isolation) {
    throw new InvalidTxOptions(`the transaction around has isolation ${current.settings.isolation ?? 'of the default'}, and that cannot change to ${isolation}.`)
  }
}
