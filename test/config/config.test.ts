// readConfig and the plugin: defaults, each variable, all problems at once, frozen.
import { resolve } from 'node:path'
import fastify from 'fastify'
import t from 'tap'
import configPlugin, { readConfig, type Config } from '../../plugins/config/index.ts'
import { variables } from '../../plugins/config/schema.ts'
import { machine, problemsOf } from './helper.ts'

t.test('an empty environment gives the defaults', async t => {
  t.same(readConfig({}, machine), {
    database: {
      engine: 'sqlite', url: 'sqlite:data/app.db', displayUrl: 'sqlite:data/app.db', path: resolve('data/app.db'), readonly: false, replicaUrl: undefined, replicaReads: 'transactions'
    },
    migrate: 'on',
    statementTimeoutMs: 30_000,
    txTimeoutMs: 60_000,
    txIdleTimeoutMs: 10_000,
    cursorTimeoutMs: 300_000,
    acquireTimeoutMs: 10_000,
    idleTimeoutMs: 600_000,
    eventLoopBudgetMs: 2,
    result: { maxRows: 100_000, maxBytes: 64e6 },
    pool: { max: 10, lifetimeMs: 1_800_000 },
    postgres: { compatibility: 'postgres' },
    own: {},
    ops: { token: undefined, port: undefined, host: '127.0.0.1', slowMs: 500 },
    sqlite: {
      cacheBytes: 16e6, softHeapBytes: 2e9, hardHeapBytes: 4e9, tempStore: 'file', maxLengthBytes: 16e6, walBytes: 16e6, readers: 4,
      synchronous: 'normal', watchdog: 'on'
    }
  } satisfies Config)
})

t.test('each variable has its field', async t => {
  const config = readConfig({
    DATABASE_URL: ' postgres://app:s3cret@db/app ',
    DB_DRIVER: 'postgres',
    DATABASE_REPLICA_URL: 'postgres://replica/app',
    DB_REPLICA_READS: 'all',
    DB_MIGRATE: 'off',
    DB_STATEMENT_TIMEOUT: '1s',
    DB_TX_TIMEOUT: '2s',
    DB_TX_IDLE_TIMEOUT: '8s',
    DB_CURSOR_TIMEOUT: '9s',
    DB_ACQUIRE_TIMEOUT: '3s',
    DB_IDLE_TIMEOUT: '4s',
    DB_EVENT_LOOP_BUDGET: '5ms',
    DB_MAX_ROWS: '10',
    DB_MAX_RESULT: '11kB',
    DB_POOL_MAX: '6',
    DB_POOL_LIFETIME: '7h',
    DB_COMPATIBILITY: 'dsql',
    SQLITE_CACHE_SIZE: '8MB',
    SQLITE_SOFT_HEAP_LIMIT: '90MB',
    SQLITE_HARD_HEAP_LIMIT: '100MB',
    SQLITE_TEMP_STORE: 'memory',
    SQLITE_MAX_LENGTH: '12MB',
    SQLITE_WAL_SIZE: '13MB',
    SQLITE_READERS: '3',
    SQLITE_SYNCHRONOUS: 'full',
    SQLITE_WATCHDOG: 'off',
    OPS_TOKEN: 'abcdefghijklmnop',
    OPS_PORT: '9464',
    OPS_HOST: '::1',
    OPS_SLOW: '20ms'
  }, machine)
  t.same(config, {
    database: {
      engine: 'postgres', url: 'postgres://app:s3cret@db/app', displayUrl: 'postgres://app:***@db/app', path: '', readonly: false, replicaUrl: 'postgres://replica/app', replicaReads: 'all'
    },
    migrate: 'off',
    statementTimeoutMs: 1000,
    txTimeoutMs: 2000,
    txIdleTimeoutMs: 8000,
    cursorTimeoutMs: 9000,
    acquireTimeoutMs: 3000,
    idleTimeoutMs: 4000,
    eventLoopBudgetMs: 5,
    result: { maxRows: 10, maxBytes: 11e3 },
    pool: { max: 6, lifetimeMs: 25_200_000 },
    postgres: { compatibility: 'dsql' },
    own: {},
    ops: { token: 'abcdefghijklmnop', port: 9464, host: '::1', slowMs: 20 },
    sqlite: {
      cacheBytes: 8e6, softHeapBytes: 90e6, hardHeapBytes: 100e6, tempStore: 'memory', maxLengthBytes: 12e6, walBytes: 13e6, readers: 3,
      synchronous: 'full', watchdog: 'off'
    }
  } satisfies Config)
})

t.test('an empty text counts as not set', async t => {
  const env = Object.fromEntries(variables.map(({ name }) => [name, ' ']))
  t.same(readConfig(env, machine), readConfig({}, machine))
})

t.test('a token is long, has no blanks, and is not shown', async t => {
  for (const token of ['tooShort', 'has some blanks in it']) {
    const problems = problemsOf({ OPS_TOKEN: token })
    t.match(problems, [/^OPS_TOKEN.*expected 16 characters or more, without blanks/])
    t.notMatch(problems.join(), token)
  }
  t.match(problemsOf({ OPS_PORT: '65536', OPS_TOKNE: 'x' }), [/^OPS_PORT=65536: expected at most 65535/, /^OPS_TOKNE: .*write OPS_TOKEN,/])
  t.equal(readConfig({ OPS_SLOW: '0' }, machine).ops.slowMs, Infinity)
})

t.test('DB_DRIVER alone chooses an engine, whatever libpq\'s variables say', async t => {
  t.equal(readConfig({ DB_DRIVER: 'sqlite' }, machine).database.url, 'sqlite:data/app.db')
  t.equal(readConfig({ DB_DRIVER: 'postgres', PGHOST: 'elsewhere', PGDATABASE: 'other' }, machine).database.url, 'postgres://localhost:5432/tandem')
})

t.test('DB_DRIVER has to name the engine of DATABASE_URL', async t => {
  t.equal(readConfig({ DB_DRIVER: 'sqlite', DATABASE_URL: 'sqlite:x.db' }, machine).database.engine, 'sqlite')
  t.match(problemsOf({ DB_DRIVER: 'sqlite', DATABASE_URL: 'postgres://h/d' }), [/^DB_DRIVER=sqlite: .*DB_DRIVER=postgres, or leave DB_DRIVER out\.$/])
  t.match(problemsOf({ DB_DRIVER: 'pg' }), [/^DB_DRIVER=pg: expected sqlite or postgres/])
})

t.test('a replica needs PostgreSQL', async t => {
  t.match(problemsOf({ DATABASE_REPLICA_URL: 'postgres://u:s3cret@h/d' }), [/^DATABASE_REPLICA_URL=postgres:\/\/u:\*\*\*@h\/d: expected a replica only with PostgreSQL/])
  t.match(problemsOf({ DATABASE_URL: 'oracle://x', DATABASE_REPLICA_URL: 'postgres://h/d' }), [/^DATABASE_URL=/], 'and one problem is told once')
})

t.test('a database that is read only is not migrated', async t => {
  t.equal(readConfig({ DATABASE_URL: 'sqlite:x.db?mode=ro' }, machine).migrate, 'off')
  t.match(problemsOf({ DATABASE_URL: 'sqlite:x.db?mode=ro', DB_MIGRATE: 'on' }), [/^DB_MIGRATE=on: .*read only/])
})

t.test('0 is no limit for statements, transactions, cursors and results only', async t => {
  const env = { DB_STATEMENT_TIMEOUT: '0', DB_TX_TIMEOUT: '0s', DB_TX_IDLE_TIMEOUT: '0', DB_CURSOR_TIMEOUT: '0ms', DB_MAX_ROWS: '0', DB_MAX_RESULT: '0MB' }
  t.match(readConfig(env, machine), {
    statementTimeoutMs: Infinity, txTimeoutMs: Infinity, txIdleTimeoutMs: Infinity, cursorTimeoutMs: Infinity, result: { maxRows: Infinity, maxBytes: Infinity }
  })
  for (const name of ['DB_ACQUIRE_TIMEOUT', 'DB_IDLE_TIMEOUT', 'DB_EVENT_LOOP_BUDGET', 'DB_POOL_LIFETIME', 'DB_POOL_MAX', 'SQLITE_READERS']) {
    t.match(problemsOf({ [name]: '0' }), [new RegExp(`^${name}=0: expected at least 1(ms)?; write ${name}=1(ms)? or more\\.$`)], name)
  }
})

t.test('a number beyond its bounds is refused with the bound', async t => {
  t.match(problemsOf({ DB_STATEMENT_TIMEOUT: '0.5ms' }), [/expected at least 1ms, or 0 for no limit/])
  t.match(problemsOf({ DB_TX_TIMEOUT: '600h' }), [/expected at most 2147483647ms/], 'a timer of Node would fire at once')
  t.match(problemsOf({ SQLITE_CACHE_SIZE: '100kB' }), [/expected at least 512KiB; write SQLITE_CACHE_SIZE=524288B or more/])
  t.match(problemsOf({ SQLITE_SOFT_HEAP_LIMIT: '0' }), [/expected at least 8MB/])
  t.match(problemsOf({ SQLITE_CACHE_SIZE: '-2147483648' }), [/expected at most 2.2TB/])
  t.match(problemsOf({ DB_MAX_RESULT: '64' }), [/expected at least 1kB, or 0 for no limit; write DB_MAX_RESULT=1000B or more, or 0 for no limit\.$/])
  t.match(problemsOf({ SQLITE_MAX_LENGTH: '0', SQLITE_WAL_SIZE: '999999' }), [/^SQLITE_MAX_LENGTH=0: expected at least 1MB;/, /expected at least 1MB;/])
  t.match(problemsOf({ SQLITE_MAX_LENGTH: '512MiB' }), [/expected at most 512MB; write SQLITE_MAX_LENGTH=512000000B or less\.$/])
})

t.test('every problem is told at once, in one error', async t => {
  const env = {
    DATABASE_URL: 'mysql://app:s3cret@db/app',
    DB_DRIVER: 'oracle',
    DATABASE_REPLICA_URL: 'replica',
    DB_MIGRATE: 'yes',
    DB_STATEMENT_TIMEOUT: '10m',
    DB_TX_TIMEOUT: '-1',
    DB_TX_IDLE_TIMEOUT: 'never',
    DB_CURSOR_TIMEOUT: '5m',
    DB_ACQUIRE_TIMEOUT: 'soon',
    DB_IDLE_TIMEOUT: '1d',
    DB_EVENT_LOOP_BUDGET: '0',
    DB_MAX_ROWS: '1e5',
    DB_MAX_RESULT: '64M',
    DB_POOL_MAX: '1.5',
    DB_POOL_LIFETIME: '1y',
    SQLITE_CACHE_SIZE: '1000000000',
    SQLITE_SOFT_HEAP_LIMIT: '1G',
    SQLITE_HARD_HEAP_LIMIT: '200%',
    SQLITE_TEMP_STORE: 'ram',
    SQLITE_MAX_LENGTH: '1GB',
    SQLITE_WAL_SIZE: 'small',
    SQLITE_READERS: 'all',
    SQLITE_SYNCHRONOUS: 'off',
    SQLITE_WATCHDOG: 'no',
    DB_POOLMAX: '5'
  }
  const problems = problemsOf(env)
  t.same(problems.map(problem => problem.split(/[=:]/)[0]), Object.keys(env))
  t.ok(problems.every(problem => /: expected .+; write .+\.$/.test(problem)))
})

t.test('the error is ours, and no secret is in it', async t => {
  const env = {
    DATABASE_URL: 'postgres://app:s3cret/x@db/app',
    DATABASE_REPLICA_URL: 'http://s3cret',
    DB_PASSWORD: 's3cret',
    DB_MIGRATE: 'postgres://app:s3cret@db/app',
    SQLITE_TEMP_STORE: 'app:s3cret@db'
  }
  t.throws(() => readConfig(env, machine), { code: 'TDM_ERR_CONFIG_INVALID', statusCode: 500 })
  t.equal(problemsOf(env).length, 5)
  t.notMatch(problemsOf(env).join(), 's3cret')
})

t.test('the configuration is frozen in depth', async t => {
  const config = readConfig({}, machine)
  for (const part of [config, config.database, config.result, config.pool, config.sqlite]) t.ok(Object.isFrozen(part))
  t.throws(() => { (config.pool as { max: number }).max = 1 }, TypeError)
})

t.test('the plugin decorates app.config', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(configPlugin, { env: { DATABASE_URL: 'sqlite::memory:' } })
  t.equal(app.config.database.path, ':memory:')
  t.ok(app.hasPlugin('tandem-config'))
})

t.test('the plugin fails the start when the configuration cannot be used', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  app.register(configPlugin, { env: { DB_POOL_MAX: 'ten' } })
  await t.rejects(async () => { await app.ready() }, { code: 'TDM_ERR_CONFIG_INVALID', message: /DB_POOL_MAX=ten/ })
})

t.test('without options the environment of the process is read', async t => {
  const before = process.env.DB_POOL_MAX
  t.teardown(() => {
    if (before === undefined) delete process.env.DB_POOL_MAX
    else process.env.DB_POOL_MAX = before
  })
  process.env.DB_POOL_MAX = '7'
  t.equal(readConfig().pool.max, 7)
})
