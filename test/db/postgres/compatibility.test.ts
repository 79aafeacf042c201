/** With DB_COMPATIBILITY a server is not asked for what it does not have. Seen in the log of a PostgreSQL, since the servers that it is for are not here. */
import t, { type Test } from 'tap'
import { migrate } from '../../../plugins/db/migrate.ts'
import type { Database } from '../../../plugins/db/types.ts'
import { migrations } from '../../../services/migrations.ts'
import { collectLog, openUrl } from '../../helper/db.ts'
import { skip, startPostgres } from '../../helper/postgres-server.ts'

/** A database of the kind, and what the server was sent. */
async function start (t: Test, compatibility: string): Promise<{ db: Database, sent: string[] }> {
  const sent: string[] = []
  const server = await startPostgres(t, { settings: { log_statement: 'all' }, onLog: text => { sent.push(text) } })
  const db = await openUrl(t, server.url, { DB_COMPATIBILITY: compatibility })
  return { db, sent }
}

/** What an app does. */
async function work (db: Database): Promise<void> {
  await migrate(db, migrations, { mode: 'on', log: collectLog() })
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY)')
  const insert = db.prepare('INSERT INTO a (id) VALUES (?)')
  await db.tx(async tx => { void insert.run(1); void insert.run(2); await tx.last(insert).run(3) })
  for (let i = 0; i < 10; i++) await db.prepare('SELECT count(*) AS n FROM a').get()
}

for (const compatibility of ['cockroachdb', 'yugabytedb', 'dsql']) {
  t.test(`${compatibility}: no advisory lock, no id of a transaction, no setting of PostgreSQL's own, no lane`, { skip }, async t => {
    const { db, sent } = await start(t, compatibility)
    await work(db)
    t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 3 })
    t.match(sent.join(''), /INSERT INTO a/)
    t.notMatch(sent.join(''), /advisory|xact_id|pg_stat_bgwriter|transaction_timeout|default_transaction_read_only|LISTEN/)
    t.equal(db.status().queues.lanes, undefined)
    await t.rejects(db.listen('things', () => {}), { code: 'TDM_ERR_EVENTS_MISSING' })
    const nested = db.tx(async tx => { await tx.tx(async inner => { await inner.prepare('DELETE FROM a').run() }, { propagation: 'nested' }) })
    if (compatibility === 'dsql') await t.rejects(nested, { code: 'TDM_ERR_TX_PROPAGATION', message: /no savepoints/ })
    else await t.resolves(nested)
    t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: compatibility === 'dsql' ? 3 : 0 })
  })
}

t.test('postgres: they are used', { skip }, async t => {
  const { db, sent } = await start(t, 'postgres')
  await work(db)
  for (const word of ['advisory', 'xact_id', 'pg_stat_bgwriter', 'transaction_timeout', 'default_transaction_read_only']) t.ok(sent.join('').includes(word), word)
})

t.test('a transaction that is to be run again is, also if COMMIT asks for it', { skip }, async t => {
  const { db } = await start(t, 'cockroachdb')
  await db.exec(`CREATE TABLE a (id BIGINT PRIMARY KEY);
    CREATE FUNCTION fails_once () RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF nextval('attempts') < 3 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF; RETURN NULL; END $$;
    CREATE SEQUENCE attempts;
    CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fails_once()`)
  let runs = 0
  await db.tx(async tx => { runs++; await tx.prepare('INSERT INTO a (id) VALUES (1)').run() }, { retry: 5 })
  t.equal(runs, 3)
  await t.rejects(db.tx(async tx => { await tx.prepare("SELECT setval('attempts', 1), 1 AS again").get(); await tx.prepare('INSERT INTO a (id) VALUES (2)').run() }), { code: 'TDM_ERR_DB_SERIALIZATION' })
})
