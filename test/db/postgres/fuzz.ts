/**
 * Random statements over lanes and the whole engine, through a proxy that cuts and glues packets; each answer is compared with that of plain pg.
 *
 * In rounds: many statements at once, most of them put on a lane by hand (what it hands back goes to the engine, as in the engine itself), the others wherever the engine
 * runs them. Then the same ones one by one on the reference, since nothing has changed in between. Between rounds a table gets other columns. What writes must be in its table
 * exactly once if it was answered, and not at all if it failed.
 *
 *     npm run fuzz:postgres -- --statements 200000 --seed 1
 */
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { Random } from '../../../bench/faults/random.ts'
import { createDatabase } from '../../../plugins/db/database.ts'
import { Repeatable } from '../../../plugins/db/postgres/call.ts'
import { openPostgres } from '../../../plugins/db/postgres/engine.ts'
import { Opener } from '../../../plugins/db/postgres/open.ts'
import type { Database, Method, Row, Value } from '../../../plugins/db/types.ts'
import { ask } from '../../helper/pg.ts'
import { PostgresServer } from '../../helper/postgres-server.ts'
import { Proxy } from '../../helper/proxy.ts'
import { canonical, Reference, type Outcome } from './fuzz-reference.ts'
import { alteration, makeShapes, SCHEMA, type Shape } from './fuzz-statements.ts'
import { settingsFor, TestLane } from './helper.ts'

export interface FuzzOptions {
  readonly statements: number
  readonly seed: number
  readonly preparedStatements?: number
  readonly onProgress?: (report: FuzzReport) => void
}

export interface FuzzReport {
  statements: number
  /** Those of them that do not write. */
  reads: number
  /** Answers of a lane, errors included; those of the lanes of the engine are estimated from below. */
  onLane: number
  errors: number
  rows: number
  written: number
  /** Handed back by the lane, by reason. */
  readonly repeated: Record<string, number>
  alterations: number
  /** What was not as it should be. */
  readonly differences: string[]
}

interface Run { readonly shape: Shape, readonly values: readonly Value[], readonly method: Method }

const TEXTS = 240
const MOST_DIFFERENCES = 20
const ids = { missing: 'was answered and is not there', doubled: 'is there more than once', undead: 'failed and is there' } as const

class Fuzz {
  readonly report: FuzzReport = { statements: 0, reads: 0, onLane: 0, errors: 0, rows: 0, written: 0, repeated: {}, alterations: 0, differences: [] }
  readonly #random: Random
  readonly #shapes: Shape[]
  readonly #db: Database
  readonly #openLane: () => Promise<TestLane>
  readonly #reference: Reference
  readonly #proxy: Proxy
  #lane: TestLane
  #nextId = 0
  readonly #done = new Set<number>()
  /** Reads of the engine that were answered with rows. */
  #engineReads = 0

  constructor (random: Random, db: Database, lane: TestLane, openLane: () => Promise<TestLane>, reference: Reference, proxy: Proxy) {
    this.#random = random
    this.#shapes = makeShapes(random, TEXTS)
    this.#db = db
    this.#lane = lane
    this.#openLane = openLane
    this.#reference = reference
    this.#proxy = proxy
  }

  async round (most: number): Promise<void> {
    this.#behave()
    const isAll = this.#random.chance(0.5)
    const some = isAll ? this.#shapes : Array.from({ length: this.#random.between(1, 12) }, () => this.#shape())
    const runs = Array.from({ length: Math.min(most, this.#random.between(1, 300)) }, () => this.#run(some[this.#random.between(0, some.length - 1)] as Shape))
    const outcomes = await Promise.all(runs.map(async run => run.shape.kind === 'forget' || this.#random.chance(0.85) ? await this.#onLane(run) : await this.#onEngine(run)))
    for (const [i, run] of runs.entries()) await this.#compare(run, outcomes[i] as Outcome)
    if (this.#random.chance(0.02)) await this.#db.exec('DISCARD ALL')
    if (this.#random.chance(0.2)) await this.#reference.rows(alteration(this.report.alterations++))
  }

  /** The ways in which bytes arrive. */
  #behave (): void {
    this.#proxy.calm()
    if (this.#random.chance(0.15)) this.#proxy.coalesce(1)
    for (const from of ['server', 'client'] as const) if (this.#random.chance(0.3)) this.#proxy.split(this.#random.chance(0.1) ? 60 : 4000, from)
  }

  #shape (): Shape {
    return this.#shapes[this.#random.between(0, this.#shapes.length - 1)] as Shape
  }

  #run (shape: Shape): Run {
    const method = this.#random.weighted<Method>({ all: 6, get: 2, run: 1 })
    return { shape, method, values: shape.values(this.#random, () => ++this.#nextId) }
  }

  async #onLane (run: Run): Promise<Outcome> {
    const { shape: { sql }, values, method } = run
    try {
      const outcome = outcomeOf(await this.#lane.run(sql, values, undefined, method))
      this.report.onLane++
      return outcome
    } catch (error) {
      if (error instanceof Repeatable) {
        this.report.repeated[error.why] = (this.report.repeated[error.why] ?? 0) + 1
        if (!this.#lane.lane.session.isOpen) this.#lane = await this.#openLane()
        return await (run.shape.kind === 'forget' ? this.#onLane(run) : this.#onEngine(run))
      }
      this.report.onLane++
      return { error: stateOf(error) }
    }
  }

  async #onEngine ({ shape: { sql, kind }, values, method }: Run): Promise<Outcome> {
    try {
      const outcome = outcomeOf(await this.#db.prepare(sql)[method](...values))
      if (kind === 'read') this.#engineReads++
      return outcome
    } catch (error) {
      return { error: stateOf(error) }
    }
  }

  // --- what it has to be ---------------------------------------------------------------------------------------------------

  async #compare (run: Run, outcome: Outcome): Promise<void> {
    this.report.statements++
    if (run.shape.kind !== 'write') this.report.reads++
    if ('error' in outcome) this.report.errors++
    else this.report.rows += outcome.rows.length
    const expected = run.shape.kind === 'write' ? this.#expectWrite(run, outcome) : await this.#reference.ask(run.shape.sql, run.values)
    if (!isDeepStrictEqual(outcome, kept(expected, run.method))) this.#differ(run, outcome, expected)
  }

  #expectWrite ({ values: [id], method, shape: { sql } }: Run, outcome: Outcome): Outcome {
    if (!('error' in outcome)) this.#done.add(Number(id))
    return method === 'run' ? { rows: [[['changes', sql.startsWith('INSERT') ? 1 : 0], ['lastInsertRowid', null]]] } : { rows: [[['id', id]]] }
  }

  #differ ({ shape: { sql }, values, method }: Run, got: Outcome, expected: Outcome): void {
    if (this.report.differences.length >= MOST_DIFFERENCES) return
    const show = (value: unknown): string => JSON.stringify(value, (_, part: unknown) => typeof part === 'bigint' ? `${part}n` : part).slice(0, 300)
    this.report.differences.push(`${method} ${sql.slice(0, 200)}\n  values   ${show(values)}\n  got      ${show(got)}\n  expected ${show(expected)}`)
  }

  end (): void {
    this.#lane.lane.end()
  }

  /** Counts what was written, and what ran on the engine's lanes: all that answered, less what is known to have run elsewhere. */
  async finish (): Promise<FuzzReport> {
    const counted = await this.#reference.rows('SELECT id::text, count(*)::text AS n FROM log GROUP BY id') as Array<{ id: string, n: string }>
    const times = new Map(counted.map(({ id, n }) => [Number(id), Number(n)]))
    this.report.written = counted.length
    const tell = (id: number, what: keyof typeof ids): void => { this.report.differences.push(`what was written as ${id} ${ids[what]}`) }
    for (const id of this.#done) if (!times.has(id)) tell(id, 'missing')
    for (const [id, n] of times) {
      if (n > 1) tell(id, 'doubled')
      if (!this.#done.has(id)) tell(id, 'undead')
    }
    const apart = this.#db.status().statements.filter(({ why }) => why !== 'writes').reduce((sum, { apart: { runs } }) => sum + runs, 0)
    this.report.onLane += Math.max(0, this.#engineReads - apart)
    return this.report
  }
}

/** `get` answers the first row, `run` none. */
function kept (outcome: Outcome, method: Method): Outcome {
  if ('error' in outcome || method === 'all') return outcome
  if (method === 'get') return { rows: outcome.rows.slice(0, 1) }
  return outcome.rows[0]?.[0]?.[0] === 'changes' ? outcome : { rows: [[['changes', 0], ['lastInsertRowid', null]]] }
}

function outcomeOf (answer: unknown): Outcome {
  const rows = (Array.isArray(answer) ? answer : answer === undefined ? [] : [answer]) as Row[]
  return { rows: rows.map(row => canonical(Object.entries(row))) }
}

/** The server's word, from a lane or as the cause of one of our errors. */
function stateOf (error: unknown): string {
  for (let e = error; e instanceof Error; e = e.cause) if ('severity' in e && 'code' in e) return String(e.code)
  return String(error)
}

/** Runs it in the empty database at `url`. */
export async function fuzz (url: string, { statements, seed, preparedStatements = 3, onProgress }: FuzzOptions): Promise<FuzzReport> {
  await ask(url, SCHEMA)
  const reference = await Reference.connect(url)
  const proxy = await Proxy.start(url, { seed, records: false })
  const settings = settingsFor(proxy.url, { preparedStatements })
  const opener = new Opener(settings)
  const openLane = async (): Promise<TestLane> => {
    const session = await opener.open()
    await opener.makeLane(session)
    return new TestLane(session)
  }
  const lane = await openLane()
  const log = { info: () => {}, warn: () => {}, error: () => {} }
  const db = createDatabase(await openPostgres(settings, log), { statementTimeoutMs: 60_000, txTimeoutMs: 60_000, log })
  const run = new Fuzz(new Random(seed), db, lane, openLane, reference, proxy)
  try {
    while (run.report.statements < statements && run.report.differences.length < MOST_DIFFERENCES) {
      await run.round(statements - run.report.statements)
      onProgress?.(run.report)
    }
    return await run.finish()
  } finally {
    run.end()
    await db.close()
    await reference.end()
    await proxy.close()
  }
}

// --- from the command line ---------------------------------------------------------------------------------------------------

const usage = `npm run fuzz:postgres -- [options]

  --statements N  how many are compared with pg's own answers (200000)
  --seed N        the same seed, the same statements (1)
  --prepared N    how many a connection keeps prepared; few, so that they are closed all the time (3)

A PostgreSQL of its own is started, unless TEST_DATABASE_URL names one. Exit code 1 if an answer differs.`

async function main (): Promise<void> {
  const { values: { statements, seed, prepared, help } } = parseArgs({
    options: { statements: { type: 'string', default: '200000' }, seed: { type: 'string', default: '1' }, prepared: { type: 'string', default: '3' }, help: { type: 'boolean', short: 'h' } }
  })
  if (help === true) {
    process.stdout.write(`${usage}\n`)
    return
  }
  const server = process.env.TEST_DATABASE_URL === undefined ? await PostgresServer.start() : undefined
  const admin = server?.url ?? process.env.TEST_DATABASE_URL ?? ''
  const name = `fuzz_${process.pid}`
  await ask(admin, `CREATE DATABASE ${name} TEMPLATE template0`)
  try {
    const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
    tell(await fuzz(url, { statements: Number(statements), seed: Number(seed), preparedStatements: Number(prepared), onProgress: progress(Number(statements)) }))
  } finally {
    await ask(admin, `DROP DATABASE ${name} WITH (FORCE)`)
    await server?.stop()
  }
}

/** A line every few seconds. */
function progress (statements: number): (report: FuzzReport) => void {
  const since = performance.now()
  let next = since + 5000
  return report => {
    const now = performance.now()
    if (now < next) return
    next = now + 5000
    const leftS = (now - since) / report.statements * (statements - report.statements) / 1000
    process.stdout.write(`${report.statements} of ${statements}, ${report.errors} errors, ${report.differences.length} differences, ${Math.round(leftS)} s to go\n`)
  }
}

function tell (report: FuzzReport): void {
  for (const difference of report.differences) process.stdout.write(`${difference}\n`)
  const { statements, reads, onLane, errors, rows, written, repeated, alterations, differences } = report
  process.stdout.write(`${statements} statements compared: ${rows} rows, ${errors} errors, ${written} writes counted, ${alterations} ALTER TABLE; ` +
    `${Math.round(onLane / reads * 100)} % of the reads answered by a lane, handed back ${JSON.stringify(repeated)}; ${differences.length} differences\n`)
  if (differences.length > 0) process.exitCode = 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
