/**
 * `npm run test:node -- 22`: the tests on another Node.js than the repository's own, fetched as a package into .tap/ on its first run.
 * Kept true: nothing is tested on another version than the one that was asked for.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const usage = `Usage: npm run test:node -- <version> [test files, arguments of tap]

  npm run test:node -- 22                                   the whole suite, on the newest Node.js 22
  npm run test:node -- 22.18.0 test/package/package.test.ts one file, on exactly that version`

const root = fileURLToPath(new URL('../', import.meta.url))
const isWindows = process.platform === 'win32'

const [version = '', ...rest] = process.argv.slice(2)
try {
  process.exitCode = await main()
} catch (error) {
  console.error(`test:node: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

async function main (): Promise<number> {
  if (!/^\d+(?:\.\d+\.\d+)?$/.test(version)) throw new Error(`expected a version such as 22 or 22.18.0, got '${version}'.\n${usage}`)
  const node = isWanted(process.version) ? process.execPath : await fetchNode()
  await run(node, ['--version'], node)
  return await run(node, [join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs'), '--disable-coverage', ...rest], node)
}

function isWanted (found: string): boolean {
  return `${found}.`.startsWith(`v${version}.`)
}

/** The path of its binary. Once fetched, it stays: delete its folder in .tap/ for a newer one of the same major version. */
async function fetchNode (): Promise<string> {
  const folder = join(root, '.tap', `node-${version}`)
  const name = `node-${isWindows ? 'win' : process.platform}-${process.arch}`
  const node = join(folder, 'node_modules', name, 'bin', isWindows ? 'node.exe' : 'node')
  if (existsSync(node)) return node
  mkdirSync(folder, { recursive: true })
  const code = await run('npm', ['install', '--prefix', folder, '--no-save', '--no-package-lock', '--ignore-scripts', `${name}@${version}`])
  if (code !== 0 || !existsSync(node)) throw new Error(`npm has no ${name}@${version}. Run this script with that Node.js itself: node scripts/test-node.ts ${process.argv.slice(2).join(' ')}`)
  return node
}

/** Answers its exit code. What the tests start by the name of `node` is the given one, too. */
async function run (program: string, args: readonly string[], node?: string): Promise<number> {
  const path = node === undefined ? process.env.PATH : dirname(node) + delimiter + (process.env.PATH ?? '')
  const child = spawn(program, args, { cwd: root, stdio: 'inherit', shell: isWindows && program === 'npm', env: { ...process.env, PATH: path } })
  const [code] = await once(child, 'exit') as [number | null]
  return code ?? 1
}
