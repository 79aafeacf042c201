/** Which binary is loaded, and what is said when none is. */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { freshFolder } from '../helper/db.ts'
import { root } from '../helper/paths.ts'

const native = fileURLToPath(new URL('native/', root))
const targets = ['linux-x64', 'linux-arm64', 'linux-x64-musl', 'linux-arm64-musl', 'darwin-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64']
const extensions: Record<string, string> = { linux: 'so', darwin: 'dylib', win32: 'dll' }
const isMusl = process.platform === 'linux' && readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-')
/** In the folder of a package. */
const binary = `native/prebuilds/${process.platform}-${process.arch}${isMusl ? '-musl' : ''}/watchdog.${extensions[process.platform]}`

interface Module {
  loadWatchdog: (db: Sqlite.Database) => { slot: number } | undefined
  watchdogProblem: () => string | undefined
}

t.test('there is a binary for each target, as native/SHA256SUMS says, and together they are small', async t => {
  const lines = targets.map(target => `prebuilds/${target}/watchdog.${extensions[target.split('-')[0] ?? '']}`).sort()
    .map(file => `${createHash('sha256').update(readFileSync(join(native, file))).digest('hex')}  ${file}`)
  t.equal(readFileSync(join(native, 'SHA256SUMS'), 'utf8'), lines.map(line => `${line}\n`).join(''))
  const bytes = lines.map(line => statSync(join(native, line.slice(66))).size).reduce((sum, size) => sum + size)
  t.ok(bytes < 500_000, `${bytes} bytes`)
})

t.test('the binary is found from the sources and from the built package', async t => {
  for (const folder of ['plugins/db/sqlite', 'dist/plugins/db/sqlite']) {
    const { loadWatchdog, watchdogProblem } = await importFrom(copy(t, folder), folder)
    t.type(loadWatchdog(connection(t))?.slot, 'number', folder)
    t.equal(watchdogProblem(), undefined)
  }
})

t.test('without the native part, or with one that is not as it was delivered, nothing is loaded and it is said why', async t => {
  const cases: Array<[problem: RegExp, change: (folder: string, file: string) => void]> = [
    [/^the native part is not there: no native\/SHA256SUMS$/, folder => { rmSync(join(folder, 'native'), { recursive: true }) }],
    [/^the native part was not built for this platform: no native\/prebuilds\/[\w-]+\/watchdog\.\w+$/, (_, file) => { rmSync(file) }],
    [/^native\/prebuilds\/[\w-]+\/watchdog\.\w+ is not the file that native\/SHA256SUMS names$/, (_, file) => { writeFileSync(file, 'changed') }],
    [/cannot be loaded: /, (folder, file) => {
      writeFileSync(file, 'no library at all')
      const sum = createHash('sha256').update('no library at all').digest('hex')
      writeFileSync(join(folder, 'native', 'SHA256SUMS'), `${sum}  ${binary.slice('native/'.length)}\n`)
    }]
  ]
  for (const [problem, change] of cases) {
    const folder = copy(t, 'plugins/db/sqlite')
    change(folder, join(folder, binary))
    const { loadWatchdog, watchdogProblem } = await importFrom(folder, 'plugins/db/sqlite')
    const db = connection(t)
    t.equal(loadWatchdog(db), undefined)
    t.equal(loadWatchdog(db), undefined, 'and again')
    t.match(watchdogProblem(), problem)
    t.equal(db.prepare('SELECT 1').pluck().get(), 1, 'the connection is as good as before')
  }
})

t.test('two copies of SQLite in one process cannot have the same binary, since each would be called for the connections of the other', async t => {
  const { loadWatchdog, watchdogProblem } = await importFrom(copy(t, 'plugins/db/sqlite'), 'plugins/db/sqlite')
  const driver = new URL('node_modules/better-sqlite3/prebuilds/', root)
  const nativeBinding = join(freshFolder(t), 'other.node')
  cpSync(new URL(`${isMusl ? 'linuxmusl' : process.platform}-${process.arch}.node`, driver), nativeBinding)
  const first = connection(t)
  t.type(loadWatchdog(first)?.slot, 'number')
  const other = new Sqlite(':memory:', { nativeBinding })
  t.teardown(() => { other.close() })
  t.equal(loadWatchdog(other), undefined)
  t.match(watchdogProblem(), /another copy of SQLite in this process uses it/)
  t.equal(other.prepare('SELECT 1').pluck().get(), 1)
  first.close()
  t.type(loadWatchdog(other)?.slot, 'number', 'when the first one is done with it')
})

function connection (t: Test): Sqlite.Database {
  const db = new Sqlite(':memory:')
  t.teardown(() => { db.close() })
  return db
}

/** A package with nothing but the native part and its wrapper, which stands in `folder`. */
function copy (t: Test, folder: string): string {
  const target = freshFolder(t)
  mkdirSync(join(target, folder), { recursive: true })
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }')
  cpSync(new URL('plugins/db/sqlite/watchdog.ts', root), join(target, folder, 'watchdog.ts'))
  cpSync(new URL(binary, root), join(target, binary))
  cpSync(join(native, 'SHA256SUMS'), join(target, 'native', 'SHA256SUMS'))
  return target
}

async function importFrom (folder: string, path: string): Promise<Module> {
  return await import(pathToFileURL(join(folder, path, 'watchdog.ts')).href) as Module
}
