// npm run config, as a process of its own: where values come from, the memory, and that secrets stay secret.
import { spawnSync } from 'node:child_process'
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const script = fileURLToPath(new URL('../../scripts/config.ts', import.meta.url))

/** Runs the script in `cwd` with nothing of our own environment but what a process needs. */
function run (cwd: string, args: string[] = [], env: Record<string, string> = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !/^(DB|DATABASE|SQLITE)_/.test(name))
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { cwd, env: { ...Object.fromEntries(kept), ...env }, encoding: 'utf8' })
  return { status, stdout, stderr }
}

interface Json {
  variables: { variable: string, value: string, from: string, note: string }[]
  budget: { connections: number, cachesBytes: number } | undefined
  databaseBytes: number | undefined
  recommendation: { settings: Record<string, string>, reasons: string[] } | undefined
  problems: string[]
  code: string
}

function runJson (cwd: string, env: Record<string, string> = {}) {
  const { status, stdout } = run(cwd, ['--json'], env)
  return { status, json: JSON.parse(stdout) as Json }
}

t.test('without anything set the defaults are shown, with the memory and a recommendation', async t => {
  const { status, stdout, stderr } = run(t.testdir({}))
  t.equal(status, 0, stderr)
  t.match(stdout, /^Variable +Value +From +Note$/m)
  t.match(stdout, /^DATABASE_URL +sqlite:data\/app\.db +default/m)
  t.match(stdout, /^ {2}page caches +\d/m)
  t.match(stdout, /^ {2}SQLITE_CACHE_SIZE=16MB$/m)
})

t.test('the environment wins over .env, which wins over the default', async t => {
  const cwd = t.testdir({ '.env': 'DB_POOL_MAX=20\nDB_TX_TIMEOUT=2min\nSQLITE_CACHE_SIZE=-4000\n' })
  const { json } = runJson(cwd, { DB_POOL_MAX: '30' })
  const line = (name: string) => json.variables.find(({ variable }) => variable === name)
  t.same(line('DB_POOL_MAX'), { variable: 'DB_POOL_MAX', value: '30', from: 'environment', note: 'not used with sqlite' })
  t.same(line('DB_TX_TIMEOUT'), { variable: 'DB_TX_TIMEOUT', value: '2min', from: '.env', note: '' })
  t.same(line('SQLITE_CACHE_SIZE'), { variable: 'SQLITE_CACHE_SIZE', value: '4.1MB', from: '.env', note: 'written -4000' })
  t.match(line('DB_STATEMENT_TIMEOUT'), { value: '30s', from: 'default' })
})

t.test('passwords are not shown, neither as a table nor as JSON', async t => {
  const cwd = t.testdir({ '.env': 'DATABASE_URL=postgres://app:s3cret@db/app\nDATABASE_REPLICA_URL=postgres://app:s3cret@replica/app\n' })
  const text = run(cwd)
  t.match(text.stdout, 'postgres://app:***@db/app')
  t.match(text.stdout, 'postgres://app:***@replica/app')
  t.notMatch(text.stdout, 'page caches', 'and nothing is said about SQLite\'s memory')
  for (const { stdout, stderr } of [text, run(cwd, ['--json'])]) t.notMatch(stdout + stderr, 's3cret')
})

t.test('a configuration that cannot be used ends with 1 and every problem', async t => {
  const env = { DB_POOL_MAX: 'ten', DATABASE_URL: 'postgres://app:s3cret/x@db/app' }
  const { status, stdout, stderr } = run(t.testdir({}), [], env)
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, /DATABASE_URL=.*\n.*DB_POOL_MAX=ten/)
  t.notMatch(stderr, 's3cret')
  const { status: jsonStatus, json } = runJson(t.testdir({}), env)
  t.equal(jsonStatus, 1)
  t.match(json, { code: 'TDM_ERR_CONFIG_INVALID', problems: [/^DATABASE_URL=/, /^DB_POOL_MAX=ten: /] })
})

t.test('the size of the database is part of the recommendation', async t => {
  const cwd = t.testdir({ 'app.db': 'x'.repeat(1000), 'app.db-wal': 'x'.repeat(500) })
  const small = runJson(cwd, { DATABASE_URL: 'sqlite:app.db' }).json
  t.equal(small.databaseBytes, 1500)
  t.match(small.recommendation?.reasons[0], 'fits into')
  truncateSync(join(cwd, 'app.db'), 2 ** 43)
  t.match(runJson(cwd, { DATABASE_URL: 'sqlite:app.db' }).json.recommendation?.reasons[0], 'The database (8.8TB) is larger than')
  t.equal(runJson(cwd, { DATABASE_URL: 'sqlite::memory:' }).json.databaseBytes, undefined)
})

t.test('--help and an option that does not exist', async t => {
  t.match(run(t.testdir({}), ['--help']), { status: 0, stdout: /^Usage: npm run config/ })
  t.match(run(t.testdir({}), ['--jsn']), { status: 1, stderr: /--jsn[^]*Usage/ })
})

t.test('a limit that is switched off is shown as none', async t => {
  const { json } = runJson(t.testdir({}), { DB_MAX_ROWS: '0', DB_MAX_RESULT: '0', DB_CURSOR_TIMEOUT: '0' })
  const off = json.variables.filter(({ from }) => from === 'environment')
  t.same(off.map(({ variable, value }) => [variable, value]), [['DB_CURSOR_TIMEOUT', 'none'], ['DB_MAX_ROWS', 'none'], ['DB_MAX_RESULT', 'none']])
})
