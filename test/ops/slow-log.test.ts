/** Statements that are slow: told of once, with a plan and what is wrong in it, and kept in a list. */
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { explain } from '../../plugins/ops/plan.ts'
import { slowRoutes, startSlowLog, type SlowLog, type SlowStatement } from '../../plugins/ops/slow-log.ts'
import tx from '../../plugins/tx/index.ts'
import type { EngineName } from '../../plugins/db/types.ts'
import { startPlugins } from '../helper/app.ts'
import { engines } from '../helper/db.ts'

interface Line extends Record<string, unknown> { level: number, msg: string, plan: string[], hints: string[], sql: string }

const TABLES = `CREATE TABLE job (id INTEGER PRIMARY KEY, state TEXT, energy INTEGER, owner INTEGER);
  CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT)`

/** Everything is slow from `slowMs` on. */
async function start (t: Test, engine: EngineName, options: { slowMs: number, periodMs?: number }): Promise<{ app: FastifyInstance, log: SlowLog, warnings: () => Line[] }> {
  const lines: Line[] = []
  const stream = new Writable({ write (chunk, _encoding, done) { lines.push(JSON.parse(String(chunk)) as Line); done() } })
  const app = await startPlugins(t, engine, {}, { logger: { level: 'warn', stream } })
  await app.register(tx)
  await app.db.exec(TABLES)
  const log = startSlowLog(app, options)
  slowRoutes(app, log)
  return { app, log, warnings: () => lines.filter(({ msg }) => msg === 'slow statement') }
}

for (const engine of engines) {
  void t.test(`${engine}: it is told of once in a period, and counted each time`, async t => {
    const { app, log, warnings } = await start(t, engine, { slowMs: 0.000001 })
    app.get('/jobs/:state', async request => await app.db.prepare('SELECT id FROM job WHERE state = ? AND energy <> 7654321 ORDER BY energy').all((request.params as { state: string }).state))
    for (const state of ['secret1', 'secret2', 'secret3']) t.equal((await app.inject(`/jobs/${state}`)).statusCode, 200)
    await log.settled()
    const [line, ...others] = warnings()
    t.equal(others.length, 0)
    t.match(line, { level: 40, outcome: 'ok', route: 'GET /jobs/:state', fingerprint: /^[\da-f]{12}$/, sql: 'SELECT id FROM job WHERE state = ? AND energy <> ? ORDER BY energy', durationMs: Number })
    t.match(line?.plan.join('\n'), /scan.*\bj?o?b?/i)
    t.match(line?.hints.join('\n'), /All rows of job are read: no index serves the condition on state, energy|on energy, state/)
    if (engine === 'sqlite') t.match(line?.hints.join('\n'), /sorted for ORDER BY \(energy\)/)
    const answer = await app.inject('/ops/statements/slow')
    const { statements } = answer.json<{ statements: SlowStatement[] }>()
    t.match(statements.find(({ route }) => route === 'GET /jobs/:state'), { count: 3, fingerprint: line?.fingerprint, plan: line?.plan, hints: line?.hints })
    t.notMatch(answer.body + JSON.stringify(line), /secret|7654321/)
  })

  void t.test(`${engine}: after the period it is told of again`, async t => {
    const { app, log, warnings } = await start(t, engine, { slowMs: 0.000001, periodMs: 0 })
    for (let i = 0; i < 2; i++) await app.db.prepare('SELECT id FROM job WHERE id = :id').get({ id: i })
    await log.settled()
    t.equal(warnings().length, 2)
    t.match(warnings()[0], { hints: [] }, 'a search by key has nothing to be said of')
  })

  void t.test(`${engine}: what is fast is not told of`, async t => {
    const { app, log, warnings } = await start(t, engine, { slowMs: 600_000 })
    await app.db.prepare('SELECT id FROM job').all()
    await log.settled()
    t.strictSame([warnings(), log.list()], [[], []])
  })

  void t.test(`${engine}: nor anything with 0`, async t => {
    const { app, log } = await start(t, engine, { slowMs: 0 })
    await app.db.prepare('SELECT id FROM job').all()
    t.strictSame((await app.inject('/ops/statements/slow')).json(), { slowMs: 0, statements: [] })
    await log.close()
  })

  void t.test(`${engine}: what ran out of time is slow, whatever its time was`, async t => {
    const { app, log, warnings } = await start(t, engine, { slowMs: 600_000 })
    const forever = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n'
    await t.rejects(app.db.deadline(50, async () => await app.db.prepare(forever).get()), { code: 'TDM_ERR_DB_TIMEOUT' })
    await log.settled()
    t.match(warnings(), [{ outcome: 'timeout', plan: [String] }], 'and its plan is made without the deadline that it had')
  })

  void t.test(`${engine}: in a transaction, the plan is made outside of it`, async t => {
    const { app, log, warnings } = await start(t, engine, { slowMs: 0.000001 })
    await app.db.tx(async tx => { await tx.prepare('UPDATE job SET energy = 5 WHERE owner = ?').run(1) })
    await log.settled()
    t.match(warnings().find(({ sql }) => sql.startsWith('UPDATE')), { sql: 'UPDATE job SET energy = ? WHERE owner = ?', hints: [/All rows of job are read: no index serves the condition on owner\. Try one on job \(owner\)/] })
  })

  void t.test(`${engine}: without a plan, the warning says why`, async t => {
    const { app, log, warnings } = await start(t, engine, { slowMs: 0.000001 })
    await app.db.prepare('CREATE TABLE other (id INTEGER)').run()
    await app.db.prepare('SELECT * FROM other').all()
    await app.db.prepare('DROP TABLE other').run()
    await log.settled()
    t.match(warnings()[0], { sql: 'CREATE TABLE other (id INTEGER)', planProblem: /it has none/, hints: [] })
    t.equal(warnings().length, 3)
  })

  void t.test(`${engine}: many fingerprints do not fill the memory`, async t => {
    const { app, log } = await start(t, engine, { slowMs: 0.000001 })
    for (let i = 0; i < 210; i++) await app.db.prepare(`SELECT id AS a${i} FROM job`).all()
    t.equal(log.list().length, 200)
    await log.settled()
  })

  void t.test(`${engine}: plans and hints`, async t => {
    const { db } = await start(t, engine, { slowMs: 0 }).then(({ app }) => app)
    const hints = async (sql: string): Promise<string> => (await explain(db, sql))?.hints.join('\n') ?? 'no plan'
    t.match(await hints('SELECT j.id FROM job j JOIN owner o ON o.id = j.owner WHERE j.state = ?'), /All rows of job are read: no index serves the condition on .*state/)
    t.match(await hints('SELECT count(*) AS n FROM owner'), /All rows of owner are read: there is no condition on it/)
    t.equal(await hints('SELECT name FROM owner WHERE id = :id'), '')
    t.equal(await hints('SELECT 1 AS one'), '')
    t.equal(await hints('DROP TABLE owner'), 'no plan')
    t.match((await explain(db, 'SELECT id FROM job WHERE state = \'secret\' AND energy = 4711'))?.steps.join('\n'), /scan/i)
    t.notMatch((await explain(db, 'SELECT id FROM job WHERE state = \'secret\' AND energy = 4711'))?.steps.join('\n'), /secret|4711/)
    await t.rejects(explain(db, 'SELECT nothing FROM job'), { code: /^TDM_ERR_DB/ })
  })
}

void t.test('sqlite: an index that is scanned, and one that is made for the statement', async t => {
  const { db } = await start(t, 'sqlite', { slowMs: 0 }).then(({ app }) => app)
  await db.exec('CREATE INDEX by_state ON job (state)')
  t.match((await explain(db, 'SELECT state FROM job WHERE state LIKE ?'))?.hints, [/All of the index by_state of job is read: no index serves the condition on state/])
  const join = await explain(db, 'SELECT a.id FROM job a JOIN job b ON b.energy = a.owner')
  t.match(join?.hints.join('\n'), /An index on job \(energy\) is made anew each time|All rows of job are read/)
})

void t.test('postgres: a sort that goes to files', async t => {
  const { db } = await start(t, 'postgres', { slowMs: 0 }).then(({ app }) => app)
  await db.exec('INSERT INTO job SELECT i, repeat(\'x\', 500), -i, 1 FROM generate_series(1, 12000) i; ANALYZE job')
  t.match((await explain(db, 'SELECT * FROM job ORDER BY energy, state'))?.hints.join('\n'), /A sort by energy, state of about \d+ MB goes to files, since work_mem is \d+ MB/)
  t.match(await explain(db, 'SELECT $tandem_do$x$tandem_do$ AS a, $1::int AS b'), { hints: [] }, 'whatever quotes the text has')
})
