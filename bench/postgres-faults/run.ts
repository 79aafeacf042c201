/** One fault run: starts the rig and the app, hurts at random for as long as was asked for, and has what is left judged. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatCount, Progress } from '../../scripts/terminal.ts'
import { Random } from '../faults/random.ts'
import type { AppPlan, AppReport, Tally } from './app.ts'
import { judgeAccounts, judgeClient, judgeEffort, readTruth } from './judge.ts'
import { Ledger } from './ledger.ts'
import { startRig, type Rig } from './rig.ts'

export interface RunOptions {
  readonly seconds: number
  readonly seed: number
  readonly clients: number
  readonly pgbouncer: string
  /** How long after its time-out a call may still take. What the process could not do because it had no turn is added. */
  readonly graceMs: number
}

export interface Result {
  readonly paths: readonly string[]
  readonly ledgers: readonly Ledger[]
  /** How often each fault was. */
  readonly faults: Readonly<Record<string, number>>
  readonly report: AppReport | undefined
  readonly violations: readonly string[]
}

const times = { statementMs: 3000, txMs: 5000 }
const env = { DB_STATEMENT_TIMEOUT: `${times.statementMs}ms`, DB_TX_TIMEOUT: `${times.txMs}ms`, DB_ACQUIRE_TIMEOUT: '2s', DB_POOL_MAX: '8' }
const END_MS = 60_000

export async function run (options: RunOptions): Promise<Result> {
  const rig = await startRig(options)
  const before = await rig.countConnections()
  const app = new App({ ...times, env, seed: options.seed, clients: options.clients, paths: rig.paths })
  try {
    await app.begin()
    const faults = await attack(options, rig, app)
    rig.calm()
    const report = await app.end()
    const ledgers = report?.ledgers.map(data => new Ledger(data.client, data)) ?? []
    const violations = [...app.problems, ...report?.problems ?? [], ...await judge(rig, ledgers, options.graceMs + (report?.longestStallMs ?? 0)), ...await leftovers(rig, before)]
    return { paths: rig.paths.map(({ name }) => name), ledgers, faults, report, violations }
  } finally {
    app.kill()
    await rig.stop()
  }
}

async function judge ({ server: { url } }: Rig, ledgers: readonly Ledger[], graceMs: number): Promise<string[]> {
  const wrong = [...await judgeAccounts(url), ...judgeEffort(ledgers)]
  for (const ledger of ledgers) wrong.push(...judgeClient(ledger, await readTruth(url, ledger.client), { ...times, graceMs }))
  return wrong
}

async function leftovers ({ countConnections, keptConnections }: Rig, before: number): Promise<string[]> {
  let now = NaN
  for (let i = 0; i < 100; i++) { // the server notices an end later than the client
    now = await countConnections()
    if (now <= before + keptConnections) return []
    await sleep(100)
  }
  return [`${now} connections to the server are left, and there were ${before}`]
}

/** Hurts until the time is over. Answers how often each fault was. */
async function attack ({ seconds, seed }: RunOptions, rig: Rig, app: App): Promise<Record<string, number>> {
  const faults: Record<string, number> = {}
  const until = performance.now() + seconds * 1000
  let last = ''
  const hurt = async (name: string, fault: () => void | Promise<void>): Promise<void> => {
    faults[name] = (faults[name] ?? 0) + 1
    last = name
    await fault()
  }
  const progress = new Progress({ unit: 'seconds' })
  const drawing = setInterval(() => { progress.update(Math.round(progress.seconds), seconds, `${formatCount(app.calls)} calls; ${last}`) }, 200)
  const isOver = (): boolean => performance.now() > until || app.isGone
  try {
    await Promise.all([hurtOften(new Random(seed), rig, hurt, isOver), hurtRarely(new Random(seed + 1), rig, hurt, isOver, seconds), waitFor(isOver)])
  } finally {
    clearInterval(drawing)
    progress.clear()
  }
  return faults
}

type Hurt = (name: string, fault: () => void | Promise<void>) => Promise<void>

async function hurtOften (random: Random, { often }: Rig, hurt: Hurt, isOver: () => boolean): Promise<void> {
  const weights = Object.fromEntries(Object.entries(often).map(([name, { weight }]) => [name, weight]))
  while (!isOver()) {
    await sleep(random.between(20, 300))
    const name = random.weighted(weights)
    await hurt(name, async () => { await often[name]?.hurt(random) })
  }
}

/** In turn, so that a short run meets each of them too. Between two of them there is time to recover. */
async function hurtRarely (random: Random, { rare }: Rig, hurt: Hurt, isOver: () => boolean, seconds: number): Promise<void> {
  const names = Object.keys(rare)
  const pauseMs = Math.max(300, Math.min(4000, seconds * 1000 / names.length - 2000))
  for (let i = 0; !isOver(); i++) {
    await sleep(random.between(pauseMs >> 1, pauseMs))
    const name = names[i % names.length] ?? ''
    if (!isOver()) await hurt(name, async () => { await rare[name]?.(random) })
  }
}

async function waitFor (isOver: () => boolean): Promise<void> {
  while (!isOver()) await sleep(100)
}

/** The process of app.ts. */
class App {
  calls = 0
  readonly problems: string[] = []
  readonly #child: ChildProcess
  #isEnding = false

  constructor (plan: AppPlan) {
    // what the parent is started with (a test runner's hooks, say) is not for the child
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:TAP|_TAPJS|NODE_OPTIONS|NODE_V8_COVERAGE|DB_|DATABASE_)/.test(name)))
    this.#child = fork(new URL('app.ts', import.meta.url), [JSON.stringify(plan)], { env, execArgv: ['--trace-warnings'], serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.problems.push(`the app wrote to stderr: ${text}`) })
    this.#child.once('exit', (code, signal) => { if (!this.#isEnding) this.problems.push(`the app's process ended by itself, with ${signal ?? code}`) })
    process.once('exit', () => { this.kill() })
  }

  get isGone (): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async begin (): Promise<void> {
    await Promise.race([once(this.#child, 'message'), once(this.#child, 'exit')])
    if (this.isGone) throw new Error(`the app did not start:\n${this.problems.join('\n')}`)
    this.#child.on('message', message => { if (message !== null && typeof message === 'object' && 'calls' in message) ({ calls: this.calls } = message as Tally) })
    this.#child.send('begin')
  }

  /** Undefined if it does not report in time. */
  async end (): Promise<AppReport | undefined> {
    this.#isEnding = !this.isGone
    if (this.isGone) return undefined
    const { promise, resolve } = Promise.withResolvers<AppReport | undefined>()
    const late = setTimeout(() => { resolve(undefined) }, END_MS)
    this.#child.on('message', message => { if (message !== null && typeof message === 'object' && 'ledgers' in message) resolve(message as AppReport) })
    this.#child.once('exit', () => { resolve(undefined) })
    this.#child.send('end')
    const report = await promise
    clearTimeout(late)
    if (report === undefined) this.problems.push(`the app has not ended within ${END_MS} ms: a call hangs, or close() does`)
    return report
  }

  kill (): void {
    this.#isEnding = true
    this.#child.kill('SIGKILL')
  }
}
