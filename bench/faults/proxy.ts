/**
 * A loopback TCP proxy in front of PostgreSQL that hurts the connections through it: all at once, half of them in the middle of an answer, or one at its COMMIT.
 * (test/helper/proxy.ts holds and counts what goes by, for tests of one connection.)
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

interface Link {
  readonly client: Socket
  readonly server: Socket
  /** What happens to the next answer. */
  next: 'forward' | 'half' | 'lose'
}

export class Proxy {
  readonly port: number
  /** COMMITs that were hurt as `hurtCommit` asked for, and answers that were cut in half. */
  readonly done = { request: 0, answer: 0, half: 0 }
  readonly #targetPort: number
  readonly #server: Server
  readonly #links = new Set<Link>()
  #commit: 'answer' | 'request' | undefined

  private constructor (server: Server, targetPort: number) {
    this.#server = server
    this.#targetPort = targetPort
    this.port = (server.address() as AddressInfo).port
    server.on('connection', client => { this.#link(client) })
  }

  /** Listens on a free port of 127.0.0.1 and forwards to `targetPort` there. */
  static async start (targetPort: number): Promise<Proxy> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Proxy(server, targetPort)
  }

  /** The same address, but through this proxy. */
  through (address: string): string {
    const url = new URL(address)
    url.hostname = '127.0.0.1'
    url.port = String(this.port)
    return url.href
  }

  /** Resets all connections. */
  cutAll (): void {
    for (const link of this.#links) cut(link)
  }

  /** Every second connection is reset in the middle of its next answer. */
  resetHalf (): void {
    for (const link of [...this.#links].filter((_, i) => i % 2 === 0)) link.next = 'half'
  }

  /** The next COMMIT is lost with its connection: before the server has it ('request'), or after the server has answered it ('answer'). */
  hurtCommit (what: 'answer' | 'request'): void {
    this.#commit = what
  }

  /** What was asked for and has not happened does not happen. */
  calm (): void {
    this.#commit = undefined
    for (const link of this.#links) link.next = 'forward'
  }

  async close (): Promise<void> {
    this.cutAll()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #link (client: Socket): void {
    const server = connect({ port: this.#targetPort, host: '127.0.0.1', noDelay: true })
    client.setNoDelay(true)
    const link: Link = { client, server, next: 'forward' }
    this.#links.add(link)
    client.on('error', () => {}).on('end', () => { server.end() }).on('close', () => { this.#links.delete(link); server.destroy() })
    server.on('error', () => {}).on('end', () => { client.end() }).on('close', () => { client.end() })
    client.on('data', chunk => { this.#request(link, chunk) })
    server.on('data', chunk => { this.#answer(link, chunk) })
  }

  #request (link: Link, chunk: Buffer): void {
    const what = this.#commit
    if (what !== undefined && chunk.includes('COMMIT\0')) {
      this.#commit = undefined
      this.done[what]++
      if (what === 'request') {
        cut(link)
        return
      }
      link.next = 'lose'
    }
    link.server.write(chunk)
  }

  #answer (link: Link, chunk: Buffer): void {
    if (link.client.destroyed) return
    if (link.next === 'forward') link.client.write(chunk)
    else if (link.next === 'lose') cut(link)
    else {
      this.done.half++
      link.client.write(chunk.subarray(0, chunk.length >> 1), () => { cut(link) })
    }
  }
}

function cut ({ client, server }: Link): void {
  client.resetAndDestroy()
  server.destroy()
}
