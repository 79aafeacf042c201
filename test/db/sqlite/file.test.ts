/** What can be known of a database file: where it is, who else in this process has it open, and that nobody of us opens it but SQLite. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, copyFileSync, openSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { copyDatabase } from '../../../plugins/db/copy/index.ts'
import { mountType, nameOfType, networkFileSystem, otherLibraries } from '../../../plugins/db/sqlite/file.ts'
import type { Database } from '../../../plugins/db/types.ts'
import { freshFolder, openUrl } from '../../helper/db.ts'
import { root } from '../../helper/paths.ts'

const linux = { skip: process.platform === 'linux' ? false : 'only Linux tells' }
const cwd = fileURLToPath(root)

// --- where it is -----------------------------------------------------------------------------------------------------------------

void t.test('a network file system is told by its name, and a local one is not', linux, async t => {
  const names = [0x6969, 0xff534d42, 0xfe534d42, 0x01021997, 0x5346414f, 0x00c36400, 0x0bd00bd0].map(type => nameOfType(type))
  t.strictSame(names, ['NFS', 'CIFS', 'SMB', '9p', 'AFS', 'Ceph', 'Lustre'])
  t.equal(nameOfType(0xff534d42 | 0), 'CIFS', 'a machine with 32 bits has it below 0')
  t.strictSame([0xef53, 0x9123683e, 0x58465342, 0x01021994, 0x794c7630].map(type => nameOfType(type)), [undefined, undefined, undefined, undefined, undefined], 'ext4, btrfs, xfs, tmpfs, overlay')
  t.strictSame(['fuse.sshfs', 'fuse.s3fs', 'virtiofs', undefined].map(mount => nameOfType(0x65735546, mount)), ['FUSE', 'FUSE', 'FUSE', 'FUSE'])
  t.strictSame(['fuseblk', 'fuse.fuse-overlayfs'].map(mount => nameOfType(0x65735546, mount)), [undefined, undefined])
})

void t.test('this machine\'s own file systems are told apart', linux, async t => {
  t.equal(mountType('/proc'), 'proc')
  t.equal(networkFileSystem('/proc/self/status'), undefined)
  t.equal(networkFileSystem(join(tmpdir(), 'none', 'none.db')), undefined, 'what is not there is on none')
})

// --- who else has it open --------------------------------------------------------------------------------------------------------

/** Runs a module of its own, with `path` and `folder` in it; answers with what it prints as JSON. */
async function runModule (t: Test, code: string): Promise<unknown> {
  const folder = freshFolder(t)
  const head = `
    import Sqlite from 'better-sqlite3'
    import { Worker } from 'node:worker_threads'
    import { otherLibraries } from './plugins/db/sqlite/file.ts'
    const [folder, binding] = process.argv.slice(1)
    const path = folder + '/app.db'
    const db = new Sqlite(path)
    db.pragma('journal_mode = WAL')
    db.exec('CREATE TABLE a (id INTEGER); INSERT INTO a VALUES (1)')
    const found = []`
  const binding = createRequire(createRequire(import.meta.url).resolve('better-sqlite3')).resolve('./binding.js')
  const { getPrebuildPath } = createRequire(import.meta.url)(binding) as { getPrebuildPath: () => string }
  copyFileSync(getPrebuildPath(), join(folder, 'copy-of-sqlite.node'))
  const args = ['--input-type=module', '-e', `${head}\n${code}\nconsole.log(JSON.stringify(found))`, folder, join(folder, 'copy-of-sqlite.node')]
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout.replaceAll(folder, ''))
}

void t.test('69: node:sqlite with the same file open is found, and not when it has another one open, or none', linux, async t => {
  t.strictSame(await runModule(t, `
    found.push(otherLibraries(path))
    const { DatabaseSync } = await import('node:sqlite')
    found.push(otherLibraries(path))
    const elsewhere = new DatabaseSync(folder + '/other.db')
    elsewhere.exec('PRAGMA journal_mode = WAL; CREATE TABLE b (id INTEGER)')
    found.push(otherLibraries(path))
    const same = new DatabaseSync(path)
    same.prepare('SELECT id FROM a').all()
    found.push(otherLibraries(path))
    same.prepare('INSERT INTO a VALUES (2)').run()
    found.push(otherLibraries(path))`), [[], [], [], ['node:sqlite'], ['node:sqlite']])
})

void t.test('69: a second copy of better-sqlite3 with the same file open is found, with its path', linux, async t => {
  t.strictSame(await runModule(t, `
    const elsewhere = new Sqlite(folder + '/other.db', { nativeBinding: binding })
    elsewhere.pragma('journal_mode = WAL')
    found.push(otherLibraries(path))
    const same = new Sqlite(path, { nativeBinding: binding })
    same.prepare('SELECT id FROM a').all()
    found.push(otherLibraries(path))
    await import('node:sqlite')
    found.push(otherLibraries(path))`), [[], ['/copy-of-sqlite.node'], ['/copy-of-sqlite.node', 'node:sqlite']], 'if several could be it, all are told')
})

void t.test('69: what the other library has taken away from under us is found too', linux, async t => {
  t.strictSame(await runModule(t, `
    const { DatabaseSync } = await import('node:sqlite')
    const first = new DatabaseSync(path)
    first.prepare('SELECT id FROM a').all()
    first.close() // it removes -wal and -shm, since it does not see our connection
    const second = new DatabaseSync(path)
    second.prepare('SELECT id FROM a').all()
    found.push(otherLibraries(path))`), [['node:sqlite']])
})

void t.test('69: node:sqlite in another thread is found, though not by its name', linux, async t => {
  const found = await runModule(t, `
    const code = "const { DatabaseSync } = require('node:sqlite'); const db = new DatabaseSync(require('node:worker_threads').workerData); " +
      "db.prepare('SELECT id FROM a').all(); require('node:worker_threads').parentPort.postMessage('read'); setInterval(() => db.isOpen, 1000)"
    const worker = new Worker(code, { eval: true, workerData: path, execArgv: [] })
    await new Promise(resolve => worker.once('message', resolve))
    found.push(otherLibraries(path))
    await worker.terminate()`)
  t.match(found, [[/node:sqlite in another thread/]])
})

void t.test('69: any number of connections of one library is fine, in threads too, also through a link', linux, async t => {
  t.strictSame(await runModule(t, `
    const code = "const db = new (require('better-sqlite3'))(require('node:worker_threads').workerData); db.prepare('SELECT id FROM a').all(); " +
      "require('node:worker_threads').parentPort.postMessage('read'); setInterval(() => db.open, 1000)"
    const worker = new Worker(code, { eval: true, workerData: path, execArgv: [] })
    await new Promise(resolve => worker.once('message', resolve))
    const readers = [1, 2, 3].map(() => new Sqlite(path, { readonly: true }))
    for (const reader of readers) reader.prepare('SELECT id FROM a').all()
    const { symlinkSync } = await import('node:fs')
    symlinkSync(path, folder + '/link.db')
    const linked = new Sqlite(folder + '/link.db')
    linked.prepare('SELECT id FROM a').all()
    readers[0].close()
    await import('node:sqlite')
    found.push(otherLibraries(path), otherLibraries(folder + '/link.db'), otherLibraries(folder + '/none.db'))
    await worker.terminate()`), [[], [], []])
})

// --- who opens it ------------------------------------------------------------------------------------------------------------------

/** The lock that SQLite keeps on a file in WAL mode as long as a connection is open (SHARED_FIRST … of os.h); any close() of the file in this process drops it. */
function isLocked (path: string): boolean {
  const inode = statSync(path).ino
  const lock = new RegExp(`POSIX +ADVISORY +READ +${process.pid} [\\da-f]+:[\\da-f]+:${inode} 1073741826 1073742335$`, 'm')
  return lock.test(readFileSync('/proc/locks', 'utf8'))
}

/** Everything that we do with a database, step by step. */
async function * useAll (t: Test, db: Database, path: string): AsyncGenerator<string> {
  const url = `sqlite:${join(freshFolder(t), 'other.db')}`
  const other = await openUrl(t, url)
  const tables = 'CREATE TABLE a (id BIGINT PRIMARY KEY, s TEXT)'
  await db.exec(tables)
  await other.exec(tables)
  yield 'exec'
  await db.tx(async tx => {
    for (let id = 0; id < 500; id++) await tx.prepare('INSERT INTO a (id, s) VALUES (?, ?)').run(id, 'x'.repeat(1000))
  })
  yield 'tx'
  await db.prepare('SELECT count(*) AS n FROM a WHERE s LIKE \'%y%\'').all()
  for await (const row of db.prepare('SELECT id FROM a').iterate()) if (row.id === 300) break
  yield 'iterate'
  await db.tx(async tx => await tx.prepare('SELECT count(*) AS n FROM a').get(), { mode: 'read' })
  yield 'read transaction'
  otherLibraries(path)
  networkFileSystem(path)
  yield 'checks'
  await copyDatabase(db, other)
  await copyDatabase(other, db, { force: true })
  yield 'copy'
  await db.backup(join(freshFolder(t), 'copy.db'))
  await db.backup(path).catch(() => {})
  yield 'backup'
}

void t.test('70: whatever we do, the lock that SQLite holds on the file stays', linux, async t => {
  const path = join(freshFolder(t), 'app.db')
  const db = await openUrl(t, `sqlite:${path}`)
  t.ok(isLocked(path), 'open')
  for await (const step of useAll(t, db, path)) t.ok(isLocked(path), step)
  closeSync(openSync(path, 'r'))
  t.notOk(isLocked(path), 'and one open() of another would be seen')
})

const trace = ['-f', '-qq', '--seccomp-bpf', '-e', 'trace=open,openat,openat2']
const canTrace = spawnSync('strace', [...trace, 'true'], { encoding: 'utf8' }).status === 0

/** What opens the database, its WAL or its shared memory in a process that uses it, line by line as strace tells. */
async function traceOpens (t: Test, more = ''): Promise<string[]> {
  const folder = freshFolder(t)
  const path = join(folder, 'app.db')
  const code = `
    import { openSync, closeSync } from 'node:fs'
    import { openDatabase } from './plugins/db/open.ts'
    import { readConfig } from './plugins/config/index.ts'
    const log = { info () {}, warn () {}, error () {} }
    const path = process.argv[1]
    const db = await openDatabase(readConfig({ DATABASE_URL: 'sqlite:' + path }), log)
    await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY)')
    await db.tx(async tx => { await tx.prepare('INSERT INTO a (id) VALUES (1)').run() })
    for await (const row of db.prepare('SELECT id FROM a').iterate()) row.id
    await db.tx(async tx => await tx.prepare('SELECT id FROM a').get(), { mode: 'read' })
    await db.backup(path + '.copy')
    ${more}
    await db.close()`
  const { status, stderr } = spawnSync('strace', [...trace, '-o', join(folder, 'trace'), process.execPath, '--input-type=module', '-e', code, path], { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return readFileSync(join(folder, 'trace'), 'utf8').split('\n').filter(line => [path, `${path}-wal`, `${path}-shm`].some(name => line.includes(`"${name}"`)))
}

void t.test('70: strace sees nobody open the file but SQLite', { skip: canTrace ? false : 'there is no strace, or it may not trace' }, async t => {
  const isOfSqlite = (line: string): boolean => line.includes('O_NOFOLLOW') // which SQLite always says, and Node.js never
  const opens = await traceOpens(t)
  t.ok(opens.length > 3, 'it is opened')
  t.strictSame(opens.filter(line => !isOfSqlite(line)), [])
  t.equal((await traceOpens(t, 'closeSync(openSync(path))')).filter(line => !isOfSqlite(line)).length, 1, 'and one open() of another would be seen')
})
