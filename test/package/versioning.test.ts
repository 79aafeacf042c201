/** docs/versioning.md, README.md, package.json and CI say the same of what is promised and what is supported. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { root } from '../helper/paths.ts'
import { readSources } from '../rules/source.ts'

interface Manifest { name: string, engines: { node: string }, exports: Record<string, unknown>, dependencies: Record<string, string>, peerDependencies: { fastify: string } }

const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const manifest = JSON.parse(read('package.json')) as Manifest
const document = read('docs/versioning.md')

/** The cells of the row that begins so. */
function findRow (text: string, first: string): string[] {
  return text.split('\n').find(line => line.startsWith(`| ${first}`))?.split('|').slice(1, -1).map(cell => cell.trim()) ?? []
}

/** The names in backquotes that begin so. */
function findNames (text: string | undefined, prefix: string): string[] {
  return [...text?.matchAll(/`([^`]+)`/g) ?? []].map(([, name = '']) => name).filter(name => name.startsWith(prefix)).sort()
}

t.test('the interface is all entries of the package and all channels, and no others', async t => {
  const entries = Object.keys(manifest.exports).filter(name => name !== './package.json').map(name => manifest.name + name.slice(1))
  t.strictSame(findNames(findRow(document, 'the entries')[0], manifest.name), entries.sort())
  const channels = readSources('plugins').flatMap(({ text }) => [...text.matchAll(/\bchannel\('([^']+)'\)/g)].map(([, name = '']) => name))
  t.strictSame(findNames(findRow(document, '`tandem:')[0], 'tandem:'), channels.sort())
})

t.test('the table of migrations is as it is made', async t => {
  const made = readSources('plugins').flatMap(({ text }) => [...text.matchAll(/CREATE TABLE IF NOT EXISTS \$\{tableOf\(set\)\} \((.*?)\)`/g)].map(([, columns = '']) => columns))
  t.equal(made.length, 1)
  const columns = made[0]?.split(', ').map(column => column.split(' ')[0] ?? '') ?? []
  t.strictSame(findNames(findRow(document, 'the tables')[0], '').filter(name => !name.startsWith('tandem_')), columns.sort())
})

t.test('what it runs on is what package.json says, and what CI tests', async t => {
  const [, supported = '', tested = ''] = findRow(document, 'Node.js')
  t.equal(supported, manifest.engines.node)
  t.equal(findRow(document, 'Fastify')[1], manifest.peerDependencies.fastify)
  t.equal(findRow(document, 'better-sqlite3')[1], manifest.dependencies['better-sqlite3'])

  const oldest = `${supported.replace('>=', '')}.0`
  const majors = tested.match(/\b\d+(?=,)/g) ?? []
  t.ok(tested.includes(oldest))
  const matrices = [...read('.github/workflows/ci.yml').matchAll(/node: \[(.*)\]/g)].map(([, list = '']) => list.replaceAll('\'', '').split(', '))
  const [first, ...others] = majors
  t.strictSame(matrices, [[first, others.at(-1)], [oldest, ...others], [oldest, ...others]], 'the whole suite on the first and the last (.ci/run has the one between), the package on the oldest too')
  t.equal(findRow(read('README.md'), 'Node.js')[1], `${supported.replace('>=', '')} or newer; ${majors.slice(0, -1).join(', ')} and ${majors.at(-1)} are tested`)
})
