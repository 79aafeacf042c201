/** The gate in front of the statements of a transaction (cases 61 to 74; those without a number here are in test/db/conformance). */
import t from 'tap'
import { collectLog, deferred, freshUrl, onEachEngine, openUrl } from '../../helper/db.ts'
import { startProxy } from '../../helper/proxy.ts'
import { failure, ids, insert, pidOf, table, turns } from './common.ts'
import type { Transaction } from '../../../plugins/db/types.ts'

void t.test('61: statements in parallel go over one connection, and pg has nothing to warn about', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  const warnings: string[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning.message) }
  process.on('warning', onWarning)
  t.teardown(() => { process.off('warning', onWarning) })
  const pids = await db.tx(async tx => await Promise.all(Array.from({ length: 20 }, async () => await pidOf(tx))))
  await turns(2)
  t.equal(new Set(pids).size, 1)
  t.strictSame(warnings, [])
})

onEachEngine('62: when one of several fails, what another does next is refused', async (t, db) => {
  await db.exec(table)
  const later = deferred<unknown>()
  const failed = deferred()
  await t.rejects(db.tx(async tx => {
    await Promise.all([
      insert(tx, 1).then(() => { throw new Error('mine') }),
      insert(tx, 2).then(async () => { await failed.promise; await insert(tx, 3) }).then(later.resolve, later.resolve)
    ])
  }), { message: 'mine' })
  failed.resolve()
  t.match(await later.promise, { code: 'TDM_ERR_TX_CLOSED' })
  t.strictSame(await ids(db), [])
})

onEachEngine('63: a statement from the next turn of the event loop, after the function has returned, is refused', async (t, db) => {
  await db.exec(table)
  const late = deferred<unknown>()
  await db.tx(async tx => {
    await insert(tx, 1)
    setImmediate(() => { insert(tx, 2).then(late.resolve, late.resolve) })
  })
  t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED', message: /committed.*INSERT INTO a/s })
  t.strictSame(await ids(db), [1])
})

void t.test('63, 64: while COMMIT or ROLLBACK is on its way nothing is accepted', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const db = await openUrl(t, proxy.url)
  await db.exec(table)
  for (const ending of ['COMMIT', 'ROLLBACK'] as const) {
    const answer = proxy.holdAnswer(ending)
    let handle: Transaction | undefined
    const done = db.tx(async tx => {
      handle = tx
      await insert(tx, ending === 'COMMIT' ? 1 : 10)
      if (ending === 'ROLLBACK') throw new Error('mine')
    }).catch((error: Error) => { t.equal(error.message, 'mine') })
    await answer.seen
    t.equal(handle?.state, 'closing')
    await t.rejects(insert(handle as Transaction, 2), { code: 'TDM_ERR_TX_CLOSED', message: ending === 'COMMIT' ? /committed/ : /rolled back/ })
    answer.letGo()
    await done
  }
  t.strictSame(await ids(db), [1])
  t.notOk(proxy.sent.some(text => text.includes('INSERT') && text.includes('ROLLBACK')))
})

onEachEngine('64: a statement that is called while ROLLBACK is under way is refused', async (t, db) => {
  await db.exec(table)
  const late: Array<Promise<unknown>> = []
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    for (const later of [queueMicrotask, setImmediate, process.nextTick.bind(process)]) {
      const { promise, resolve } = deferred<unknown>()
      later(() => { insert(tx, 2).then(resolve, resolve) })
      late.push(promise)
    }
    throw new Error('mine')
  }), { message: 'mine' })
  for (const error of await Promise.all(late)) t.match(error, { code: 'TDM_ERR_TX_CLOSED' })
  t.strictSame(await ids(db), [])
})

onEachEngine('65: a handle that was kept touches nobody\'s connection', async (t, db) => {
  await db.exec(table)
  const leaked = await db.tx(async tx => { await insert(tx, 1); return { tx } })
  await t.rejects(db.tx(async tx => {
    await insert(tx, 2)
    await t.rejects(insert(leaked.tx, 3), { code: 'TDM_ERR_TX_CLOSED', message: /committed/ })
    await t.rejects(leaked.tx.exec('DELETE FROM a'), { code: 'TDM_ERR_TX_CLOSED' })
    await t.rejects(leaked.tx.tx(() => {}), { code: 'TDM_ERR_TX_CLOSED' })
    await t.rejects(async () => { for await (const _ of leaked.tx.prepare('SELECT id FROM a').iterate()) t.fail('a row') }, { code: 'TDM_ERR_TX_CLOSED' })
    t.strictSame(await ids(tx), [1, 2], 'and the transaction that is open now goes on')
    throw new Error('mine')
  }), { message: 'mine' })
  t.strictSame(await ids(db), [1])
}, { DB_POOL_MAX: '1' })

onEachEngine('67: a failure that nobody awaited is no unhandled rejection', async (t, db) => {
  await db.exec(table)
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown): void => { unhandled.push(reason) }
  process.on('unhandledRejection', onUnhandled)
  await t.rejects(db.tx(tx => { for (const id of [1, 1, 2]) void tx.prepare('INSERT INTO a (id) VALUES (?)').run(id) }), { code: 'TDM_ERR_TX_DOOMED' })
  await turns(3)
  process.off('unhandledRejection', onUnhandled)
  t.strictSame(unhandled, [])
})

void t.test('68: what ends a transaction from inside of the server is an error, too', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'), { DB_POOL_MAX: '1' })
  await db.exec(`${table}; CREATE PROCEDURE ends () LANGUAGE plpgsql AS $$ BEGIN INSERT INTO a (id) VALUES (1); COMMIT; END $$`)
  await t.rejects(db.tx(async tx => { await insert(tx, 2); await tx.prepare('CALL ends()').run() }), { code: /^TDM_ERR_DB_/ })
  await t.rejects(db.tx(async tx => { await insert(tx, 2); await tx.exec('DO $$ BEGIN COMMIT; END $$') }), { code: /^TDM_ERR_DB_/ })
  t.strictSame(await ids(db), [])
})

onEachEngine('68: also the other words for it', async (t, db) => {
  const words = db.engine === 'postgres'
    ? ['START TRANSACTION', 'ABORT', 'COMMIT PREPARED \'x\'', 'PREPARE TRANSACTION \'x\'', 'ROLLBACK TO x', 'RELEASE SAVEPOINT x']
    : ['END TRANSACTION', 'ROLLBACK TO x', 'BEGIN EXCLUSIVE', 'RELEASE SAVEPOINT x']
  await db.exec(table)
  for (const sql of words) {
    await t.rejects(async () => { await db.tx(async tx => { await insert(tx, 1); await tx.prepare(sql).run() }) }, { code: 'TDM_ERR_DB_TRANSACTION_CONTROL' }, sql)
    await t.rejects(db.tx(async tx => { await insert(tx, 1); await tx.exec(`DELETE FROM a; ${sql}`) }), { code: 'TDM_ERR_DB_TRANSACTION_CONTROL' }, sql)
  }
  t.strictSame(await ids(db), [])
})

onEachEngine('70: when the deadline ends a transaction, what still waits for its turn is refused and not sent', async (t, db) => {
  await db.exec(table)
  const results: Array<Promise<unknown>> = []
  const hold = deferred()
  await t.rejects(db.tx(async tx => {
    await insert(tx, 0)
    void tx.tx(async () => { await hold.promise }, { propagation: 'nested' }).catch(() => {}) // has its turn
    for (let id = 1; id < 6; id++) results.push(insert(tx, id).then(() => 'sent', (error: { code: string }) => error.code))
    await new Promise(() => {})
  }, { timeout: 300 }), { code: 'TDM_ERR_DB_TIMEOUT' })
  t.strictSame(await Promise.all(results), Array.from({ length: 5 }, () => 'TDM_ERR_TX_CLOSED'))
  hold.resolve()
  t.strictSame(await ids(db), [])
})

onEachEngine('72: two cursors, and a cursor next to a nested transaction, are an error and no wait', async (t, db) => {
  await db.exec(table)
  await db.tx(async tx => { for (let id = 0; id < 250; id++) await insert(tx, id) })
  await db.tx(async tx => {
    const rows = tx.prepare('SELECT id FROM a ORDER BY id').iterate()
    await rows.next()
    await t.rejects(tx.prepare('SELECT id FROM a').iterate().next(), { code: 'TDM_ERR_TX_CURSOR_OPEN' })
    await t.rejects(tx.tx(async () => {}, { propagation: 'nested' }), { code: 'TDM_ERR_TX_CURSOR_OPEN' })
    await rows.return?.()
    t.equal((await ids(tx)).length, 250, 'and it was no failure of a statement')
  }).catch((error: { code: string }) => { t.equal(error.code, 'TDM_ERR_TX_DOOMED') }) // whether it dooms is the layer's decision; a wait would not come here
})

onEachEngine('73: what was prepared before the close, and a transaction that waits for its turn', async (t, db) => {
  await db.exec(table)
  const statement = db.prepare('SELECT id FROM a')
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const holder = db.tx(async tx => { await insert(tx, 1); begun.resolve(); await hold })
  await begun.promise
  const waiting = failure(t, db.tx(async tx => { await insert(tx, 2) }))
  const closed = db.close()
  t.match(await waiting, { code: 'TDM_ERR_DB_CLOSED' })
  t.match(await failure(t, statement.all()), { code: 'TDM_ERR_DB_CLOSED' })
  letGo()
  await holder
  await closed
}, { DB_POOL_MAX: '1' })

for (const engine of ['sqlite', 'postgres'] as const) {
  void t.test(`${engine}: 74: errors of a transaction name the statement, cut, and no value`, async t => {
    const db = await openUrl(t, await freshUrl(t, engine), {}, collectLog())
    const sql = `SELECT ${'1 + '.repeat(200)} 1 AS n, ? AS s`
    const leaked = await db.tx(async tx => ({ tx }))
    const error = await failure(t, leaked.tx.prepare(sql).get('secret-value'))
    t.match(error.message, /Statement: SELECT 1 \+ /)
    t.ok(error.message.length < 500, `${error.message.length} characters`)
    t.notMatch(JSON.stringify(error, Object.getOwnPropertyNames(error)), /secret-value/)
  })
}
