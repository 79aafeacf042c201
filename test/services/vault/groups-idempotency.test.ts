/** Idempotency keys (I12): the work of a key is done once, and while it is under way others are told so. */
import t from 'tap'
import { ABANDONED_MS, KEPT_MS } from '../../../services/common/idempotency-keys.ts'
import { withIdempotency } from '../../../services/common/idempotency.ts'
import { deferred, engines } from '../../helper/db.ts'
import { until } from '../../helper/long.ts'
import { whileRefused } from './failing.ts'
import { startWorld } from './world.ts'

for (const engine of engines) {
  void t.test(`on ${engine}`, async t => {
    const { db, clock } = await startWorld(t, engine)
    await db.exec('CREATE TABLE work (what TEXT NOT NULL)')
    const works = async (): Promise<unknown[]> => (await db.prepare('SELECT what FROM work ORDER BY what').all()).map(row => row.what)
    /** Work that leaves a row, and waits for `go` if it is told so. */
    const ask = async (key: string | undefined, request: unknown, { what = String(request), go, inTx = true }: { what?: string, go?: Promise<unknown>, inTx?: boolean } = {}) =>
      await withIdempotency(db, { scope: 'usr_a POST /work', key, request }, clock.now, async () => {
        await db.prepare('INSERT INTO work (what) VALUES (?)').run(what)
        await go
        return { status: 201, body: { what } }
      }, { inTx })
    t.beforeEach(async () => { await db.exec('DELETE FROM work; DELETE FROM idempotency_keys') })

    await t.test('a repeated request gets the first answer', async t => {
      t.strictSame(await ask('k', 'a', { what: 'first' }), { status: 201, body: { what: 'first' }, isRepeated: false })
      t.strictSame(await ask('k', 'a', { what: 'second' }), { status: 201, body: { what: 'first' }, isRepeated: true })
      await t.rejects(ask('k', 'b'), { code: 'TDM_ERR_VAULT_IDEMPOTENCY_MISMATCH', statusCode: 422 })
      t.match(await withIdempotency(db, { scope: 'usr_b POST /work', key: 'k', request: 'b' }, clock.now, async () => ({ status: 200, body: null })), { isRepeated: false }, 'somebody else\'s key')
      await ask(undefined, 'a')
      await ask(undefined, 'a')
      t.strictSame(await works(), ['a', 'a', 'first'], 'without a key each is done')
    })

    await t.test('while the first is under way the others are told so; of many at once one works', async t => {
      const go = deferred<unknown>()
      // not in a transaction: on SQLite others could not even ask while the writer is taken
      const first = ask('k', 'a', { go: go.promise, inTx: engine === 'postgres' })
      await until('it is under way', async () => (await db.prepare(`SELECT key FROM idempotency_keys WHERE state = 'started'`).all()).length === 1)
      await t.rejects(ask('k', 'a'), { code: 'TDM_ERR_VAULT_IDEMPOTENCY_IN_PROGRESS', statusCode: 409 })
      await t.rejects(ask('k', 'b'), { code: 'TDM_ERR_VAULT_IDEMPOTENCY_MISMATCH' })
      go.resolve(undefined)
      t.match(await first, { isRepeated: false })
      t.match(await ask('k', 'a'), { isRepeated: true })
      const all = await Promise.allSettled(Array.from({ length: 10 }, async () => await ask('many', 'm')))
      t.equal(all.filter(one => one.status === 'fulfilled' && !one.value.isRepeated).length, 1)
      t.ok(all.every(one => one.status === 'fulfilled' || (one.reason as { code: string }).code === 'TDM_ERR_VAULT_IDEMPOTENCY_IN_PROGRESS'))
      t.strictSame(await works(), ['a', 'm'])
    })

    await t.test('work that fails leaves nothing, not even the claim', async t => {
      const failing = async (): Promise<never> => {
        await db.prepare('INSERT INTO work (what) VALUES (?)').run('half')
        throw new Error('unlucky')
      }
      await t.rejects(withIdempotency(db, { scope: 'usr_a POST /work', key: 'k', request: 'a' }, clock.now, failing), /unlucky/)
      t.strictSame(await works(), [])
      await whileRefused(db, 'UPDATE', 'idempotency_keys', async () => { await t.rejects(ask('k', 'a')) })
      t.strictSame(await works(), [], 'nor is it done if its answer cannot be kept')
      await ask('k', 'b')
      t.strictSame(await works(), ['b'], 'and the key is free')
    })

    await t.test('a client that leaves in the middle can begin again at once', async t => {
      const client = new AbortController()
      const left = db.signal(client.signal, async () => await withIdempotency(db, { scope: 'usr_a POST /work', key: 'k', request: 'a' }, clock.now, async () => {
        await db.prepare('INSERT INTO work (what) VALUES (?)').run('half')
        client.abort()
        return { status: 201, body: null }
      }))
      await t.rejects(left, { code: 'TDM_ERR_DB_ABORTED' })
      t.match(await ask('k', 'a'), { isRepeated: false })
      t.strictSame(await works(), ['a'])
    })

    await t.test('a claim whose process is gone is taken over after a minute, and who was only slow commits nothing', async t => {
      const go = deferred<unknown>()
      const entered = deferred<unknown>()
      const slow = withIdempotency(db, { scope: 'usr_a POST /work', key: 'k', request: 'a' }, clock.now, async () => {
        entered.resolve(undefined)
        await go.promise
        await db.prepare('INSERT INTO work (what) VALUES (?)').run('slow')
        return { status: 201, body: { what: 'slow' } }
      })
      await entered.promise
      clock.now += ABANDONED_MS - 1
      await t.rejects(ask('k', 'a'), { code: 'TDM_ERR_VAULT_IDEMPOTENCY_IN_PROGRESS' })
      clock.now += 1
      await t.rejects(ask('k', 'b'), { code: 'TDM_ERR_VAULT_IDEMPOTENCY_MISMATCH' }, 'not by another request')
      t.match(await ask('k', 'a', { what: 'second' }), { body: { what: 'second' }, isRepeated: false })
      go.resolve(undefined)
      await t.rejects(slow, { code: 'TDM_ERR_VAULT_IDEMPOTENCY_IN_PROGRESS' })
      t.match(await ask('k', 'a'), { body: { what: 'second' }, isRepeated: true })
      t.strictSame(await works(), ['second'])
    })

    await t.test('after a day a key is as new', async t => {
      await ask('k', 'a')
      clock.now += KEPT_MS
      t.match(await ask('k', 'b'), { isRepeated: false })
      t.strictSame(await works(), ['a', 'b'])
    })
  })
}
