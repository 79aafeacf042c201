/** What the main thread asks of a thread with a connection, one thing at a time, and what it answers. Types only. */
import type { Method } from '../types.ts'
import type { SqliteSettings } from './open.ts'
import type { StopReason } from './watchdog.ts'

/** What a thread starts with. */
export interface ThreadData {
  readonly path: string
  readonly settings: SqliteSettings
  readonly readonly: boolean
}

/** Its first message. */
export type Ready = { readonly slot: number } | { readonly failure: Failure }

export type Task =
  | { readonly kind: 'execute', readonly method: Method, readonly text: string, readonly values: readonly unknown[] }
  | { readonly kind: 'exec', readonly sql: string }
  | { readonly kind: 'open', readonly text: string, readonly values: readonly unknown[] }
  | { readonly kind: 'fetch' | 'close' | 'trim' | 'optimize' | 'end' }
  | { readonly kind: 'checkpoint', readonly mode: 'PASSIVE' | 'TRUNCATE' }
  | { readonly kind: 'backup', readonly target: string, readonly overwrite: boolean, readonly partialPath: string }

/** `remainingMs`: until its deadline; undefined for none. */
export interface Request { readonly operation: number, readonly remainingMs: number | undefined, readonly task: Task }

export interface Answer {
  readonly value?: unknown
  readonly failure?: Failure
  /** Why the watchdog ended it, if it did. */
  readonly stopped?: StopReason | undefined
  readonly inTransaction: boolean
  /** What it took. */
  readonly ms: number
}

/** An error on its way between threads. */
export interface Failure { readonly name: string, readonly message: string, readonly code: string, readonly stack: string | undefined }
