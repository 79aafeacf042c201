/** Through PgBouncer in transaction mode, with each version that is there: one that keeps prepared statements, and one that does not. */
import t from 'tap'
import type { Database } from '../../../plugins/db/types.ts'
import { openUrl } from '../../helper/db.ts'
import { ask } from '../../helper/pg.ts'
import { findPgBouncers, noPgBouncer, startPgBouncer } from '../../helper/pgbouncer.ts'
import { skip as skipAll, startPostgres } from '../../helper/postgres-server.ts'

const programs = await findPgBouncers()
const skip = skipAll !== false ? skipAll : programs.length === 0 && noPgBouncer

if (programs.length === 0) t.test('through PgBouncer', { skip }, async () => {})

async function total (db: Database): Promise<unknown> {
  return (await db.prepare('SELECT sum(n) AS sum FROM account').get())?.sum
}

for (const program of programs) {
  const { version, knowsPrepared } = program
  t.test(`PgBouncer ${version}`, { skip, timeout: 90_000 }, async t => {
    const server = await startPostgres(t)
    const bouncer = await startPgBouncer(t, { server, program, poolSize: 3 })
    const db = await openUrl(t, bouncer.url, { DB_POOL_MAX: '10' })
    await db.exec('CREATE TABLE account (id BIGINT PRIMARY KEY, n BIGINT NOT NULL); INSERT INTO account SELECT i, 100 FROM generate_series(1, 10) i')

    t.equal(db.status().postgres?.pooler, knowsPrepared ? 'keeps statements' : 'forgets statements', 'is recognised')
    t.equal(db.status().queues.lanes, undefined, 'there are no lanes: the session of one would be somebody else\'s, too')

    await t.rejects(db.listen('things', () => {}), { code: 'TDM_ERR_EVENTS_POOLED' })
    await t.resolves(db.notify('things', 'one'))

    const read = db.prepare<{ id: number, n: number }>('SELECT id, n FROM account WHERE id = ?')
    const rows = await Promise.all(Array.from({ length: 200 }, async (_, i) => await read.get(1 + i % 10)))
    t.strictSame(rows.map(row => row?.id), Array.from({ length: 200 }, (_, i) => 1 + i % 10), '200 reads at once over 3 connections')

    await Promise.all(Array.from({ length: 60 }, async (_, i) => {
      await db.tx(async tx => {
        await tx.prepare('UPDATE account SET n = n - 1 WHERE id = ?').run(1 + i % 10)
        await tx.prepare('UPDATE account SET n = n + 1 WHERE id = ?').run(1 + (i + 1) % 10)
        if (i % 3 === 0) throw new Error('mine')
      }, { retry: 5 }).catch((error: Error) => { if (error.message !== 'mine') throw error })
    }))
    t.equal(await total(db), 1000, 'transactions are whole')

    await t.rejects(db.prepare('INSERT INTO account (id, n) VALUES (1, 0)').run(), { code: 'TDM_ERR_DB_UNIQUE' })
    await t.rejects(db.deadline(50, async () => await db.prepare('SELECT pg_sleep(60)').get()), { code: 'TDM_ERR_DB_TIMEOUT' })
    await t.rejects(db.tx(async tx => await tx.prepare('SELECT pg_sleep(60)').get(), { statementTimeout: 50 }), { code: 'TDM_ERR_DB_TIMEOUT' })
    t.strictSame(await ask(server.url, "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"), [{ n: 0 }], 'what is given up ends on the server')

    const limits = await db.tx(async tx => await tx.prepare("SELECT current_setting('statement_timeout') AS of_tx").get(), { statementTimeout: 2000 })
    t.strictSame(limits, { of_tx: '7s' }, 'a transaction has the server\'s limits')
    const left = await Promise.all(Array.from({ length: 9 }, async () => await ask(bouncer.url, "SELECT current_setting('statement_timeout') AS after FROM pg_sleep(0.02)")))
    t.strictSame(new Set(left.map(([row]) => (row as { after: string }).after)), new Set(['0']), 'and leaves nothing of them to others')

    const found: number[] = []
    for await (const { id } of db.prepare<{ id: number }>('SELECT id FROM generate_series(1, 1000) id').iterate()) found.push(id)
    t.equal(found.length, 1000, 'a cursor')

    for (const how of ['immediate', 'kill'] as const) {
      await bouncer.restart(how)
      t.equal(await total(db), 1000, `after a restart of PgBouncer: ${how}`)
    }
    await server.restart('fast')
    t.equal(await db.tx(async tx => (await tx.prepare('SELECT sum(n) AS sum FROM account').get())?.sum, { retry: 9 }).catch(async () => await total(db)), 1000, 'after a restart of the server')
  })
}
