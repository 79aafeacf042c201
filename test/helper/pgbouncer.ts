/**
 * PgBouncer in front of a throw-away PostgreSQL. There may be several versions on a machine (scripts/install-pgbouncer.sh gets two), or none.
 *
 *  - 1.18 knows no prepared statements in transaction mode; 1.21 and later do, if `max_prepared_statements` is not 0, which it is by default before 1.24.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type pg from 'pg'
import type { Test } from 'tap'
import { Daemon, freePort } from './daemon.ts'
import { ask } from './pg.ts'
import type { Settings, TlsFiles } from './postgres-server.ts'

export interface PgBouncerProgram {
  /** '1.24.1' */
  readonly version: string
  /** With prepared statements in transaction mode. */
  readonly knowsPrepared: boolean
  /** The program itself, or a folder with it, its loader and its libraries. */
  readonly path: string
}

export interface PgBouncerOptions {
  /** What has the address of the server: the server itself, or a proxy. */
  readonly server: { readonly url: string }
  /** Default: the newest there is. */
  readonly program?: PgBouncerProgram | undefined
  /** Default: 'transaction'. */
  readonly poolMode?: 'session' | 'transaction' | 'statement'
  /** Connections to the server, at most. Default: 3. */
  readonly poolSize?: number
  /** Of the section [pgbouncer], on top of those below. */
  readonly settings?: Settings
  /** With it clients may use TLS. */
  readonly tls?: TlsFiles
}

/** The reason for a test to skip. */
export const noPgBouncer = 'there is no PgBouncer; scripts/install-pgbouncer.sh gets it'

/** Those that run here, the oldest first; at most one of each version. */
export async function findPgBouncers (): Promise<PgBouncerProgram[]> {
  const own = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const cache = join(own, 'fastify-tandem', 'pgbouncer')
  const unpacked = existsSync(cache) ? readdirSync(cache).map(name => join(cache, name)) : []
  const installed = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'].map(folder => join(folder, 'pgbouncer')).filter(path => existsSync(path))
  const found = new Map<string, PgBouncerProgram>()
  for (const path of [...unpacked, ...installed]) {
    const version = await versionOf(path)
    if (version !== undefined && !found.has(version)) found.set(version, { version, path, knowsPrepared: compareVersions(version, '1.21') >= 0 })
  }
  return [...found.values()].sort((a, b) => compareVersions(a.version, b.version))
}

export class PgBouncer {
  readonly port: number
  /** As the user test, in the database postgres. */
  readonly url: string
  readonly program: PgBouncerProgram
  readonly #daemon: Daemon
  readonly #file: string

  private constructor (daemon: Daemon, port: number, url: string, program: PgBouncerProgram, file: string) {
    this.#daemon = daemon
    this.port = port
    this.url = url
    this.program = program
    this.#file = file
  }

  /** Ends by `stop`, and with the process that started it; see `startPgBouncer` for tests. */
  static async start ({ server, program, poolMode = 'transaction', poolSize = 3, settings = {}, tls }: PgBouncerOptions): Promise<PgBouncer> {
    const chosen = program ?? (await findPgBouncers()).at(-1)
    if (chosen === undefined) throw new Error(noPgBouncer)
    const daemon = new Daemon('test-pgbouncer-')
    const [port, target] = [await freePort(), new URL(server.url)]
    const users = daemon.write('users.txt', `"${target.username}" "${target.password}"\n`)
    const file = daemon.write('pgbouncer.ini', configFile(target, {
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'scram-sha-256',
      auth_file: users,
      admin_users: target.username,
      pool_mode: poolMode,
      default_pool_size: poolSize,
      max_client_conn: 500,
      // seconds, after which a server that was away is tried again; the default of 15 is for production
      server_login_retry: 1,
      ...(tls === undefined ? {} : { client_tls_sslmode: 'allow', client_tls_cert_file: daemon.copy('tls.crt', tls.certificate), client_tls_key_file: daemon.copy('tls.key', tls.key) }),
      ...settings
    }))
    target.port = String(port)
    const bouncer = new PgBouncer(daemon, port, target.href, chosen, file)
    await bouncer.up()
    return bouncer
  }

  /** Ends it at once, clients and all, and starts it. 'kill': by SIGKILL. */
  async restart (how: 'immediate' | 'kill' = 'immediate'): Promise<void> {
    await this.down(how)
    await this.up()
  }

  async down (how: 'immediate' | 'kill' = 'immediate'): Promise<void> {
    await this.#daemon.end(how === 'kill' ? 'SIGKILL' : this.#endSignal)
  }

  async up (): Promise<void> {
    const { command, parameters } = commandIn(this.#daemon.reach(this.program.path))
    await this.#daemon.start({ command, parameters: [...parameters, this.#file], ready: /process up/ })
  }

  /** It is there, and does nothing (SIGSTOP). */
  async pause (): Promise<void> {
    await this.#daemon.pause()
  }

  async resume (): Promise<void> {
    await this.#daemon.resume()
  }

  /** A command of its console, such as 'SHOW POOLS', 'RECONNECT', 'PAUSE', 'KILL postgres'. */
  async admin<R extends pg.QueryResultRow> (command: string): Promise<R[]> {
    const url = new URL(this.url)
    url.pathname = '/pgbouncer'
    return await ask<R>(url.href, command)
  }

  /** The end of its log. */
  get log (): string {
    return this.#daemon.log
  }

  async stop (): Promise<void> {
    await this.#daemon.remove('SIGKILL')
  }

  /** Since 1.23 SIGTERM waits for the clients. */
  get #endSignal (): NodeJS.Signals {
    return compareVersions(this.program.version, '1.23') >= 0 ? 'SIGQUIT' : 'SIGTERM'
  }
}

/** Ended with the test. */
export async function startPgBouncer (t: Test, options: PgBouncerOptions): Promise<PgBouncer> {
  const bouncer = await PgBouncer.start(options)
  t.teardown(async () => { await bouncer.stop() })
  return bouncer
}

function configFile (target: URL, settings: Settings): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  return ['[databases]', `* = host=${target.hostname} port=${target.port}`, '[pgbouncer]', ...lines, ''].join('\n')
}

/** An unpacked one needs the loader and the libraries that it was unpacked with. */
function commandIn (path: string): { command: string, parameters: string[] } {
  const loader = join(path, 'ld.so')
  return existsSync(loader) ? { command: loader, parameters: ['--library-path', join(path, 'lib'), join(path, 'pgbouncer')] } : { command: path, parameters: [] }
}

async function versionOf (path: string): Promise<string | undefined> {
  const { command, parameters } = commandIn(path)
  const { stdout } = await promisify(execFile)(command, [...parameters, '--version']).catch(() => ({ stdout: '' }))
  return /^PgBouncer (\S+)/.exec(stdout)?.[1]
}

function compareVersions (a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}
