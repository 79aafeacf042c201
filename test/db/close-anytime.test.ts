/**
 * close() at any moment: with whatever is under way it comes to its end, and so does all that was asked for. What is asked for, and when, depends on a seed and on the machine;
 * CLOSE_SEED sets another seed, CLOSE_ROUNDS makes it more than a few.
 */
import { once } from 'node:events'
import t from 'tap'
import { Random } from '../../bench/faults/random.ts'
import type { Database } from '../../plugins/db/types.ts'
import { engines, openTestDatabase } from '../helper/db.ts'
import { countTo, numbers } from '../helper/long.ts'
import { turns } from './transactions/common.ts'

const rounds = Number(process.env.CLOSE_ROUNDS ?? 15)
const seed = Number(process.env.CLOSE_SEED ?? 1)
/** Far more than anything takes. */
const PATIENCE_MS = 60_000
/** Of the event loop, between one thing and the next: some ms. */
const MOST_TURNS = 2000

type Work = (db: Database, random: Random) => Promise<unknown>

const works: readonly Work[] = [
  async db => await db.prepare('SELECT count(*) AS n FROM a WHERE id = ?').get(5),
  async db => await db.prepare(countTo(300_000)).get(),
  async db => await db.prepare(numbers(20_000)).all(),
  async db => await db.prepare('INSERT INTO a (id) VALUES (?)').run(1),
  async db => { await db.exec('DELETE FROM a WHERE id = 3; INSERT INTO a (id) VALUES (3)') },
  async (db, random) => { await db.deadline(1 + random.between(0, 40), async () => await db.prepare(countTo(3_000_000)).get()) },
  async (db, random) => { await db.signal(AbortSignal.timeout(random.between(1, 40)), async () => await db.prepare(countTo(3_000_000)).get()) },
  async (db, random) => {
    await db.tx(async tx => {
      await tx.prepare('INSERT INTO a (id) VALUES (7)').run()
      await turns(random.between(0, MOST_TURNS))
      void tx.prepare('INSERT INTO a (id) VALUES (8)').run()
    })
  },
  async (db, random) => {
    await db.tx(async tx => {
      await tx.prepare('SELECT count(*) AS n FROM a').get()
      await turns(random.between(0, MOST_TURNS))
      await tx.prepare(countTo(100_000)).get()
    }, { mode: 'read' })
  },
  async (db, random) => {
    const wanted = random.chance(0.3) ? random.between(1, 30_000) : Infinity
    let rows = 0
    for await (const _ of db.prepare(numbers(60_000)).iterate()) {
      if (++rows === wanted) break
      if (rows % 500 === 0 && random.chance(0.5)) await turns(random.between(0, MOST_TURNS / 10))
    }
  },
  async db => { await db.tx(async tx => { for await (const _ of tx.prepare(numbers(3000)).iterate()); }) },
  async (db, random) => {
    const subscription = await db.listen('channel', () => {})
    await turns(random.between(0, MOST_TURNS))
    await subscription.close()
  },
  async db => { await db.notify('channel', 'text') }
]

/** What has not come to its end, after so long that it never will. */
async function unsettled (promises: ReadonlyArray<Promise<unknown>>): Promise<number> {
  const left = new Set(promises)
  for (const promise of promises) void promise.then(() => left.delete(promise), () => left.delete(promise))
  await Promise.race([Promise.allSettled(promises), once(AbortSignal.timeout(PATIENCE_MS), 'abort')])
  return left.size
}

for (const engine of engines) {
  void t.test(`${engine}: close() at any moment, seed ${seed}`, { timeout: 280_000 }, async t => {
    const random = new Random(seed)
    for (let round = 0; round < rounds; round++) {
      const variables: Record<string, string> = engine === 'postgres' ? { DB_POOL_MAX: String(random.between(1, 4)) } : { SQLITE_READERS: String(random.between(1, 3)), SQLITE_SYNCHRONOUS: random.chance(0.5) ? 'full' : 'normal' }
      const db = await openTestDatabase(t, engine, variables)
      await db.exec(`CREATE TABLE a (id BIGINT); INSERT INTO a (id) SELECT i FROM (${numbers(random.between(1, 40_000))}) AS n`)
      const asked: Array<Promise<unknown>> = []
      for (let count = random.between(1, 25); count > 0; count--) {
        const work = works[random.between(0, works.length - 1)] as Work
        asked.push(work(db, random).catch(() => {})) // its errors are the subject of others
        if (random.chance(0.3)) await turns(random.between(0, MOST_TURNS))
      }
      await turns(random.between(0, 5 * MOST_TURNS))
      if (!t.equal(await unsettled([db.close({ graceMs: [0, 0, 5, 50, 2000][random.between(0, 4)] ?? 0 }), ...asked]), 0, `round ${round}`)) return
    }
  })
}
