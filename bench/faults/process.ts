/** The app under test as its parent sees it: its port, its report, its end, and what it wrote to stderr. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Report } from './kinds.ts'

const script = new URL('app.ts', import.meta.url)

/** Of the app that is there now; a new one follows a kill. */
export class AppProcess {
  /** Which process it is: 1, 2, … */
  life = 0
  port = 0
  /** False from the moment of a kill to the start of the next one. */
  isUp = false
  /** What all of them wrote to stderr, and how those ended that nobody asked to. */
  errors = ''
  readonly #env: Record<string, string>
  #child: ChildProcess | undefined
  #isEnding = false

  constructor (env: Record<string, string>) {
    this.#env = env
    process.once('exit', () => { this.#child?.kill('SIGKILL') })
  }

  async start (): Promise<void> {
    this.#isEnding = false
    // what the parent is started with (a test runner's hooks, say) is not for the child, which is killed without a warning
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:TAP|_TAPJS|NODE_OPTIONS|NODE_V8_COVERAGE|DB_|DATABASE_|SQLITE_)/.test(name)))
    const child = fork(script, [JSON.stringify(this.#env)], { env, execArgv: ['--trace-warnings'], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#child = child
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.errors += text })
    const died = Promise.withResolvers<never>()
    died.promise.catch(() => {})
    child.once('exit', (code, signal) => {
      if (!this.#isEnding) this.errors += `the app's process ended by itself, with ${signal ?? code}\n`
      died.reject(new Error(`the app did not start:\n${this.errors}`))
    })
    const [message] = await Promise.race([once(child, 'message'), died.promise]) as [{ port: number }]
    this.port = message.port
    this.life++
    this.isUp = true
  }

  get #isRunning (): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  async kill (): Promise<void> {
    await this.#end(child => { child.kill('SIGKILL') })
  }

  /** Ends it by app.close(). False if that took so long that it was killed. */
  async close (): Promise<boolean> {
    let isPatient = true
    const patience = setTimeout(() => {
      isPatient = false
      this.#child?.kill('SIGKILL')
    }, 10_000)
    await this.#end(child => { child.send('close') })
    clearTimeout(patience)
    return isPatient
  }

  async report (): Promise<Report> {
    const child = this.#child
    if (child === undefined || !this.#isRunning) throw new Error(`the app's process is gone:\n${this.errors}`)
    child.send('report')
    const [report] = await once(child, 'message') as [Report]
    return report
  }

  async #end (how: (child: ChildProcess) => void): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.#isRunning) return
    this.#isEnding = true
    this.isUp = false
    const exited = once(child, 'exit')
    how(child)
    await exited
  }
}
