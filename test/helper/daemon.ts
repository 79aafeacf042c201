/**
 * A server program that a test or a fault run starts: in a folder of its own, and without rights when we are root.
 *
 * What is kept true:
 *  1. It is gone with us, however we end, SIGKILL included: a guard (a shell that waits for the end of its stdin) then ends it and removes the folder.
 *  2. Ctrl-C does not reach it, because it has a session of its own. Only its owner, or the guard, ends it.
 *  3. It keeps nobody alive: a process with nothing else to do ends although the program runs.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

export interface Program {
  readonly command: string
  readonly parameters: readonly string[]
  /** What it writes to stderr when it is ready. */
  readonly ready: RegExp
}

const isWindows = process.platform === 'win32'
const isRoot = process.getuid?.() === 0
/** Whom servers run as: PostgreSQL and PgBouncer refuse root. */
const user: { readonly uid?: number, readonly gid?: number } = isRoot ? { uid: idOf('-u'), gid: idOf('-g') } : {}

const GUARD = `
trap '' INT TERM HUP QUIT
read -r _
if pid=$(cat "$1/pid" 2> /dev/null); then
  kill -QUIT "$pid"
  kill -CONT "$pid" $(ps -A -o pid=,ppid= | awk -v parent="$pid" '$2 == parent { print $1 }')
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do kill -0 "$pid" || break; sleep 0.5; done
  kill -KILL "$pid"
fi 2> /dev/null
rm -rf "$1"`

export class Daemon {
  readonly folder: string
  readonly #onLog: ((text: string) => void) | undefined
  readonly #guard: ChildProcess | undefined
  #child: ChildProcess | undefined
  #log = ''

  /** Makes the folder `<prefix>XXXXXX`. `onLog` gets what the program writes to stderr. */
  constructor (prefix: string, onLog?: (text: string) => void) {
    this.folder = mkdtempSync(join(tmpdir(), prefix))
    this.giveAway(this.folder)
    this.#onLog = onLog
    if (!isWindows) this.#guard = startGuard(this.folder)
  }

  /** The last 20,000 characters of what it wrote to stderr. */
  get log (): string {
    return this.#log
  }

  get isUp (): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  /** A file in the folder that the program can read and that nobody else can. Answers its path. */
  write (name: string, content: string | Buffer): string {
    const path = join(this.folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    return this.giveAway(path)
  }

  /** A copy of a file, such as a key, that only the program can read. Answers its path. */
  copy (name: string, from: string): string {
    return this.write(name, readFileSync(from))
  }

  /** Makes `path` the program's own. */
  giveAway (path: string): string {
    if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid)
    return path
  }

  /** `path`, or a copy of it in the folder if the program could not reach it where it is. */
  reach (path: string): string {
    if (!isRoot || isReachable(path)) return path
    const copy = join(this.folder, basename(path))
    if (!existsSync(copy)) cpSync(path, copy, { recursive: true, verbatimSymlinks: true })
    return copy
  }

  /** Runs a program to its end, in the folder and with the rights of the daemon. */
  async run (command: string, ...parameters: string[]): Promise<void> {
    await promisify(execFile)(command, parameters, { ...user, cwd: this.folder })
  }

  /** Resolves when it is ready. Rejects with what it wrote if it ends before. */
  async start ({ command, parameters, ready }: Program): Promise<void> {
    const child = spawn(command, parameters, { ...user, cwd: this.folder, detached: !isWindows, stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    this.#log = ''
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    child.once('error', reject)
    child.once('exit', () => { reject(new Error(`${command} did not start:\n${this.#log}`)) })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#onLog?.(text)
      this.#log = (this.#log + text).slice(-20_000)
      if (ready.test(this.#log)) resolve()
    })
    if (child.pid !== undefined) writeFileSync(join(this.folder, 'pid'), String(child.pid))
    await promise
    child.unref()
    unref(child.stderr)
  }

  /** Sends the signal and waits for the end. */
  async end (signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.isUp) return
    child.ref()
    const exited = once(child, 'exit')
    child.kill(signal)
    child.kill('SIGCONT')
    await exited
    rmSync(join(this.folder, 'pid'), { force: true })
  }

  /** SIGKILL for it and its children, all at once as when a machine stops. */
  async kill (): Promise<void> {
    const children = await this.#children()
    const ended = this.end('SIGKILL') // first, so that it starts no new one
    for (const pid of children) send(pid, 'SIGKILL')
    await ended
    for (let i = 0; i < 400 && (await processes()).some(({ pid }) => children.includes(pid)); i++) await sleep(5)
  }

  /** Stops it and its children where they are. They still own their sockets, so that the other side is told nothing. */
  async pause (): Promise<void> {
    this.#child?.kill('SIGSTOP') // first, so that it starts no new one
    for (const pid of await this.#children()) send(pid, 'SIGSTOP')
  }

  async resume (): Promise<void> {
    for (const pid of await this.#children()) send(pid, 'SIGCONT')
    this.#child?.kill('SIGCONT')
  }

  /** Ends it and removes its folder. */
  async remove (signal: NodeJS.Signals): Promise<void> {
    if (this.isUp) await this.resume()
    await this.end(signal)
    rmSync(this.folder, { recursive: true, force: true })
    this.#guard?.stdin?.destroy()
  }

  async #children (): Promise<number[]> {
    const own = this.#child?.pid
    return (await processes()).filter(({ parent }) => parent === own).map(({ pid }) => pid)
  }
}

/** A port of 127.0.0.1 that nobody listens on, and that no outgoing connection takes by itself while a server is away: those have ports from 32768 on. */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(() => true, () => false)
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}

function startGuard (folder: string): ChildProcess {
  const guard = spawn('sh', ['-c', GUARD, 'guard', folder], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  guard.unref()
  unref(guard.stdin)
  return guard
}

/** Pipes are sockets, which their types do not say. */
function unref (pipe: unknown): void {
  (pipe as Readable & { unref: () => void }).unref()
}

function send (pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // it has ended
  }
}

/** All that run; those that have ended and that nobody asked about (zombies) are left out. */
async function processes (): Promise<Array<{ pid: number, parent: number }>> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat='])
  return stdout.split('\n').map(line => line.trim().split(/\s+/)).filter(([, , state = 'Z']) => !state.startsWith('Z'))
    .map(([pid, parent]) => ({ pid: Number(pid), parent: Number(parent) }))
}

/** For somebody without rights. */
function isReachable (path: string): boolean {
  for (let part = path; ; part = dirname(part)) {
    if ((statSync(part).mode & 0o001) === 0) return false
    if (dirname(part) === part) return true
  }
}

function idOf (flag: string): number {
  return Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
}
