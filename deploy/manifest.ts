/**
 * What the image installs: of package.json and its lock file the packages that the application needs, as a manifest and a lock of their own.
 *
 * For users of the package Fastify and its plugins are devDependencies, since only the application in this repository uses them. So `npm ci --omit=dev` would leave too
 * little, and `npm ci` brings compilers and browsers. Versions and checksums are those of package-lock.json, because nothing is looked up.
 *
 *   node deploy/manifest.ts <folder>      writes package.json and package-lock.json there
 */
import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

type Versions = Record<string, string>

interface Manifest {
  name: string
  version: string
  type: string
  dependencies: Versions
  devDependencies: Versions
  scripts: Versions
  allowScripts: Record<string, boolean>
}

interface Lock { packages: Record<string, { dependencies?: Versions, devDependencies?: Versions, peerDependencies?: Versions }> }

/** What app.ts and services/ import beside the package's own dependencies, and what starts the app. A test compares this list with the imports. */
export const application: readonly string[] = [
  '@fastify/ajv-compiler', '@fastify/cookie', '@fastify/fast-json-stringify-compiler', '@fastify/formbody', '@fastify/helmet', '@fastify/oauth2', '@fastify/rate-limit', '@fastify/sse',
  '@fastify/static', '@fastify/swagger', '@fastify/swagger-ui', 'fastify', 'fastify-cli', 'ipaddr.js', 'uuid'
]

/** The scripts that the image has, for `docker compose exec app npm run …`. */
export const scripts: readonly string[] = ['config', 'migrate', 'backup', 'copy', 'token']

/** With the same versions, and scripts that are in the image. Throws for a name that package.json does not have. */
export function productionManifest ({ name, version, type, dependencies, devDependencies, scripts: all, allowScripts }: Manifest): object {
  const own = pick(devDependencies, application)
  return { name, version, private: true, type, dependencies: { ...dependencies, ...own }, scripts: pick(all, scripts), allowScripts }
}

/** npm leaves out what nothing asks for any more. */
export function productionLock (lock: Lock, { dependencies, devDependencies }: Manifest): Lock {
  const { '': root, ...packages } = lock.packages
  const { devDependencies: _, peerDependencies: __, ...rest } = root ?? {}
  return { ...lock, packages: { '': { ...rest, dependencies: { ...dependencies, ...pick(devDependencies, application) } }, ...packages } }
}

function pick (from: Versions, names: readonly string[]): Versions {
  return Object.fromEntries(names.map(name => {
    const value = from[name]
    if (value === undefined) throw new Error(`package.json has no ${name}; change the list in deploy/manifest.ts`)
    return [name, value]
  }))
}

function read (name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'))
}

const [, program = '.', folder = '.'] = argv
if (realpathSync(program) === fileURLToPath(import.meta.url)) {
  const manifest = read('package.json') as Manifest
  const lock = read('package-lock.json') as Lock
  const write = (name: string, content: object): void => { writeFileSync(join(folder, name), `${JSON.stringify(content, null, 2)}\n`) }
  write('package.json', productionManifest(manifest))
  write('package-lock.json', productionLock(lock, manifest))
}
