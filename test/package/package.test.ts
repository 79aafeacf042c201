/**
 * The package as its users get it: packed by npm, looked at by the field's own checkers, unpacked into projects of three kinds, and used there.
 *
 * Nothing is downloaded: next to the projects are the package itself, and links to what its package.json asks for (and to the types of Node).
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkPackage, createPackageFromTarballData, Package } from '@arethetypeswrong/core'
import { publint, type PackFile } from 'publint'
import { formatMessage } from 'publint/utils'
import t from 'tap'
import { root } from '../helper/paths.ts'
import { run } from '../rules/run.ts'
import { parseSource } from '../rules/source.ts'

interface Manifest {
  name: string
  version: string
  exports: Record<string, string | { types: string, default: string }>
  scripts: Record<string, string>
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
  gypfile?: unknown
}

const scratch = mkdtempSync(join(tmpdir(), 'tandem-package-'))
t.teardown(() => { rmSync(scratch, { recursive: true, force: true }) })

const repository = fileURLToPath(root)
await run(repository, 'npm', 'pack', '--pack-destination', scratch)
const tarball = readdirSync(scratch).find(name => name.endsWith('.tgz')) ?? ''
const modules = join(scratch, 'node_modules')
const unpacked = join(modules, 'fastify-tandem')
mkdirSync(unpacked, { recursive: true })
await run(unpacked, 'tar', '-xzf', join(scratch, tarball), '--strip-components=1')
const files = readdirSync(unpacked, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name).slice(unpacked.length + 1).replaceAll('\\', '/')).sort()
const manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as Manifest
const entries = Object.keys(manifest.exports).filter(name => name !== './package.json')

// --- what is in it -----------------------------------------------------------------------------------------------------------

t.test('the tarball holds what is meant for users, and nothing else', async t => {
  const meant = [
    /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|\.env\.example)$/,
    /^dist\/plugins\/(?:[\w-]+\/)*[\w-]+\.(?:js|d\.ts)$/,
    /^native\/(?:watchdog\.c|platform\.h|SHA256SUMS|prebuilds\/[\w-]+\/watchdog\.(?:so|dylib|dll))$/
  ]
  t.strictSame(files.filter(file => !meant.some(pattern => pattern.test(file))), [])
  t.strictSame(['README.md', 'LICENSE', 'CHANGELOG.md', '.env.example'].filter(file => !files.includes(file)), [], 'nothing is left out')
})

/** A third more than there was when this was written: what doubles the package is noticed, a new file is not. */
const LIMITS = { packed: 460_000, unpacked: 1_600_000 }

t.test('it is small', async t => {
  const sizes = files.map(file => ({ file, bytes: statSync(join(unpacked, file)).size })).sort((a, b) => b.bytes - a.bytes)
  const packed = statSync(join(scratch, tarball)).size
  const unpackedBytes = sizes.reduce((sum, { bytes }) => sum + bytes, 0)
  t.ok(packed <= LIMITS.packed, `${packed} bytes packed, of ${LIMITS.packed}`)
  t.ok(unpackedBytes <= LIMITS.unpacked, `${unpackedBytes} bytes unpacked, of ${LIMITS.unpacked}`, { largest: sizes.slice(0, 10) })
})

t.test('it does not say where it was made', async t => {
  const folders = ['plugins', 'native', 'node_modules'].map(name => join(repository, name))
  t.strictSame(files.filter(file => folders.some(folder => readFileSync(join(unpacked, file), 'latin1').includes(folder))), [])
})

t.test('installing it runs nothing', async t => {
  const atInstall = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']
  t.strictSame(atInstall.filter(name => manifest.scripts[name] !== undefined), [])
  t.notOk(files.includes('binding.gyp'), 'npm would build that')
  t.equal(manifest.gypfile, undefined)
})

t.test('every entry and every import inside of it leads to a file of it', async t => {
  const targets = Object.values(manifest.exports).flatMap(entry => typeof entry === 'string' ? [entry] : [entry.types, entry.default])
  t.strictSame(targets.map(target => posix.normalize(target)).filter(target => !files.includes(target)), [])
  for (const file of files.filter(name => name.endsWith('.js'))) {
    const { imports } = parseSource(file, readFileSync(join(unpacked, file), 'utf8'))
    t.strictSame(imports.filter(name => !files.includes(name) && !isDeclared(name)), [], file)
  }
})

/** A module of Node, or of a package that the manifest asks for. */
function isDeclared (name: string): boolean {
  const module = name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/')
  return name.startsWith('node:') || module in { ...manifest.dependencies, ...manifest.peerDependencies }
}

// --- what the checkers say -------------------------------------------------------------------------------------------------------

/** What publint says of some files, as its users read it: errors, warnings and suggestions. */
async function lint (contents: PackFile[]): Promise<string[]> {
  const { messages, pkg } = await publint({ pkgDir: 'package', pack: { files: contents }, strict: true, level: 'suggestion' })
  return messages.map(message => `${message.type}: ${formatMessage(message, pkg, { color: false }) ?? message.code}`)
}

t.test('publint finds nothing, and would', async t => {
  const contents = files.map(file => ({ name: `package/${file}`, data: readFileSync(join(unpacked, file)) }))
  t.strictSame(await lint(contents), [])
  t.match(await lint(contents.filter(({ name }) => name !== 'package/dist/plugins/tx/index.js')), [/^error: .*dist\/plugins\/tx\/index\.js/])
})

/**
 * Two things that are-the-types-wrong tells are as decided; the list is exact, so that neither can spread nor vanish unnoticed.
 *
 *  1. TypeScript's resolution `node10` reads no "exports", and so finds no entry. TypeScript 7 has removed it, and Node has read them since 12: folders that only
 *     lead it there would serve nobody who can run this package.
 *  2. From CommonJS one gets an ES module. Node requires that from 22.12 on without a flag, TypeScript allows it with `module` nodenext or node20; the tests
 *     below do both. A second build, for CommonJS, could be loaded beside the first one, and neither would know of the other's transactions.
 */
t.test('are-the-types-wrong finds what was decided, and nothing else', async t => {
  const found = await findTypeProblems(createPackageFromTarballData(readFileSync(join(scratch, tarball))))
  t.strictSame(found, entries.flatMap(entry => [`NoResolution ${entry} node10`, `CJSResolvesToESM ${entry} node16-cjs`]).sort())
  const contents = Object.fromEntries(files.filter(file => file !== 'dist/plugins/tx/index.d.ts')
    .map(file => [`/node_modules/fastify-tandem/${file}`, readFileSync(join(unpacked, file), 'utf8')]))
  const without = await findTypeProblems(new Package(contents, manifest.name, manifest.version))
  t.ok(without.includes('UntypedResolution ./tx bundler'), 'a missing declaration would be found')
})

async function findTypeProblems (pack: Package): Promise<string[]> {
  const result = await checkPackage(pack)
  if (result.types === false) return ['there are no types']
  return result.problems.map(problem => 'entrypoint' in problem ? `${problem.kind} ${problem.entrypoint} ${problem.resolutionKind}` : JSON.stringify(problem)).sort()
}

// --- using it ----------------------------------------------------------------------------------------------------------------

const app = `
async function main () {
  const app = Fastify()
  await app.register(config, { env: { DATABASE_URL: 'sqlite:data/app.db' } })
  await app.register(db)
  app.get('/', async () => {
    await app.db.exec('CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, body TEXT NOT NULL)')
    return await app.db.prepare('INSERT INTO note (body) VALUES (?) RETURNING id, body').get('hello')
  })
  const reply = await app.inject('/')
  await app.close()
  const doors = [tandem.config === config, tandem.db === db, tandem.tx === tx, tandem.ops === ops, typeof sandbox === 'function']
  console.log(JSON.stringify({ reply: reply.json(), doors }))
}
main()
`
const answer = { reply: { id: 1, body: 'hello' }, doors: [true, true, true, true, true] }

const imports = `
import Fastify from 'fastify'
import * as tandem from 'fastify-tandem'
import config from 'fastify-tandem/config'
import db from 'fastify-tandem/db'
import tx from 'fastify-tandem/tx'
import ops from 'fastify-tandem/ops'
import { sandbox } from 'fastify-tandem/testing'
`

/** A folder with the given files, beside the package and what it depends on. */
function makeProject (name: string, contents: Record<string, string>): string {
  const folder = join(scratch, name)
  mkdirSync(folder)
  for (const [file, content] of Object.entries(contents)) writeFileSync(join(folder, file), content)
  return folder
}

for (const name of [...Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }), '@types/node']) {
  mkdirSync(dirname(join(modules, name)), { recursive: true })
  symlinkSync(join(repository, 'node_modules', name), join(modules, name), 'junction')
}

t.test('it works in an ESM project', async t => {
  const folder = makeProject('esm', { 'package.json': '{ "type": "module" }', 'index.js': imports + app })
  t.strictSame(JSON.parse(await run(folder, process.execPath, 'index.js')), answer)
})

t.test('it works in a CommonJS project', async t => {
  const requires = imports.replace(/import (?:\* as )?(\w+|\{ sandbox \}) from ('[^']+')/g, (_, name: string, module: string) =>
    ['Fastify', 'tandem', '{ sandbox }'].includes(name) ? `const ${name} = require(${module})` : `const { default: ${name} } = require(${module})`)
  const folder = makeProject('cjs', { 'package.json': '{ "type": "commonjs" }', 'index.js': requires + app })
  t.strictSame(JSON.parse(await run(folder, process.execPath, 'index.js')), answer)
})

t.test('it works in a TypeScript project, and its types fit', async t => {
  const use = `
    interface Note { id: number, body: string }
    export async function findNote (database: tandem.Database, id: number): Promise<Note | undefined> {
      return await database.tx(async tx => await tx.prepare<Note>('SELECT id, body FROM note WHERE id = ?').get(id), { mode: 'read' })
    }
    // @ts-expect-error: there is no such option
    export const wrong = async (database: tandem.Database): Promise<void> => { await database.tx(async () => {}, { readonly: true }) }
  `
  const requires = `
    import tandem = require('fastify-tandem')
    import db = require('fastify-tandem/db')
    export const same: boolean = tandem.db === db.default
  `
  const compilerOptions = { target: 'es2024', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false, types: ['node'], exactOptionalPropertyTypes: true }
  const folder = makeProject('typescript', {
    'package.json': '{ "type": "module" }',
    'tsconfig.json': JSON.stringify({ compilerOptions, include: ['index.ts', 'commonjs.cts'] }),
    'index.ts': imports + use + app,
    'commonjs.cts': requires
  })
  t.equal(await run(folder, process.execPath, join(repository, 'node_modules/typescript/bin/tsc')), '')
  t.strictSame(JSON.parse(await run(folder, process.execPath, 'index.ts')), answer)
})
