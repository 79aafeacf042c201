// `npm run jobs:import` as a process: what it prints, what it answers to the shell, and Ctrl-C.
import t, { type Test } from 'tap'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { makeJobs, writeJobDb } from '../../data/jobs.ts'
import { engines, freshUrl, openUrl } from '../../helper/db.ts'
import { until } from '../../helper/long.ts'
import { withoutNotice } from '../../helper/native.ts'
import { root } from '../../helper/paths.ts'
import { start as startProgram, startCounted } from '../../rules/run.ts'

const script = fileURLToPath(new URL('scripts/jobs-import.ts', root))

interface Outcome { code: number | null, stdout: string, stderr: string }

/** `isCounted`: with coverage, which takes it three times as long. */
function start (t: Test, args: string[], env: Record<string, string>, isCounted = false) {
  const child = (isCounted ? startCounted : startProgram)(process.execPath, [script, ...args], { cwd: t.testdirName, env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const outcome = async (): Promise<Outcome> => {
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number | null]>])
    return { code, stdout, stderr: withoutNotice(stderr) }
  }
  return { child, outcome: outcome() }
}

for (const engine of engines) {
  void t.test(`it copies a job.db into the configured database, on ${engine}`, async t => {
    const source = join(t.testdir({}), 'source.db')
    writeJobDb(source, makeJobs(700))
    const url = await freshUrl(t, engine)

    const first = await start(t, [source], { DATABASE_URL: url }, true).outcome
    t.match(first, { code: 0, stdout: /^job {2,}700 {2,}0 {2,}0$/m, stderr: '' }, first.stderr)
    t.match(first.stdout, /rows in \d+s, [\d,]+ rows\/s\n$/)
    t.equal((await start(t, [source], { DATABASE_URL: url }).outcome).code, 0, 'and again')
    const db = await openUrl(t, url)
    t.equal((await db.prepare('SELECT COUNT(*) AS count FROM job').get())?.count, 700)
  })

  void t.test(`Ctrl-C imports nothing, on ${engine}`, async t => {
    const path = join(t.testdir({}), 'source.db')
    // enough that the import takes seconds
    const columns = Object.keys(makeJobs(1).jobs[0] ?? {}).slice(2).join(', ')
    const copies = [5000, 10_000, 20_000, 40_000].map(n => `INSERT INTO job (id, job_id, ${columns}) SELECT id + ${n}, job_id + ${n * 100}, ${columns} FROM job`)
    writeJobDb(path, makeJobs(5000), { statements: copies })
    const url = await freshUrl(t, engine)
    const { child, outcome } = start(t, [path], { DATABASE_URL: url })
    const db = await openUrl(t, url)
    const isMigrated = async (): Promise<boolean> => await db.prepare('SELECT COUNT(*) AS count FROM job').get().then(() => true, () => false)
    await until('the tables are there', isMigrated, 60_000)
    child.kill('SIGINT')
    t.match(await outcome, { code: 130, stdout: '', stderr: 'jobs:import: interrupted; nothing was imported\n' })
    t.equal((await db.prepare('SELECT COUNT(*) AS count FROM job').get())?.count, 0)
  })
}

void t.test('a source or a configuration that cannot be used is one line and exit code 1', async t => {
  const folder = t.testdir({ 'text.db': 'this is not a database' })
  const env = { DATABASE_URL: `sqlite:${join(folder, 'app.db')}` }
  writeJobDb(join(folder, 'new.db'), makeJobs(1), { version: 12 })
  for (const [name, reason] of [['none.db', /no such file/], ['text.db', /not an SQLite database/], ['new.db', /version 12/]] as const) {
    const { code, stdout, stderr } = await start(t, [join(folder, name)], env, name === 'none.db').outcome
    t.equal(code, 1, name)
    t.equal(stdout, '')
    t.match(stderr, reason)
    t.match(stderr, /^jobs:import: .*\(TDM_ERR_JOBS_IMPORT\)\n$/)
  }
  t.match(await start(t, ['x.db'], { DATABASE_URL: 'mysql://x' }).outcome, { code: 1, stderr: /DATABASE_URL/ })
})

void t.test('it explains itself', async t => {
  t.testdir({})
  t.match(await start(t, ['--help'], {}).outcome, { code: 0, stdout: /^Usage: npm run jobs:import/, stderr: '' })
  t.match(await start(t, [], {}).outcome, { code: 1, stderr: /Usage:/ })
  t.match(await start(t, ['a', 'b'], {}).outcome, { code: 1, stderr: /Usage:/ })
  t.match(await start(t, ['--nonsense'], {}).outcome, { code: 1, stderr: /--nonsense/ })
})
