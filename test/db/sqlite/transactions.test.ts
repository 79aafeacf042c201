/**
 * Transactions of the SQLite engine under interruption, next to each other, and with what must not outlive them: cases 25 to 42 of the engine's list, as far as
 * test/db/transactions, test/db/conformance, test/db/idle.test.ts and locks.test.ts do not hold them. Each runs where transactions can: on the main thread, in the
 * writer's thread, and without the watchdog.
 */
import t, { type Test } from 'tap'
import { collectLog, deferred, freshUrl, onEachEngine, openTestDatabase, openUrl } from '../../helper/db.ts'
import { countTo, endless, until } from '../../helper/long.ts'
import { skipWithoutNative } from '../../helper/native.ts'
import { failure, ids, insert, nested, table, turns } from '../transactions/common.ts'
import type { Database } from '../../../plugins/db/types.ts'

/** Where a transaction runs. */
const places: Array<[name: string, variables: Record<string, string>]> = [
  ['on the main thread', {}],
  ['in the writer\'s thread', { SQLITE_SYNCHRONOUS: 'full' }]
]
const everywhere: typeof places = [...places, ['without the watchdog', { SQLITE_WATCHDOG: 'off' }]]
const endlessUpdate = `UPDATE a SET id = id + (${endless})`
const endlessRead = `SELECT (${endless}) AS n FROM a`
const brief = { statementTimeout: 300 }

async function open (t: Test, variables: Record<string, string> = {}): Promise<Database> {
  const db = await openTestDatabase(t, 'sqlite', variables)
  await db.exec(table)
  await db.tx(async tx => { await insert(tx, 1) })
  await db.tx(async tx => { await ids(tx) }, { mode: 'read' }) // where it is a thread that reads, it is there now
  return db
}

for (const [name, variables] of places) {
  // --- interrupted ------------------------------------------------------------------------------------------------------------

  for (const [position, before] of [['first', []], ['a later', [2]]] as const) {
    void t.test(`25: ${name}: an UPDATE that is interrupted as ${position} statement: the transaction is over, and nothing of it or after it is committed`, { skip: skipWithoutNative('ends statements') }, async t => {
      const db = await open(t, variables)
      const seen: unknown[] = []
      const error = await failure(t, db.tx(async tx => {
        for (const id of before) await insert(tx, id)
        t.match(await failure(t, tx.prepare(endlessUpdate).run()), { code: 'TDM_ERR_DB_TIMEOUT' })
        t.match(await failure(t, insert(tx, 3)), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_TIMEOUT' } })
        t.match(await failure(t, insert(db, 4)), { code: 'TDM_ERR_TX_DOOMED' }, 'nor by way of db')
        await tx.tx(async inner => { await insert(inner, 5) }, nested).catch((error: unknown) => { seen.push((error as { code: string }).code) })
      }, brief))
      t.match(error, { code: 'TDM_ERR_TX_DOOMED', statusCode: 503, cause: { code: 'TDM_ERR_DB_TIMEOUT' } })
      t.strictSame(seen, ['TDM_ERR_TX_DOOMED'])
      t.strictSame(await ids(db), [1])
      await db.tx(async tx => { await insert(tx, 6) })
      t.strictSame(await ids(db), [1, 6], 'the writer is clean')
    })
  }

  void t.test(`26: ${name}: a SELECT that is interrupted ends its transaction too, although SQLite would go on`, { skip: skipWithoutNative('ends statements') }, async t => {
    const db = await open(t, variables)
    await t.rejects(db.tx(async tx => {
      await insert(tx, 2)
      await tx.prepare(endlessRead).all().catch(() => {})
      await insert(tx, 3)
    }, brief), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_TIMEOUT' } })
    t.strictSame(await ids(db), [1])
    await t.rejects(db.tx(async tx => {
      await ids(tx)
      await tx.prepare(endlessRead).all().catch(() => {})
      await ids(tx)
    }, { ...brief, mode: 'read' }), { code: 'TDM_ERR_TX_DOOMED' }, 'also one that only reads')
    await insert(db, 4)
    t.strictSame(await ids(db), [1, 4])
  })

  void t.test(`27: ${name}: an interrupt inside of a nested transaction ends all of it, and its error is the one that is told`, { skip: skipWithoutNative('ends statements') }, async t => {
    const db = await open(t, variables)
    const error = await failure(t, db.tx(async tx => {
      await insert(tx, 2)
      const inner = await failure(t, tx.tx(async inner => {
        await insert(inner, 3)
        await inner.prepare(endlessUpdate).run()
      }, nested))
      t.match(inner, { code: 'TDM_ERR_DB_TIMEOUT' }, 'not that the savepoint is gone')
      await insert(tx, 4)
    }, brief))
    t.match(error, { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_DB_TIMEOUT' } })
    t.strictSame(await ids(db), [1])
  })

  void t.test(`27: ${name}: a SELECT that is interrupted inside of a nested transaction undoes that, and the outer one goes on`, { skip: skipWithoutNative('ends statements') }, async t => {
    const db = await open(t, variables)
    await db.tx(async tx => {
      await insert(tx, 2)
      t.match(await failure(t, tx.tx(async inner => {
        await insert(inner, 3)
        await inner.prepare(endlessRead).all()
      }, nested)), { code: 'TDM_ERR_DB_TIMEOUT' })
      await insert(tx, 4)
    }, brief)
    t.strictSame(await ids(db), [1, 2, 4])
  })

  void t.test(`25: ${name}: a signal that ends a transaction in the middle of a statement`, { skip: skipWithoutNative('ends statements') }, async t => {
    const db = await open(t, variables)
    for (const sql of [endlessUpdate, endlessRead]) {
      const client = new AbortController()
      const tx = failure(t, db.signal(client.signal, async () => {
        await db.tx(async tx => {
          await tx.prepare(sql).all() // as the first statement it is in a thread, where it can be stopped
          await insert(tx, 2)
        })
      }))
      await until('it runs', async () => { await turns(20); return db.status().queues.writer?.used === 1 })
      client.abort(new Error('gone'))
      t.match(await tx, { code: 'TDM_ERR_DB_ABORTED', cause: { message: 'gone' } })
      await insert(db, 10 + (await ids(db)).length)
    }
    t.strictSame(await ids(db), [1, 11, 12])
  })

  // --- next to each other -----------------------------------------------------------------------------------------------------

  void t.test(`28: ${name}: transactions that read and then write, at the same time: none meets a snapshot that is too old`, async t => {
    const db = await openTestDatabase(t, 'sqlite', variables)
    await db.exec('CREATE TABLE c (n BIGINT); INSERT INTO c (n) VALUES (0)')
    await Promise.all(Array.from({ length: 60 }, async (_, i) => {
      await db.tx(async tx => {
        const { n } = await tx.prepare<{ n: number }>('SELECT n FROM c').get() ?? { n: 0 }
        if (i % 3 === 0) await turns(2)
        await tx.prepare('UPDATE c SET n = ?').run(n + 1)
      })
    }))
    t.strictSame(await db.prepare('SELECT n FROM c').get(), { n: 60 })
  })

  void t.test(`31: ${name}: two hundred that want to write do so in the order in which they have asked`, async t => {
    const db = await openTestDatabase(t, 'sqlite', variables)
    await db.exec('CREATE TABLE o (n INTEGER PRIMARY KEY, id BIGINT)')
    const ways: Array<(id: number) => Promise<unknown>> = [
      async id => await db.prepare('INSERT INTO o (id) VALUES (?)').run(id),
      async id => { await db.exec(`INSERT INTO o (id) VALUES (${id})`) },
      async id => { await db.tx(async tx => { await tx.prepare('INSERT INTO o (id) VALUES (?)').run(id); await turns(id % 3) }) }
    ]
    for (const write of ways) {
      await db.exec('DELETE FROM o')
      await Promise.all(Array.from({ length: 200 }, async (_, id) => await write(id)))
      t.strictSame((await db.prepare('SELECT id FROM o ORDER BY n').all()).map(row => row.id), [...Array(200).keys()])
    }
  })

  void t.test(`35: ${name}: what others do while a transaction is open is not in it`, async t => {
    const db = await open(t, variables)
    const begun = deferred()
    const { promise: hold, resolve: letGo } = deferred()
    const tx = failure(t, db.tx(async tx => {
      await insert(tx, 2)
      begun.resolve()
      await hold
      throw new Error('undone')
    }))
    await begun.promise
    t.strictSame(await ids(db), [1], 'they do not see it')
    const written = insert(db, 3)
    const rows = []
    for await (const row of db.prepare('SELECT id FROM a').iterate()) rows.push(row.id)
    t.strictSame(rows, [1], 'nor by a cursor')
    letGo()
    t.match(await tx, { message: 'undone' })
    await written
    t.strictSame(await ids(db), [1, 3], 'and are not undone with it')
  })

  void t.test(`37: ${name}: a read transaction sees one state, also across checkpoints and from one thread to another`, async t => {
    const db = await open(t, { ...variables, SQLITE_WAL_SIZE: '1MB', SQLITE_READERS: '2' })
    await db.exec('CREATE TABLE b (t TEXT)')
    const write = async (): Promise<void> => {
      for (let i = 0; i < 4; i++) await db.prepare(`INSERT INTO b (t) SELECT printf('%.500c', 'x') FROM (${countRows(1000)})`).run()
      await insert(db, (await ids(db)).length + 1)
    }
    await db.tx(async tx => {
      t.strictSame(await ids(tx), [1])
      await db.outsideTx(write)
      t.strictSame(await ids(tx), [1])
      await until('a checkpoint was tried', async () => { await turns(300); return (db.status().sqlite?.walBytes ?? 0) > 1e6 })
      t.strictSame(await tx.prepare(`SELECT count(*) AS n, (${countTo(200_000)}) AS slow FROM a`).all(), [{ n: 1, slow: 200_000 }])
      await db.outsideTx(write)
      const rows = []
      for await (const row of tx.prepare('SELECT id FROM a').iterate()) rows.push(row.id)
      t.strictSame(rows, [1], 'by a cursor')
    }, { mode: 'read' })
    t.strictSame(await ids(db), [1, 2, 3])
    await until('without the reader the WAL begins anew', () => (db.status().sqlite?.walBytes ?? 0) < 1e6)
  })
}

function countRows (count: number): string {
  return `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i FROM n`
}

void t.test('37: what a read transaction has seen on the main thread and goes on to see in a thread is one state, whenever others commit in between', async t => {
  const db = await open(t, { SQLITE_READERS: '2' })
  const slow = db.prepare(`SELECT max(id) AS id, (${countTo(100_000)}) AS slow FROM a`)
  for (let id = 2; id < 10; id++) {
    await db.tx(async tx => {
      const before = (await ids(tx)).at(-1)
      if (id % 2 === 0) await db.outsideTx(async () => await insert(db, id))
      const [row] = await Promise.all([slow.get(), id % 2 === 1 ? db.outsideTx(async () => await insert(db, id)) : undefined])
      t.equal(row?.id, before, `round ${id}`)
      t.equal((await ids(tx)).at(-1), before)
    }, { mode: 'read' })
  }
})

onEachEngine('29: a read transaction does not write, in whatever way it is tried', async (t, db) => {
  await db.exec(table)
  for (const sql of ['INSERT INTO a (id) VALUES (1)', 'INSERT INTO a (id) VALUES (1) RETURNING id', 'WITH x AS (SELECT 1 AS id) INSERT INTO a (id) SELECT id FROM x', 'DELETE FROM a', 'CREATE TABLE b (id BIGINT)']) {
    for (const first of [true, false]) {
      const attempt = db.tx(async tx => {
        if (!first) await ids(tx)
        await tx.prepare(sql).all()
      }, { mode: 'read' })
      t.match(await failure(t, attempt), { code: 'TDM_ERR_DB_READONLY', statusCode: 500 }, sql)
    }
    t.match(await failure(t, db.tx(async tx => { for await (const _ of tx.prepare(sql).iterate()); }, { mode: 'read' })), { code: 'TDM_ERR_DB_READONLY' }, `iterate: ${sql}`)
    t.match(await failure(t, db.tx(async tx => { await tx.exec(sql) }, { mode: 'read' })), { code: 'TDM_ERR_DB_READONLY' }, `exec: ${sql}`)
  }
  t.strictSame(await ids(db), [])
  await insert(db, 1)
})

// --- what outlives a statement ----------------------------------------------------------------------------------------------

/** PRAGMAs that the next one on the connection would feel, written as SQLite reads them. */
const sessions = [
  'PRAGMA query_only = 1', 'pragma query_only(1)', 'PRAGMA main.query_only = 1', 'PRAGMA "query_only" = 1', 'PRAGMA [query_only] = 1', 'PRAGMA `query_only`=1', 'PRAGMA \'query_only\'=1',
  'PRAGMA/**/query_only/**/=/**/1', '-- a comment\nPRAGMA query_only = 1', 'EXPLAIN PRAGMA query_only = 1', 'EXPLAIN QUERY PLAN PRAGMA query_only = 1',
  'PRAGMA foreign_keys = OFF', 'PRAGMA temp_store = MEMORY', 'PRAGMA cache_size = -1000000', 'PRAGMA mmap_size = 1000000000', 'PRAGMA journal_mode = DELETE', 'PRAGMA locking_mode = EXCLUSIVE',
  'PRAGMA synchronous = OFF', 'PRAGMA wal_autocheckpoint = 1', 'PRAGMA busy_timeout = 60000', 'PRAGMA writable_schema = ON', 'PRAGMA hard_heap_limit = 1000', 'ATTACH \':memory:\' AS x', 'DETACH main'
]

void t.test('38: what would hold for a connection is refused, however it is written, and the next one is not affected', async t => {
  const db = await open(t)
  const state = async (): Promise<unknown> => {
    const answers: unknown[] = []
    for (const name of ['query_only', 'foreign_keys', 'temp_store', 'cache_size', 'journal_mode', 'synchronous', 'wal_autocheckpoint', 'busy_timeout', 'writable_schema']) {
      answers.push(await db.prepare(`PRAGMA ${name}`).get(), await db.tx(async tx => await tx.prepare(`PRAGMA ${name}`).get()))
    }
    return answers
  }
  const before = await state()
  for (const sql of sessions) {
    const ways: Array<[name: string, send: () => Promise<unknown>]> = [
      ['get', async () => await db.prepare(sql).get()],
      ['exec', async () => { await db.exec(sql) }],
      ['the end of a script', async () => { await db.exec(`SELECT 1; ${sql}`) }],
      ['iterate', async () => { for await (const _ of db.prepare(sql).iterate()); }],
      ['a transaction', async () => { await db.tx(async tx => { await insert(tx, 2); await tx.prepare(sql).all() }) }],
      ['exec in a transaction', async () => { await db.tx(async tx => { await insert(tx, 2); await tx.exec(sql) }) }]
    ]
    for (const [name, send] of ways) t.match(await failure(t, send()), { code: 'TDM_ERR_DB_SESSION' }, `${name}: ${sql}`)
  }
  t.strictSame(await state(), before)
  t.strictSame(await ids(db), [1])
  t.match(await failure(t, db.exec('BEGIN')), { code: 'TDM_ERR_DB_TRANSACTION_CONTROL' })
})

void t.test('38: what only looks like it is not refused', async t => {
  const db = await openTestDatabase(t, 'sqlite')
  await db.exec(`CREATE TABLE notes (t TEXT); INSERT INTO notes (t) VALUES ('first; PRAGMA query_only = 1'), ('; ATTACH ''x'' AS y') -- ; PRAGMA query_only = 1
    /* ; ATTACH 'a' AS b */; CREATE TABLE "; PRAGMA foreign_keys = OFF" (attach TEXT)`)
  await db.prepare('INSERT INTO notes (t) VALUES (\'; PRAGMA query_only = 1\')').run()
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM notes').get(), { n: 3 })
  t.strictSame(await db.prepare('PRAGMA foreign_keys').get(), { foreign_keys: 1 })
  t.strictSame(await db.prepare('EXPLAIN QUERY PLAN SELECT * FROM notes').all().then(rows => rows.length), 1)
  t.strictSame((await db.prepare('PRAGMA table_info(notes)').all()).length, 1)
})

void t.test('38: a table that only one connection has is not there for the next one', async t => {
  const db = await open(t)
  await db.exec('CREATE TEMP TABLE a (id BIGINT)').catch(() => {})
  await insert(db, 2)
  t.strictSame(await ids(db), [1, 2], 'what was written is where everybody reads')
})

void t.test('39: what writes goes to the writer, however it begins', async t => {
  const db = await open(t)
  const writes: Array<[sql: string, answer: unknown]> = [
    ['WITH x (id) AS (VALUES (10)) INSERT INTO a (id) SELECT id FROM x RETURNING id', [{ id: 10 }]],
    ['INSERT INTO a (id) VALUES (11) RETURNING id', [{ id: 11 }]],
    ['/* a comment */ UPDATE a SET id = 12 WHERE id = 11 RETURNING id', [{ id: 12 }]],
    ['-- a comment\n  DELETE FROM a WHERE id = 12 RETURNING id', [{ id: 12 }]],
    ['REPLACE INTO a (id) VALUES (13) RETURNING id', [{ id: 13 }]],
    ['PRAGMA user_version = 7', []],
    ['CREATE TABLE made AS SELECT 1 AS x', []],
    ['ANALYZE', []],
    ['REINDEX', []]
  ]
  for (const [sql, answer] of writes) t.strictSame(await db.prepare(sql).all(), answer, sql)
  const rows = []
  for await (const row of db.prepare('INSERT INTO a (id) VALUES (14), (15) RETURNING id').iterate()) rows.push(row)
  t.strictSame(rows, [{ id: 14 }, { id: 15 }])
  t.strictSame(await ids(db), [1, 10, 13, 14, 15])
  t.strictSame(await db.prepare('PRAGMA user_version').get(), { user_version: 7 })
})

void t.test('40: no library can be loaded by a statement, wherever it runs', async t => {
  for (const [, variables] of everywhere) {
    const db = await openTestDatabase(t, 'sqlite', variables)
    const sql = 'SELECT load_extension(\'nowhere\') AS x'
    const ways = [
      async () => await db.prepare(sql).get(),
      async () => { for await (const _ of db.prepare(sql).iterate()); },
      async () => { await db.exec(sql) },
      async () => await db.tx(async tx => await tx.prepare(sql).all()),
      async () => await db.tx(async tx => await tx.prepare(sql).all(), { mode: 'read' })
    ]
    for (const send of ways) {
      const error = await failure<Error & { cause: Error }>(t, send())
      t.match(error, { code: /^TDM_ERR_DB_/ })
      t.match(error.cause.message, /not authorized/)
    }
  }
})

void t.test('41: a deferred foreign key that COMMIT refuses, in each place: the connection is clean afterwards', async t => {
  for (const [name, variables] of everywhere) {
    const db = await openTestDatabase(t, 'sqlite', variables)
    await db.exec('CREATE TABLE p (id BIGINT PRIMARY KEY); CREATE TABLE c (p BIGINT REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)')
    for (let i = 0; i < 3; i++) {
      t.match(await failure(t, db.tx(async tx => { await tx.prepare('INSERT INTO c (p) VALUES (1)').run() })), { code: 'TDM_ERR_DB_FOREIGN_KEY' }, name)
      t.match(await failure(t, db.exec('INSERT INTO p (id) VALUES (2); INSERT INTO c (p) VALUES (1)')), { code: 'TDM_ERR_DB_FOREIGN_KEY' }, `${name}: exec`)
    }
    await db.tx(async tx => { await tx.exec('INSERT INTO c (p) VALUES (3); INSERT INTO p (id) VALUES (3)') })
    t.strictSame(await db.prepare('SELECT p FROM c').all(), [{ p: 3 }], name)
  }
})

void t.test('38: a connection that somebody left in a transaction is not given to the next one', async t => {
  const url = await freshUrl(t, 'sqlite')
  const db = await openUrl(t, url, {}, collectLog())
  await db.exec(table)
  // RAISE(ROLLBACK) ends the transaction under the feet of a statement; OR ROLLBACK does too
  await db.exec('CREATE TRIGGER r BEFORE INSERT ON a WHEN new.id = 13 BEGIN SELECT RAISE(ROLLBACK, \'no\'); END')
  for (const sql of ['INSERT INTO a (id) VALUES (13)', 'INSERT OR ROLLBACK INTO a (id) VALUES (1), (1)']) {
    for (const way of ['run', 'exec', 'script'] as const) {
      const write = async (): Promise<unknown> => {
        if (way === 'run') return await db.prepare(sql).run()
        return await db.exec(way === 'exec' ? sql : `INSERT INTO a (id) VALUES (5); ${sql}; INSERT INTO a (id) VALUES (6)`)
      }
      t.match(await failure(t, write()), { code: /^TDM_ERR_DB_/ })
      await db.tx(async tx => { await insert(tx, 7); await tx.prepare('DELETE FROM a').run() })
    }
  }
  t.strictSame(await ids(db), [])
})
