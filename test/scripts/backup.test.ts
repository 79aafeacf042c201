/** `npm run backup` as a process: what it prints, what it answers to the shell, and what is there afterwards. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import t from 'tap'
import { freshFolder, openUrl } from '../helper/db.ts'
import { withoutNotice } from '../helper/native.ts'
import { root } from '../helper/paths.ts'
import { start as startProgram, startCounted } from '../rules/run.ts'

const script = fileURLToPath(new URL('scripts/backup.ts', root))

interface Outcome { code: number | null, stdout: string, stderr: string }

/** `isCounted`: with coverage, which takes it three times as long. */
function start (cwd: string, args: string[], env: Record<string, string> = {}, isCounted = false): { child: ChildProcess, outcome: Promise<Outcome> } {
  const child = (isCounted ? startCounted : startProgram)(process.execPath, [script, ...args], { cwd, env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const outcome = async (): Promise<Outcome> => {
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number | null]>])
    return { code, stdout, stderr: withoutNotice(stderr) }
  }
  return { child, outcome: outcome() }
}

const run = async (cwd: string, args: string[], env?: Record<string, string>, isCounted?: boolean): Promise<Outcome> => await start(cwd, args, env, isCounted).outcome

void t.test('it copies the configured database, which is in use, into one file', async t => {
  const folder = freshFolder(t)
  const env = { DATABASE_URL: 'sqlite:app.db' }
  const db = await openUrl(t, `sqlite:${join(folder, 'app.db')}`)
  await db.exec('CREATE TABLE a (id BIGINT); INSERT INTO a (id) VALUES (1), (2)')
  t.match(await run(folder, ['copy.db'], env, true), { code: 0, stdout: /^copy\.db: [\d.]+\w*B in \d+s\n$/, stderr: '' })
  const copy = new Sqlite(join(folder, 'copy.db'), { readonly: true })
  t.equal(copy.prepare('SELECT count(*) FROM a').pluck().get(), 2)
  copy.close()

  await db.exec('INSERT INTO a (id) VALUES (3)')
  t.match(await run(folder, ['copy.db'], env, true), { code: 1, stdout: '', stderr: /^backup: .*copy\.db.*file already.* \(TDM_ERR_DB_BACKUP\)\n$/ })
  t.match(await run(folder, ['copy.db', '--force'], env), { code: 0, stderr: '' })
  const newer = new Sqlite(join(folder, 'copy.db'), { readonly: true })
  t.equal(newer.prepare('SELECT count(*) FROM a').pluck().get(), 3)
  newer.close()
  t.strictSame(readdirSync(folder).filter(name => !name.startsWith('app.db')), ['copy.db'])
})

void t.test('Ctrl-C leaves what was there', async t => {
  const folder = freshFolder(t)
  const source = new Sqlite(join(folder, 'app.db'))
  source.pragma('journal_mode = WAL')
  // enough that it takes a while
  source.exec('CREATE TABLE a (b BLOB); WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g LIMIT 150000) INSERT INTO a SELECT randomblob(1500) FROM g')
  source.close()
  writeFileSync(join(folder, 'copy.db'), 'precious')
  const { child, outcome } = start(folder, ['copy.db', '--force'], { DATABASE_URL: 'sqlite:app.db' })
  while (!readdirSync(folder).some(name => name.endsWith('.partial'))) await new Promise(resolve => { setImmediate(resolve) })
  child.kill('SIGINT')
  t.match(await outcome, { code: 130, stdout: '', stderr: 'backup: interrupted; there is no copy\n' })
  t.strictSame(readdirSync(folder).filter(name => !name.startsWith('app.db')), ['copy.db'])
  t.equal(readFileSync(join(folder, 'copy.db'), 'utf8'), 'precious')
})

void t.test('a database that cannot be copied is one line and exit code 1, and none is made', async t => {
  const folder = freshFolder(t)
  t.match(await run(folder, ['copy.db'], { DATABASE_URL: 'sqlite:none.db' }), { code: 1, stdout: '', stderr: /^backup: .*none\.db.*no such file.*\(TDM_ERR_DB_OPEN\)\n$/ })
  t.notOk(existsSync(join(folder, 'none.db')))
  t.match(await run(folder, ['copy.db'], { DATABASE_URL: 'sqlite::memory:' }), { code: 1, stderr: /TDM_ERR_DB_BACKUP/ })
  t.strictSame(readdirSync(folder), [])
})

void t.test('for PostgreSQL it says what to use, and shows no password', async t => {
  const { code, stdout, stderr } = await run(freshFolder(t), ['copy.db'], { DATABASE_URL: 'postgres://app:s3cret@127.0.0.1:1/app' })
  t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: /^backup: .*app:\*\*\*@127\.0\.0\.1.* pg_dump\. \(TDM_ERR_DB_BACKUP\)\n$/ })
  t.notMatch(stderr, 's3cret')
})

void t.test('it explains itself', async t => {
  const folder = freshFolder(t)
  t.match(await run(folder, ['--help']), { code: 0, stdout: /^Usage: npm run backup/, stderr: '' })
  t.match(await run(folder, []), { code: 1, stderr: /Usage:/ })
  t.match(await run(folder, ['a', 'b']), { code: 1, stderr: /Usage:/ })
  t.match(await run(folder, ['--nonsense']), { code: 1, stderr: /--nonsense/ })
})
