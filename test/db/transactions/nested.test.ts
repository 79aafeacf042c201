/** Transactions in transactions (cases 75 to 95; those without a number here are in test/db/conformance). */
import t from 'tap'
import { deferred, engines, freshUrl, onEachEngine, openUrl } from '../../helper/db.ts'
import { startProxy } from '../../helper/proxy.ts'
import { admin, failure, ids, insert, kill, nested, openEngine, openRecorded, pidOf, table } from './common.ts'
import type { Limits, Transaction } from '../../../plugins/db/types.ts'

onEachEngine('76: a failure inside that nobody catches ends the whole, and is the same object outside', async (t, db) => {
  await db.exec(table)
  const mine = new Error('mine')
  for (const propagation of ['required', 'nested'] as const) {
    const error = await failure(t, db.tx(async tx => {
      await insert(tx, 1)
      await tx.tx(async inner => { await inner.tx(async deep => { await insert(deep, 2); throw mine }, { propagation }) }, { propagation })
    }))
    t.equal(error, mine, propagation)
  }
  t.strictSame(await ids(db), [])
})

onEachEngine('78: five levels of parallel siblings keep exactly what was kept, in the order of the calls', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY, n BIGINT)')
  const order: string[] = []
  const fanOut = async (tx: Transaction, path: string): Promise<void> => {
    const id = Number(`1${path}`)
    await tx.prepare('INSERT INTO a (id, n) SELECT ?, count(*) FROM a').run(id)
    order.push(path)
    if (path.length < 5) {
      await Promise.allSettled(['0', '1'].map(async digit => { await tx.tx(async inner => { await fanOut(inner, path + digit) }, nested) }))
    }
    if (path.endsWith('11')) throw new Error('undone')
  }
  await db.tx(async tx => { await Promise.allSettled(['0', '1'].map(async digit => { await tx.tx(async inner => { await fanOut(inner, digit) }, nested) })) })
  const kept = order.filter(path => !path.includes('11'))
  t.equal(order.length, 62)
  t.strictSame(order, order.toSorted(), 'depth first, the first called first')
  t.strictSame((await ids(db)).map(String), kept.map(path => `1${path}`).toSorted((x, y) => Number(x) - Number(y)))
})

onEachEngine('81: after the outer one has ended, an inner one that nobody awaited is refused its statements', async (t, db) => {
  await db.exec(table)
  const { promise: hold, resolve: letGo } = deferred()
  const begun = deferred()
  const late = deferred<unknown>()
  await t.rejects(db.tx(async tx => {
    void tx.tx(async inner => {
      await insert(inner, 1)
      begun.resolve()
      await hold
      await insert(inner, 2).then(late.resolve, late.resolve)
    }, nested).catch(() => {})
    await begun.promise
    throw new Error('outer')
  }), { message: 'outer' })
  letGo()
  t.match(await late.promise, { code: 'TDM_ERR_TX_CLOSED' })
  t.strictSame(await ids(db), [])
})

for (const engine of engines) {
  void t.test(`${engine}: 82, 83: each savepoint has a name of its own, and is released after both outcomes`, async t => {
    const { db, calls } = await openRecorded(t, await freshUrl(t, engine))
    await db.exec(table)
    await db.tx(async tx => {
      await Promise.allSettled([1, 2, 3].map(async n => {
        await tx.tx(async inner => {
          await insert(inner, n)
          await inner.tx(async deep => { await insert(deep, n + 10) }, nested)
          if (n === 2) throw new Error('no')
        }, nested)
      }))
    })
    const names = calls.filter(call => call.startsWith('savepoint') && !call.endsWith('done')).map(call => call.slice('savepoint '.length))
    t.equal(names.length, 6)
    t.equal(new Set(names).size, 6)
    for (const name of names) {
      t.match(name, /^[a-z_][a-z0-9_]*$/)
      t.equal(calls.filter(call => call === `releaseSavepoint ${name} done` || call === `rollbackToSavepoint ${name} done`).length, 1, name)
    }
    t.strictSame(await ids(db), [1, 3, 11, 13])
  })

  void t.test(`${engine}: 83: what is rolled back to is released as well`, async t => {
    const opened = await openEngine(await freshUrl(t, engine))
    t.teardown(async () => { await opened.close(100) })
    const limits: Limits = { deadline: Infinity, signal: undefined, held: [] }
    const connection = await opened.begin({ mode: 'write', isolation: undefined }, limits, 'SAVEPOINT')
    await connection.savepoint('one', limits)
    await connection.rollbackToSavepoint('one')
    await t.rejects(connection.releaseSavepoint('one'), { message: /./ }, 'there is none of this name any more')
    await connection.rollback()
    connection.release()
  })

  void t.test(`${engine}: 95: nested a thousand levels deep`, async t => {
    const db = await openUrl(t, await freshUrl(t, engine))
    await db.exec(table)
    const deeper = async (tx: Transaction, depth: number): Promise<void> => {
      if (depth === 1000) await insert(tx, depth)
      else await tx.tx(async inner => { await deeper(inner, depth + 1) }, nested)
    }
    await db.tx(async tx => { await deeper(tx, 1) })
    await t.rejects(db.tx(async tx => { await deeper(tx, 1) }), { code: 'TDM_ERR_DB_UNIQUE' })
    t.strictSame(await ids(db), [1000])
  })
}

void t.test('83: two thousand nested transactions leave nothing on the server', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await db.exec(table)
  await db.tx(async tx => {
    const contexts = tx.prepare('SELECT count(*) AS n FROM pg_backend_memory_contexts WHERE name = \'CurTransactionContext\'')
    const before = Number((await contexts.get())?.n)
    for (let n = 0; n < 2000; n++) {
      await tx.tx(async inner => {
        await inner.prepare('SELECT 1').get()
        if (n % 2 === 0) throw new Error('even')
      }, nested).catch(() => {})
    }
    t.equal(Number((await contexts.get())?.n), before)
  })
})

onEachEngine('84: nested in a transaction that has failed: the first failure is named', async (t, db) => {
  await db.exec(table)
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    await insert(tx, 1).catch(() => {})
    await t.rejects(tx.tx(async inner => { await insert(inner, 2) }, nested), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
    await t.rejects(db.tx(async () => { await insert(db, 2) }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_UNIQUE' } })
  t.strictSame(await ids(db), [])
})

void t.test('85: RELEASE that fails: the inner one is rejected, and the outer one is doomed', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url)
  const client = await admin(t, url)
  await db.exec(table)
  await t.rejects(db.tx(async tx => {
    const pid = await pidOf(tx)
    await t.rejects(tx.tx(async inner => { await insert(inner, 1); await kill(client, pid) }, nested), { code: 'TDM_ERR_DB_CONNECTION' })
    await t.rejects(insert(tx, 2), { code: /^TDM_ERR_(?:TX_DOOMED|DB_CONNECTION)$/ })
  }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_CONNECTION' } })
  t.strictSame(await ids(db), [])
})

void t.test('86: ROLLBACK TO that fails: the inner error is kept, and the outer one is doomed', async t => {
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url)
  const db = await openUrl(t, proxy.url)
  await db.exec(table)
  const mine = new Error('mine')
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    t.equal(await failure(t, tx.tx(async inner => { await insert(inner, 2); proxy.cutAt('ROLLBACK TO', 'before'); throw mine }, nested)), mine)
  }), { code: 'TDM_ERR_TX_DOOMED' })
  t.strictSame(await ids(db), [])
})

void t.test('85, 86: RELEASE or ROLLBACK TO that the server refuses', async t => {
  for (const [from, to, fails] of [['RELEASE SAVEPOINT', 'RELAESE SAVEPOINT', false], ['ROLLBACK TO', 'ROLLBAKC TO', true]] as const) {
    const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
    const db = await openUrl(t, proxy.url)
    await db.exec(table)
    proxy.replace(from, to)
    const mine = new Error('mine')
    await t.rejects(db.tx(async tx => {
      await insert(tx, 1)
      const error = await failure(t, tx.tx(async inner => { await insert(inner, 2); if (fails) throw mine }, nested))
      if (fails) t.equal(error, mine)
      else t.match(error, { code: 'TDM_ERR_DB_SYNTAX' })
      await t.rejects(insert(tx, 3), { code: 'TDM_ERR_TX_DOOMED' })
    }), { code: 'TDM_ERR_TX_DOOMED' })
    t.strictSame(await ids(db), [], from)
  }
})

void t.test('89: a transaction of its own is kept although the outer one is undone', async t => {
  const db = await openUrl(t, await freshUrl(t, 'postgres'))
  await db.exec(table)
  await t.rejects(db.tx(async tx => {
    await insert(tx, 1)
    await db.tx(async other => { await insert(other, 2); t.strictSame(await ids(other), [2]) }, { propagation: 'new' })
    t.strictSame(await ids(db), [1, 2], 'and the outer one is current again')
    throw new Error('outer')
  }), { message: 'outer' })
  t.strictSame(await ids(db), [2])
})

onEachEngine('89: a transaction of its own that reads is possible inside of one that writes', async (t, db) => {
  await db.exec(table)
  await db.tx(async tx => {
    await insert(tx, 1)
    t.strictSame(await db.tx(async other => await ids(other), { propagation: 'new', mode: 'read' }), [])
    t.strictSame(await ids(db), [1])
  })
})

onEachEngine('91: what was current is current again, however the inner one ended', async (t, db) => {
  await db.exec(table)
  await db.tx(async tx => {
    await insert(tx, 1)
    await t.rejects(db.tx(async () => { throw new Error('new') }, { propagation: 'new' }), { message: 'new' })
    await t.rejects(db.tx(() => {}, { propagation: 'never' }), { code: 'TDM_ERR_TX_PROPAGATION' })
    await t.rejects(db.tx(async () => { throw new Error('nested') }, nested), { message: 'nested' })
    t.throws(() => db.outsideTx(() => { throw new Error('outside') }), { message: 'outside' })
    t.strictSame(await ids(db), [1])
  })
})

onEachEngine('92: transactional code in an after-commit callback has a transaction of its own', async (t, db) => {
  await db.exec(table)
  const addTwo = async (fails: boolean): Promise<void> => {
    await db.tx(async tx => { await insert(tx, 2); if (fails) throw new Error('mine') })
  }
  let first: Transaction | undefined
  await db.tx(async tx => {
    first = tx
    await insert(tx, 1)
    tx.afterCommit(async () => {
      await t.rejects(addTwo(true), { message: 'mine' })
      t.strictSame(await ids(db), [1], 'undone on its own')
      await addTwo(false)
      await db.tx(async second => { t.not(second, first) })
      await t.rejects(db.tx(() => {}, { propagation: 'mandatory' }), { code: 'TDM_ERR_TX_PROPAGATION' })
    })
  })
  t.strictSame(await ids(db), [1, 2])
})
