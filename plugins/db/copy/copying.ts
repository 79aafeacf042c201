/**
 * One copy, out of one snapshot of the source: from the mark in the target over its tables to the comparison, after which the mark is taken away.
 *
 *  1. The mark and the emptied tables are one transaction, and so are a step of rows and the place behind it. Between them anything may end.
 *  2. A unit without steps (plan.ts) is one transaction: it is there, or none of it.
 */
import { createHash } from 'node:crypto'
import { CopyIncomplete, CopyNotEmpty, CopyOther } from '../../errors.ts'
import type { Queryable } from '../types.ts'
import { compareTables, type Compared, type Side } from './compare.ts'
import { during } from './failures.ts'
import { dropIndices, makeIndices } from './indices.ts'
import { find } from './names.ts'
import { findForwardKeys, findLeftOut, hasSteps, inOrder, inUnits, makePlans, refuseOutsiders } from './plan.ts'
import { createRecord, dropRecord, movePlace, readRecord, START, type Place } from './progress.ts'
import { countRows, reading, writing, type CopyOptions, type CopySummary } from './options.ts'
import { INDICES, RECORD } from './record.ts'
import { readSteps, type Step } from './steps.ts'
import type { Plan, Table } from './types.ts'

const STEP_ROWS = 2000

export class Copying {
  readonly #from: Side
  /** Its `tx` is the database itself: each statement is on its own, but for those in transactions of this class. */
  readonly #to: Side
  readonly #options: CopyOptions
  #places: ReadonlyMap<string, Place> = new Map()
  #rows = 0
  #total = 0

  constructor (from: Side, to: Side, options: CopyOptions) {
    this.#from = from
    this.#to = to
    this.#options = options
  }

  async run (): Promise<CopySummary> {
    const sources = await this.#from.dialect.readTables(this.#from.tx)
    if (find(sources, RECORD) !== undefined) throw new CopyIncomplete('source')
    const targets = await this.#to.dialect.readTables(this.#to.tx)
    const plans = makePlans(sources, targets, this.#options.tables)
    await this.#begin(plans, targets)
    await this.#countRows(plans)
    for (const unit of inUnits(plans)) await (hasSteps(unit) ? this.#copyInSteps(unit[0] as Plan) : this.#copyAtOnce(unit))
    await makeIndices(this.#to.tx, async fn => { await this.#to.db.tx(fn, writing) }, (name, table) => { this.#tell(`${table}: index ${name}`) })
    const tables = await this.#compare(plans)
    await this.#finish(plans)
    return { tables, leftOut: findLeftOut(sources) }
  }

  // --- beginning and end -------------------------------------------------------------------------------------------------------------

  async #begin (plans: readonly Plan[], targets: readonly Table[]): Promise<void> {
    const what = await this.#describe(plans)
    const record = find(targets, RECORD) === undefined ? undefined : await readRecord(this.#to.tx)
    if (record === undefined || this.#options.restart === true) {
      const left = targets.filter(({ name }) => record?.places.has(name))
      await this.#to.db.tx(async tx => { await this.#mark(tx, what, plans, targets, left) }, writing)
    } else if (record.what !== what) throw new CopyOther()
    this.#places = (await readRecord(this.#to.tx)).places
    this.#options.onBegin?.()
  }

  /** Everything that has to be the same for a copy to go on. */
  async #describe (plans: readonly Plan[]): Promise<string> {
    const columns = (plan: Plan): string[][] => plan.columns.map(({ source, target }) => [source.name, source.type, target.name, target.type])
    const tables = plans.map(plan => [plan.source.name, plan.source.key, plan.target.name, columns(plan)])
    return createHash('sha256').update(JSON.stringify([await this.#from.dialect.identify(this.#from.tx), tables])).digest('hex')
  }

  /** And empties tables: those that an unfinished copy has `left`, and with `force` all. */
  async #mark (tx: Queryable, what: string, plans: readonly Plan[], targets: readonly Table[], left: readonly Table[]): Promise<void> {
    const tables = plans.map(({ target }) => target)
    const emptied = inOrder([...new Set([...left, ...this.#options.force === true ? tables : []])])
    refuseOutsiders(emptied, targets)
    await this.#to.dialect.empty(tx, emptied)
    await refuseRows(tx, tables)
    if (find(targets, RECORD) !== undefined) await dropRecord(tx)
    await createRecord(tx, what, tables.map(({ name }) => name))
    await dropIndices(tx, this.#to.dialect, tables)
  }

  async #compare (plans: readonly Plan[]): Promise<Compared[]> {
    return await this.#to.db.tx(async tx => await compareTables(this.#from, { ...this.#to, tx }, plans, this.#options.onProgress), reading)
  }

  async #finish (plans: readonly Plan[]): Promise<void> {
    await this.#to.db.tx(async tx => {
      for (const { target } of plans) await during(target.name, async () => { await this.#to.dialect.finish(tx, target) })
      await dropRecord(tx)
      await tx.exec(`DROP TABLE ${INDICES}`)
    }, writing)
  }

  // --- tables ------------------------------------------------------------------------------------------------------------------------

  #placeOf ({ target }: Plan): Place {
    return this.#places.get(target.name) ?? START
  }

  async #countRows (plans: readonly Plan[]): Promise<void> {
    for (const plan of plans) {
      const place = this.#placeOf(plan)
      if (!place.isDone) this.#total += await countRows(this.#from.tx, plan.source) - place.rows
    }
  }

  async #copyInSteps (plan: Plan): Promise<void> {
    const { name } = plan.target
    let place = this.#placeOf(plan)
    if (place.isDone) return
    await this.#writeSteps(plan, place, async step => {
      await this.#to.db.tx(async tx => {
        await movePlace(tx, name, place, step.place)
        await step.write(tx)
      }, writing)
      place = step.place
    })
    await this.#to.db.tx(async tx => { await movePlace(tx, name, place, { ...place, isDone: true }) }, writing)
  }

  async #copyAtOnce (unit: readonly Plan[]): Promise<void> {
    if (unit.every(plan => this.#placeOf(plan).isDone)) return
    const tables = unit.map(({ target }) => target)
    const keys = findForwardKeys(tables)
    await this.#to.db.tx(async tx => {
      await this.#to.dialect.deferKeys(tx, keys)
      for (const plan of unit) await this.#copyWhole(tx, plan)
      await this.#to.dialect.checkKeys(tx, keys, tables)
    }, writing)
  }

  async #copyWhole (tx: Queryable, plan: Plan): Promise<void> {
    let { rows } = START
    await this.#writeSteps(plan, START, async step => {
      await step.write(tx)
      rows = step.place.rows
    })
    await movePlace(tx, plan.target.name, START, { key: undefined, rows, isDone: true })
  }

  #tell (table: string): void {
    this.#options.onProgress?.({ doing: 'copy', table, rows: this.#rows, total: this.#total })
  }

  /** Each step is written while the next one is read. */
  async #writeSteps (plan: Plan, start: Place, write: (step: Step) => Promise<void>): Promise<void> {
    let last = Promise.resolve()
    const follow = async (before: Promise<void>, step: Step): Promise<void> => {
      await before
      await during(plan.target.name, async () => { await write(step) })
      this.#rows += step.rows
      this.#tell(plan.source.name)
    }
    try {
      for await (const step of readSteps(this.#from, this.#to.dialect, plan, start, this.#options.stepRows ?? STEP_ROWS)) {
        await last
        last = follow(last, step)
        last.catch(() => {}) // it is awaited, but not before the next step has been read
      }
    } finally {
      await last
    }
  }
}

async function refuseRows (tx: Queryable, tables: readonly Table[]): Promise<void> {
  const full: string[] = []
  for (const { name, relation } of tables) {
    if (await tx.prepare(`SELECT 1 AS found FROM ${relation} LIMIT 1`).get() !== undefined) full.push(name)
  }
  if (full.length > 0) throw new CopyNotEmpty(full.join(', '))
}
