/** A prepared statement: SQL that is read already, and the place that runs it. Holds no connection and no result. */
import type { Method, Params, Query, Row, RunResult, Statement } from './types.ts'

/** What a statement is prepared on: a database or a transaction. */
export interface Runner {
  execute: (method: Method, query: Query, params: Params) => Promise<unknown>
  iterate: (query: Query, params: Params) => AsyncIterableIterator<Row>
}

export class PreparedStatement<R> implements Statement<R> {
  readonly #runner: Runner
  readonly #query: Query

  constructor (runner: Runner, query: Query) {
    this.#runner = runner
    this.#query = query
  }

  get sql (): string {
    return this.#query.sql
  }

  get (...params: Params): Promise<R | undefined> {
    return this.#runner.execute('get', this.#query, params) as Promise<R | undefined>
  }

  all (...params: Params): Promise<R[]> {
    return this.#runner.execute('all', this.#query, params) as Promise<R[]>
  }

  run (...params: Params): Promise<RunResult> {
    return this.#runner.execute('run', this.#query, params) as Promise<RunResult>
  }

  iterate (...params: Params): AsyncIterableIterator<R> {
    return this.#runner.iterate(this.#query, params) as AsyncIterableIterator<R>
  }
}
