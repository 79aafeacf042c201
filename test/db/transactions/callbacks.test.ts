/** What runs after a transaction has ended (cases 96 to 112; those without a number here are in test/db/conformance and requests.test.ts). */
import t from 'tap'
import { collectLog, deferred, engines, freshUrl, onEachEngine, openTestDatabase, openUrl } from '../../helper/db.ts'
import { startProxy } from '../../helper/proxy.ts'
import { failure, ids, insert, nested, openRecorded, table, turns } from './common.ts'
import type { Transaction } from '../../../plugins/db/types.ts'

onEachEngine('96: the order is that of registration, over all levels', async (t, db) => {
  await db.exec(table)
  const seen: number[] = []
  await db.tx(async tx => {
    tx.afterCommit(async () => { await turns(3); seen.push(1) })
    await tx.tx(async inner => {
      inner.afterCommit(() => { seen.push(2) })
      await inner.tx(async deep => { await insert(deep, 1); deep.afterCommit(async () => { await turns(1); seen.push(3) }) }, nested)
      inner.afterCommit(() => { seen.push(4) })
    }, nested)
    await db.tx(joined => { joined.afterCommit(() => { seen.push(5) }) })
    tx.afterCommit(() => { seen.push(6) })
  })
  t.strictSame(seen, [1, 2, 3, 4, 5, 6])
})

onEachEngine('98: nothing runs when a savepoint is released', async (t, db) => {
  await db.exec(table)
  const seen: string[] = []
  await db.tx(async tx => {
    await tx.tx(async inner => { await insert(inner, 1); inner.afterCommit(() => { seen.push('after') }) }, nested)
    await insert(tx, 2)
    seen.push('before')
  })
  t.strictSame(seen, ['before', 'after'])
})

onEachEngine('99: afterRollback runs once, with the error, also when COMMIT failed', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY REFERENCES a (id)); CREATE TABLE c (a BIGINT REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)')
  const seen: unknown[] = []
  const error = await failure(t, db.tx(async tx => {
    tx.afterCommit(() => { seen.push('committed') })
    tx.afterRollback(error => { seen.push(error) })
    await tx.prepare('INSERT INTO c (a) VALUES (7)').run()
  }))
  t.match(error, { code: 'TDM_ERR_DB_FOREIGN_KEY' })
  t.equal(seen.length, 1)
  t.equal(seen[0], error)
})

for (const engine of engines) {
  void t.test(`${engine}: 100, 101, 110: a callback that fails is logged, and nothing is sent because of it`, async t => {
    const { db, calls } = await openRecorded(t, await freshUrl(t, engine))
    await db.exec(table)
    const unhandled: unknown[] = []
    const onUnhandled = (reason: unknown): void => { unhandled.push(reason) }
    process.on('unhandledRejection', onUnhandled)
    t.equal(await db.tx(async tx => {
      await insert(tx, 1)
      tx.afterCommit(() => { throw new Error('sync') })
      tx.afterCommit(async () => { await turns(1); throw new Error('async') })
      return 'value'
    }), 'value')
    await turns(3)
    process.off('unhandledRejection', onUnhandled)
    t.strictSame(unhandled, [])
    t.strictSame(calls.filter(call => !call.endsWith('done')), ['begin', 'commit', 'release'])
    t.strictSame(await ids(db), [1])
  })

  void t.test(`${engine}: 100: the log has the error of the callback`, async t => {
    const log = collectLog()
    const db = await openTestDatabase(t, engine, {}, log)
    await db.tx(async tx => { tx.afterCommit(() => { throw new Error('the mail server is away') }); await tx.exec(table) })
    t.match(log.lines.filter(line => line.level === 'error'), [{ details: { err: { message: 'the mail server is away' } }, message: /callback/ }])
  })

  void t.test(`${engine}: 104: a callback that registers another one: refused aloud, and the rest runs`, async t => {
    const log = collectLog()
    const db = await openTestDatabase(t, engine, {}, log)
    await db.exec(table)
    const seen: string[] = []
    await db.tx(async tx => {
      await insert(tx, 1)
      tx.afterCommit(() => { tx.afterCommit(() => { seen.push('registered late') }) })
      tx.afterCommit(() => { seen.push('last') })
    })
    t.strictSame(seen, ['last'])
    t.match(log.lines.filter(line => line.level === 'error'), [{ details: { err: { code: 'TDM_ERR_TX_CLOSED' } } }], 'not lost without a word')
  })
}

onEachEngine('106: when COMMIT fails nothing runs that believes in it', async (t, db) => {
  await db.exec('CREATE TABLE p (id BIGINT PRIMARY KEY); CREATE TABLE c (p BIGINT REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)')
  const seen: string[] = []
  await t.rejects(db.tx(async tx => {
    tx.afterCommit(() => { seen.push('outer') })
    await tx.tx(async inner => { inner.afterCommit(() => { seen.push('inner') }); await inner.prepare('INSERT INTO c (p) VALUES (7)').run() }, nested)
  }), { code: 'TDM_ERR_DB_FOREIGN_KEY' })
  t.strictSame(seen, [])
})

void t.test('106, 138: when the outcome of COMMIT is not known nothing runs, no callback and no further attempt', { timeout: 90_000 }, async t => {
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url)
  const db = await openUrl(t, proxy.url)
  await db.exec(table)
  const seen: string[] = []
  const commit = proxy.holdRequest('COMMIT')
  const tx = failure(t, db.tx(async tx => {
    tx.afterCommit(() => { seen.push('committed') })
    tx.afterRollback(() => { seen.push('rolled back') })
    seen.push('called')
    await insert(tx, 1)
  }, { retry: 3 }))
  await commit.seen
  proxy.cutOff()
  t.match(await tx, { code: 'TDM_ERR_TX_OUTCOME_UNKNOWN' })
  t.strictSame(seen, ['called'])
  proxy.restore()
})

onEachEngine('107: without a statement nothing is committed, and the callbacks run all the same', async (t, db) => {
  const seen: string[] = []
  await db.tx(tx => { tx.afterCommit(() => { seen.push('ran') }) })
  t.strictSame(seen, ['ran'])
})

onEachEngine('109: registering while COMMIT is under way, or afterwards, is an error', async (t, db) => {
  await db.exec(table)
  const early = deferred<unknown>()
  let handle: Transaction | undefined
  await db.tx(async tx => {
    handle = tx
    await insert(tx, 1)
    queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => {
      try { tx.afterCommit(() => {}); early.resolve('accepted') } catch (error) { early.resolve(error) }
    })))
  })
  t.match(await early.promise, { code: 'TDM_ERR_TX_CLOSED' })
  t.throws(() => { handle?.afterRollback(() => {}) }, { code: 'TDM_ERR_TX_CLOSED' })
})
