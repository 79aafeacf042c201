/**
 * `npm run sbom`: what users get with this package, as CycloneDX JSON, made by npm's own `npm sbom`.
 *
 * It lists what the lock file has for `dependencies` and `peerDependencies`: the versions that were tested. Not `npm sbom --omit=dev`, which leaves out whatever is
 * a development dependency as well: of pg, typebox and Fastify there is nothing in its list. So it is made in a folder of its own, from a package.json without any.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const usage = `Usage: npm run sbom [-- --out <file>]

Writes a software bill of materials (CycloneDX JSON) of what users install with this package.
Asks no registry: all of it is in package-lock.json.

  --out <file>  where to; dist/sbom.cdx.json if not given
  --help        this text`

const root = fileURLToPath(new URL('../', import.meta.url))

interface Manifest { name: string, version: string, description: string, license: string, dependencies: Record<string, string>, peerDependencies: Record<string, string> }

try {
  await main()
} catch (error) {
  console.error(`sbom: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

async function main (): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'dist', 'sbom.cdx.json') }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    console.log(usage)
    return
  }
  const file = resolve(values.out)
  const sbom = await makeSbom()
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, sbom)
  console.log(file)
}

async function makeSbom (): Promise<string> {
  const { name, version, description, license, dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  const scratch = mkdtempSync(join(tmpdir(), 'tandem-sbom-'))
  try {
    const folder = join(scratch, name) // npm names what it describes after its folder
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version, description, license, dependencies, peerDependencies }))
    copyFileSync(join(root, 'package-lock.json'), join(folder, 'package-lock.json'))
    await npm(folder, 'install', '--package-lock-only', '--offline', '--ignore-scripts') // takes out of the lock file what only development needs
    return await npm(folder, 'sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=library')
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** What it prints. */
async function npm (cwd: string, ...args: string[]): Promise<string> {
  const child = spawn('npm', args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' })
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number | null]>])
  if (code !== 0) throw new Error(`npm ${args.join(' ')} failed:\n${output}${errors}`)
  return output
}
