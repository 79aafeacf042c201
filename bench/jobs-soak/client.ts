/** One request of the soak run, what its client does to it, and what came back. */
import { request, type Agent, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../faults/random.ts'
import type { Kind, Plan } from './requests.ts'

/** What a client does besides reading the answer. */
export interface Fate {
  /** It destroys its socket so many ms after it has sent the request, … */
  readonly leavesAfterMs?: number
  /** … or when it has got so many bytes of the answer. */
  readonly leavesAfterBytes?: number
  /** Milliseconds for the handler. */
  readonly deadlineMs?: number
  /** It waits so long after each piece of the answer. */
  readonly dawdlesMs?: number
}

export interface Answer {
  readonly kind: Kind
  readonly fate: Fate
  readonly ms: number
  readonly status: number | undefined
  /** Of an error. */
  readonly code: string | undefined
  readonly hasRetryAfter: boolean
  /** Headers and body were here to the last byte. */
  readonly isComplete: boolean
  readonly hasLeft: boolean
  readonly bytes: number
  /** What is wrong with it, whatever was asked. */
  readonly problem: string | undefined
}

/** Longer than any time-out of the service. */
const PATIENCE_MS = 60_000
/** An answer that is longer is not looked at as a whole. */
const LOOKED_AT_BYTES = 2e6

export function drawFate (random: Random): Fate {
  const what = random.weighted({ read: 62, leave: 12, 'leave within': 8, deadline: 14, dawdle: 4 })
  switch (what) {
    case 'leave': return { leavesAfterMs: random.chance(0.5) ? random.between(0, 8) : random.between(0, 250) }
    case 'leave within': return { leavesAfterBytes: random.between(1, 60_000) }
    case 'deadline': return { deadlineMs: random.chance(0.5) ? random.between(1, 10) : random.between(5, 400) }
    case 'dawdle': return { dawdlesMs: random.between(1, 20) }
    case 'read': return {}
  }
}

/** `leaving`: its client leaves when this is aborted. */
export async function send (agent: Agent, port: number, kind: Kind, plan: Plan, fate: Fate, leaving?: AbortSignal): Promise<Answer> {
  return await new Exchange(kind, fate).run(agent, port, plan, leaving)
}

class Exchange {
  readonly #kind: Kind
  readonly #fate: Fate
  readonly #startedAt = performance.now()
  readonly #chunks: Buffer[] = []
  #bytes = 0
  #hasLeft = false

  constructor (kind: Kind, fate: Fate) {
    this.#kind = kind
    this.#fate = fate
  }

  async run (agent: Agent, port: number, { path, headers, body }: Plan, leaving?: AbortSignal): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<IncomingMessage | Error>()
    const { leavesAfterMs, deadlineMs } = this.#fate
    const text = body === undefined ? undefined : JSON.stringify(body)
    const content = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const deadline = deadlineMs === undefined ? {} : { 'x-deadline': String(deadlineMs) }
    const outgoing = request({ agent, port, host: '127.0.0.1', method: this.#kind.method, path, headers: { ...headers, ...content, ...deadline } })
    let incoming: IncomingMessage | undefined
    let isDone = false
    const leave = (): void => {
      if (isDone || incoming?.complete === true) return // its socket may be somebody else's by now
      this.#hasLeft = true
      outgoing.destroy(new Error('the client has left'))
    }
    leaving?.addEventListener('abort', leave)
    const timer = leavesAfterMs === undefined ? undefined : setTimeout(leave, leavesAfterMs)
    const patience = setTimeout(() => { outgoing.destroy(new Error(`no answer for ${PATIENCE_MS / 1000} s`)) }, PATIENCE_MS)
    outgoing.on('error', resolve).on('response', resolve).end(text)
    try {
      const answer = await promise
      if (answer instanceof Error) return this.#answer(undefined, this.#hasLeft ? undefined : answer.message)
      incoming = answer
      return await this.#read(answer, leave)
    } finally {
      isDone = true
      clearTimeout(timer)
      clearTimeout(patience)
    }
  }

  async #read (incoming: IncomingMessage, leave: () => void): Promise<Answer> {
    const { leavesAfterBytes = Infinity, dawdlesMs } = this.#fate
    try {
      for await (const chunk of incoming) {
        this.#bytes += (chunk as Buffer).length
        if (this.#bytes <= LOOKED_AT_BYTES) this.#chunks.push(chunk as Buffer)
        if (this.#bytes > leavesAfterBytes) leave()
        if (dawdlesMs !== undefined) await sleep(dawdlesMs)
      }
    } catch (error) {
      if (!this.#hasLeft && this.#fate.deadlineMs === undefined) return this.#answer(incoming, (error as Error).message)
    }
    return this.#answer(incoming, undefined)
  }

  #answer (incoming: IncomingMessage | undefined, problem: string | undefined): Answer {
    const isComplete = incoming?.complete === true
    const isWhole = isComplete && this.#bytes <= LOOKED_AT_BYTES
    const { code, problem: wrong } = isWhole ? look(incoming, Buffer.concat(this.#chunks).toString()) : {}
    return {
      kind: this.#kind,
      fate: this.#fate,
      ms: performance.now() - this.#startedAt,
      status: incoming?.statusCode,
      code,
      hasRetryAfter: incoming?.headers['retry-after'] !== undefined,
      isComplete,
      hasLeft: this.#hasLeft,
      bytes: this.#bytes,
      problem: problem ?? wrong
    }
  }
}

/** A complete answer is well-formed, whatever its type, and an error has a code. */
function look ({ statusCode = 0, headers }: IncomingMessage, body: string): { code?: string | undefined, problem?: string } {
  const type = headers['content-type'] ?? ''
  try {
    if (type.startsWith('application/x-ndjson')) for (const line of body.split('\n')) if (line !== '') JSON.parse(line)
    if (!type.startsWith('application/json')) return {}
    const { code } = JSON.parse(body) as { code?: string }
    return statusCode >= 400 && code === undefined ? { problem: `an error without a code: ${body.slice(0, 200)}` } : { code }
  } catch (error) {
    return { problem: `an answer that is complete, and cannot be read: ${(error as Error).message}: ${body.slice(-200)}` }
  }
}
