/** The process of app.ts, as the run sees it. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { AppJob, Asked, Held, Told } from './app.ts'
import type { MemorySample } from './judge.ts'

type Ready = Extract<Told, { ready: object }>['ready']
type Free = Extract<Told, { load: string }>

const CLOSE_MS = 15_000

export class AppProcess {
  readonly problems: string[] = []
  readonly memory: MemorySample[] = []
  /** What the main thread's JavaScript uses of that. */
  readonly heap: MemorySample[] = []
  readonly held: Held[] = []
  #child: ChildProcess | undefined
  #isEnding = false
  readonly #ready = Promise.withResolvers<Ready>()
  #busy = Promise.withResolvers<boolean>()
  #free = Promise.withResolvers<Free>()

  get isGone (): boolean {
    return this.#child?.exitCode !== null || this.#child.signalCode !== null
  }

  async start (job: AppJob): Promise<Ready> {
    // what the parent is started with (a test runner's hooks, say) is not for the service
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:TAP|_TAPJS|NODE_OPTIONS|NODE_V8_COVERAGE|DB_|DATABASE_|SQLITE_|JOBS_)/.test(name)))
    const child = fork(new URL('app.ts', import.meta.url), [JSON.stringify(job)], { env, execArgv: ['--trace-warnings'], serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#child = child
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.problems.push(`the service wrote to stderr: ${text.slice(0, 4000)}`) })
    child.on('message', told => { this.#note(told as Told) })
    child.once('exit', (code, signal) => { this.#noteExit(`${signal ?? code}`) })
    process.once('exit', () => { this.kill() })
    return await this.#ready.promise
  }

  /** True when a place of the database is taken; false if none is for a while. */
  async askBusy (): Promise<boolean> {
    this.#busy = Promise.withResolvers<boolean>()
    this.#send('busy')
    return await this.#busy.promise
  }

  /** When all places are free, and how long after the last client had left. */
  async askFree (): Promise<Free> {
    this.#free = Promise.withResolvers<Free>()
    this.#send('free')
    return await this.#free.promise
  }

  /** False if that took so long that it was killed. */
  async close (): Promise<boolean> {
    const child = this.#child
    if (child === undefined || this.isGone) return true // which is a problem already
    this.#isEnding = true
    let isPatient = true
    const patience = setTimeout(() => {
      isPatient = false
      this.kill()
    }, CLOSE_MS)
    const exited = once(child, 'exit')
    this.#send('close')
    await exited
    clearTimeout(patience)
    return isPatient
  }

  kill (): void {
    this.#isEnding = true
    this.#child?.kill('SIGKILL')
  }

  #send (asked: Asked): void {
    if (!this.isGone) this.#child?.send(asked)
  }

  #note (told: Told): void {
    if ('ready' in told) this.#ready.resolve(told.ready)
    else if ('rssBytes' in told) this.#noteMemory(told)
    else if ('held' in told) this.held.push(...told.held)
    else if ('isBusy' in told) this.#busy.resolve(told.isBusy)
    else if ('load' in told) this.#free.resolve(told)
    else this.problems.push(told.problem)
  }

  #noteMemory ({ rssBytes, heapBytes }: { rssBytes: number, heapBytes: number }): void {
    const ms = performance.now()
    this.memory.push({ ms, bytes: rssBytes })
    this.heap.push({ ms, bytes: heapBytes })
  }

  /** Nobody waits for a process that is not there. */
  #noteExit (how: string): void {
    if (!this.#isEnding) this.problems.push(`the service's process ended by itself, with ${how}`)
    this.#ready.reject(new Error(`the service did not start:\n${this.problems.join('\n')}`))
    this.#busy.resolve(false)
    this.#free.resolve({ freedMs: 0, load: 'gone' })
  }
}
