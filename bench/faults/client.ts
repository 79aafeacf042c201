/** One request, and what a client can know of its end. */
import { request, type Agent, type IncomingMessage } from 'node:http'
import { kinds, type KindName } from './kinds.ts'

/** What is decided before the run, by the seed. */
export interface Plan {
  readonly id: string
  readonly kind: KindName
  readonly rows: number
  readonly waitMs: number
  /** The client destroys its socket: so many ms after the request was sent, or in the middle of the request's body. */
  readonly abort: number | 'body' | undefined
}

export interface Answer {
  readonly status: number | undefined
  /** Of an error. */
  readonly code: string | undefined
  /** Headers and body are here to the last byte. */
  readonly isComplete: boolean
  /** Why not, if so: as the socket says. */
  readonly reason: string
  readonly isAborted: boolean
  readonly body: string
}

/** Longer than any time-out of the app. */
const PATIENCE_MS = 15_000

export async function send (agent: Agent, port: number, { id, kind, rows, waitMs, abort }: Plan): Promise<Answer> {
  const { method = 'POST' } = kinds[kind]
  const body = method === 'GET' ? '' : JSON.stringify({ rows, waitMs })
  const headers = method === 'GET' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const { promise, resolve } = Promise.withResolvers<Answer>()
  let status: number | undefined
  let isAborted = false
  let text = ''
  const fail = (error: Error): void => { resolve({ status, code: undefined, isComplete: false, reason: error.message, isAborted, body: text }) }

  const outgoing = request({ agent, port, host: '127.0.0.1', method, path: `/${kind}/${id}`, headers })
  let isDone = false // its socket may be somebody else's by then
  const leave = (): void => {
    if (isDone) return
    isAborted = true
    outgoing.destroy(new Error('the client went away'))
  }
  const patience = setTimeout(() => { outgoing.destroy(new Error('no answer for 15 s')) }, PATIENCE_MS)
  outgoing.on('error', fail)
  outgoing.on('response', (incoming: IncomingMessage) => {
    status = incoming.statusCode
    incoming.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('error', fail).on('close', () => {
      if (!incoming.complete) fail(new Error('cut in the middle'))
      else resolve({ status, code: codeOf(text), isComplete: true, reason: '', isAborted, body: text })
    })
  })
  if (abort === 'body' && body !== '') {
    outgoing.write(body.slice(0, body.length >> 1))
    setTimeout(leave, 3)
  } else {
    outgoing.end(body)
    if (typeof abort === 'number') setTimeout(leave, abort)
  }
  try {
    return await promise
  } finally {
    isDone = true
    clearTimeout(patience)
  }
}

function codeOf (body: string): string | undefined {
  try {
    const { code } = JSON.parse(body) as { code?: string }
    return code
  } catch {
    return undefined // a text
  }
}
