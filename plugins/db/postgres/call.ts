/** Statements on their way to PostgreSQL: what to send, and what has come back. */
import { DbResultTooLarge } from '../../errors.ts'
import type { ResultLimits } from '../result.ts'
import type { Method, Row, RunResult } from '../types.ts'
import type { Outbox } from './messages.ts'
import type { DecodeRow } from './rows.ts'
import type { PostgresValue } from './values.ts'

/** A statement that the server knows by its name. */
export interface Prepared {
  readonly name: string
  readonly text: string
  /** Null: it has no rows. Undefined as long as it was not described. */
  decode: DecodeRow | null | undefined
  isParsed: boolean
  /** Of its Parse. */
  error: Error | undefined
  usedAt: number
}

const unlimited: ResultLimits = { maxRows: Infinity, maxBytes: Infinity }

/** One run of a statement: what to send, and what has come back. */
export class Call {
  readonly text: string
  readonly values: readonly PostgresValue[]
  /** Which rows are kept: the first, all, or none. */
  readonly #method: Method
  readonly #limits: ResultLimits
  rows: Row[] = []
  #bytes = 0
  /** 'INSERT 0 1'; '' before its end. */
  tag = ''
  /** Set when there are more rows than may be kept; those that were are dropped. */
  tooLarge: Error | undefined
  onTooLarge: ((error: Error) => void) | undefined
  statement: Prepared | undefined

  constructor (text: string, values: readonly PostgresValue[], method: Method, limits = unlimited) {
    this.text = text
    this.values = values
    this.#method = method
    this.#limits = limits
  }

  /** Puts what it asks for into the outbox. */
  write (outbox: Outbox, statement: Prepared): void {
    outbox.bind('', statement.name, this.values)
    if (statement.decode === undefined) outbox.describePortal('')
    outbox.execute('', 0)
  }

  /** What its caller is told. Throws `TDM_ERR_DB_RESULT_TOO_LARGE`. */
  get answer (): unknown {
    if (this.tooLarge !== undefined) throw this.tooLarge
    if (this.#method === 'get') return this.rows[0]
    return this.#method === 'all' ? this.rows : changesOf(this.tag)
  }

  /** To be run again from its beginning. */
  reset (): void {
    this.rows = []
    this.#bytes = 0
    this.tag = ''
    this.tooLarge = undefined
    this.statement = undefined
  }

  addRow (buffer: Buffer, start: number, end: number): void {
    const decode = this.statement?.decode
    if (this.#method === 'run' || decode == null || this.tooLarge !== undefined) return
    if (this.#method === 'get' && this.rows.length === 1) return
    this.rows.push(decode(buffer, start + 2))
    this.#bytes += end - start
    if (this.rows.length > this.#limits.maxRows) this.#refuse(new DbResultTooLarge(`${this.#limits.maxRows} rows`, 'DB_MAX_ROWS'))
    else if (this.#bytes > this.#limits.maxBytes) this.#refuse(new DbResultTooLarge(`${this.#limits.maxBytes} bytes`, 'DB_MAX_RESULT'))
  }

  #refuse (error: Error): void {
    this.tooLarge = error
    this.rows.length = 0
    this.onTooLarge?.(error)
  }
}

/** The first rows of a statement, through a portal that stays open as long as the transaction. */
export class OpenCall extends Call {
  readonly #portal: string
  readonly #rows: number

  constructor (text: string, values: readonly PostgresValue[], portal: string, rows: number) {
    super(text, values, 'all')
    this.#portal = portal
    this.#rows = rows
  }

  override write (outbox: Outbox, statement: Prepared): void {
    outbox.bind(this.#portal, statement.name, this.values)
    if (statement.decode === undefined) outbox.describePortal(this.#portal)
    outbox.execute(this.#portal, this.#rows)
  }
}

/** More rows of an open portal. */
export class FetchCall extends Call {
  readonly #portal: string
  readonly #rows: number

  constructor (opened: Call, portal: string, rows: number) {
    super(opened.text, [], 'all')
    this.statement = opened.statement
    this.#portal = portal
    this.#rows = rows
  }

  override write (outbox: Outbox): void {
    outbox.execute(this.#portal, this.#rows)
  }
}

/** BEGIN, COMMIT and their like. */
export function control (text: string): Call {
  return new Call(text, noValues, 'run')
}

const noValues: readonly never[] = Object.freeze([])
const WRITES = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/** 'INSERT 0 2', 'UPDATE 2'. */
function changesOf (tag: string): RunResult {
  const words = tag.split(' ')
  return { changes: WRITES.has(words[0] ?? '') ? Number(words.at(-1)) : 0, lastInsertRowid: null }
}

/** A statement on its own that did nothing, and may be run again. `error`: what to tell if it is not. */
export class Repeatable {
  readonly error: unknown
  /**
   * 'writes': it is no read. 'slow': it takes too long for a lane. 'stale': the server has forgotten it, or its plan does not fit any more. 'lost': with its session.
   */
  readonly why: 'writes' | 'slow' | 'stale' | 'lost'

  constructor (error: unknown, why: Repeatable['why']) {
    this.error = error
    this.why = why
  }
}
