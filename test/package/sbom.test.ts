/** `npm run sbom`: the list is compared with what the lock file says, read here in another way than npm's. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { root } from '../helper/paths.ts'
import { run } from '../rules/run.ts'

interface Component { name: string, version: string, purl: string, licenses?: Array<{ license: { id: string } }>, hashes?: unknown[] }
interface Sbom { bomFormat: string, specVersion: string, metadata: { component: Component }, components: Component[], dependencies: Array<{ ref: string, dependsOn: string[] }> }
interface Locked { version: string, dependencies?: Record<string, string>, optionalDependencies?: Record<string, string>, peerDependencies?: Record<string, string> }
type Packages = Record<string, Locked | undefined>

const repository = fileURLToPath(root)
const read = (file: string): unknown => JSON.parse(readFileSync(join(repository, file), 'utf8'))
const { packages } = read('package-lock.json') as { packages: Packages }
const manifest = read('package.json') as Locked & { name: string, license: string }

/** Where the lock file has what somebody asks for: beside himself, or further out. */
function locate (from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`
    if (packages[path] !== undefined || folder === '') return packages[path] === undefined ? undefined : path
  }
}

/** The places in the lock file that can be reached from package.json without its devDependencies. */
function findInstalled (): Set<string> {
  const found = new Set<string>()
  const queue: Array<[path: string, wants: string[]]> = [['', Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })]]
  for (const [path, wants] of queue) {
    for (const next of wants.map(name => locate(path, name))) {
      if (next === undefined || found.has(next)) continue
      found.add(next)
      queue.push([next, Object.keys({ ...packages[next]?.dependencies, ...packages[next]?.optionalDependencies })])
    }
  }
  return found
}

t.test('the bill of materials has what users install, with versions and licences, and nothing else', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-sbom-test-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  const file = join(folder, 'sbom.cdx.json')
  await run(repository, process.execPath, 'scripts/sbom.ts', '--out', file)
  const text = readFileSync(file, 'utf8')
  const sbom = JSON.parse(text) as Sbom

  t.match(sbom, { bomFormat: 'CycloneDX', specVersion: /^1\.[5-9]$/, metadata: { component: { name: manifest.name, version: manifest.version, licenses: [{ license: { id: manifest.license } }] } } })
  const installed = [...findInstalled()].map(path => `${path.slice(path.lastIndexOf('node_modules/') + 13)}@${packages[path]?.version}`)
  t.strictSame([...new Set(sbom.components.map(({ name, version }) => `${name}@${version}`))].sort(), [...new Set(installed)].sort())
  t.strictSame(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).filter(name => !sbom.components.some(component => component.name === name)), [], 'the direct ones')
  t.strictSame(sbom.components.filter(({ licenses, hashes }) => licenses?.[0] === undefined || hashes?.[0] === undefined), [], 'each has its licence and its checksum')
  t.strictSame(sbom.components.filter(({ purl }) => !purl.startsWith('pkg:npm/')), [])
  t.notMatch(text, /https?:\/\/(?!cyclonedx\.org\/)/, 'no registry')
  t.strictSame([repository, folder, tmpdir()].filter(path => text.includes(path)), [], 'nothing of this machine')
})
