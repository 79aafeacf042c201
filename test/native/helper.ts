/** For tests of the native part: its binaries (the delivered one, and one that the compiler of this machine makes), connections with it, and threads. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import tap, { type Test } from 'tap'
import type { Watchdog } from '../../plugins/db/sqlite/watchdog.ts'
import { root } from '../helper/paths.ts'
import { run } from '../rules/run.ts'
import { load, type Binary } from './connection.ts'
import type { Answer, Setup, Task } from './worker.ts'

// --- binaries ------------------------------------------------------------------------------------------------------------------

/** A test with the delivered binary, and with one that is built here by `cc`. */
export function onEachBinary (name: string, test: (t: Test, binary: Binary) => unknown): void {
  void tap.test(`${name} (delivered binary)`, async t => { await test(t, undefined) })
  void tap.test(`${name} (binary built here)`, async t => {
    const binary = await (built ??= buildHere())
    if (binary === undefined) t.comment('not run: there is no C compiler (cc) on this machine')
    else await test(t, binary)
  })
}

let built: Promise<Binary> | undefined

/** What `npm run build:native` makes here; undefined where there is no compiler, since it would fetch one. */
async function buildHere (): Promise<Binary> {
  if (!await isThere('cc')) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'tandem-native-'))
  tap.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  await run(fileURLToPath(root), process.execPath, 'scripts/build-native.ts', '--out', folder)
  const [file] = readdirSync(join(folder, 'prebuilds'), { recursive: true, encoding: 'utf8' }).filter(name => name.includes('watchdog.'))
  return join(folder, 'prebuilds', file ?? '')
}

export async function isThere (program: string): Promise<boolean> {
  if (process.platform === 'win32') return false
  return await run(tmpdir(), program, '--version').then(() => true, () => false)
}

// --- connections -----------------------------------------------------------------------------------------------------------------

export interface Opened { readonly db: Sqlite.Database, readonly watchdog: Watchdog }

/** A connection, closed with the test. */
export function open (t: Test, binary: Binary, file = ':memory:'): Opened {
  const db = new Sqlite(file, { timeout: 0 })
  t.teardown(() => { db.close() })
  return { db, watchdog: load(db, binary) }
}

/** A thread with a connection of its own, ended with the test. */
export class Thread {
  /** Of its connection. */
  readonly slot: number
  readonly #worker: Worker
  /** What it has said and nobody has read. */
  readonly #answers: Answer[] = []
  #onAnswer = (): void => {}

  static async start (t: Test, binary: Binary, file = ':memory:'): Promise<Thread> {
    const setup: Setup = { binary, file }
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: setup })
    t.teardown(async () => { await worker.terminate() })
    const thread = new Thread(worker)
    const ready = await thread.next()
    return Object.assign(thread, { slot: ready.is === 'ready' ? ready.slot : -1 })
  }

  constructor (worker: Worker) {
    this.slot = -1
    this.#worker = worker
    worker.on('message', (answer: Answer) => {
      this.#answers.push(answer)
      this.#onAnswer()
    })
  }

  send (task: Task): void {
    this.#worker.postMessage(task)
  }

  /** Sends a task, and waits for the next thing that it says. */
  async ask (task: Task): Promise<Answer> {
    this.send(task)
    return await this.next()
  }

  /** The next thing that it says. */
  async next (): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onAnswer = resolve
    if (this.#answers.length === 0) await promise
    return this.#answers.shift() as Answer
  }

  /** True if it has said something that nobody has read. */
  get hasAnswered (): boolean {
    return this.#answers.length > 0
  }
}
