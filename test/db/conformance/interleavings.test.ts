/**
 * Random programs of concurrent transactions. Whatever they do:
 *  1. resolved: exactly the rows of the levels that were kept are there, seen from another connection; rejected: none of its rows
 *  2. a connection is committed at most once, and released exactly once
 *  3. no connection is lost: afterwards as many transactions as there are connections can be open at the same time
 */
import fc from 'fast-check'
import t from 'tap'
import { createDatabase } from '../../../plugins/db/database.ts'
import { openEngine } from '../../../plugins/db/open.ts'
import type { Database, Transaction } from '../../../plugins/db/types.ts'
import { collectLog, configFor, deferred, engines, freshUrl } from '../../helper/db.ts'
import { countTransactions } from '../../helper/recording.ts'

const CONNECTIONS = 2

type Step =
  | { do: 'insert' | 'unawaited insert' | 'read' | 'duplicate' | 'caught duplicate' | 'throw' | 'breaks COMMIT' | 'abort' | 'turn' }
  | { do: 'nested' | 'join' | 'parallel nested', caught: boolean, body: Step[] }

const { steps } = fc.letrec<{ steps: Step[], step: Step }>(tie => ({
  steps: fc.array(tie('step'), { maxLength: 5, depthIdentifier: 'steps' }),
  step: fc.oneof(
    { depthSize: 'small', withCrossShrink: true, depthIdentifier: 'steps' },
    fc.record({ do: fc.constantFrom('insert', 'insert', 'insert', 'unawaited insert', 'read', 'turn', 'duplicate', 'caught duplicate', 'throw', 'breaks COMMIT', 'abort') }),
    fc.record({ do: fc.constantFrom('nested', 'join', 'parallel nested'), caught: fc.boolean(), body: tie('steps') })
  )
})) as { steps: fc.Arbitrary<Step[]> }

/** Runs one program and keeps account of the rows that have to be there if it resolves. */
class Run {
  static #nextId = 1
  readonly #db: Database
  readonly #client = new AbortController()
  readonly ids: number[] = []
  kept: number[] = []

  constructor (db: Database) {
    this.#db = db
  }

  async start (program: Step[]): Promise<void> {
    await this.#db.signal(this.#client.signal, async () => {
      await this.#db.tx(async tx => { this.kept = await this.#level(tx, program) })
    })
  }

  /** The rows that this level leaves, if it is kept. */
  async #level (tx: Transaction, program: Step[]): Promise<number[]> {
    const rows: number[] = []
    for (const step of program) await this.#step(tx, step, rows)
    return rows
  }

  async #step (tx: Transaction, step: Step, rows: number[]): Promise<void> {
    switch (step.do) {
      case 'insert': await this.#insert(tx, rows); break
      case 'unawaited insert': void tx.prepare('INSERT INTO a (id) VALUES (?)').run(this.#newId(rows)); break
      case 'read': await this.#db.prepare('SELECT count(*) AS n FROM a').get(); break
      case 'duplicate': await tx.prepare('INSERT INTO a (id) VALUES (0)').run(); break
      case 'caught duplicate': await tx.prepare('INSERT INTO a (id) VALUES (0)').run().catch(() => {}); break
      case 'throw': throw new Error('thrown')
      case 'breaks COMMIT': await tx.prepare('INSERT INTO child (id) VALUES (?)').run(-1); break
      case 'abort': this.#client.abort(); break
      case 'turn': await new Promise(resolve => { setImmediate(resolve) }); break
      default: await this.#inner(tx, step, rows)
    }
  }

  async #inner (tx: Transaction, { do: kind, caught, body }: Extract<Step, { body: Step[] }>, rows: number[]): Promise<void> {
    const one = async (): Promise<void> => {
      const kept = await tx.tx(async inner => await this.#level(inner, body), { propagation: kind === 'join' ? 'required' : 'nested' })
      rows.push(...kept)
    }
    const all = kind === 'parallel nested' ? Promise.allSettled([one(), one()]).then(firstFailure) : one()
    await (caught ? all.catch(() => {}) : all)
  }

  async #insert (tx: Transaction, rows: number[]): Promise<void> {
    await tx.prepare('INSERT INTO a (id) VALUES (?)').run(this.#newId(rows))
  }

  #newId (rows: number[]): number {
    const id = Run.#nextId++
    this.ids.push(id)
    rows.push(id)
    return id
  }
}

function firstFailure (results: Array<PromiseSettledResult<void>>): void {
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

async function openCounted (url: string): Promise<ReturnType<typeof countTransactions>> {
  const opened = await openEngine(configFor(url, { SQLITE_READERS: String(CONNECTIONS), DB_POOL_MAX: String(CONNECTIONS) }), collectLog())
  return countTransactions(opened)
}

for (const engine of engines) {
  void t.test(`${engine}: 123, 185: random interleavings keep what they promise`, { timeout: 100_000 }, async t => {
    const url = await freshUrl(t, engine)
    const { engine: counted, counts } = await openCounted(url)
    const db = createDatabase(counted, { statementTimeoutMs: 30_000, txTimeoutMs: 30_000, log: collectLog() })
    t.teardown(async () => { await db.close() })
    await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY); CREATE TABLE child (id BIGINT REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO a (id) VALUES (0)')
    const present = db.prepare<{ id: number }>('SELECT id FROM a WHERE id > 0 ORDER BY id')

    await fc.assert(fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 4 }), async programs => {
      const runs = programs.map(() => new Run(db))
      const results = await Promise.allSettled(runs.map(async (run, i) => { await run.start(programs[i] ?? []) }))
      const there = new Set((await present.all()).map(({ id }) => id))
      for (const [i, run] of runs.entries()) {
        const expected = results[i]?.status === 'fulfilled' ? run.kept : []
        const found = run.ids.filter(id => there.has(id))
        if (found.join() !== expected.toSorted((x, y) => x - y).join()) throw new Error(`run ${i} ${results[i]?.status}: expected ${expected}, found ${found}`)
      }
    }), { numRuns: 150 })

    t.ok(counts.mostPerConnection <= 1, 'at most one COMMIT')
    t.equal(counts.released, counts.begun, 'every connection released once')
    t.ok(counts.committed > 0 && counts.rolledBack > 0, `${counts.committed} committed, ${counts.rolledBack} rolled back`)
    await allConnectionsAtOnce(db)
  })
}

async function allConnectionsAtOnce (db: Database): Promise<void> {
  const opened = Array.from({ length: CONNECTIONS }, () => deferred())
  await Promise.all(opened.map(async ({ resolve }) => {
    await db.tx(async tx => {
      await tx.prepare('SELECT 1 AS one').get()
      resolve()
      await Promise.all(opened.map(async other => { await other.promise }))
    }, { mode: 'read', timeout: 5000 })
  }))
}
