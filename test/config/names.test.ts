// Variables that nobody reads: found, hinted at, never shown.
import t from 'tap'
import { nearestName } from '../../plugins/config/environment.ts'
import { readConfig } from '../../plugins/config/index.ts'
import { machine, problemsOf } from './helper.ts'

t.test('a mistyped variable is a problem with what was probably meant', async t => {
  const meant: Record<string, string> = {
    DB_STATMENT_TIMEOUT: 'DB_STATEMENT_TIMEOUT',
    DB_POOLMAX: 'DB_POOL_MAX',
    DB_MAX_POOL: 'DB_POOL_MAX',
    DATABASE_URI: 'DATABASE_URL',
    SQLITE_CACHESIZE: 'SQLITE_CACHE_SIZE',
    SQLITE_SOFT_HEAP: 'SQLITE_SOFT_HEAP_LIMIT',
    SQLITE_HARD_HEAP_LIMIT_BYTES: 'SQLITE_HARD_HEAP_LIMIT',
    SQLITE_READER: 'SQLITE_READERS',
    DB_IDLE_TX_TIMEOUT: 'DB_TX_IDLE_TIMEOUT',
    DB_ROWS_MAX: 'DB_MAX_ROWS',
    SQLITE_WATCH_DOG: 'SQLITE_WATCHDOG'
  }
  for (const [name, instead] of Object.entries(meant)) {
    t.equal(nearestName(name), instead, name)
    t.match(problemsOf({ [name]: 's3cret' }), [new RegExp(`^${name}: expected no such variable.*; write ${instead}, or take it away\\.$`)])
  }
})

t.test('what people know from other programs leads to ours', async t => {
  t.match(problemsOf({ DB_HOST: 'h', DB_PASSWORD: 's3cret' }), [/the host into DATABASE_URL/, /the password into DATABASE_URL/])
  t.notMatch(problemsOf({ DB_PASSWORD: 's3cret' }).join(), 's3cret')
})

t.test('a variable that is like none of ours is a problem all the same', async t => {
  t.equal(nearestName('SQLITE_FROBNICATE_EVERYTHING'), undefined)
  t.match(problemsOf({ SQLITE_FROBNICATE_EVERYTHING: '1' }), [/write one of those, or take it away/])
})

t.test('empty variables, other prefixes, and SQLite\'s own are let through', async t => {
  t.same(problemsOf({ DB_NONSENSE: '', DBUS_SESSION: 'x', SQLITE: 'x', PGHOST: 'h', SQLITE_TMPDIR: '/tmp', SQLITE_HISTORY: '/x' }), [])
})

t.test('what Kubernetes and Docker say of a service named db is let through', async t => {
  const links = {
    DB_SERVICE_HOST: '10.0.0.1',
    DB_SERVICE_PORT: '5432',
    DB_SERVICE_PORT_POSTGRES: '5432',
    DB_PORT: 'tcp://10.0.0.1:5432',
    DB_PORT_5432_TCP: 'tcp://10.0.0.1:5432',
    DB_PORT_5432_TCP_ADDR: '10.0.0.1',
    DATABASE_PORT: 'tcp://10.0.0.1:5432'
  }
  t.ok(readConfig(links, machine))
  t.match(problemsOf({ DB_PORT: '5432' }), [/^DB_PORT: .*the port into DATABASE_URL/], 'but not a port that somebody wrote')
})

t.test('SQLITE_USE_URI is refused because of what it changes', async t => {
  t.match(problemsOf({ SQLITE_USE_URI: '1' }), [/^SQLITE_USE_URI: .*file names in the whole process/])
  t.same(problemsOf({ SQLITE_USE_URI: '0' }), [], '0 is how better-sqlite3 is built')
})
