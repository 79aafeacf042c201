/**
 * One request to a receiver.
 *
 * What is kept true: each address is judged when it is connected to, whatever its name stood for before; redirects are not followed, no connection is used twice, at most
 * 4 kB of the answer are read, and after 15 s it is over. What is told of a failure says nothing of the URL.
 */
import { lookup as lookUp, type LookupAddress } from 'node:dns'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { bare, isLoopback, isLoopbackUrl, isPublic, type TargetRules } from './targets.ts'

export interface SendOptions extends TargetRules {
  /** Ends it. */
  readonly signal?: AbortSignal
  /** For tests: all addresses of a name. Default: what the system knows. */
  readonly resolve?: (hostname: string) => Promise<LookupAddress[]>
}

export interface Message {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** JSON */
  readonly body: string
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** The beginning. */
  readonly text: string
}

export const TIMEOUT_MS = 15_000
const MOST_BYTES = 4096

/** Not an error of this module's user: why nothing was sent, or nothing was answered. In words that may be shown. */
export class SendFailure extends Error {}

/** Throws `SendFailure`. */
export async function send ({ url: text, headers, body }: Message, { allowLoopback, signal, resolve = resolveBySystem }: SendOptions): Promise<Reply> {
  const url = new URL(text)
  const isAllowed = allowLoopback && isLoopbackUrl(url) ? isLoopback : isPublic
  const isPlain = url.protocol === 'http:'
  if (isPlain && isAllowed !== isLoopback) throw new SendFailure('the address is not allowed')
  const host = bare(url.hostname)
  if (isIP(host) !== 0 && !isAllowed(host)) throw new SendFailure('the address is not allowed') // for which Node.js asks no lookup
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  const options = {
    method: 'POST',
    agent: false,
    lookup: checkedLookup(resolve, isAllowed),
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'user-agent': 'fastify-tandem group vault (webhooks)', ...headers }
  }
  try {
    return await exchange((isPlain ? httpRequest : httpsRequest)(url, options satisfies RequestOptions), body)
  } catch (error) {
    throw new SendFailure(timeout.aborted ? `no answer in ${TIMEOUT_MS / 1000} s` : reasonOf(error), { cause: error })
  }
}

async function exchange (request: ReturnType<typeof httpRequest>, body: string): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  request.on('error', reject)
  const onClose = (): void => { reject(new SendFailure('the connection was closed')) } // without an answer that is one, as 101
  request.on('close', onClose)
  request.on('response', response => {
    request.off('close', onClose)
    readBeginning(response).then(text => { resolve({ status: response.statusCode ?? 0, headers: response.headers, text }) }, reject)
  })
  request.end(body)
  return await promise
}

/** Of an answer that breaks off, what came: its status is known. */
async function readBeginning (response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= MOST_BYTES) break // which closes the connection
    }
  } catch {}
  return Buffer.concat(chunks).subarray(0, MOST_BYTES).toString('utf8')
}

/** Each address has to be allowed: with a choice, Node.js might take the other one. */
function checkedLookup (resolve: (hostname: string) => Promise<LookupAddress[]>, isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname).then(addresses => {
      const [first] = addresses
      if (first === undefined || !addresses.every(({ address }) => isAllowed(address))) throw new SendFailure('the address is not allowed')
      if (options.all === true) done(null, addresses)
      else done(null, first.address, first.family)
    }).catch((error: unknown) => { done(error as Error, []) })
  }
}

async function resolveBySystem (hostname: string): Promise<LookupAddress[]> {
  return await new Promise((resolve, reject) => {
    lookUp(hostname, { all: true }, (error, addresses) => { if (error === null) resolve(addresses); else reject(error) })
  })
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused', ECONNRESET: 'the connection was closed', ENOTFOUND: 'the name is not known', EAI_AGAIN: 'the name could not be looked up', ETIMEDOUT: 'the connection timed out', ABORT_ERR: 'it was broken off'
}

function reasonOf (error: unknown): string {
  if (error instanceof SendFailure) return error.message
  const { code = '' } = error as { code?: string }
  return reasons[code] ?? `the request failed${/^[A-Z][A-Z_\d]+$/.test(code) ? ` (${code})` : ''}`
}
