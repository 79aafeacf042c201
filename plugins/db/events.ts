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

const txChannel = channel('tandem:tx')

export function hasTxListeners (): boolean {
  return txChannel.hasSubscribers
}

/** `describe` is called only if somebody listens. */
export function publishTx (describe: () => TxEvent): void {
  if (txChannel.hasSubscribers) txChannel.publish(describe())
}
