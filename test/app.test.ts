/** The application as its users start it: fastify-cli, a port, signals. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { startApp } from './helper/app.ts'
import { engines, freshFolder, freshUrl } from './helper/db.ts'
import { start as startProgram } from './rules/run.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const cli = join(root, 'node_modules', 'fastify-cli', 'cli.js')

interface Running { child: ChildProcess, address: string, ended: Promise<{ code: number | null, stdout: string, stderr: string }> }

/** `fastify start` in `cwd`, on a free port. */
function run (t: Test, cwd: string, env: Record<string, string>): Omit<Running, 'address'> {
  const args = [cli, 'start', '-c', join(root, 'fastify.json'), '-p', '0', join(root, 'app.ts')]
  const { DATABASE_URL: _, ...inherited } = process.env
  const child = startProgram(process.execPath, args, { cwd, env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const ended = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)])
    .then(([[code], stdout, stderr]) => ({ code: code as number | null, stdout, stderr }))
  return { child, ended }
}

async function start (t: Test, cwd: string, env: Record<string, string> = {}): Promise<Running> {
  const running = run(t, cwd, env)
  const address = await new Promise<string>((resolve, reject) => {
    let output = ''
    running.child.stdout?.on('data', chunk => {
      output += String(chunk)
      const listening = /listening at (http:\/\/127\.0\.0\.1:\d+)/.exec(output)
      if (listening?.[1] !== undefined) resolve(listening[1])
    })
    running.ended.then(({ stderr }) => { reject(new Error(`it ended: ${stderr}`)) }, reject)
  })
  return { ...running, address }
}

void t.test('with nothing configured it serves from data/app.db, and SIGTERM ends it cleanly', async t => {
  const folder = freshFolder(t)
  const { child, address, ended } = await start(t, folder)
  t.strictSame(await (await fetch(`${address}/api/jobs/count`)).json(), { count: 0 })
  t.ok(existsSync(join(folder, 'data', 'app.db')))
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  t.equal(code, 0)
  t.equal(stderr, '')
  t.notOk(existsSync(join(folder, 'data', 'app.db-wal')), 'the database was closed')
})

void t.test('.env is read, the environment wins', async t => {
  const folder = freshFolder(t)
  writeFileSync(join(folder, '.env'), `DATABASE_URL=sqlite:${join(folder, 'from-file.db')}\nSQLITE_READERS=3\n`)
  const first = await start(t, folder)
  first.child.kill('SIGTERM')
  await first.ended
  t.ok(existsSync(join(folder, 'from-file.db')))
  const second = await start(t, folder, { DATABASE_URL: `sqlite:${join(folder, 'from-environment.db')}` })
  second.child.kill('SIGTERM')
  await second.ended
  t.ok(existsSync(join(folder, 'from-environment.db')))
})

void t.test('what keeps it from starting is told in one line, with exit code 1', async t => {
  const folder = freshFolder(t)
  writeFileSync(join(folder, 'text.db'), 'not a database, but long enough to look like one. '.repeat(50))
  const newer = new Sqlite(join(folder, 'newer.db'))
  newer.exec('CREATE TABLE schema_migrations (version uint64, dirty bool); INSERT INTO schema_migrations VALUES (12, 0); CREATE TABLE job (id INTEGER PRIMARY KEY)')
  newer.close()
  const cases: Array<[Record<string, string>, RegExp]> = [
    [{ DATABASE_URL: `sqlite:${join(folder, 'text.db')}` }, /^TDM_ERR_DB_OPEN: .*not an SQLite database.*\n$/],
    [{ DATABASE_URL: 'postgres://app:geheim@127.0.0.1:1/app' }, /^TDM_ERR_DB_OPEN: The database postgres:\/\/app:\*\*\*@127\.0\.0\.1:1\/app cannot be opened: nothing listens there\..*\n$/],
    [{ DATABASE_URL: `sqlite:${join(folder, 'new.db')}`, DB_MIGRATE: 'off' }, /^TDM_ERR_MIGRATE_MISSING: .*npm run migrate.*\n$/],
    [{ DATABASE_URL: `sqlite:${join(folder, 'newer.db')}` }, /^TDM_ERR_JOBS_SCHEMA: .*version 12.*\n$/],
    [{ DB_POOLMAX: '3', SQLITE_CACHE_SIZE: '1000000000' }, /^TDM_ERR_CONFIG_INVALID: [^\n]*\n {2}- SQLITE_CACHE_SIZE=[^\n]*\n {2}- DB_POOLMAX: [^\n]*\n$/]
  ]
  for (const [env, expected] of cases) {
    const { code, stderr } = await run(t, folder, env).ended
    t.equal(code, 1)
    t.match(stderr, expected)
    t.notMatch(stderr, /geheim/)
  }
  t.notOk(existsSync(join(folder, 'data')), 'and nothing was made')
})

for (const engine of engines) {
  void t.test(`${engine}: errors have one form, and what went wrong inside stays inside`, async t => {
    const app = await startApp(t, { DATABASE_URL: await freshUrl(t, engine) })
    const notFound = await app.inject('/nowhere')
    t.equal(notFound.statusCode, 404)
    t.match(notFound.json(), { statusCode: 404, code: 'FST_ERR_NOT_FOUND', error: 'Not Found', message: String })
    const bad = await app.inject('/api/jobs?limit=0')
    t.equal(bad.statusCode, 400)
    t.match(bad.json(), { statusCode: 400, code: 'FST_ERR_VALIDATION', pointer: '/querystring/limit' })
    await app.db.exec('DROP TABLE jobtag; DROP TABLE job')
    const broken = await app.inject('/api/jobs')
    t.equal(broken.statusCode, 500)
    t.strictSame(broken.json(), {
      statusCode: 500, code: 'TDM_ERR_DB_SYNTAX', error: 'Internal Server Error', message: 'The request could not be answered. The log of the server says why.'
    })
    const stream = await app.inject({ url: '/api/jobs', headers: { accept: 'application/x-ndjson' } })
    t.equal(stream.statusCode, 500)
    t.match(stream.headers['content-type'], /^application\/json/, 'also where a stream was to come')
  })
}
