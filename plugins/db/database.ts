/**
 * `Database`: the app's interface over one engine.
 *
 * Each call looks at the scope once: inside a transaction of this database it goes to that transaction, otherwise to the engine, which runs it on its own.
 * Knows neither SQL nor a driver.
 */
import { TxClosed, TxOptions as InvalidTxOptions, TxPropagation } from '../errors.ts'
import { RowCursor } from './cursor.ts'
import { currentScope, findTransaction, limitsOf, runInTransaction, runWithDeadline, runWithSignal } from './scope.ts'
import { PreparedStatement, type Runner } from './statement.ts'
import { Tx, type TransactionHost, type TxSettings } from './transaction.ts'
import type { Database, Engine, EngineName, Log, Method, Params, Query, Row, Statement, Transaction, TxOptions } from './types.ts'

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
const OPTIONS: ReadonlySet<string> = new Set(['mode', 'propagation', 'isolation', 'timeout', 'statementTimeout'])

/** The interface of `types.ts` over an engine that is open. */
export function createDatabase (engine: Engine, settings: DatabaseSettings): Database {
  return new EngineDatabase(engine, settings)
}

class EngineDatabase implements Database, Runner {
  readonly engine: EngineName
  readonly #engine: Engine
  readonly #settings: DatabaseSettings
  readonly #host: TransactionHost

  constructor (engine: Engine, settings: DatabaseSettings) {
    this.engine = engine.name
    this.#engine = engine
    this.#settings = settings
    this.#host = { engine, log: settings.log, transact: (fn, options, inside) => this.#transact(fn, options, inside) }
  }

  // --- statements ----------------------------------------------------------------------------------------------------------

  prepare<R = Row> (sql: string): Statement<R> {
    return new PreparedStatement<R>(this, this.#engine.parser.parseQuery(sql))
  }

  execute (method: Method, query: Query, params: Params): Promise<unknown> {
    const scope = currentScope()
    if (scope.link !== undefined) {
      const tx = findTransaction(scope, this.#host)
      if (tx instanceof Tx) return tx.execute(method, query, params)
    }
    return this.#engine.execute(method, query, params, limitsOf(scope, this.#host, this.#settings.statementTimeoutMs))
  }

  iterate (query: Query, params: Params): AsyncIterableIterator<Row> {
    const scope = currentScope()
    const tx = findTransaction(scope, this.#host)
    return tx instanceof Tx ? tx.iterate(query, params) : new RowCursor(query.sql, this.#engine.batches(query, params, limitsOf(scope, this.#host, Infinity)))
  }

  async exec (sql: string): Promise<void> {
    const scope = currentScope()
    const tx = findTransaction(scope, this.#host)
    if (tx instanceof Tx) await tx.exec(sql)
    else await this.#engine.exec(this.#engine.parser.parseScript(sql), limitsOf(scope, this.#host, this.#settings.statementTimeoutMs))
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

  async close ({ graceMs = 5000 }: { graceMs?: number } = {}): Promise<void> {
    await this.#engine.close(graceMs)
  }

  // --- transactions ------------------------------------------------------------------------------------------------------------

  tx<T> (fn: TxFunction<T>, options?: TxOptions): Promise<T> {
    return this.#transact(fn, options, undefined)
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
    const scope = currentScope()
    const settings: TxSettings = {
      mode: options.mode ?? 'write',
      isolation: options.isolation,
      statementTimeoutMs: options.statementTimeout ?? this.#settings.statementTimeoutMs,
      deadline: Math.min(scope.deadline, performance.now() + (options.timeout ?? this.#settings.txTimeoutMs))
    }
    return await new Tx(this.#host, settings, limitsOf(scope, this.#host, Infinity).held).around(fn)
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
    try {
      return await runWithDeadline(performance.now() + timeout, () => runInTransaction(this.#host, current, async () => await fn(current)))
    } catch (error) {
      current.fail(error)
      throw error
    }
  }
}

/** Throws `TDM_ERR_TX_OPTIONS` for what no transaction can have. */
function checkOptions (fn: unknown, options: TxOptions): void {
  if (typeof fn !== 'function') throw new InvalidTxOptions(`expected a function, got ${typeof fn}.`)
  const { mode = 'write', propagation = 'required', isolation, timeout = 1, statementTimeout = 1 } = options
  const unknown = Object.keys(options).find(name => !OPTIONS.has(name))
  if (unknown !== undefined) throw new InvalidTxOptions(`"${unknown}" does not exist; there are ${[...OPTIONS].join(', ')}.`)
  if (!MODES.has(mode)) throw new InvalidTxOptions(`mode is 'write' or 'read', not ${String(mode)}.`)
  if (!PROPAGATIONS.has(propagation)) throw new InvalidTxOptions(`propagation is one of ${[...PROPAGATIONS].join(', ')}, not ${String(propagation)}.`)
  if (!ISOLATIONS.has(isolation)) throw new InvalidTxOptions(`isolation is 'read committed', 'repeatable read' or 'serializable', not ${String(isolation)}.`)
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
