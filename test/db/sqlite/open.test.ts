/** Files that can and cannot be opened, and what is left when a database is closed. */
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import t from 'tap'
import { openUrl } from '../../helper/db.ts'
import { hasNative } from '../../helper/native.ts'

void t.test('a file that is not there is made, with its folder', async t => {
  const path = join(t.testdir(), 'deep', 'er', 'new.db')
  const db = await openUrl(t, `sqlite:${path}`)
  await db.exec('CREATE TABLE a (id BIGINT)')
  t.ok(existsSync(path))
})

void t.test('after close nothing but the file is left', async t => {
  const folder = t.testdir()
  const db = await openUrl(t, `sqlite:${join(folder, 'a.db')}`)
  await db.exec('CREATE TABLE a (id BIGINT); INSERT INTO a (id) VALUES (1)')
  await db.prepare('SELECT id FROM a').all()
  await db.tx(async tx => await tx.prepare('SELECT id FROM a').all(), { mode: 'read' })
  await db.close()
  t.strictSame(readdirSync(folder), ['a.db'])
})

void t.test('files that cannot be used are refused with what to do', async t => {
  const folder = t.testdir({ 'text.db': 'this is a text, and it is longer than a header of SQLite would be\n'.repeat(20), folder: {} })
  await t.rejects(openUrl(t, `sqlite:${join(folder, 'text.db')}`), { code: 'TDM_ERR_DB_OPEN', message: /not an SQLite database/ })
  await t.rejects(openUrl(t, `sqlite:${join(folder, 'folder')}`), { code: 'TDM_ERR_DB_OPEN', message: /is a folder/ })
  await t.rejects(openUrl(t, `sqlite:${join(folder, 'text.db', 'x.db')}`), { code: 'TDM_ERR_DB_OPEN', message: /folder is not there and cannot be made/ })
  await t.rejects(openUrl(t, `sqlite:${join(folder, 'none.db')}?mode=ro`), { code: 'TDM_ERR_DB_OPEN', message: /no such file/ })
  t.notOk(existsSync(join(folder, 'none.db')))
})

void t.test('a damaged file is told apart from one that is none', async t => {
  const path = join(t.testdir(), 'damaged.db')
  const good = new Sqlite(path)
  good.exec('CREATE TABLE a (id BIGINT)')
  good.close()
  const damaged = Buffer.alloc(4096)
  damaged.write('SQLite format 3\0', 'latin1')
  writeFileSync(path, damaged)
  await t.rejects(openUrl(t, `sqlite:${path}`), { code: 'TDM_ERR_DB_OPEN' })
})

void t.test('mode=ro reads and does not write', async t => {
  const path = join(t.testdir(), 'a.db')
  const writer = await openUrl(t, `sqlite:${path}`)
  await writer.exec('CREATE TABLE a (id BIGINT); INSERT INTO a (id) VALUES (1)')
  const db = await openUrl(t, `sqlite:${path}?mode=ro`)
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 1 }])
  await t.rejects(db.prepare('INSERT INTO a (id) VALUES (2)').run(), { code: 'TDM_ERR_DB_READONLY' })
  await t.rejects(db.exec('DELETE FROM a'), { code: 'TDM_ERR_DB_READONLY' })
  await t.rejects(db.tx(async tx => await tx.prepare('SELECT id FROM a').all()), { code: 'TDM_ERR_DB_READONLY' })
  await writer.exec('INSERT INTO a (id) VALUES (2)')
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM a').get(), { n: 2 }, 'and sees what others commit')
})

void t.test('a file without write permission says so', { skip: process.getuid?.() === 0 ? 'root may write everything' : false }, async t => {
  const path = join(t.testdir(), 'a.db')
  new Sqlite(path).exec('CREATE TABLE a (id BIGINT)').close()
  chmodSync(path, 0o444)
  await t.rejects(openUrl(t, `sqlite:${path}`), { code: 'TDM_ERR_DB_OPEN', message: /mode=ro/ })
})

void t.test('157: :memory: is one database for all connections, and leaves nothing', async t => {
  const folder = t.testdir({})
  const variable = process.platform === 'win32' ? 'TEMP' : 'TMPDIR'
  const { [variable]: shared } = process.env
  process.env[variable] = folder // where others leave nothing meanwhile
  t.teardown(() => {
    if (shared === undefined) Reflect.deleteProperty(process.env, variable)
    else process.env[variable] = shared
  })
  const db = await openUrl(t, 'sqlite::memory:')
  const other = await openUrl(t, 'sqlite::memory:')
  t.equal(readdirSync(folder).length, 2)
  await db.exec('CREATE TABLE a (id BIGINT)')
  await db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
    t.strictSame(await db.outsideTx(async () => await db.prepare('SELECT id FROM a').all()), [], 'a reader next to the writer')
  })
  t.strictSame(await db.prepare('SELECT id FROM a').all(), [{ id: 1 }])
  await t.rejects(other.prepare('SELECT id FROM a').all(), { code: 'TDM_ERR_DB_SYNTAX' }, 'another one is another database')
  await db.close()
  await other.close()
  t.strictSame(readdirSync(folder), [])
})

void t.test('164: each connection has the settings, also those that are opened later', async t => {
  const path = join(t.testdir(), 'a.db')
  const db = await openUrl(t, `sqlite:${path}`, { SQLITE_CACHE_SIZE: '4MiB', SQLITE_SYNCHRONOUS: 'full', SQLITE_READERS: '2' })
  const settings = async (): Promise<unknown[]> => {
    const answers = []
    for (const name of ['cache_size', 'temp_store', 'foreign_keys', 'synchronous', 'busy_timeout']) {
      answers.push(Object.values(await db.prepare(`PRAGMA ${name}`).get() ?? {})[0])
    }
    return answers
  }
  const expected = [-4096, 1, 1, 2, 0]
  t.strictSame(await settings(), expected, 'inline')
  t.strictSame(await db.tx(settings), expected, 'writer')
  const small = hasNative() ? [-256, 1, 1, 2, 0] : expected // else it is in a thread
  t.strictSame(await db.tx(async () => [await settings(), await db.tx(settings, { mode: 'read', propagation: 'new' })], { mode: 'read' }), [small, small], 'small readers')
  for await (const row of db.prepare('SELECT cache_size FROM pragma_cache_size').iterate()) t.strictSame(row, { cache_size: -4096 }, 'a reader in a thread')
  t.strictSame(await db.prepare('PRAGMA journal_mode').get(), { journal_mode: 'wal' })
})

void t.test('a folder with characters that mean something elsewhere', async t => {
  const folder = join(t.testdir(), "a b#d%20é'")
  mkdirSync(folder)
  const db = await openUrl(t, `sqlite:${folder}/a.db`)
  await db.exec('CREATE TABLE a (id BIGINT)')
  t.ok(existsSync(join(folder, 'a.db')))
})
