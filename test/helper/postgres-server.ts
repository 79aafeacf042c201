/**
 * A throw-away PostgreSQL, on a free port of 127.0.0.1 and on a Unix socket, that can be restarted, killed and stopped for a while. Any number of them at a time.
 *
 * What was committed survives the end of the server's processes, also by SIGKILL. It need not survive the end of the machine, so fsync is off.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Daemon, freePort } from './daemon.ts'
import { findProgram } from './postgres-files.ts'

export type Settings = Readonly<Record<string, string | number>>

/** PEM files. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
  /** Of the clients' certificates, if it is to ask for them. */
  readonly ca?: string
}

export interface PostgresOptions {
  /** Of postgresql.conf, on top of those below. */
  readonly settings?: Settings
  /** Lines for pg_hba.conf, before those that ask everybody on this machine for a password. */
  readonly hba?: readonly string[]
  /** With it the server offers TLS. That nothing else is accepted is a line of `hba`: 'hostnossl all all all reject'. */
  readonly tls?: TlsFiles
  /** Fills the empty data folder, instead of initdb. */
  readonly makeData?: (folder: string, daemon: Daemon) => Promise<void>
  /** Gets the server's log. */
  readonly onLog?: (text: string) => void
}

/** 'fast': clients get the error 57P01. 'immediate', a crash with a recovery: they get that as a mere notice. 'kill': the same crash, and they are told nothing. */
export type Ending = 'fast' | 'immediate' | 'kill'

/** For tests that start one of their own. */
export const skip = process.env.TEST_POSTGRES === 'off' && 'TEST_POSTGRES=off'
const isWindows = process.platform === 'win32'
const program = { ready: /ready to accept (?:read-only )?connections/ }

export class PostgresServer {
  readonly port: number
  /** As the user test, who is a superuser, in the database postgres. */
  readonly url: string
  readonly dataFolder: string
  readonly #daemon: Daemon
  #settings: Settings

  private constructor (daemon: Daemon, port: number, settings: Settings) {
    this.#daemon = daemon
    this.#settings = settings
    this.port = port
    this.url = `postgres://test:test@127.0.0.1:${port}/postgres`
    this.dataFolder = join(daemon.folder, 'data')
  }

  /** Ends by `stop`, and with the process that started it. See `startPostgres` for tests. */
  static async start ({ settings = {}, hba = [], tls, makeData = initialize, onLog }: PostgresOptions = {}): Promise<PostgresServer> {
    const daemon = new Daemon('test-pg-', onLog)
    const server = new PostgresServer(daemon, await freePort(), { ...settings, ...tlsSettings(daemon, tls) })
    try {
      await makeData(server.dataFolder, daemon)
      if (hba.length > 0) prepend(join(server.dataFolder, 'pg_hba.conf'), hba)
      await server.up()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  /** Where the Unix socket is; the port is part of its name. */
  get socketFolder (): string {
    return this.#daemon.folder
  }

  /** The same as `url`, by the Unix socket. */
  get socketUrl (): string {
    return `postgres://test:test@localhost/postgres?host=${encodeURIComponent(this.socketFolder)}&port=${this.port}`
  }

  get isUp (): boolean {
    return this.#daemon.isUp
  }

  /** The end of its log. */
  get log (): string {
    return this.#daemon.log
  }

  /** Resolves when it is there again. `settings` hold from now on. */
  async restart (how: Ending, settings: Settings = {}): Promise<void> {
    await this.down(how)
    this.#settings = { ...this.#settings, ...settings }
    await this.up()
  }

  /** SIGKILL for all of its processes, and a recovery. */
  async kill (): Promise<void> {
    await this.restart('kill')
  }

  /** Ends it, until `up`. */
  async down (how: Ending): Promise<void> {
    if (how === 'kill') await this.#daemon.kill()
    else await this.#daemon.end(signalOf(how))
  }

  /** Starts it after `down`. Resolves when it accepts connections. */
  async up (): Promise<void> {
    const settings = { ...this.#defaults(), ...this.#settings }
    const parameters = ['-D', this.dataFolder, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
    await this.#daemon.start({ ...program, command: findProgram('postgres', this.#daemon), parameters })
  }

  /** Stops all of its processes where they are (SIGSTOP): the machine is there, and nobody answers. */
  async pause (): Promise<void> {
    await this.#daemon.pause()
  }

  async resume (): Promise<void> {
    await this.#daemon.resume()
  }

  /** Ends it and removes its data. */
  async stop (): Promise<void> {
    await this.#daemon.remove(signalOf('immediate'))
  }

  #defaults (): Settings {
    return {
      port: this.port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: isWindows ? '' : this.socketFolder,
      fsync: 'off',
      full_page_writes: 'off',
      // without it the server notices that a client is gone only when it answers
      client_connection_check_interval: '100ms',
      max_connections: 200,
      shared_buffers: '64MB',
      max_wal_size: '256MB'
    }
  }
}

/** Ended with the test. */
export async function startPostgres (t: Test, options: PostgresOptions = {}): Promise<PostgresServer> {
  const server = await PostgresServer.start(options)
  t.teardown(async () => { await server.stop() })
  return server
}

function signalOf (how: 'fast' | 'immediate'): NodeJS.Signals {
  if (isWindows) return 'SIGKILL'
  return how === 'fast' ? 'SIGINT' : 'SIGQUIT'
}

async function initialize (folder: string, daemon: Daemon): Promise<void> {
  const password = daemon.write('pw', 'test\n')
  await daemon.run(findProgram('initdb', daemon), '-D', folder, '-U', 'test', '-A', 'scram-sha-256', `--pwfile=${password}`, '--no-sync', '--no-instructions',
    '-E', 'UTF8', '--locale=C')
}

/** The server reads its own copies: it refuses a key that others may read. */
function tlsSettings (daemon: Daemon, tls: TlsFiles | undefined): Settings {
  if (tls === undefined) return {}
  return {
    ssl: 'on',
    ssl_cert_file: daemon.copy('server.crt', tls.certificate),
    ssl_key_file: daemon.copy('server.key', tls.key),
    ...(tls.ca === undefined ? {} : { ssl_ca_file: daemon.copy('ca.crt', tls.ca) })
  }
}

function prepend (path: string, lines: readonly string[]): void {
  const rest = readFileSync(path, 'utf8')
  writeFileSync(path, `${lines.join('\n')}\n`)
  appendFileSync(path, rest)
}
