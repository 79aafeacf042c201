/**
 * One process watched while it answers the query of the incident: what it holds, when the client gave up, when the statement ended, and when the memory was back.
 *
 *   started → warm (reads of single rows) → rest → the query is sent, and single rows are asked for beside it → the client gives up, or has its answer → rest
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Child } from '../measure/child.ts'
import { readMemory } from '../sqlite/memory-samples.ts'
import { incidentPath, listPath, problemOf, type Job, type StatementEnd, type Told } from './incident.ts'

export interface Subject {
  readonly name: string
  readonly process: 'raw.ts' | 'service.ts'
  /** What the client asks for. */
  readonly asks: 'the incident' | 'the list'
  /** The client closes its connection after the time-out. */
  readonly givesUp: boolean
}

export interface Times {
  /** The client's patience. */
  readonly timeoutMs: number
  /** Before the query, and after its end. */
  readonly restMs: number
  readonly sampleMs: number
  /** Single rows are asked for so often. */
  readonly pointMs: number
}

/** What is asked: of which file, and which jobs there are. */
export interface Question { readonly path: string, readonly ids: readonly number[] }

/** Bytes of the process; `ms` counts from when the query was sent. */
export interface MemorySample { readonly ms: number, readonly bytes: number, readonly anonBytes: number }

export interface Run {
  readonly subject: Subject
  readonly settings: string
  readonly plan: string
  readonly samples: readonly MemorySample[]
  /** What the client got: a status, or that it gave up. */
  readonly answer: string
  readonly answerMs: number
  readonly end: StatementEnd
  readonly endMs: number
  /** From then on it held hardly more than before; undefined: not while it was watched. */
  readonly releasedMs: number | undefined
  readonly beforeBytes: number
  readonly peakBytes: number
  readonly afterBytes: number
  /** The longest wait for a single row meanwhile. */
  readonly longestPointMs: number
}

/** Of what it took, so much may be left, or so many bytes: an allocator is not a scale. */
const LEFT_SHARE = 0.1
export const LEFT_BYTES = 4e6
const WARM_READS = 300

export async function watch (subject: Subject, { path, ids }: Question, times: Times): Promise<Run> {
  const child = new Child<Told>(new URL(subject.process, import.meta.url), { path } satisfies Job)
  const ended = Promise.withResolvers<{ end: StatementEnd, at: number }>()
  child.onTold(told => { if ('ended' in told) ended.resolve({ end: told.ended, at: performance.now() }) })
  child.ended.then(({ code, signal }) => { ended.reject(new Error(`${subject.name}: the process ended with ${code ?? signal}`)) }, ended.reject)
  ended.promise.catch(() => {}) // it is awaited later
  try {
    const told = await child.next()
    if (!('ready' in told)) throw new Error(`${subject.name}: it did not start`)
    const { port, plan, settings } = told.ready
    const problem = problemOf(plan)
    if (problem !== undefined) throw new Error(problem)
    const client = new Client(`http://127.0.0.1:${port}`, ids, times)
    await client.warm()
    const recorder = new Recorder(child.process.pid ?? 0, times.sampleMs)
    await sleep(times.restMs)
    const sentAt = performance.now()
    const [{ end, at }, { answer, answerMs }, longestPointMs] = await Promise.all([
      ended.promise,
      client.ask(subject.asks === 'the list' ? listPath : incidentPath, subject.givesUp),
      client.readPoints(ended.promise)
    ])
    await sleep(times.restMs)
    const samples = recorder.stop(sentAt)
    const own = subject.asks === 'the list' ? await planOfList(child) : plan
    const endMs = at - sentAt
    return { subject, settings, plan: own, answer, answerMs, end, endMs, longestPointMs, samples, ...summarize(samples, endMs) }
  } finally {
    child.process.kill('SIGKILL')
    await child.ended
  }
}

async function planOfList (child: Child<Told>): Promise<string> {
  const answer = child.next()
  child.tell('plan')
  const told = await answer
  return 'plan' in told ? told.plan : 'not known'
}

function summarize (samples: readonly MemorySample[], endMs: number): Pick<Run, 'beforeBytes' | 'peakBytes' | 'afterBytes' | 'releasedMs'> {
  const beforeBytes = samples.findLast(({ ms }) => ms <= 0)?.bytes ?? 0
  const peakBytes = Math.max(...samples.map(({ bytes }) => bytes))
  const most = beforeBytes + Math.max(LEFT_BYTES, (peakBytes - beforeBytes) * LEFT_SHARE)
  const lastAbove = samples.findLastIndex(({ bytes }) => bytes > most)
  const below = samples[lastAbove + 1]
  return { beforeBytes, peakBytes, afterBytes: samples.at(-1)?.bytes ?? 0, releasedMs: below === undefined ? undefined : Math.max(below.ms, endMs) }
}

/** Looks at a process again and again. */
class Recorder {
  readonly #pid: number
  readonly #timer: NodeJS.Timeout
  readonly #samples: Array<{ at: number, bytes: number, anonBytes: number }> = []

  constructor (pid: number, sampleMs: number) {
    this.#pid = pid
    this.#timer = setInterval(() => { this.#look() }, sampleMs)
    this.#look()
  }

  /** Its samples; `zero` is their time 0. */
  stop (zero: number): MemorySample[] {
    clearInterval(this.#timer)
    this.#look()
    return this.#samples.map(({ at, ...memory }) => ({ ms: at - zero, ...memory }))
  }

  #look (): void {
    const memory = readMemory(this.#pid)
    if (memory !== undefined) this.#samples.push({ at: performance.now(), bytes: memory.rssBytes, anonBytes: memory.anonBytes })
  }
}

/** Asks over a socket, as everybody does. */
class Client {
  readonly #address: string
  readonly #ids: readonly number[]
  readonly #times: Times

  constructor (address: string, ids: readonly number[], times: Times) {
    this.#address = address
    this.#ids = ids
    this.#times = times
  }

  /** What a server has that was up for a while: compiled code, buffers, connections. */
  async warm (): Promise<void> {
    for (let i = 0; i < WARM_READS; i++) await this.#readPoint(i)
  }

  async ask (path: string, givesUp: boolean): Promise<{ answer: string, answerMs: number }> {
    const start = performance.now()
    const signal = givesUp ? AbortSignal.timeout(this.#times.timeoutMs) : null
    const answer = await fetch(this.#address + path, { signal }).then(
      async response => `${response.status}, ${(await response.arrayBuffer()).byteLength} bytes`,
      (error: unknown) => signal?.aborted === true ? 'gave up' : String(error))
    return { answer, answerMs: performance.now() - start }
  }

  /** One row after the other until `over`; the longest wait for one. */
  async readPoints (over: Promise<unknown>): Promise<number> {
    let isOver = false
    void over.finally(() => { isOver = true }).catch(() => {})
    let longest = 0
    for (let i = 0; !isOver; i++) {
      const start = performance.now()
      await this.#readPoint(i)
      longest = Math.max(longest, performance.now() - start)
      await sleep(this.#times.pointMs)
    }
    return longest
  }

  async #readPoint (i: number): Promise<void> {
    const id = this.#ids[i % this.#ids.length]
    const response = await fetch(`${this.#address}/api/jobs/${id}`)
    await response.arrayBuffer()
    if (response.status !== 200) throw new Error(`GET /api/jobs/${id} was answered with ${response.status}`)
  }
}
