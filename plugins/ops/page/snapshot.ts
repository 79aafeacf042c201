/** What the page is told, once a second, as JSON. Types only. Times are milliseconds, sizes bytes; null: not known, or nothing happened. */
import type { EngineStatus } from '../../db/types.ts'

export type Place = 'inline' | 'lane' | 'apart'

export interface Latency { readonly count: number, readonly p50: number, readonly p99: number }

/** One second, more or less. */
export interface Sample {
  /** Its end, by the wall clock. */
  readonly at: number
  /** How long it was. */
  readonly spanMs: number
  /** What ended within it. */
  readonly runs: Readonly<Record<Place, Latency | null>>
  readonly failures: number
  readonly waits: Latency | null
  readonly loop: { readonly p50: number, readonly p99: number, readonly max: number } | null
  readonly memory: number | null
  readonly wal: number | null
  /** Of all queues together, at its end. */
  readonly used: number
  readonly waiting: number
}

/** Undefined: not known, or there is no request. */
interface Owned {
  readonly id: string
  /** With `?` for each literal. */
  readonly sql: string
  readonly ageMs: number
  readonly method?: string | undefined
  /** As it was declared. */
  readonly route?: string | undefined
  readonly requestId?: string | undefined
}

export interface StatementView extends Owned {
  readonly place: string
  /** Until it is ended; null: it has no limit. */
  readonly deadlineMs: number | null
}

export interface TransactionView extends Owned {
  /** Null while a statement runs. */
  readonly idleMs: number | null
  /** False: it is one statement, and is among those. */
  readonly canStop: boolean
}

/** All runs of one statement since the start; of several that differ in their literals only. */
export interface FingerprintView {
  readonly fingerprint: string
  readonly sql: string
  readonly count: number
  readonly failures: number
  readonly totalMs: number
  readonly meanMs: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly runs: Place
  readonly why: string
  readonly overruns: number
  readonly apart: { readonly runs: number, readonly meanMs: number }
}

export interface Snapshot {
  readonly at: number
  readonly engine: 'sqlite' | 'postgres'
  readonly uptimeMs: number
  readonly node: string
  readonly statements: readonly StatementView[]
  readonly transactions: readonly TransactionView[]
  /** Statements in all; those above are at most a hundred. */
  readonly running: number
  /** Since the start. */
  readonly totals: { readonly runs: Readonly<Record<Place, number>>, readonly failures: Readonly<Record<string, number>> }
  readonly queues: EngineStatus['queues']
  readonly replica: NonNullable<EngineStatus['replica']> | null
  readonly sqlite: NonNullable<EngineStatus['sqlite']> | null
  readonly postgres: NonNullable<EngineStatus['postgres']> | null
  readonly limits: {
    /** SQLite only. */
    readonly softBytes: number | null
    readonly hardBytes: number | null
  }
  /** Those with the most time in all, the most first. */
  readonly fingerprints: readonly FingerprintView[]
  /** How many there are in all. */
  readonly known: number
  /** Those that were not sent yet, the oldest first. */
  readonly samples: readonly Sample[]
}
