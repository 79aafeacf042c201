/** Backups: a snapshot of a database in use, whole or not at all. Mostly on raw connections, as a thread of the engine has them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, chmodSync, existsSync, linkSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { backup, expectedBytes, partialPathOf, watchBackup } from '../../../plugins/db/sqlite/backup.ts'
import { freshFolder, openUrl } from '../../helper/db.ts'
import { root } from '../../helper/paths.ts'

/** A file in WAL mode with this in it, in a folder of its own. */
function make (t: Test, sql: string): { folder: string, path: string } {
  const folder = freshFolder(t)
  const path = join(folder, 'app.db')
  const db = open(t, path)
  db.pragma('journal_mode = WAL')
  db.exec(sql)
  return { folder, path }
}

/** A connection that is closed with the test. */
function open (t: Test, path: string, options: Sqlite.Options = {}): Sqlite.Database {
  const db = new Sqlite(path, { timeout: 0, ...options })
  t.teardown(() => { db.close() })
  return db
}

function ask (path: string, sql: string): unknown {
  const db = new Sqlite(path, { readonly: true })
  try {
    return db.prepare(sql).pluck().get()
  } finally {
    db.close()
  }
}

const others = (folder: string): string[] => readdirSync(folder).filter(name => !name.startsWith('app.db'))

/** Moves money and counts each move, as fast as it can, until it is killed. */
const mover = `
  const Sqlite = require('better-sqlite3')
  const db = new Sqlite(process.argv[1], { timeout: 5000 })
  const statements = ['UPDATE counter SET n = n + 1', 'INSERT INTO move (n) SELECT n FROM counter', 'UPDATE account SET money = money - 1 WHERE id = 1', 'UPDATE account SET money = money + 1 WHERE id = 1000']
  const move = db.transaction(() => { for (const sql of statements) db.prepare(sql).run() })
  for (let i = 0; ; i++) { move.immediate(); if (i === 10) console.log('moving') }`

void t.test('66: a backup under continuous writes is one snapshot of them, and passes integrity_check', async t => {
  const { folder, path } = make(t, `CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0); CREATE TABLE move (n INTEGER PRIMARY KEY);
    CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER, filler BLOB); CREATE INDEX rich ON account (money);
    WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g LIMIT 1000) INSERT INTO account SELECT n, 1000, randomblob(20000) FROM g`)
  const child = spawn(process.execPath, ['-e', mover, path], { cwd: fileURLToPath(root), stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  await once(createInterface({ input: child.stdout }), 'line')
  const db = open(t, path, { readonly: true })

  let moved = 0
  for (let round = 0; round < 5; round++) {
    const target = join(folder, `${round}.db`)
    const before = Number(ask(path, 'SELECT n FROM counter'))
    const bytes = backup(db, target)
    const after = Number(ask(path, 'SELECT n FROM counter'))
    moved += after - before
    t.equal(bytes, statSync(target).size)
    t.equal(ask(target, 'PRAGMA integrity_check'), 'ok')
    const counted = Number(ask(target, 'SELECT n FROM counter'))
    t.ok(counted >= before && counted <= after, 'a state between', { before, counted, after })
    t.equal(ask(target, 'SELECT count(*) FROM move'), counted, 'no move is missing, and none is half there')
    t.equal(ask(target, 'SELECT sum(money) FROM account'), 1_000_000)
    t.equal(ask(target, 'SELECT money FROM account WHERE id = 1'), 1000 - counted)
  }
  t.ok(moved > 0, 'others wrote meanwhile')
  t.strictSame(others(folder), ['0.db', '1.db', '2.db', '3.db', '4.db'], 'nothing else is left')
})

void t.test('66: db.backup is one snapshot of what this process writes meanwhile', async t => {
  const folder = freshFolder(t)
  const db = await openUrl(t, `sqlite:${join(folder, 'app.db')}`)
  await db.exec('CREATE TABLE counter (n BIGINT); INSERT INTO counter VALUES (0); CREATE TABLE move (n BIGINT PRIMARY KEY)')
  let isDone = false
  const write = async (): Promise<void> => {
    while (!isDone) {
      await db.tx(async tx => {
        await tx.prepare('UPDATE counter SET n = n + 1').run()
        await tx.prepare('INSERT INTO move (n) SELECT n FROM counter').run()
      })
    }
  }
  const writing = write()
  const target = join(folder, 'copy.db')
  const { bytes } = await db.backup(target)
  isDone = true
  await writing
  t.equal(bytes, statSync(target).size)
  t.equal(ask(target, 'PRAGMA integrity_check'), 'ok')
  t.equal(ask(target, 'SELECT count(*) FROM move'), ask(target, 'SELECT n FROM counter'))
  t.ok(Number((await db.prepare('SELECT n FROM counter').get())?.n) > Number(ask(target, 'SELECT n FROM counter')), 'and the writes went on')
  t.strictSame(others(folder), ['copy.db'])
})

void t.test('it is one file with everything in it, made by a connection that may only read', async t => {
  const { folder, path } = make(t, 'CREATE TABLE a (id INTEGER PRIMARY KEY, s TEXT); CREATE VIEW w AS SELECT s FROM a; INSERT INTO a VALUES (1, \'one\'), (5, \'five\'); PRAGMA user_version = 42')
  const db = open(t, path, { readonly: true })
  backup(db, join(folder, 'copy.db'))
  t.strictSame(others(folder), ['copy.db'])
  t.equal(ask(join(folder, 'copy.db'), 'SELECT group_concat(id || s) || (SELECT user_version FROM pragma_user_version) || (SELECT max(s) FROM w) FROM a'), '1one,5five42one')
  t.equal(db.prepare('SELECT count(*) FROM a').pluck().get(), 2, 'and the connection goes on')
})

void t.test('a file that is there stays, unless it is to be replaced', async t => {
  const { folder, path } = make(t, 'CREATE TABLE a (id INTEGER)')
  const db = open(t, path)
  const target = join(folder, 'copy.db')
  writeFileSync(target, 'precious')
  t.throws(() => backup(db, target), { code: 'TDM_ERR_DB_BACKUP', message: /there is a file already/ })
  t.equal(readFileSync(target, 'utf8'), 'precious')
  backup(db, target, { overwrite: true })
  t.equal(ask(target, 'SELECT count(*) FROM a'), 0)
  t.strictSame(others(folder), ['copy.db'])
})

void t.test('targets that cannot be are refused, and nothing is left of them', async t => {
  const { folder, path } = make(t, 'CREATE TABLE a (id INTEGER)')
  const db = open(t, path)
  symlinkSync(path, join(folder, 'symlink'))
  linkSync(path, join(folder, 'link'))
  writeFileSync(join(folder, 'used.db-wal'), '')
  const before = readdirSync(folder)
  const cases: Array<[target: string, reason: RegExp]> = [
    [path, /the database itself/],
    [join(folder, 'symlink'), /the database itself/],
    [join(folder, 'link'), /the database itself/],
    [folder, /it is a folder/],
    [join(folder, 'none', 'x.db'), /folder does not exist/],
    [join(path, 'x.db'), /folder is a file/],
    [join(folder, 'used.db'), /used\.db-wal is there/]
  ]
  for (const [target, message] of cases) t.throws(() => backup(db, target, { overwrite: true }), { code: 'TDM_ERR_DB_BACKUP', message }, basename(target))
  t.strictSame(readdirSync(folder), before)
})

void t.test('a folder without permission says so', { skip: process.getuid?.() === 0 ? 'root may write everywhere' : false }, async t => {
  const { path } = make(t, 'CREATE TABLE a (id INTEGER)')
  const folder = freshFolder(t)
  chmodSync(folder, 0o555)
  t.throws(() => backup(open(t, path), join(folder, 'copy.db')), { code: 'TDM_ERR_DB_BACKUP', message: /may not be written/ })
})

void t.test('an error on the way leaves nothing, and what was there before', async t => {
  const { folder, path } = make(t, `CREATE TABLE a (id INTEGER PRIMARY KEY, s TEXT);
    WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g LIMIT 2000) INSERT INTO a SELECT n, hex(randomblob(1000)) FROM g`)
  const whole = join(folder, 'whole.db')
  backup(open(t, path), whole)
  const damaged = readFileSync(whole)
  damaged.fill(0xff, damaged.length / 2, damaged.length / 2 + 8192)
  const source = join(freshFolder(t), 'damaged.db')
  writeFileSync(source, damaged)
  const db = open(t, source)
  const size = statSync(whole).size
  t.throws(() => backup(db, whole, { overwrite: true }), { code: /^SQLITE_CORRUPT/ })
  t.throws(() => backup(db, join(folder, 'new.db')), { code: /^SQLITE_CORRUPT/ })

  db.exec('BEGIN')
  t.throws(() => backup(db, join(folder, 'new.db')), { code: 'SQLITE_ERROR', message: /from within a transaction/ })
  db.exec('ROLLBACK')
  db.pragma('query_only = ON')
  t.throws(() => backup(db, join(folder, 'new.db')), { code: 'SQLITE_READONLY' })
  t.strictSame(others(folder), ['whole.db'])
  t.equal(statSync(whole).size, size)
  t.equal(ask(whole, 'PRAGMA integrity_check'), 'ok')
})

void t.test('whoever may not read the database may not read the copy', { skip: process.platform === 'win32' ? 'Windows has no such permissions' : false }, async t => {
  const { folder, path } = make(t, 'CREATE TABLE a (id INTEGER)')
  for (const mode of [0o600, 0o640]) {
    chmodSync(path, mode)
    backup(open(t, path), join(folder, `${mode}.db`))
    t.equal(statSync(join(folder, `${mode}.db`)).mode & 0o777 & ~mode, 0)
  }
})

void t.test('its size is known before, and told while it grows', async t => {
  const { path } = make(t, `CREATE TABLE a (s TEXT); WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g LIMIT 3000) INSERT INTO a SELECT hex(randomblob(500)) FROM g;
    CREATE TABLE b AS SELECT s FROM a; DROP TABLE b`)
  const db = open(t, path)
  const target = join(freshFolder(t), 'copy.db')
  const expected = expectedBytes(name => db.pragma(name, { simple: true }))
  const bytes = backup(db, target)
  t.ok(bytes > expected * 0.9 && bytes < expected * 1.1, 'without the pages that are free', { bytes, expected })

  const partial = partialPathOf(target)
  t.not(partial, partialPathOf(target), 'two backups do not meet')
  const told: Array<{ bytes: number, totalBytes: number }> = []
  let next = Promise.withResolvers<void>()
  const stop = watchBackup(partial, 1000, done => { told.push(done); next.resolve() })
  t.teardown(stop)
  const keepAlive = setInterval(() => {}, 1000) // the watch does not
  t.teardown(() => { clearInterval(keepAlive) })
  for (const size of [300, 800, 1500]) {
    appendFileSync(partial, Buffer.alloc(size - (told.at(-1)?.bytes ?? 0)))
    while ((told.at(-1)?.bytes ?? 0) < Math.min(size, 1000)) {
      next = Promise.withResolvers()
      await next.promise
    }
  }
  t.strictSame(told[0], { bytes: 300, totalBytes: 1000 })
  t.strictSame(told.at(-1), { bytes: 1000, totalBytes: 1000 }, 'never more than all')
  t.strictSame(told.map(done => done.bytes), told.map(done => done.bytes).toSorted((a, b) => a - b))
  renameSync(partial, `${partial}.away`)
  t.notOk(existsSync(partial), 'and that it is renamed is no error')
})
