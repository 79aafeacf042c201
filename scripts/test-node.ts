/**
 * `npm run test:node22`: the test suite on another major version of Node.js than the repository's own, fetched as a package into .tap/ on its first run.
 *
 *   node scripts/test-node.ts <major> [arguments of tap]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const [major, ...rest] = process.argv.slice(2)

if (major === undefined || !/^\d+$/.test(major)) {
  console.error('Usage: node scripts/test-node.ts <major> [arguments of tap], such as 22')
  process.exit(1)
}

const folder = join(root, '.tap', `node-${major}`)
const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
const bin = join(folder, 'node_modules', name, 'bin')

if (!existsSync(bin)) {
  mkdirSync(folder, { recursive: true })
  await run('npm', ['install', '--prefix', folder, '--no-save', '--no-package-lock', `${name}@${major}`])
}
await run('node', ['--version'])
process.exitCode = await run('node', [join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs'), '--disable-coverage', ...rest])

async function run (command: string, args: string[]): Promise<number> {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: bin + delimiter + (process.env.PATH ?? '') } })
  const [code] = await once(child, 'exit') as [number | null]
  return code ?? 1
}
