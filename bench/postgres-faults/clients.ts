/**
 * A client of the fault run: one call after the other on one database, chosen by the seed, each written into its ledger as it was told.
 *
 * Nothing in here knows of faults. A call that fails is not repeated, and the next one has a new id.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '../../plugins/db/types.ts'
import type { Random } from '../faults/random.ts'
import { Ledger, type Kind, type Outcome } from './ledger.ts'
import { ACCOUNTS, noteOf, type Times } from './tables.ts'

const UNKNOWN = 'TDM_ERR_TX_OUTCOME_UNKNOWN'
const weights: Record<Kind, number> = { insert: 20, returning: 10, transaction: 20, transfer: 15, increment: 10, read: 25 }

export class Client {
  readonly ledger: Ledger
  /** Answers that were wrong at once. */
  readonly problems: string[] = []
  readonly #db: Database
  readonly #random: Random
  readonly #times: Times
  readonly #startedAt = performance.now()
  /** The id of a call that wrote rows and was told so. */
  #written: number | undefined

  constructor (number: number, db: Database, random: Random, times: Times) {
    this.ledger = new Ledger(number)
    this.#db = db
    this.#random = random
    this.#times = times
  }

  async work (isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const kind = this.#random.weighted(weights)
      const rows = kind === 'transaction' ? this.#random.between(1, 3) : kind === 'insert' || kind === 'returning' ? 1 : 0
      const isDone = await this.#call(kind, rows)
      if (!isDone) await sleep(this.#random.between(5, 50)) // a server that is away
    }
  }

  async #call (kind: Kind, rows: number): Promise<boolean> {
    const id = this.ledger.nextId
    const startedAt = performance.now()
    let [outcome, code]: [Outcome, string] = ['done', '']
    try {
      await this.#run(kind, id, rows)
      if (rows > 0) this.#written = id
    } catch (error) {
      code = (error as { code?: string }).code ?? String(error)
      outcome = code === UNKNOWN ? 'unknown' : 'failed'
    }
    const now = performance.now()
    this.ledger.add({ kind, rows, outcome, code, ms: now - startedAt, at: now - this.#startedAt })
    return outcome === 'done'
  }

  async #run (kind: Kind, id: number, rows: number): Promise<void> {
    switch (kind) {
      case 'insert': await this.#insert(id); break
      case 'returning': await this.#insertReturning(id); break
      case 'transaction': await this.#insertAll(id, rows); break
      case 'transfer': await this.#transfer(id); break
      case 'increment': await this.#db.prepare('UPDATE counter SET n = n + 1 WHERE client = ?').run(this.ledger.client); break
      case 'read': await this.#read()
    }
  }

  async #insert (id: number): Promise<void> {
    const { changes } = await this.#db.prepare('INSERT INTO entry (id, part, note) VALUES (?, 1, ?)').run(id, noteOf(id))
    if (changes !== 1) this.problems.push(`${id}: an insert has changed ${changes} rows`)
  }

  async #insertReturning (id: number): Promise<void> {
    const row = await this.#db.prepare<{ id: number }>('INSERT INTO entry (id, part, note) VALUES (?, 1, ?) RETURNING id').get(id, noteOf(id))
    if (row?.id !== id) this.problems.push(`${id}: an insert has returned the id ${row?.id}`)
  }

  async #insertAll (id: number, rows: number): Promise<void> {
    await this.#db.tx(async tx => {
      for (let part = 1; part <= rows; part++) await tx.prepare('INSERT INTO entry (id, part, note) VALUES (?, ?, ?)').run(id, part, noteOf(id))
    })
  }

  /** In no order, so that some of them meet in a deadlock. The deadline is for all attempts together. */
  async #transfer (id: number): Promise<void> {
    const [source, amount] = [this.#random.between(1, ACCOUNTS), this.#random.between(1, 9)]
    const target = source % ACCOUNTS + 1
    const ends = this.#random.chance(0.5) ? [[source, -amount], [target, amount]] as const : [[target, amount], [source, -amount]] as const
    await this.#db.deadline(this.#times.txMs, async () => {
      await this.#db.tx(async tx => {
        for (const [account, change] of ends) await tx.prepare('UPDATE account SET balance = balance + ? WHERE id = ?').run(change, account)
        await tx.prepare('INSERT INTO transfer (id, source, target, amount) VALUES (?, ?, ?, ?)').run(id, source, target, amount)
      }, { retry: 3 })
    })
  }

  /** What was written is there, and the answer is the one to this question. */
  async #read (): Promise<void> {
    const id = this.#written
    if (id === undefined) return
    const row = await this.#db.prepare<{ id: number, note: string }>('SELECT id, note FROM entry WHERE id = ? AND part = 1').get(id)
    if (row === undefined) this.problems.push(`${id}: was told as done, and a read does not find it`)
    else if (row.id !== id || row.note !== noteOf(id)) this.problems.push(`${id}: a read of it has got the row ${JSON.stringify(row)}`)
  }
}
