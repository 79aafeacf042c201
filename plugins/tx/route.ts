/** What a route says about its transaction, and what holds if it says nothing. */
import { TxOptions as InvalidTxOptions } from '../errors.ts'
import type { TxOptions } from '../db/types.ts'

/** `config: { tx: … }` of a route. `false`: no transaction for this route. */
export type RouteTx = 'write' | 'read' | false | RouteTxOptions

export interface RouteTxOptions extends Pick<TxOptions, 'mode' | 'isolation' | 'timeout' | 'statementTimeout' | 'retry'> {
  /**
   * What a reply that is a stream does to the transaction. 'commit-first': COMMIT, then the first byte. 'span': it stays open while the reply is streamed, COMMIT comes
   * before the last byte, and a failure cuts the reply off. Default: 'commit-first'.
   */
  stream?: 'commit-first' | 'span'
  /** Which status of the reply rolls back. Default: 400 and above. */
  rollbackOn?: (statusCode: number) => boolean
  /** When the client has left before the reply: 'rollback' stops the running statement too, 'commit' lets the handler finish. Default: 'rollback'. */
  onAbort?: 'rollback' | 'commit'
}

/** The same, complete. */
export interface RouteSettings {
  readonly mode: 'write' | 'read'
  readonly options: TxOptions
  readonly retry: number
  readonly stream: 'commit-first' | 'span'
  readonly rollbackOn: (statusCode: number) => boolean
  readonly onAbort: 'rollback' | 'commit'
}

/** RFC 9110, section 9.2.1, and QUERY. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY'])
const NAMES: ReadonlySet<string> = new Set(['mode', 'isolation', 'timeout', 'statementTimeout', 'retry', 'stream', 'rollbackOn', 'onAbort'])

export function defaultFor (method: string): RouteTx {
  return SAFE_METHODS.has(method) ? 'read' : 'write'
}

/** Undefined: no transaction. Throws `TDM_ERR_TX_OPTIONS` for what a route cannot have. */
export function resolveRoute (route: RouteTx, fallback: RouteTx): RouteSettings | undefined {
  if (route === false) return undefined
  const given: RouteTxOptions = typeof route === 'string' ? { mode: route } : route
  const { mode = modeOf(fallback), retry = 0, stream = 'commit-first', rollbackOn = isFailure, onAbort = 'rollback', isolation, timeout, statementTimeout } = given
  check(given, mode)
  const options: TxOptions = { mode, ...(isolation && { isolation }), ...(timeout && { timeout }), ...(statementTimeout && { statementTimeout }) }
  return { mode, options, retry, stream, rollbackOn, onAbort }
}

function modeOf (fallback: RouteTx): 'write' | 'read' {
  if (typeof fallback === 'string') return fallback
  return (fallback === false ? undefined : fallback.mode) ?? 'write'
}

function isFailure (statusCode: number): boolean {
  return statusCode >= 400
}

function check (given: RouteTxOptions, mode: unknown): void {
  const unknown = Object.keys(given).find(name => !NAMES.has(name))
  if (unknown !== undefined) throw new InvalidTxOptions(`config.tx has no "${unknown}"; there are ${[...NAMES].join(', ')}.`)
  const { retry = 0, stream = 'span', onAbort = 'commit', timeout = 1, statementTimeout = 1 } = given
  if (mode !== 'write' && mode !== 'read') throw new InvalidTxOptions(`config.tx is 'write', 'read', false or an object, not ${String(mode)}.`)
  if (stream !== 'span' && stream !== 'commit-first') throw new InvalidTxOptions(`stream is 'commit-first' or 'span', not ${String(stream)}.`)
  if (onAbort !== 'commit' && onAbort !== 'rollback') throw new InvalidTxOptions(`onAbort is 'rollback' or 'commit', not ${String(onAbort)}.`)
  if (!(Number.isInteger(retry) && retry >= 0)) throw new InvalidTxOptions(`retry is a number of further attempts, not ${String(retry)}.`)
  if (!(timeout > 0 && statementTimeout > 0)) throw new InvalidTxOptions('timeout and statementTimeout are positive numbers of milliseconds.')
}
