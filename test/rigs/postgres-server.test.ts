/** The throw-away PostgreSQL of the tests: it restarts, crashes, stops answering, and is gone with whoever started it. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t, { type Test } from 'tap'
import { until } from '../helper/long.ts'
import { root } from '../helper/paths.ts'
import { ask } from '../helper/pg.ts'
import { skip, startPostgres, type PostgresServer } from '../helper/postgres-server.ts'
import { start } from '../rules/run.ts'

/** A client that is told of no end by an exception. */
async function connect (t: Test, connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => {})
  await client.connect()
  t.teardown(async () => { await client.end() })
  return client
}

async function startWithTable (t: Test): Promise<PostgresServer> {
  const server = await startPostgres(t)
  await ask(server.url, 'CREATE TABLE a (id BIGINT PRIMARY KEY)')
  return server
}

t.test('what was committed is there after each kind of restart, and the clients are told as real servers tell them', { skip }, async t => {
  const server = await startWithTable(t)
  const cases = [['fast', '57P01', 0], ['immediate', undefined, 1], ['kill', undefined, 0]] as const
  for (const [id, [how, code, notices]] of cases.entries()) {
    const client = await connect(t, server.url)
    let noticed = 0
    client.on('notice', ({ code }) => { noticed += code === '57P01' ? 1 : 0 })
    const sleeping = client.query('SELECT pg_sleep(60)').then(() => 'resolved', (error: unknown) => error)
    await until('it sleeps', async () => (await ask(server.url, "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'")).length === 1)
    await ask(server.url, `INSERT INTO a (id) VALUES (${id})`)
    await server.restart(how)
    const error = await sleeping as { code?: string }
    t.ok(error instanceof Error)
    t.strictSame([error.code, noticed], [code, notices], how)
    t.equal((await ask(server.url, 'SELECT id FROM a')).length, id + 1, how)
  }
})

t.test('it stops where it is, and goes on', { skip }, async t => {
  const server = await startWithTable(t)
  const client = await connect(t, server.url)
  await server.pause()
  let isAnswered = false
  const answer = client.query('SELECT 1').then(() => { isAnswered = true })
  const another = new pg.Client({ connectionString: server.url, connectionTimeoutMillis: 150 })
  await t.rejects(another.connect(), /timeout/)
  t.notOk(isAnswered)
  await server.resume()
  await answer
})

t.test('settings, lines of pg_hba.conf and the Unix socket are what was asked for; several run at the same time', { skip }, async t => {
  const hba = ['local all test trust', 'host all nobody_has_this_name all reject']
  const [one, two] = await Promise.all([startPostgres(t, { settings: { max_connections: 17 }, hba }), startPostgres(t)])
  t.strictSame(await ask(one.url, 'SHOW max_connections'), [{ max_connections: '17' }])
  t.strictSame(await ask(one.socketUrl.replace('test:test', 'test'), 'SELECT inet_client_addr() AS address'), [{ address: null }], 'by the socket, without a password')
  await t.rejects(ask(two.socketUrl.replace('test:test', 'test:wrong'), 'SELECT 1'), { code: '28P01' })
  await one.restart('fast', { max_connections: 18 })
  t.strictSame(await ask(one.url, 'SHOW max_connections'), [{ max_connections: '18' }])
  t.notSame(one.port, two.port)
})

t.test('while it is down nobody listens, and what keeps it from starting is told', { skip }, async t => {
  const server = await startPostgres(t)
  await server.down('fast')
  await t.rejects(ask(server.url, 'SELECT 1'), { code: 'ECONNREFUSED' })
  await t.rejects(server.restart('fast', { shared_buffers: 'nonsense' }), /invalid value for parameter "shared_buffers"/)
})

const owner = `
  import { PostgresServer } from './test/helper/postgres-server.ts'
  const server = await PostgresServer.start()
  console.log(JSON.stringify([server.port, server.socketFolder]))
  process.stdin.once('data', async () => { await server.pause(); console.log('paused') })`

for (const [how, end] of [['Ctrl-C', 'SIGINT'], ['SIGKILL while the server is stopped', 'SIGKILL']] as const) {
  t.test(`a server whose process ends by ${how} ends, and its folder is gone`, { skip }, async t => {
    const child = start(process.execPath, ['--input-type=module-typescript', '-e', owner], { cwd: fileURLToPath(root), stdio: ['pipe', 'pipe', 'pipe'] })
    t.teardown(() => { child.kill('SIGKILL') })
    const lines = child.stdout.setEncoding('utf8')[Symbol.asyncIterator]() as AsyncIterator<string>
    const [port, folder] = JSON.parse((await lines.next()).value as string) as [number, string]
    if (how.endsWith('stopped')) {
      child.stdin?.write('x')
      await lines.next()
    }
    t.ok(existsSync(folder))
    child.kill(end)
    await until('the folder is gone', () => !existsSync(folder), 20_000)
    await t.rejects(ask(`postgres://test:test@127.0.0.1:${port}/postgres`, 'SELECT 1'), { code: 'ECONNREFUSED' })
  })
}
