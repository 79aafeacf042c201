/** `npm run copy` as a process, between the databases of the app: what it prints, what it answers to the shell, and that the app answers alike on both. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import config from '../../plugins/config/index.ts'
import database from '../../plugins/db/index.ts'
import { migrate } from '../../plugins/db/migrate.ts'
import { importJobs } from '../../services/jobs/import.ts'
import jobs from '../../services/jobs/index.ts'
import { migrations } from '../../services/migrations.ts'
import { makeJobs, NOW, writeJobDb } from '../data/jobs.ts'
import { collectLog, engines, freshFolder, freshUrl, openUrl } from '../helper/db.ts'
import { withoutNotice } from '../helper/native.ts'
import { root } from '../helper/paths.ts'

const script = fileURLToPath(new URL('scripts/copy.ts', root))

interface Outcome { code: number | null, stdout: string, stderr: string }

function start (args: string[], env: Record<string, string> = {}): { child: ChildProcess, outcome: Promise<Outcome> } {
  const child = spawn(process.execPath, [script, ...args], { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const outcome = async (): Promise<Outcome> => {
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number | null]>])
    return { code, stdout, stderr: withoutNotice(stderr) }
  }
  return { child, outcome: outcome() }
}

const run = async (...args: string[]): Promise<Outcome> => await start(args).outcome

/** A job.db of a cc-backend, larger by `statements`. */
function writeSource (t: Test, jobs: number, statements: string[] = []): string {
  const path = join(freshFolder(t), 'job.db')
  writeJobDb(path, makeJobs(jobs, 3), { statements })
  return path
}

/** A database of this app with jobs in it. */
async function makeSource (t: Test, jobs: number): Promise<string> {
  const url = await freshUrl(t, 'sqlite')
  const db = await openUrl(t, url)
  await migrate(db, migrations, { mode: 'on', log: collectLog() })
  await importJobs(db, writeSource(t, jobs))
  await db.close()
  return url
}

async function countJobs (t: Test, url: string): Promise<unknown> {
  const db = await openUrl(t, url)
  const row = await db.prepare('SELECT count(*) AS n FROM job').get()
  await db.close()
  return row?.n
}

const requests = [
  '/api/jobs', '/api/jobs?items-per-page=500', '/api/jobs?state=running&cluster=alex', '/api/jobs?user=user00&project=Project0', `/api/jobs?start-time=${NOW - 864000}-${NOW}`,
  '/api/jobs/1', '/api/jobs/299', '/api/jobs/9999', '/api/jobs/count', '/api/jobs/count?state=failed', '/api/jobs/stats', '/api/jobs/stats?groupBy=user',
  '/api/jobs/stats?groupBy=cluster', '/api/jobs?nonsense=1'
]

/** What the service answers on this database, as a text for each request. */
async function answers (t: Test, url: string): Promise<string[]> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: url } })
  await app.register(database)
  await app.register(jobs, { now: () => NOW })
  const texts: string[] = []
  for (const request of requests) {
    const { statusCode, body } = await app.inject({ url: request })
    texts.push(`${request} → ${statusCode} ${body}`)
  }
  return texts
}

void t.test('the jobs service answers alike on SQLite, on the PostgreSQL that it was copied to, and back on SQLite', async t => {
  const first = await makeSource(t, 300)
  const middle = await freshUrl(t, 'postgres')
  const last = await freshUrl(t, 'sqlite')
  const there = await run(first, middle)
  t.match(there, { code: 0, stdout: /^table +rows\n(?:\w+ +[\d,]+\n)+\n[\d,]+ rows in \d+s, [\d,]+ rows\/s\n$/, stderr: '' }, there.stderr)
  t.match(there.stdout, /^job +300$/m)
  t.match(there.stdout, /^jobtag +\d+$/m)
  const back = await run(middle, last)
  t.match(back, { code: 0, stderr: '' })

  const expected = await answers(t, first)
  t.equal(expected.filter(answer => answer.includes(' → 200 ')).length, requests.length - 2, 'there is something to answer')
  t.strictSame(await answers(t, middle), expected)
  t.strictSame(await answers(t, last), expected)
})

void t.test('a cc-backend\'s own database is copied table by table', async t => {
  const source = `sqlite:${writeSource(t, 50)}`
  const target = await freshUrl(t, 'postgres')
  t.match(await run(source, target), { code: 1, stdout: '', stderr: /^copy: .* no table schema_migrations\..*--tables.*\(TDM_ERR_COPY_SCHEMA\)\n$/ })
  t.equal(await countJobs(t, target), 0)
  t.match(await run(source, target, '--tables', 'hpc_user,job,tag,jobtag'), { code: 0, stdout: /^job +50$/m })
  t.strictSame(await answers(t, target), await answers(t, source))
  t.match(await run(await makeSource(t, 5), source, '--force'), { code: 1, stderr: /belong to another application\. \(TDM_ERR_COPY_SCHEMA\)\n$/ }, 'and is not written to')
  t.equal(await countJobs(t, source), 50)
})

for (const engine of engines) {
  void t.test(`rows that are there stay, or make way with --force, on ${engine}`, async t => {
    const [few, many, target] = [await makeSource(t, 20), await makeSource(t, 40), await freshUrl(t, engine)]
    t.equal((await run(many, target)).code, 0)
    t.match(await run(few, target), { code: 1, stdout: '', stderr: /^copy: The target has rows already, in .*job.*--force.* \(TDM_ERR_COPY_NOT_EMPTY\)\n$/ })
    t.equal(await countJobs(t, target), 40)
    t.equal((await run(few, target, '--force')).code, 0)
    t.equal(await countJobs(t, target), 20)
  })

  void t.test(`Ctrl-C copies nothing, on ${engine}`, async t => {
    const columns = Object.keys(makeJobs(1).jobs[0] ?? {}).slice(2).join(', ')
    // enough that it takes seconds
    const copies = [5000, 10_000, 20_000, 40_000].map(n => `INSERT INTO job (id, job_id, ${columns}) SELECT id + ${n}, job_id + ${n * 100}, ${columns} FROM job`)
    const source = `sqlite:${writeSource(t, 5000, copies)}`
    const url = await freshUrl(t, engine)
    const { child, outcome } = start([source, url, '--tables', 'hpc_user,job,tag,jobtag'])
    const db = await openUrl(t, url)
    const isMigrated = async (): Promise<boolean> => await db.prepare('SELECT COUNT(*) AS count FROM job').get().then(() => true, () => false)
    while (!await isMigrated()) await new Promise(resolve => { setImmediate(resolve) })
    child.kill('SIGINT')
    t.match(await outcome, { code: 130, stdout: '', stderr: 'copy: interrupted; nothing was copied\n' })
    t.equal((await db.prepare('SELECT COUNT(*) AS count FROM job').get())?.count, 0)
  })
}

void t.test('a source that lacks migrations is refused, since its rows would miss what they do', async t => {
  const url = await freshUrl(t, 'sqlite')
  const db = await openUrl(t, url)
  await db.exec('CREATE TABLE job (id BIGINT)')
  const target = await freshUrl(t, 'sqlite')
  t.match(await run(url, target), { code: 1, stdout: '', stderr: /^copy: .* the source lacks jobs\/001\.do\.create-jobs\.sql, jobs\/002\.do\.create-api-tokens\.sql, .*\(TDM_ERR_COPY_SCHEMA\)\n$/ })
  t.strictSame(await db.prepare('SELECT name FROM sqlite_schema').all(), [{ name: 'job' }], 'and is not changed')
})

void t.test('what cannot be opened is one line and exit code 1; no password is shown, no source is made', async t => {
  const folder = freshFolder(t)
  const good = await makeSource(t, 1)
  const cases: Array<[from: string, to: string, reason: RegExp]> = [
    [`sqlite:${folder}/none.db`, good, /none\.db .*no such file.* \(TDM_ERR_DB_OPEN\)/],
    [good, 'postgres://app:s3cret@127.0.0.1:1/app', /app:\*\*\*@127\.0\.0\.1.* \(TDM_ERR_DB_OPEN\)/],
    [good, 'postgres://app:s3cret/x@db/app', /DATABASE_URL.*\n.*not shown|DATABASE_URL/],
    ['mysql://app:s3cret@db/app', good, /DATABASE_URL/],
    [good, good, /\(TDM_ERR_COPY_SAME\)/]
  ]
  for (const [from, to, reason] of cases) {
    const { code, stdout, stderr } = await run(from, to)
    t.match({ code, stdout }, { code: 1, stdout: '' }, stderr)
    t.match(stderr, reason)
    t.notMatch(stderr, 's3cret')
  }
  t.strictSame(readdirSync(folder), [])
})

void t.test('the variables that choose a database do not matter, the others hold', async t => {
  const [from, to] = [await makeSource(t, 5), await freshUrl(t, 'sqlite')]
  const chosen = { DATABASE_URL: 'postgres://x@127.0.0.1:1/x', DB_DRIVER: 'postgres', DATABASE_REPLICA_URL: 'postgres://x@127.0.0.1:1/x', DB_MIGRATE: 'off' }
  t.match(await start([from, to], chosen).outcome, { code: 0, stderr: '' })
  t.match(await start([from, to, '--force'], { DB_POOL_MAX: 'ten' }).outcome, { code: 1, stderr: /DB_POOL_MAX=ten/ })
})

void t.test('it explains itself', async t => {
  t.match(await run('--help'), { code: 0, stdout: /^Usage: npm run copy/, stderr: '' })
  t.match(await run('sqlite:a.db'), { code: 1, stderr: /expected two databases, got 1[^]*Usage:/ })
  t.match(await run('sqlite:a.db', 'sqlite:b.db', 'sqlite:c.db'), { code: 1, stderr: /Usage:/ })
  t.match(await run('--nonsense'), { code: 1, stderr: /--nonsense/ })
})
