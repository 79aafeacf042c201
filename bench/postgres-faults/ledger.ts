/**
 * What each call was told, in a few bytes a call, so that a run may take an hour. A call's id is its client's number and its own, and is the key of its rows.
 *
 * Outcomes: 'done' (it resolved: its rows are there), 'failed' (any error: none is), 'unknown' (TDM_ERR_TX_OUTCOME_UNKNOWN: all or none).
 */

export const outcomes = ['done', 'failed', 'unknown'] as const
export type Outcome = typeof outcomes[number]

/** What a call does, and how it is judged. The work is in clients.ts. */
export const kinds = ['insert', 'returning', 'transaction', 'transfer', 'increment', 'read'] as const
export type Kind = typeof kinds[number]

export interface Entry {
  readonly id: number
  readonly kind: Kind
  /** How many rows of `entry` it writes. */
  readonly rows: number
  readonly outcome: Outcome
  /** Of the error; '' without one. */
  readonly code: string
  /** How long it took. */
  readonly ms: number
  /** When it ended, in milliseconds of the run. */
  readonly at: number
}

/** As it goes from process to process. */
export interface LedgerData { readonly client: number, readonly codes: readonly string[], readonly words: Uint32Array }

/** A client's calls have ids from here on. */
export const CALLS_A_CLIENT = 1_000_000_000

const WORDS = 3

export class Ledger {
  readonly client: number
  readonly #codes: string[]
  #words: Uint32Array
  #length: number

  constructor (client: number, { codes, words }: Pick<LedgerData, 'codes' | 'words'> = { codes: [''], words: new Uint32Array(0) }) {
    this.client = client
    this.#codes = [...codes]
    this.#words = words
    this.#length = words.length / WORDS
  }

  get length (): number {
    return this.#length
  }

  /** The id of the next call. */
  get nextId (): number {
    return this.client * CALLS_A_CLIENT + this.#length
  }

  add ({ kind, rows, outcome, code, ms, at }: Omit<Entry, 'id'>): void {
    if (this.#words.length < (this.#length + 1) * WORDS) this.#grow()
    if (!this.#codes.includes(code)) this.#codes.push(code)
    this.#words.set([kinds.indexOf(kind) | rows << 4 | outcomes.indexOf(outcome) << 8 | this.#codes.indexOf(code) << 12, Math.round(ms), Math.round(at)], this.#length++ * WORDS)
  }

  * entries (): Generator<Entry, undefined> {
    for (let i = 0; i < this.#length; i++) yield this.#entry(i)
  }

  /** The entry of a call of this client. */
  find (id: number): Entry | undefined {
    const i = id - this.client * CALLS_A_CLIENT
    return i >= 0 && i < this.#length ? this.#entry(i) : undefined
  }

  toData (): LedgerData {
    return { client: this.client, codes: this.#codes, words: this.#words.slice(0, this.#length * WORDS) }
  }

  #grow (): void {
    const words = new Uint32Array(Math.max(300, this.#words.length * 2))
    words.set(this.#words)
    this.#words = words
  }

  #entry (i: number): Entry {
    const [word = 0, ms = 0, at = 0] = this.#words.subarray(i * WORDS, (i + 1) * WORDS)
    return {
      id: this.client * CALLS_A_CLIENT + i,
      kind: kinds[word & 15] ?? 'read',
      rows: word >> 4 & 15,
      outcome: outcomes[word >> 8 & 15] ?? 'failed',
      code: this.#codes[word >> 12] ?? '',
      ms,
      at
    }
  }
}
