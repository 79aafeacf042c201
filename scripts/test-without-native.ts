/**
 * `npm run test:without-native`: the test suite in a copy of the repository that has no native binaries, as on a platform for which there is none.
 * Left out are the tests of the binary itself; others that need it are skipped, each with its reason (test/helper/native.ts).
 *
 *   node scripts/test-without-native.ts [files]
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, globSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What the binary does, called directly. */
const LEFT_OUT = /^test\/native\//

const root = fileURLToPath(new URL('../', import.meta.url))
const copy = mkdtempSync(join(tmpdir(), 'tandem-without-native-'))
process.on('SIGINT', () => {}) // tap ends, and then the copy is removed
try {
  for (const file of listFiles()) cpSync(join(root, file), join(copy, file))
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction')
  const given = process.argv.slice(2)
  const files = given.length > 0 ? given : globSync('test/**/*.test.ts', { cwd: copy }).map(file => file.replaceAll('\\', '/')).filter(file => !LEFT_OUT.test(file))
  const env = { ...process.env, NODE_COMPILE_CACHE: join(copy, '.tap', 'compile-cache') } // for each database threads are started, which load the same files
  const child = spawn(process.execPath, [join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs'), '--disable-coverage', ...files], { cwd: copy, stdio: 'inherit', env })
  const [code] = await once(child, 'exit') as [number | null]
  process.exitCode = code ?? 1
} finally {
  rmSync(copy, { recursive: true, force: true })
}

/** What git knows or would, without the binaries. */
function listFiles (): string[] {
  const { stdout } = spawnSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  return stdout.split('\n').filter(file => file !== '' && file !== 'node_modules' && !file.startsWith('native/prebuilds/')) // the one may be a link, which git does not ignore
}
