/** The Dockerfile: held to rules, built step by step in folders, and started as its image is: image.ts has what that leaves out. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { validate } from 'dockerfile-utils'
import t from 'tap'
import { application, productionManifest, scripts } from '../../deploy/manifest.ts'
import { freePort } from '../helper/daemon.ts'
import { until } from '../helper/long.ts'
import { root } from '../helper/paths.ts'
import { waitFor } from '../rules/run.ts'
import { parseSource, readSources } from '../rules/source.ts'
import { findLast, findProblems, isIgnored, parseDockerfile } from './dockerfile.ts'
import { Image, isRoot, USER_ID } from './image.ts'

const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const packageOf = (name: string): string => name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/')

// --- rules -------------------------------------------------------------------------------------------------------------------

for (const path of ['Dockerfile', 'deploy/pgbouncer/Dockerfile']) {
  t.test(`${path} keeps the rules`, async t => {
    t.strictSame(validate(read(path)), [])
    t.strictSame(findProblems(parseDockerfile(read(path))), [])
  })
}

t.test('what the image of PgBouncer copies is there', async t => {
  const sources = parseDockerfile(read('deploy/pgbouncer/Dockerfile')).flatMap(({ instructions }) => instructions).filter(({ name }) => name === 'COPY').flatMap(({ words }) => words.slice(0, -1))
  t.strictSame(sources, ['pgbouncer.ini', 'start.sh'])
  t.strictSame(sources.filter(source => !existsSync(new URL(`deploy/pgbouncer/${source}`, root))), [])
})

t.test('a rule that is broken is found', async t => {
  const good = 'FROM debian:trixie-slim\nCOPY --chown=nobody a b\nUSER nobody\nCMD ["true"]\n'
  t.strictSame(findProblems(parseDockerfile(good)), [])
  const cases: Array<[from: string, to: string, problem: RegExp]> = [
    ['debian:trixie-slim', 'debian', /name the version/],
    ['debian:trixie-slim', 'debian:latest', /name the version/],
    ['COPY --chown=nobody a b', 'COPY a b', /--chown/],
    ['COPY --chown=nobody a b', 'ADD https://example.org/a b', /use COPY/],
    ['COPY --chown=nobody a b', 'RUN chown -R nobody /app', /doubles/],
    ['COPY --chown=nobody a b', 'RUN apt-get update && apt-get install -y --no-install-recommends x', /lists\/\* is missing/],
    ['COPY --chown=nobody a b', 'ENV OPS_TOKEN=x', /secret/],
    ['USER nobody', 'USER root', /runs as root/],
    ['USER nobody\n', '', /runs as root/],
    ['["true"]', 'true', /JSON array/],
    ['CMD ["true"]', 'HEALTHCHECK CMD curl x', /JSON array/]
  ]
  for (const [from, to, problem] of cases) t.match(findProblems(parseDockerfile(good.replace(from, to))), [problem], to)
  t.equal(validate('FROM a\nEXPOSE x\n').length, 1, 'and by dockerfile-utils')
})

t.test('it has the Node.js that the repository is tested on', async t => {
  const { version } = JSON.parse(read('tools/node/package.json')) as { version: string }
  t.equal(parseDockerfile(read('Dockerfile'))[0]?.from, `node:${version}-trixie-slim`)
})

t.test('.dockerignore keeps secrets and what is not needed out', async t => {
  const text = read('.dockerignore')
  const out = ['.env', '.env.example', 'services/.env', '.git', 'node_modules/pg', 'data/app.db', 'deploy/compose.env', 'test/app.test.ts', 'native/stress.c', 'bench']
  t.strictSame(out.filter(path => !isIgnored(text, path)), [])
  t.strictSame(['app.ts', 'plugins/db/index.ts', 'native/prebuilds/linux-x64/watchdog.so', 'deploy/manifest.ts'].filter(path => isIgnored(text, path)), [])
})

t.test('deploy/manifest.ts lists what the application imports', async t => {
  const imports = readSources('app.ts', 'services').filter(({ path }) => !path.startsWith('services/pages/static/')).flatMap(file => file.imports)
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  const packages = new Set(imports.filter(name => !name.startsWith('node:') && !existsSync(new URL(name, root))).map(packageOf).filter(name => !(name in dependencies)))
  t.strictSame([...packages, 'fastify-cli'].sort(), [...application].sort())
  const manifest = { name: 'x', version: '1.0.0', type: 'module', dependencies: {}, devDependencies: {}, scripts: {}, allowScripts: {} }
  t.throws(() => productionManifest(manifest), { message: /package\.json has no @fastify\/ajv-compiler; change the list in deploy\/manifest\.ts/ })
})

/** When its log says so. */
async function listening ({ stdout }: { stdout: Readable }): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  stdout.on('data', chunk => { if (String(chunk).includes('listening at')) resolve() })
  await promise
}

// --- built and started -------------------------------------------------------------------------------------------------------

const skip = !existsSync(new URL('native/prebuilds', root)) ? 'without native binaries there is no image' : process.platform === 'win32' && 'its commands are those of a shell'

t.test('it builds, becomes healthy, answers, and ends by SIGTERM', { skip, timeout: 110_000 }, async t => {
  const image = await Image.build(t, read('Dockerfile'))

  await t.test('it holds all that it imports, in the versions of the lock file', async t => {
    const sources = image.listFiles('/app', 'node_modules').filter(path => path.endsWith('.ts') && !/\/pages\/static\/|\/page\/client\//.test(path))
    t.ok(sources.length > 100)
    const missing = sources.flatMap(path => parseSource(path, readFileSync(image.path(path), 'utf8')).imports
      .filter(name => !name.startsWith('node:') && !existsSync(image.path(name.startsWith('/') ? name : `/app/node_modules/${packageOf(name)}`)))
      .map(name => `${path} imports ${name}`))
    t.strictSame(missing, [])
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version?: string }> }
    const installed = JSON.parse(readFileSync(image.path('/app/node_modules/.package-lock.json'), 'utf8')) as typeof lock
    const other = Object.entries(installed.packages).filter(([path, { version }]) => lock.packages[path]?.version !== version)
    t.strictSame(other, [])
    t.notOk(existsSync(image.path('/app/node_modules/typescript')), 'and nothing that only development needs')
    const own = JSON.parse(readFileSync(image.path('/app/package.json'), 'utf8')) as { scripts: Record<string, string> }
    t.strictSame(Object.keys(own.scripts), scripts)
    t.strictSame(Object.values(own.scripts).filter(command => !existsSync(image.path(`/app/${command.replace(/^node /, '')}`))), [])
  })

  const env = { PORT: String(await freePort()) }
  t.not((await image.checkHealth(env)).code, 0, 'nobody answers yet')
  const child = image.run(env)
  t.teardown(() => { child.kill('SIGKILL') })
  const ended = waitFor(child)
  await Promise.race([listening(child), ended.then(({ output }) => { throw new Error(output) })])
  await until('it is healthy', async () => (await image.checkHealth(env)).code === 0)
  t.strictSame(await (await fetch(`http://127.0.0.1:${env.PORT}/api/jobs/count`)).json(), { count: 0 })
  if (isRoot) t.equal(statSync(image.path('/data/app.db')).uid, USER_ID, 'it does not run as root')
  const backup = await waitFor(image.run(env, ['node', 'scripts/backup.ts', image.path('/data/backup.db')]))
  t.equal(backup.code, 0, backup.output)

  child.kill('SIGTERM')
  const { code, signal, output } = await ended
  t.strictSame({ code, signal }, { code: 0, signal: null }, output)
  t.notOk(existsSync(image.path('/data/app.db-wal')), 'the database was closed')
})

t.test('what the image is told fits together', async t => {
  const last = parseDockerfile(read('Dockerfile')).at(-1)
  if (last === undefined) throw new Error('there is no FROM')
  t.equal(findLast(last, 'EXPOSE')?.text, '3000')
  t.equal(findLast(last, 'VOLUME')?.text, '/data')
  t.match(read('deploy/fastify-tandem.service'), `ExecStart=/opt/fastify-tandem/node_modules/.bin/${findLast(last, 'CMD')?.words.join(' ')}\n`, 'the unit starts the same')
  t.match(findLast(last, 'ENV')?.text, /NODE_ENV=production FASTIFY_ADDRESS=0\.0\.0\.0 PORT=3000 DATABASE_URL=sqlite:\/data\//)
})
