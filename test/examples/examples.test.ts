/** Each example is started by its own front door, in a project outside of this repository, and asked. */
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { engines, freshUrl } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { makeProject } from '../helper/project.ts'
import { findFences } from '../rules/fences.ts'
import { start, waitFor } from '../rules/run.ts'
import { packages, startExample, startServer } from './server.ts'

const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

t.test('every example is started, and is in docs/examples.md', async t => {
  const names = readdirSync(new URL('examples/', root))
  const test = read('test/examples/examples.test.ts') + read('test/examples/postgres.test.ts')
  t.strictSame(names.filter(name => !test.includes(`'${name}'`) && !test.includes(`examples/${name}'`)), [])
  t.strictSame(names.filter(name => !read('docs/examples.md').includes(`](../examples/${name}`)), [])
})

t.test('minimal is the program of the README', async t => {
  const [first] = findFences('README.md', read('README.md')).filter(({ language }) => language === 'ts')
  t.equal(read('examples/minimal/server.ts').replace(/^\/\*\*[\s\S]*?\*\/\n/, ''), first?.code, 'one of them was changed; copy it to the other')
})

for (const engine of engines) {
  t.test(`${engine}: minimal`, async t => {
    const { ask, status } = await startExample(t, 'minimal', { DATABASE_URL: await freshUrl(t, engine) })
    t.strictSame(await ask('POST', '/visits/1'), { visits: 1 })
    t.equal(await status('POST', '/visits/1'), 409, 'the id is there already')
    t.strictSame(await ask('POST', '/visits/2'), { visits: 2 })
  })

  t.test(`${engine}: own-plugin`, async t => {
    const { ask, status } = await startExample(t, 'own-plugin', { DATABASE_URL: await freshUrl(t, engine) })
    t.strictSame(await ask('POST', '/notes', { text: 'the first' }), { id: 1, text: 'the first' })
    t.equal(await status('POST', '/notes', { text: '' }), 400)
    t.strictSame(await ask('GET', '/notes/1'), { id: 1, text: 'the first' })
    t.equal(await status('GET', '/notes/2'), 404)
    t.strictSame(await ask('POST', '/digest'), { id: 2, text: 'There are 1 notes.' })
    t.equal(await status('POST', '/digest?dry=1'), 409)
    t.strictSame(await ask('GET', '/digest'), { notes: 2 }, 'what was refused is rolled back')
    t.strictSame(await ask('POST', '/notes', { text: 'next' }), { id: 3, text: 'next' }, 'its number as well')
  })

  t.test(`${engine}: fastify-cli`, async t => {
    const project = makeProject(t, 'examples/fastify-cli', packages)
    const { ask, stop } = await startServer(t, project, ['node_modules/fastify-cli/cli.js', 'start', '-l', 'info', 'src/app.ts'], { DATABASE_URL: await freshUrl(t, engine) })
    t.strictSame(await ask('GET', '/'), { engine })
    t.strictSame(await ask('GET', '/visits/home'), { page: 'home', visits: 0 }, 'nobody was there yet')
    await ask('POST', '/visits/home')
    t.strictSame(await ask('POST', '/visits/home'), { page: 'home', visits: 2 })
    t.strictSame(await ask('GET', '/ops/health/ready'), { status: 'ok' })
    t.equal((await stop()).code, 0)
  })
}

t.test('fastify-cli: its own tests pass, and it asks for what it imports', async t => {
  const project = makeProject(t, 'examples/fastify-cli', packages)
  const { dependencies, scripts } = JSON.parse(read('examples/fastify-cli/package.json')) as { dependencies: Record<string, string>, scripts: Record<string, string> }
  t.strictSame(Object.keys(dependencies).filter(name => ![...packages, 'fastify-tandem'].includes(name)), [])
  const [program, ...parameters] = scripts.test?.split(' ') ?? []
  t.equal(program, 'node')
  const { code, output } = await waitFor(start(process.execPath, parameters, { cwd: project, env: { PATH: process.env.PATH } }))
  t.equal(code, 0, output)
  t.match(output, /pass 2\n/)
})

t.test('sqlite: opentelemetry', async t => {
  const { ask, stop } = await startExample(t, 'opentelemetry', { DATABASE_URL: await freshUrl(t, 'sqlite') })
  t.strictSame(await ask('GET', '/answer'), { answer: 42 })
  const { stdout } = await stop()
  t.match(stdout, /'db\.system\.name': 'sqlite'/)
  t.match(stdout, /'db\.query\.text': 'SELECT \? \* \? AS answer'/, 'without literals')
})
