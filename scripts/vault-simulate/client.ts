/** One connection of a plugin: keep-alive, JSON, and how long each answer took. */
import { Agent, request } from 'node:http'

export interface Answered<T> { readonly status: number, readonly body: T, readonly ms: number }

export class Client {
  // two, so that what is sent at the same time can arrive in the other order
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 })
  readonly #port: number
  readonly #token: string

  constructor (port: number, token: string) {
    this.#port = port
    this.#token = token
  }

  /** Rejects when there is no answer. */
  async ask<T> (method: 'GET' | 'POST', path: string, body?: object): Promise<Answered<T>> {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = { authorization: `Bearer ${this.#token}`, ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }) }
    const startedAt = performance.now()
    return await new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: this.#port, path: `/api/v1/sync${path}`, method, headers, agent: this.#agent }, answer => {
        let received = ''
        answer.setEncoding('utf8').on('data', (part: string) => { received += part })
        answer.once('error', reject)
        answer.once('end', () => { resolve({ status: answer.statusCode ?? 0, body: (received === '' ? undefined : JSON.parse(received)) as T, ms: performance.now() - startedAt }) })
      })
      sent.once('error', reject)
      sent.end(text)
    })
  }

  close (): void {
    this.#agent.destroy()
  }
}
