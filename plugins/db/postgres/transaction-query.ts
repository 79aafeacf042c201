/**
 * A statement that travels together with what the transaction wants sent around it: BEGIN before it, the question for the transaction's id behind it. One packet,
 * one round trip.
 *
 * All of it stands before one Sync, so the server passes over everything behind the first error: a statement never runs without the BEGIN in front of it.
 * Built on pg's Query, whose protocol hooks its types do not tell.
 */
import pg from 'pg'

interface Wire {
  parse: (message: { text: string, name: string, types: number[] }) => void
  bind: (message: { values: unknown[] }) => void
  execute: (message: { rows: number }) => void
  sync: () => void
}

declare class WireQuery {
  constructor (config: object)
  prepare (connection: Wire): void
  handleDataRow (message: { fields: Array<string | null> }): void
  handleCommandComplete (message: { text: string }, connection: Wire): void
}

const Query = pg.Query as unknown as typeof WireQuery

const ASK_ID = 'SELECT pg_catalog.pg_current_xact_id_if_assigned()'

export interface Around {
  /** Sent before the statement, if it is given. */
  readonly begin: string | undefined
  /** Called when BEGIN was done. */
  readonly onBegun: () => void
  /** Ask for the transaction's id afterwards; called when there is one, that is, when something was written. */
  readonly onId: ((id: string) => void) | undefined
}

export class TransactionQuery extends Query {
  readonly #around: Around
  #isBegun: boolean
  #isDone = false

  constructor (config: object, around: Around) {
    super(config)
    this.#around = around
    this.#isBegun = around.begin === undefined
  }

  override prepare (connection: Wire): void {
    if (this.#around.begin !== undefined) send(connection, this.#around.begin)
    super.prepare(connection)
  }

  /** pg's name for "Execute, then Sync". */
  _getRows (connection: Wire): void {
    connection.execute({ rows: 0 })
    if (this.#around.onId !== undefined) send(connection, ASK_ID)
    connection.sync()
  }

  override handleCommandComplete (message: { text: string }, connection: Wire): void {
    if (!this.#isBegun) {
      this.#isBegun = true
      this.#around.onBegun()
    } else if (!this.#isDone) {
      this.#isDone = true
      super.handleCommandComplete(message, connection)
    }
  }

  override handleDataRow (message: { fields: Array<string | null> }): void {
    if (!this.#isDone) {
      super.handleDataRow(message)
      return
    }
    const [id] = message.fields
    if (typeof id === 'string') this.#around.onId?.(id)
  }
}

function send (connection: Wire, text: string): void {
  connection.parse({ text, name: '', types: [] })
  connection.bind({ values: [] })
  connection.execute({ rows: 0 })
}
