// `npm run jobs:generate` and `npm run jobs:index` as processes: what they print, what they answer to the shell, and Ctrl-C.
import t, { type Test } from 'tap'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { findIndices } from '../../../services/jobs/bulk.ts'
import { indexSets } from '../../../services/jobs/indices.ts'
import { makeJobs, writeJobDb } from '../../data/jobs.ts'
import { engines, freshFolder, freshUrl, openUrl } from '../../helper/db.ts'
import { until } from '../../helper/long.ts'
import { withoutNotice } from '../../helper/native.ts'
import { root } from '../../helper/paths.ts'
import { start as startProgram, startCounted } from '../../rules/run.ts'

interface Outcome { code: number | null, stdout: string, stderr: string }

/** `isCounted`: with coverage, which takes it three times as long. */
function start (t: Test, name: string, args: string[], env: Record<string, string>, isCounted = false) {
  const script = fileURLToPath(new URL(`scripts/${name}.ts`, root))
  const child = (isCounted ? startCounted : startProgram)(process.execPath, [script, ...args], { cwd: freshFolder(t), env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const outcome = async (): Promise<Outcome> => {
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number | null]>])
    return { code, stdout, stderr: withoutNotice(stderr) }
  }
  return { child, outcome: outcome() }
}

for (const engine of engines) {
  void t.test(`it fills the configured database, and no other, on ${engine}`, async t => {
    const url = await freshUrl(t, engine)
    const args = ['--rows', '2,000', '--meta', 'small', '--bad-rows']
    const { code, stdout, stderr } = await start(t, 'jobs-generate', args, { DATABASE_URL: url }, true).outcome
    t.equal(code, 0, stderr)
    t.match(stdout, new RegExp(`^2,000 rows in \\d+s, [\\d,]+ rows/s\\n${indexSets.ours.length} indices in \\d+s\\ntogether \\d+s, [\\d,]+ rows/s\\n$`))
    t.match(stderr, /^2,000 jobs will take some \d MB\n$/)
    const db = await openUrl(t, url)
    t.equal((await db.prepare('SELECT COUNT(*) AS count FROM job').get())?.count, 2000)
    t.match(await start(t, 'jobs-generate', args, { DATABASE_URL: url }, true).outcome, { code: 1, stdout: '', stderr: /rows in job already.*\(TDM_ERR_JOBS_GENERATE\)\n$/ })
  })

  void t.test(`Ctrl-C says what is there, and the same command goes on, on ${engine}`, async t => {
    const url = await freshUrl(t, engine)
    const args = ['--rows', '80000', '--meta', 'small']
    const { child, outcome } = start(t, 'jobs-generate', args, { DATABASE_URL: url })
    const db = await openUrl(t, url)
    const count = async (): Promise<number> => await db.prepare('SELECT done FROM job_generation').get().then(row => Number(row?.done ?? 0), () => 0)
    await until('the first rows are there', async () => await count() > 0, 60_000)
    child.kill('SIGINT')
    const { code, stderr } = await outcome
    t.equal(code, 130)
    t.match(stderr, /jobs:generate: interrupted; (?:50,000|80,000) rows are there, and the same command goes on from there\n$/)
    const { code: again, stdout } = await start(t, 'jobs-generate', args, { DATABASE_URL: url }).outcome
    t.equal(again, 0)
    t.match(stdout, /^(?:30,000|0) rows in/)
    t.equal((await db.prepare('SELECT COUNT(*) AS count FROM job').get())?.count, 80_000)
  })
}

void t.test('indices are added to a foreign database and taken away again', async t => {
  const path = join(freshFolder(t), 'job.db')
  const drop = indexSets.ours.map(({ name }) => `DROP INDEX ${name}`)
  writeJobDb(path, makeJobs(300), { statements: [...drop, 'CREATE UNIQUE INDEX their_key ON job (job_id, cluster, start_time)', 'CREATE INDEX jobs_starttime ON job (start_time)'] })
  const env = { DATABASE_URL: `sqlite:${path}` }
  const db = await openUrl(t, env.DATABASE_URL)
  const names = async (): Promise<string[]> => (await findIndices(db, 'sqlite', 'job')).map(({ name }) => name)
  const many = indexSets.ours.length - 1

  const dry = await start(t, 'jobs-index', ['--dry-run'], env).outcome
  t.equal(dry.code, 0, dry.stderr)
  t.equal(dry.stdout.match(/^CREATE INDEX job_/gm)?.length, many)
  t.strictSame(await names(), ['their_key', 'jobs_starttime'], 'nothing was done')

  t.match(await start(t, 'jobs-index', [], env, true).outcome, { code: 0, stdout: new RegExp(`^${many} indices added in \\d+s\\n$`) })
  t.equal((await names()).length, many + 2)
  t.match(await start(t, 'jobs-index', [], env).outcome, { code: 0, stdout: /^0 indices added/ }, 'and again')
  t.match(await start(t, 'jobs-index', ['--drop'], env).outcome, { code: 0, stdout: new RegExp(`^${many} indices taken away`) })
  t.strictSame(await names(), ['their_key', 'jobs_starttime'])
  t.match(await start(t, 'jobs-index', [], { DATABASE_URL: `sqlite:${path}?mode=ro` }).outcome, { code: 1, stderr: /^jobs:index: .*read/ })
})

void t.test('they explain themselves, and say what is wrong with an option', async t => {
  t.match(await start(t, 'jobs-generate', ['--help'], {}).outcome, { code: 0, stdout: /^Usage: npm run jobs:generate/, stderr: '' })
  t.match(await start(t, 'jobs-index', ['--help'], {}).outcome, { code: 0, stdout: /^Usage: npm run jobs:index/, stderr: '' })
  for (const args of [['--rows', 'many'], ['--profile', '3M'], ['--meta', 'huge'], ['--indices', 'none'], ['--until', 'soon'], ['--seed', '-1'], ['--nonsense']]) {
    t.match(await start(t, 'jobs-generate', args, {}).outcome, { code: 1, stdout: '', stderr: new RegExp(`^jobs:generate: .*${args[0]}`) }, args.join(' '))
  }
})
