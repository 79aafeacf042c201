/** What is under way is seen, and stopped. */
import t from 'tap'
import type { ShownStatement, ShownTransaction } from '../../plugins/ops/statements.ts'
import { deferred, engines } from '../helper/db.ts'
import { endless, until } from '../helper/long.ts'
import { ask, startOps } from './helper.ts'

for (const engine of engines) {
  void t.test(`${engine}: a statement that runs is shown, and stopped`, async t => {
    const app = await startOps(t, engine)
    app.get('/slow/:what', async request => await app.db.prepare(`${endless} WHERE i <> ? AND 'secret' <> '42'`).get(Number((request.params as { what: string }).what)))
    const list = async (): Promise<ShownStatement[]> => (await ask(app, '/ops/statements')).json<{ statements: ShownStatement[] }>().statements
    const findOne = async (): Promise<ShownStatement> => {
      await until('it runs', async () => (await list()).some(({ place, sql }) => place !== 'queue' && sql !== 'BEGIN'))
      const [shown, ...others] = await list()
      if (shown === undefined || others.length > 0) throw new Error('there is one')
      return shown
    }
    t.strictSame(await list(), [])
    const slow = app.inject('/slow/4711')
    const shown = await findOne()
    t.match(shown, { fingerprint: /^[\da-f]{12}$/, route: '/slow/:what', method: 'GET', requestId: /^req-/, sql: /WHERE i <> \? AND \? <> \?$/ })
    t.ok(['reader', 'connection', 'lane'].includes(shown.place), shown.place)
    t.ok(shown.ageMs >= 0 && shown.deadlineMs !== null && shown.deadlineMs > 0 && shown.deadlineMs <= 60_000)
    t.notMatch(JSON.stringify(shown), /4711|secret|42'/, 'no value is shown')
    t.equal((await list())[0]?.id, shown.id, 'its id stays')
    t.equal((await ask(app, `/ops/statements/${shown.id}`, { method: 'DELETE' })).statusCode, 204)
    const answer = await slow
    t.match(answer.json(), { statusCode: 503, code: 'TDM_ERR_OPS_STOPPED' })
    await until('it has ended', async () => (await list()).length === 0)
    const again = await ask(app, `/ops/statements/${shown.id}`, { method: 'DELETE' })
    t.match(again.json(), { statusCode: 404, code: 'TDM_ERR_OPS_ENDED' })
    const next = app.inject('/slow/4711')
    const { id } = await findOne()
    t.not(id, shown.id, 'an id is never given again')
    await ask(app, `/ops/statements/${id}`, { method: 'DELETE' })
    t.equal((await next).statusCode, 503)
  })

  void t.test(`${engine}: a transaction that is open is shown, and rolled back`, async t => {
    const app = await startOps(t, engine)
    await app.db.exec('CREATE TABLE a (x INTEGER)')
    const list = async (): Promise<ShownTransaction[]> => (await ask(app, '/ops/transactions')).json<{ transactions: ShownTransaction[] }>().transactions
    const written = deferred()
    const { promise: hold, resolve: letGo } = deferred()
    app.post('/idle', async () => {
      await app.db.prepare('INSERT INTO a VALUES (?)').run(4711)
      written.resolve()
      await hold
      return await app.db.prepare('SELECT count(*) AS n FROM a').get()
    })
    t.strictSame(await list(), [])
    const idle = app.inject({ method: 'POST', url: '/idle' })
    await written.promise
    const [shown] = await list()
    t.match(shown, { sql: 'INSERT INTO a VALUES (?)', route: '/idle', method: 'POST', requestId: /^req-/, canStop: true })
    t.ok(shown !== undefined && shown.idleMs !== null && shown.ageMs >= shown.idleMs)
    t.equal((await ask(app, `/ops/transactions/${shown?.id}`, { method: 'DELETE' })).statusCode, 204)
    await until('it has ended', async () => (await list()).length === 0)
    letGo()
    t.match((await idle).json(), { statusCode: 503, code: 'TDM_ERR_TX_CLOSED' }, 'what it still asks is refused')
    t.match(await app.db.prepare('SELECT count(*) AS n FROM a').get(), { n: 0 }, 'nothing of it is left')
    t.equal((await ask(app, `/ops/transactions/${shown?.id}`, { method: 'DELETE' })).statusCode, 404)
    const begun = deferred()
    const job = t.rejects(app.db.tx(async tx => {
      await tx.prepare('INSERT INTO a VALUES (1)').run()
      begun.resolve()
      await new Promise(() => {})
    }), { code: 'TDM_ERR_OPS_STOPPED' })
    await begun.promise
    const [held] = await list()
    t.match(held, { route: undefined, requestId: undefined })
    await ask(app, `/ops/transactions/${held?.id}`, { method: 'DELETE' })
    await job
  })

  void t.test(`${engine}: what waits is shown, and need not wait any longer`, async t => {
    const app = await startOps(t, engine, { DB_POOL_MAX: '1' })
    await app.db.exec('CREATE TABLE a (x INTEGER)')
    const written = deferred()
    const { promise: hold, resolve: letGo } = deferred()
    const first = app.db.tx(async tx => { await tx.prepare('INSERT INTO a VALUES (1)').run(); written.resolve(); await hold })
    await written.promise
    const second = app.db.prepare('INSERT INTO a VALUES (2)').run()
    const stopped = t.rejects(second, { code: 'TDM_ERR_OPS_STOPPED' })
    const { statements } = (await ask(app, '/ops/statements')).json<{ statements: ShownStatement[] }>()
    const [waiting] = statements
    t.match(waiting, { place: 'queue', sql: 'INSERT INTO a VALUES (?)', route: undefined })
    await ask(app, `/ops/statements/${waiting?.id}`, { method: 'DELETE' })
    await stopped
    letGo()
    await first
  })
}
