/** The app in a process of its own, as the simulation sees it. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Asked, Load, Told } from './app.ts'

export class AppProcess {
  readonly #child: ChildProcess
  readonly #port = Promise.withResolvers<number>()
  #load = Promise.withResolvers<Load>()
  #said = ''

  constructor (env: Readonly<Record<string, string>>) {
    // what this process is started with (a test runner's hooks, say) is not for the app
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:TAP|_TAPJS|NODE_OPTIONS|NODE_V8_COVERAGE|DB_|DATABASE_|SQLITE_|VAULT_)/.test(name)))
    this.#child = fork(new URL('app.ts', import.meta.url), [JSON.stringify(env)], { env: inherited, execArgv: process.execArgv.filter(flag => flag.startsWith('--cpu-prof')), stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.#said += text })
    this.#child.on('message', told => { this.#note(told as Told) })
    this.#child.once('exit', () => { this.#end() })
    this.#port.promise.catch(() => {})
    process.once('exit', () => { this.kill() })
  }

  async port (): Promise<number> {
    return await this.#port.promise
  }

  /** Since it was asked last. */
  async load (): Promise<Load> {
    this.#load = Promise.withResolvers<Load>()
    this.#send('load')
    return await this.#load.promise
  }

  async close (): Promise<void> {
    if (this.#isGone) return
    const exited = once(this.#child, 'exit')
    this.#send('close')
    const patience = setTimeout(() => { this.kill() }, 10_000)
    await exited
    clearTimeout(patience)
  }

  kill (): void {
    this.#child.kill('SIGKILL')
  }

  get #isGone (): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  #send (asked: Asked): void {
    if (this.#isGone) this.#end()
    else this.#child.send(asked)
  }

  #note (told: Told): void {
    if ('port' in told) this.#port.resolve(told.port)
    else this.#load.resolve(told.load)
  }

  #end (): void {
    const error = new Error(`the app has ended: ${this.#said.slice(0, 2000) || 'it said nothing'}`)
    this.#port.reject(error)
    this.#load.reject(error)
  }
}
