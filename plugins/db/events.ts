/** What the layer tells on `node:diagnostics_channel`. Nobody listening costs nothing. */
import { channel } from 'node:diagnostics_channel'
import type { TxOutcome } from './types.ts'

/** On 'tandem:tx', once for each outermost transaction, when it has ended. */
export interface TxEvent {
  readonly outcome: TxOutcome
  readonly mode: 'write' | 'read'
  readonly durationMs: number
  /** Accepted statements, of all attempts. */
  readonly statements: number
  /** Attempts beyond the first. */
  readonly retries: number
  /** Of the request that it belongs to, as the route was declared. */
  readonly route: string | undefined
  readonly method: string | undefined
}

/** On 'tandem:statement', once for each statement that has ended. */
export interface StatementEvent {
  readonly engine: 'sqlite' | 'postgres'
  /** As written, with its placeholders; values are never part of it. */
  readonly sql: string
  /** Where it ran; undefined: it failed before it ran. */
  readonly place: 'inline' | 'lane' | 'apart' | undefined
  /** 'ok', or the kind of its error. */
  readonly outcome: string
  /** Waiting for a place included; undefined for one that failed. */
  readonly durationMs: number | undefined
  /** A `FastifyRequest`, if it belongs to one. */
  readonly request: object | undefined
}

/** On 'tandem:pool': a connection or a thread has come or gone. */
export interface PoolEvent {
  readonly engine: 'sqlite' | 'postgres'
  readonly what: 'opened' | 'closed' | 'lost'
}

/** On 'tandem:memory', SQLite: memory went back to the operating system, or a statement was ended because the process had too much. */
export interface MemoryEvent {
  readonly what: 'released' | 'ended'
  readonly sql: string | undefined
}

const txChannel = channel('tandem:tx')
const statementChannel = channel('tandem:statement')
const poolChannel = channel('tandem:pool')
const memoryChannel = channel('tandem:memory')

interface SlowWatcher { readonly ms: number, readonly tell: (event: StatementEvent) => void }

const slowWatchers = new Set<SlowWatcher>()
/** What the least patient of them asks for. */
let slowFromMs = Infinity

/** True if somebody wants to know of a statement that took `ms`. Asked first, so that nothing is made for nobody. */
export function isStatementHeard (ms: number): boolean {
  return ms >= slowFromMs || statementChannel.hasSubscribers
}

/** `ms`: what it took; Infinity for one that ran out of time. */
export function publishStatement (event: StatementEvent, ms: number): void {
  if (statementChannel.hasSubscribers) statementChannel.publish(event)
  if (ms >= slowFromMs) tellSlow(event, ms)
}

/**
 * Calls `tell` for each statement of this process that took `ms` or more, or ran out of time, until the answer is called. Unlike a listener on 'tandem:statement' it costs a comparison
 * for those that are faster.
 */
export function watchSlow (ms: number, tell: (event: StatementEvent) => void): () => void {
  const watcher = { ms, tell }
  slowWatchers.add(watcher)
  slowFromMs = Math.min(slowFromMs, ms)
  return () => {
    slowWatchers.delete(watcher)
    slowFromMs = Math.min(...[...slowWatchers].map(other => other.ms))
  }
}

function tellSlow (event: StatementEvent, ms: number): void {
  for (const watcher of slowWatchers) if (ms >= watcher.ms) watcher.tell(event)
}

export function publishPool (event: PoolEvent): void {
  if (poolChannel.hasSubscribers) poolChannel.publish(event)
}

export function publishMemory (event: MemoryEvent): void {
  if (memoryChannel.hasSubscribers) memoryChannel.publish(event)
}

export function hasTxListeners (): boolean {
  return txChannel.hasSubscribers
}

/** `describe` is called only if somebody listens. */
export function publishTx (describe: () => TxEvent): void {
  if (txChannel.hasSubscribers) txChannel.publish(describe())
}
