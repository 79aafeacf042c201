/**
 * 3. Giving up: how soon a statement ends after its signal was aborted or its deadline has passed, and whether that ever hits another one.
 *
 * How it measures:
 *  - the time counts from the moment that was set beforehand, not from when the event loop came to it; a statement that could not be stopped counts with its end;
 *  - then statements are given up at random moments, many of them just when they begin or end, beside readers who gave up nothing. A statement that was given up
 *    may be answered or refused, and an answer has to be right; the readers have to get all of theirs.
 */
import { isDeepStrictEqual } from 'node:util'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Database } from '../../plugins/db/types.ts'
import { errorKind } from '../../plugins/errors.ts'
import { formatCount, Progress } from '../../scripts/terminal.ts'
import { Random } from '../faults/random.ts'
import { heavySql, pointSql, type HeavyName, type Item } from './data.ts'
import { boundFor, type Figure, type Measurement, type Outcome, type Settings } from '../measure/measurement.ts'
import { answersOf } from './raw.ts'
import { median, percentile, spread } from '../measure/statistics.ts'
import { openTandem } from './tandem.ts'

/** `longRows` take longer to read than the latest moment at which the statement is given up. */
const sizes = {
  full: { tries: 50, cancels: 10_000, longRows: 8_000_000, latestMs: 300 },
  short: { tries: 12, cancels: 1000, longRows: 8_000_000, latestMs: 300 },
  tiny: { tries: 1, cancels: 60, longRows: 600_000, latestMs: 15 }
}
const EARLIEST_MS = 10

type How = 'signal' | 'deadline'

export const cancel: Measurement = { name: 'cancel', title: 'Statements that are given up', measure }

async function measure (settings: Settings): Promise<Outcome> {
  const db = await openTandem(settings.path)
  try {
    const figures: Figure[] = []
    const notes: string[] = []
    const problems: string[] = []
    for (const how of ['signal', 'deadline'] as const) {
      for (const name of ['scan', 'group', 'sort'] as const) {
        const { late, unstopped, early, wrong } = await tryOften(db, how, name, settings)
        figures.push({ name: `${name}, ${how}: ended after, p99`, value: percentile(late, 0.99), unit: 'ms', spread: spread(late), bound: boundFor(settings, { atMost: 50 }, { atMost: 250 }) })
        notes.push(`${name}, ${how}: median ${median(late).toFixed(1)} ms; of ${late.length + early}, ${unstopped} went on to their end, and ${early} ended before`)
        problems.push(...wrong)
      }
    }
    const crowd = new Crowd(db, settings)
    await crowd.run(sizes[settings.effort].cancels)
    return { figures: [...figures, ...crowd.figures()], notes: [...notes, crowd.note()], problems: [...problems, ...crowd.problems] }
  } finally {
    await db.close()
  }
}

// --- how soon --------------------------------------------------------------------------------------------------------------------

async function tryOften (db: Database, how: How, name: HeavyName, { rows, effort }: Settings): Promise<{ late: number[], unstopped: number, early: number, wrong: string[] }> {
  const { tries, longRows, latestMs } = sizes[effort]
  const progress = new Progress({ unit: 'statements' })
  const random = new Random(1)
  const sql = heavySql(name, rows, longRows)
  const late: number[] = []
  const wrong: string[] = []
  let [unstopped, early] = [0, 0]
  for (let i = 0; i < tries; i++) {
    const afterMs = random.between(EARLIEST_MS, latestMs)
    const start = performance.now()
    const error = await giveUp(db, how, sql, afterMs)
    const lateMs = performance.now() - start - afterMs
    if (error !== undefined && errorKind(error) !== (how === 'signal' ? 'aborted' : 'timeout')) wrong.push(`${name} ended by a ${how}: ${error.message}`)
    if (error === undefined && lateMs <= 0) early++
    else late.push(lateMs)
    if (error === undefined && lateMs > 0) unstopped++
    await nextTurn()
    progress.update(i, tries, `${name}, ${how}`)
  }
  progress.clear()
  return { late, unstopped, early, wrong }
}

/** The error that it ended with; undefined if it was answered. */
async function giveUp (db: Database, how: How, sql: string, afterMs: number): Promise<Error | undefined> {
  const aborting = new AbortController()
  const timer = how === 'signal' ? setTimeout(() => { aborting.abort() }, afterMs) : undefined
  try {
    await (how === 'signal' ? db.signal(aborting.signal, () => db.prepare(sql).get()) : db.deadline(afterMs, () => db.prepare(sql).get()))
    return undefined
  } catch (error) {
    return error as Error
  } finally {
    clearTimeout(timer)
  }
}

// --- whom it hits ------------------------------------------------------------------------------------------------------------------

const QUITTERS = 8
const POINT_READERS = 8
const SCANNERS = 2
/** Takes about as long as the moments at which it is given up. */
const PART_ROWS = 20_000
const partSql = "SELECT count(*) AS n, max(b) AS b FROM item WHERE id BETWEEN :first AND :last AND b LIKE '%a%'"

/** Clients that give up, and others that do not. */
class Crowd {
  readonly problems: string[] = []
  readonly #db: Database
  readonly #rows: number
  readonly #partRows: number
  readonly #part: unknown
  readonly #random = new Random(2)
  readonly #counts = { cancels: 0, stopped: 0, answered: 0, rows: 0, scans: 0 }
  #hits = 0
  #isOver = false

  constructor (db: Database, { rows, path }: Settings) {
    this.#db = db
    this.#rows = rows
    this.#partRows = Math.min(PART_ROWS, rows)
    this.#part = answersOf(path, [this.#partText()]).get(this.#partText())
  }

  async run (cancels: number): Promise<void> {
    const progress = new Progress({ unit: 'cancels' })
    const innocents = [
      ...Array.from({ length: POINT_READERS }, () => this.#innocent('rows', () => this.#readPoint())),
      ...Array.from({ length: SCANNERS }, () => this.#innocent('scans', () => this.#readPart()))
    ]
    await Promise.all(Array.from({ length: QUITTERS }, async () => {
      while (this.#counts.cancels < cancels) {
        progress.update(++this.#counts.cancels, cancels, 'beside others')
        await this.#quit()
        await nextTurn()
      }
    }))
    this.#isOver = true
    await Promise.all(innocents)
    progress.clear()
  }

  figures (): Figure[] {
    return [{ name: 'others that were hit', value: this.#hits, unit: `of ${formatCount(this.#counts.rows + this.#counts.scans)}`, bound: { atMost: 0 } }]
  }

  note (): string {
    const { cancels, stopped, answered, rows, scans } = this.#counts
    return `${formatCount(cancels)} were given up (${formatCount(stopped)} in time, ${formatCount(answered)} were answered before) beside ${formatCount(rows)} point reads and ${formatCount(scans)} scans`
  }

  async #innocent (what: 'rows' | 'scans', read: () => Promise<string | undefined>): Promise<void> {
    while (!this.#isOver) {
      const wrong = await read().catch((error: unknown) => String(error))
      if (wrong !== undefined) {
        this.#hits++
        this.problems.push(`somebody who gave up nothing (${what}): ${wrong}`)
      }
      this.#counts[what]++
      await nextTurn()
    }
  }

  /** One statement that is given up, somehow. */
  async #quit (): Promise<void> {
    const random = this.#random
    const read = random.chance(0.25) ? () => this.#readPoint() : () => this.#readPart()
    try {
      const wrong = await (random.chance(0.3) ? this.#db.deadline(random.between(1, 8), read) : this.#abort(read, random.next()))
      this.#counts.answered++
      if (wrong !== undefined) this.problems.push(`an answer to somebody who gave up: ${wrong}`)
    } catch (error) {
      this.#counts.stopped++
      if (!['aborted', 'timeout'].includes(errorKind(error) ?? '')) this.problems.push(`an error to somebody who gave up: ${String(error)}`)
    }
  }

  /** Aborts at once, in the same turn, in the next, or some milliseconds later, as `draw` says. */
  async #abort<T> (read: () => Promise<T>, draw: number): Promise<T> {
    const aborting = new AbortController()
    const abort = (): void => { aborting.abort() }
    if (draw < 0.05) abort()
    const answer = this.#db.signal(aborting.signal, read)
    if (draw < 0.1) abort()
    else if (draw < 0.2) queueMicrotask(abort)
    else if (draw < 0.4) setImmediate(abort)
    else setTimeout(abort, (draw - 0.4) * 16)
    return await answer
  }

  async #readPoint (): Promise<string | undefined> {
    const id = this.#random.between(1, this.#rows)
    const row = await this.#db.prepare<Item>(pointSql).get(id)
    return row?.id === id ? undefined : `the row with id ${id} is ${JSON.stringify(row)}`
  }

  async #readPart (): Promise<string | undefined> {
    const row = await this.#db.prepare(partSql).get({ first: 1, last: this.#partRows })
    return isDeepStrictEqual(row, this.#part) ? undefined : `the scan says ${JSON.stringify(row)}, not ${JSON.stringify(this.#part)}`
  }

  #partText (): string {
    return partSql.replace(':first', '1').replace(':last', String(this.#partRows))
  }
}
