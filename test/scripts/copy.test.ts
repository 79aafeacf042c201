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
import { collectLog, freshFolder, freshUrl, openUrl } from '../helper/db.ts'
import { withoutNotice } from '../helper/native.ts'
import { root } from '../helper/paths.ts'
import { startProxy } from '../helper/proxy.ts'

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

const requests = [
  '/api/jobs', '/api/jobs?items-per-page=500', '/api/jobs?state=running&cluster=alex', '/api/jobs?user=user00&project=Project0', `/api/jobs?start-time=${NOW - 864000}-${NOW}`,
  '/api/jobs/1', '/api/jobs/99', '/api/jobs/9999', '/api/jobs/count', '/api/jobs/count?state=failed', '/api/jobs/stats', '/api/jobs/stats?groupBy=user',
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
  const first = await makeSource(t, 100)
  const middle = await freshUrl(t, 'postgres')
  const last = await freshUrl(t, 'sqlite')
  const there = await run(first, middle)
  t.match(there, { code: 0, stdout: /^table +rows +checksum\n(?:\w+ +[\d,]+ +[0-9a-f]{16}\n)+\n[\d,]+ rows in \d+s, the same in both\n$/, stderr: '' }, there.stderr)
  t.match(there.stdout, /^job +100 +[0-9a-f]{16}$/m)
  const chosen = { DATABASE_URL: 'postgres://x@127.0.0.1:1/x', DB_DRIVER: 'postgres', DATABASE_REPLICA_URL: 'postgres://x@127.0.0.1:1/x', DB_MIGRATE: 'off' }
  const back = await start([middle, last], chosen).outcome // the variables that choose a database do not matter
  t.match(back, { code: 0, stderr: '' })
  t.equal(tableOf(back), tableOf(there), 'with the same checksums')

  const expected = await answers(t, first)
  t.equal(expected.filter(answer => answer.includes(' → 200 ')).length, requests.length - 2, 'there is something to answer')
  t.strictSame(await answers(t, middle), expected)
  t.strictSame(await answers(t, last), expected)

  const db = await openUrl(t, last)
  await db.exec('UPDATE job SET duration = duration + 1 WHERE id = 7')
  t.match(await run(middle, last, '--verify-only'), { code: 1, stdout: '', stderr: /^copy: .* in job \(100 rows in both, first seen at id = 7\)\. .*\(TDM_ERR_COPY_DIFFERS\)\n$/ })
  t.match(await run(middle, last), { code: 1, stdout: '', stderr: /^copy: The target has rows already, in .*job.*--force.* \(TDM_ERR_COPY_NOT_EMPTY\)\n$/ })
})

function tableOf ({ stdout }: Outcome): string | undefined {
  return stdout.split('\n\n')[0]
}

void t.test('a cc-backend\'s own database is copied table by table', async t => {
  const source = `sqlite:${writeSource(t, 50)}`
  const target = await freshUrl(t, 'postgres')
  t.match(await run(source, target), { code: 1, stdout: '', stderr: /^copy: .* no table schema_migrations\..*--tables.*\(TDM_ERR_COPY_SCHEMA\)\n$/ })
  t.match(await run(source, target, '--tables', 'hpc_user,job,tag,jobtag'), { code: 0, stdout: /^job +50 /m })
  t.match(await run(target, source, '--force'), { code: 1, stderr: /belong to another application\. \(TDM_ERR_COPY_SCHEMA\)\n$/ }, 'and is not written to')
})

const GO_ON = 'what was copied is kept, and the target is marked as incomplete. The same command goes on from there; with --restart it begins anew'

void t.test('killed, interrupted and cut off in the middle, it goes on; meanwhile no app starts on the target', async t => {
  const columns = Object.keys(makeJobs(1).jobs[0] ?? {}).slice(2).join(', ')
  // three steps of rows
  const copies = [1100, 2200].map(n => `INSERT INTO job (id, job_id, ${columns}) SELECT id + ${n}, job_id + ${n * 100}, ${columns} FROM job`)
  const source = `sqlite:${writeSource(t, 1100, copies)}`
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url, { records: false })
  const args = ['--tables', 'hpc_user,job,tag,jobtag']
  const db = await openUrl(t, url)
  const countJobs = async (): Promise<unknown> => (await db.prepare('SELECT count(*) AS n FROM job').get())?.n

  /** Ends a copy while it waits for a step of the jobs. */
  const endAt = async (step: number, end: (child: ChildProcess) => void): Promise<Outcome> => {
    let held = proxy.holdRequest('COPY "job"')
    const { child, outcome } = start([source, proxy.url, ...args])
    for (let i = 1; i < step; i++) {
      await held.seen
      const next = proxy.holdRequest('COPY "job"')
      held.letGo()
      held = next
    }
    await held.seen
    end(child)
    held.letGo()
    return await outcome
  }

  t.match(await endAt(2, child => child.kill('SIGKILL')), { code: null, stdout: '' })
  t.equal(await countJobs(), 2000)
  await t.rejects(answers(t, url), { code: 'TDM_ERR_COPY_INCOMPLETE' })
  t.match(await endAt(2, child => child.kill('SIGINT')), { code: 130, stdout: '', stderr: `copy: interrupted; ${GO_ON}\n` })
  t.equal(await countJobs(), 4000)
  const cut = await endAt(1, () => { proxy.cut() })
  t.match(cut, { code: 1, stdout: '', stderr: /^copy: .*\(TDM_ERR_(?:DB_CONNECTION|TX_LOST|TX_OUTCOME_UNKNOWN)\)$/m })
  t.ok(cut.stderr.endsWith(`copy: ${GO_ON}\n`), cut.stderr)
  t.match(await run(source, url, ...args), { code: 0, stdout: /^job +4,400 /m })
  t.strictSame(await answers(t, url), await answers(t, source))
})

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
    [good, 'postgres://app:s3cret/x@db/app', /DATABASE_URL.*\n.*not shown|DATABASE_URL/]
  ]
  const outcomes = await Promise.all(cases.map(async ([from, to]) => await run(from, to)))
  for (const [i, { code, stdout, stderr }] of outcomes.entries()) {
    t.match({ code, stdout }, { code: 1, stdout: '' }, stderr)
    t.match(stderr, cases[i]?.[2])
    t.notMatch(stderr, 's3cret')
  }
  t.strictSame(readdirSync(folder), [])
})

void t.test('it explains itself', async t => {
  t.match(await run('--help'), { code: 0, stdout: /^Usage: npm run copy/, stderr: '' })
  const wrong: Array<[args: string[], stderr: RegExp]> = [[['sqlite:a.db'], /expected two databases, got 1[^]*Usage:/], [['sqlite:a.db', 'sqlite:b.db', '--verify-only', '--force'], /--verify-only copies nothing/]]
  for (const [args, stderr] of wrong) t.match(await run(...args), { code: 1, stderr })
})
