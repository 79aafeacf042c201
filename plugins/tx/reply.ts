/**
 * Replies: whether one can be sent, which is asked before COMMIT; and streams that a transaction spans.
 * Fastify looks at payload and headers only after the last onSend, which would make "500, but committed" of a header with a line break in it.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { Readable, Transform, type TransformCallback } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { FastifyReply } from 'fastify'
import { TxReply } from '../errors.ts'

/** Throws `TDM_ERR_TX_REPLY` for a payload or a header that could not be sent. */
export function checkReply (reply: FastifyReply, { headers }: Head, payload: unknown): void {
  if (!isSendable(payload)) throw new TxReply(`its payload is ${payload === null ? 'null' : `of type ${typeof payload}`}, and not text, bytes or a stream.`)
  for (const name in headers) checkHeader(reply, name, headers[name])
}

/** The usual header, which costs nothing to see. */
const PLAIN_NAME = /^[a-z-]+$/
const PLAIN_VALUE = /^[\x20-\x7e]*$/

function checkHeader (reply: FastifyReply, name: string, value: unknown): void {
  if (typeof value === 'string' && PLAIN_VALUE.test(value) && PLAIN_NAME.test(name)) return
  try {
    validateHeaderName(name)
    for (const one of Array.isArray(value) ? value : [value]) validateHeaderValue(name, String(one))
  } catch (cause) {
    reply.removeHeader(name) // or the answer that tells of it could not be sent either
    throw new TxReply(`the header ${JSON.stringify(name.slice(0, 60))} has a name or a value that HTTP does not allow.`, { cause })
  }
}

/** As Fastify has it, after the last onSend. */
function isSendable (payload: unknown): boolean {
  if (payload instanceof Response) return !payload.bodyUsed
  if (isStream(payload)) return !('locked' in payload && payload.locked)
  return payload === undefined || payload === null || typeof payload === 'string' || Buffer.isBuffer(payload)
}

/** Over HTTP/2 a stream that the client has cancelled counts as finished. */
export function wasCancelled ({ raw }: FastifyReply): boolean {
  const { stream } = raw as { stream?: { aborted?: boolean, rstCode?: number } }
  return stream?.aborted === true || (stream?.rstCode ?? 0) !== 0
}

/** Status and headers of a reply. */
export interface Head { readonly statusCode: number, readonly headers: Readonly<Record<string, string | number | string[] | undefined>> }

/** As they are now. */
export function headOf (reply: FastifyReply): Head {
  return { statusCode: reply.statusCode, headers: reply.getHeaders() }
}

/** As they were, whatever was done to them meanwhile. */
export function restoreHead (reply: FastifyReply, { statusCode, headers }: Head): void {
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
  reply.code(statusCode).headers(headers)
}

/** What a stream comes as: a Node.js stream, a web stream, or the body of a Response. */
export type StreamPayload = Readable | ReadableStream | Response

export function isStreamed (payload: unknown): payload is StreamPayload {
  return isStream(payload) || (payload instanceof Response && payload.body !== null)
}

function isStream (payload: unknown): payload is Readable | ReadableStream {
  return typeof payload === 'object' && payload !== null && ('pipe' in payload || 'getReader' in payload)
}

/** The status that the reply will have: a Response brings its own. */
export function statusOf (reply: FastifyReply, payload: unknown): number {
  return payload instanceof Response ? payload.status : reply.statusCode
}

/** Closes a stream that will not be sent. */
export function discard (payload: unknown): void {
  if (!isStreamed(payload)) return
  const source = payload instanceof Response ? payload.body : payload
  if (source instanceof Readable) source.on('error', noop).destroy()
  else if (source !== null && 'cancel' in source) source.cancel().catch(noop)
}

/**
 * The same payload, whose end waits for `commit`: if that fails the reply breaks off, and is never complete. With a content-length the last chunk waits too, since a
 * reply is complete when its bytes have left. `onBroken`: it ended before its end.
 */
export function spanning (reply: FastifyReply, payload: StreamPayload, commit: () => Promise<void>, onBroken: (error: Error) => void): Spanning {
  const through = new CommitBeforeEnd(commit, reply.hasHeader('content-length') || (payload instanceof Response && payload.headers.has('content-length')))
  const breakOff = (error: Error): void => { through.destroy(error) }
  if (!(payload instanceof Response)) return { breakOff, stream: span('pipe' in payload ? payload : Readable.fromWeb(payload), through, onBroken) }
  const body = span(Readable.fromWeb(payload.body as ReadableStream), through, onBroken)
  return { breakOff, stream: new Response(Readable.toWeb(body), payload) }
}

interface Spanning { readonly stream: StreamPayload, readonly breakOff: (error: Error) => void }

function span (source: Readable, through: Transform, onBroken: (error: Error) => void): Transform {
  source.on('error', error => { through.destroy(error) })
  through.on('close', () => {
    if (through.readableEnded) return
    source.destroy()
    onBroken(through.errored ?? new Error('the reply was not read to its end'))
  })
  return source.pipe(through)
}

class CommitBeforeEnd extends Transform {
  readonly #commit: () => Promise<void>
  readonly #keepsLast: boolean
  #last: unknown

  constructor (commit: () => Promise<void>, keepsLast: boolean) {
    super()
    this.#commit = commit
    this.#keepsLast = keepsLast
  }

  override _transform (chunk: unknown, _encoding: BufferEncoding, done: TransformCallback): void {
    const next = this.#keepsLast ? this.#last : chunk
    if (this.#keepsLast) this.#last = chunk
    done(null, next)
  }

  override _flush (done: TransformCallback): void {
    this.#commit().then(() => { done(null, this.#last) }, done)
  }
}

const noop = (): void => {}
