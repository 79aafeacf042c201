/** The db plugin in a Fastify app. */
import { writeFileSync, mkdirSync } from 'node:fs'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import config from '../../plugins/config/index.ts'
import db, { type MigrationSet } from '../../plugins/db/index.ts'
import { startPlugins } from '../helper/app.ts'
import { deferred, engines, freshFolder, freshUrl } from '../helper/db.ts'

/** Without keep-alive, which would hold up the end of the server. */
async function get (address: string): Promise<unknown> {
  const [answer] = await once(request(address, { agent: false }).end(), 'response') as [IncomingMessage]
  return await json(answer)
}

function migrationSet (t: Test, sql: string): MigrationSet {
  const folder = freshFolder(t)
  for (const engine of engines) {
    mkdirSync(join(folder, engine))
    writeFileSync(join(folder, engine, '001.do.first.sql'), sql)
  }
  return { name: 'plugin', directory: pathToFileURL(`${folder}/`) }
}

for (const engine of engines) {
  void t.test(`${engine}: app.db answers, after its migrations`, async t => {
    const app = await startPlugins(t, engine, { migrations: [migrationSet(t, 'CREATE TABLE a (id BIGINT); INSERT INTO a (id) VALUES (7);')] })
    t.equal(app.db.engine, engine)
    app.get('/', async () => await app.db.prepare('SELECT id FROM a').all())
    t.strictSame((await app.inject('/')).json(), [{ id: 7 }])
  })

  void t.test(`${engine}: a migration that fails ends the start and leaves nothing open`, async t => {
    const app = Fastify()
    await app.register(config, { env: { DATABASE_URL: await freshUrl(t, engine) } })
    await t.rejects(async () => { await app.register(db, { migrations: [migrationSet(t, 'CREATE TABLE a (id BIGINT); SELEKT 1;')] }) }, { code: 'TDM_ERR_MIGRATE_FAILED' })
    // freshUrl drops the database afterwards, and fails if a connection to it is left
  })

  void t.test(`${engine}: 170: closing the app lets a request that is under way finish`, async t => {
    const app = await startPlugins(t, engine)
    await app.db.exec('CREATE TABLE a (id BIGINT)')
    const entered = deferred()
    const { promise: hold, resolve: letGo } = deferred()
    app.get('/', async () => await app.db.tx(async tx => {
      await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
      entered.resolve()
      await hold
      return await tx.prepare('SELECT count(*) AS n FROM a').get()
    }))
    const address = await app.listen({ port: 0, host: '127.0.0.1' })
    const answer = get(address)
    await entered.promise
    const closing = app.close()
    letGo()
    t.strictSame(await answer, { n: 1 })
    await closing
    await t.rejects(app.db.prepare('SELECT 1 AS one').get(), { code: 'TDM_ERR_DB_CLOSED' })
  })
}

void t.test('app.pg is there on PostgreSQL, and only there', async t => {
  const app = await startPlugins(t, 'postgres')
  t.strictSame((await app.pg.query('SELECT 1 AS one')).rows, [{ one: 1 }])
  const other = await startPlugins(t, 'sqlite')
  t.equal(other.hasDecorator('pg'), false)
})

void t.test('the plugin says what it needs', async t => {
  const app = Fastify()
  await t.rejects(async () => { await app.register(db) }, { code: 'FST_ERR_PLUGIN_DEPENDENCY_NOT_REGISTERED' as never })
})
