/**
 * One soak run on one engine: clients send whatever the service answers, leave in the middle, have little time. Every few seconds they pause, so that it can be seen that nothing of theirs is left,
 * and some leave all together, so that it can be seen when their places are free.
 */
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatCount, Progress } from '../../scripts/terminal.ts'
import { Random } from '../faults/random.ts'
import type { Held } from './app.ts'
import { drawFate, send, type Answer } from './client.ts'
import type { Target } from './database.ts'
import { judgeAnswer, judgeEffort, judgeHeld, judgeMemory, judgeProbes, type Bounds, type MemorySample, type Probe } from './judge.ts'
import { AppProcess } from './process.ts'
import { judgeRoutes, kinds, pick, type Kind, type Words } from './requests.ts'

export interface RunOptions extends Bounds {
  readonly engine: 'sqlite' | 'postgres'
  readonly seconds: number
  readonly clients: number
  readonly seed: number
}

export interface Result {
  readonly options: RunOptions
  readonly tallies: ReadonlyMap<string, Tally>
  readonly memory: readonly MemorySample[]
  readonly probes: readonly Probe[]
  readonly heap: readonly MemorySample[]
  readonly held: readonly Held[]
  readonly violations: readonly string[]
}

/** Of one kind of request. */
export interface Tally {
  requests: number
  complete: number
  left: number
  refused: Record<string, number>
  longestMs: number
}

const PAUSE_EVERY_MS = 5000
const PROBE_CLIENTS = 3

export async function run (options: RunOptions, target: Target): Promise<Result> {
  const app = new AppProcess()
  const violations: string[] = []
  try {
    const { port, routes } = await app.start({ env: target.env })
    violations.push(...judgeRoutes(routes))
    const soak = new Soak(options, app, port, await learnWords(port))
    await soak.work()
    if (!await app.close()) violations.push('app.close() had not ended after 15 s')
    violations.push(...soak.violations, ...app.problems, ...judgeProbes(soak.probes, options), ...judgeHeld(app.held, options), ...judgeEffort(soak.totals))
    if (options.seconds >= 240) violations.push(...judgeMemory(app.memory, options))
    return { options, tallies: soak.tallies, memory: app.memory, probes: soak.probes, heap: app.heap, held: app.held, violations: [...new Set(violations)] }
  } finally {
    app.kill()
  }
}

/** What there is to be asked for, from the service itself. */
async function learnWords (port: number): Promise<Words> {
  const ask = async <T>(path: string): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    if (response.status !== 200) throw new Error(`GET ${path} was answered with ${response.status}`)
    return await response.json() as T
  }
  const groupsOf = async (group: string): Promise<string[]> => (await ask<{ stats: Array<{ id: string }> }>(`/api/jobs/stats?groupBy=${group}&limit=50`)).stats.map(({ id }) => id)
  const jobAt = async (sort: string): Promise<{ id: number, startTime: number }> => {
    const { jobs: [job] } = await ask<{ jobs: Array<{ id: number, startTime: number }> }>(`/api/jobs?sort=${sort}&limit=1`)
    if (job === undefined) throw new Error('there are no jobs')
    return job
  }
  const [first, last] = [await jobAt('id'), await jobAt('-id')]
  const { nextCursor: cursor = '' } = await ask<{ nextCursor?: string }>('/api/jobs')
  return {
    users: await groupsOf('user'),
    projects: await groupsOf('project'),
    clusters: await groupsOf('cluster'),
    firstId: first.id,
    lastId: last.id,
    newest: last.startTime,
    cursor
  }
}

/** The clients and their pauses. */
class Soak {
  readonly violations: string[] = []
  readonly probes: Probe[] = []
  readonly tallies = new Map<string, Tally>(kinds.map(({ name }) => [name, { requests: 0, complete: 0, left: 0, refused: {}, longestMs: 0 }]))
  readonly #options: RunOptions
  readonly #app: AppProcess
  readonly #port: number
  readonly #words: Words
  readonly #floor = new Floor()
  readonly #progress = new Progress({ unit: 'seconds' })
  #requests = 0
  #isOver = false

  constructor (options: RunOptions, app: AppProcess, port: number, words: Words) {
    this.#options = options
    this.#app = app
    this.#port = port
    this.#words = words
  }

  get totals (): Tally {
    const all = [...this.tallies.values()]
    const sum = (of: (tally: Tally) => number): number => all.reduce((total, tally) => total + of(tally), 0)
    return { requests: sum(tally => tally.requests), complete: sum(tally => tally.complete), left: sum(tally => tally.left), refused: {}, longestMs: 0 }
  }

  async work (): Promise<void> {
    const clients = Array.from({ length: this.#options.clients }, async (_, i) => { await this.#client(new Random(this.#options.seed * 7919 + i)) })
    const failed = Promise.all(clients)
    await Promise.race([this.#pauses(), failed]) // a client that throws ends the run
    this.#isOver = true
    await failed
    this.#progress.clear()
  }

  async #client (random: Random): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const weights = Object.fromEntries(kinds.map(({ name, weight }) => [name, weight]))
    while (!this.#isOver && !this.#app.isGone) {
      await this.#floor.enter()
      const name = random.weighted(weights)
      const kind = kinds.find(kind => kind.name === name) ?? pick(kinds, random)
      const answer = await send(agent, this.#port, kind, kind.plan(random, this.#words), drawFate(random))
      this.#floor.leave()
      this.#note(answer)
      if (answer.status === 429) await sleep(1000)
      else if (random.chance(0.2)) await sleep(random.between(0, 30))
    }
    agent.destroy()
  }

  #note (answer: Answer): void {
    const tally = this.tallies.get(answer.kind.name)
    if (tally === undefined) return
    const { status, code = '', isComplete, hasLeft, ms, fate } = answer
    this.#requests++
    tally.requests++
    tally.longestMs = Math.max(tally.longestMs, ms)
    if (isComplete && status !== undefined && status < 300) tally.complete++
    else if (hasLeft) tally.left++
    else tally.refused[`${status} ${code}`.trim()] = (tally.refused[`${status} ${code}`.trim()] ?? 0) + 1
    const wrong = judgeAnswer(answer)
    if (wrong !== undefined) this.violations.push(`${answer.kind.name} (${JSON.stringify(fate)}): ${wrong}`)
  }

  // --- pauses ------------------------------------------------------------------------------------------------------------------

  async #pauses (): Promise<void> {
    const until = performance.now() + this.#options.seconds * 1000
    const random = new Random(this.#options.seed + 1)
    const slow = kinds.filter(({ isSlow }) => isSlow === true)
    const drawing = setInterval(() => { this.#draw() }, 200)
    try {
      for (let i = 0; performance.now() < until && !this.#app.isGone; i++) {
        await sleep(Math.min(PAUSE_EVERY_MS, until - performance.now()))
        await this.#floor.pause()
        await this.#see()
        const kind = slow[i % slow.length]
        if (kind !== undefined) await this.#probe(kind, random)
        this.#floor.resume()
      }
    } finally {
      clearInterval(drawing)
    }
  }

  #draw (): void {
    this.#progress.update(Math.min(Math.round(this.#progress.seconds), this.#options.seconds), this.#options.seconds, `${this.#options.engine}: ${formatCount(this.#requests)} requests, ${this.violations.length} violations`)
  }

  /** Nobody is there. */
  async #see (): Promise<void> {
    const { freedMs, load } = await this.#app.askFree()
    if (freedMs === undefined) this.violations.push(`nobody asks, and places are taken: ${load}`)
  }

  async #probe (kind: Kind, random: Random): Promise<void> {
    const agent = new Agent({ keepAlive: false })
    const leaving = new AbortController()
    const asked = Array.from({ length: PROBE_CLIENTS }, async () => await send(agent, this.#port, kind, kind.plan(random, this.#words), {}, leaving.signal))
    const isBusy = await this.#app.askBusy()
    await sleep(random.between(0, 30))
    leaving.abort()
    const answers = await Promise.all(asked)
    const { freedMs, load } = await this.#app.askFree()
    const isMeasured = isBusy && answers.some(({ hasLeft, isComplete }) => hasLeft && !isComplete)
    this.probes.push({ kind: kind.name, isMeasured, freedMs: isMeasured || freedMs === undefined ? freedMs : 0, load })
    agent.destroy()
  }
}

/** Where clients are while they ask, and which can be cleared. */
class Floor {
  #inside = 0
  #closed: PromiseWithResolvers<void> | undefined
  #empty: PromiseWithResolvers<void> | undefined

  async enter (): Promise<void> {
    while (this.#closed !== undefined) await this.#closed.promise
    this.#inside++
  }

  leave (): void {
    this.#inside--
    if (this.#inside === 0) this.#empty?.resolve()
  }

  /** Resolves when nobody is inside. */
  async pause (): Promise<void> {
    this.#closed = Promise.withResolvers<void>()
    this.#empty = Promise.withResolvers<void>()
    if (this.#inside > 0) await this.#empty.promise
  }

  resume (): void {
    this.#closed?.resolve()
    this.#closed = undefined
    this.#empty = undefined
  }
}
