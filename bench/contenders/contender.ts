/**
 * Who is compared, and in what: the four things that an app asks of a database all day, each as the documents of a library show it.
 *
 * What is kept true: all are asked the same of the same rows (data.ts), over at most `CONNECTIONS` connections. What a library cannot do, or does in the same way as
 * another entrant of it, it leaves out; nobody's answer is made easier than the others'.
 */
import type { EngineName } from '../../plugins/db/types.ts'

export const CONNECTIONS = 10

/** As reports name them. */
export const engineTitles: Readonly<Record<EngineName, string>> = { sqlite: 'SQLite', postgres: 'PostgreSQL' }

export interface Operations {
  /** The row with this id. */
  readonly point: (id: number) => unknown
  /** `RANGE` rows from this id on. */
  readonly list: (id: number) => unknown
  /** One row. */
  readonly insert: (account: number) => unknown
  /** A transaction of three statements: reads an account, adds one to it, and writes an entry. */
  readonly transfer: (account: number) => unknown
}

export type Operation = keyof Operations

export const operations: readonly Operation[] = ['point', 'list', 'insert', 'transfer']

/** Opened; answers promises, or values where the library answers at once. */
export interface Contender extends Partial<Operations> {
  readonly close: () => unknown
}

export interface Entrant {
  readonly name: string
  /** What has to be installed. */
  readonly needs?: readonly string[]
  readonly can: readonly Operation[]
  /** `target`: the path of an SQLite file, or the URL of a PostgreSQL database. */
  readonly open: (target: string) => Promise<Contender>
}

/** For who has one connection and no queue in front of it: none begins before the one before has ended. */
export function oneByOne (run: (id: number) => Promise<void>): (id: number) => Promise<void> {
  let last: Promise<void> = Promise.resolve()
  return async id => {
    last = last.then(() => run(id))
    await last
  }
}

export type Entrants = Readonly<Record<EngineName, readonly Entrant[]>>
