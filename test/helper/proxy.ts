/**
 * A proxy on loopback in front of PostgreSQL or PgBouncer, for what a network does: it cuts (anywhere, or at a text or byte), holds, delays, goes silent, sends
 * in pieces, is slow; and it counts connections and round trips. What is left to chance follows from the seed.
 *
 * Texts are looked for in what a client sends; pg sends a statement in one piece.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'
import { Random } from '../../bench/faults/random.ts'
import { calmManners, Flow, type FlowOptions, type Manners } from './proxy-flow.ts'

/** Something that a client sent and that is held back, or whose answer is. */
export interface Held {
  /** Resolves when it is here. */
  readonly seen: Promise<void>
  /** Lets it go on. */
  readonly letGo: () => void
}

/** A cut that waits for its moment. */
export interface Cut {
  /** Resolves when it has happened. */
  readonly done: Promise<void>
}

export type Side = 'client' | 'server'
/** 'close': the client reads an end. 'reset': ECONNRESET. */
export type How = 'close' | 'reset'

export interface ProxyOptions {
  /** Default: 1. */
  readonly seed?: number
  /** Whether `sent` is kept. Default: true. */
  readonly records?: boolean
}

/** One connection of a client and the one to the server that belongs to it. */
interface Link {
  readonly client: Socket
  readonly upstream: Socket
  readonly flows: Record<Side, Flow>
  /** What happens to the next answer when it arrives, if it is not just passed on. */
  next: { readonly passed: 'none' | 'half', readonly how: How, readonly onCut: () => void } | undefined
  isSilent: boolean
  isServersTurn: boolean
}

/** `act` is called before the text is passed on, which waits for it. */
interface Watch { readonly text: string, readonly act: (link: Link) => void | Promise<void> }

/** The first connection on which so many bytes pass is cut there. `passed`: what had passed before, on those that were there. */
interface ByteCut { readonly bytes: number, readonly from: Side, readonly how: How, readonly passed: ReadonlyMap<Flow, number>, readonly resolve: () => void }

export class Proxy {
  readonly port: number
  /** The address of the database, by way of the proxy. */
  readonly url: string
  /** Everything that clients sent, in order; protocol bytes included. */
  readonly sent: string[] = []
  /** How often it was the server's turn: the direction changed from client to server. */
  roundTrips = 0
  /** How many were made since the start. */
  connections = 0
  readonly #target: URL
  readonly #server: Server
  readonly #random: Random
  readonly #records: boolean
  readonly #links = new Set<Link>()
  readonly #watches = new Set<Watch>()
  readonly #byteCuts = new Set<ByteCut>()
  readonly #replacements: Array<[text: string, by: string]> = []
  readonly #manners: Record<Side, Manners> = { client: { ...calmManners }, server: { ...calmManners } }
  #isSilent = false
  #isOff = false

  private constructor (server: Server, target: string, { seed = 1, records = true }: ProxyOptions) {
    this.#server = server
    this.#target = new URL(target)
    this.#random = new Random(seed)
    this.#records = records
    this.port = (server.address() as AddressInfo).port
    this.url = this.through(target)
    server.on('connection', client => { this.#link(client) })
  }

  /** Listens on a free port of 127.0.0.1 and forwards to host and port of the URL `target`. Ends by `close`; see `startProxy` for tests. */
  static async start (target: string, options: ProxyOptions = {}): Promise<Proxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Proxy(server, target, options)
  }

  /** How many there are now. */
  get open (): number {
    return this.#links.size
  }

  /** The same address, but through this proxy. */
  through (address: string): string {
    const url = new URL(address)
    url.hostname = '127.0.0.1'
    url.port = String(this.port)
    return url.href
  }

  // --- cuts ---------------------------------------------------------------------------------------------------------------------

  /** Cuts all connections. `share`: each with this probability. */
  cut (how: How = 'reset', share = 1): void {
    for (const link of this.#links) if (share === 1 || this.#random.chance(share)) cut(link, how)
  }

  /** Cuts the connection on which `text` goes by next; by then the server has answered it ('after', the default) or never gets it ('before'). */
  cutAt (text: string, when: 'before' | 'after' = 'after', how: How = 'close'): Cut {
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const act = (link: Link): void => {
      if (when === 'after') loseAnswer(link, how, resolve)
      else {
        cut(link, how)
        resolve()
      }
    }
    this.#watches.add({ text, act })
    return { done }
  }

  /**
   * The first connection on which `from` sends so many bytes from now on is cut behind the last of them, and no other one. With 0 bytes: before the next one.
   * Example: for every n, `cutAfter(n, 'server')` and one statement goes through all steps of the protocol.
   */
  cutAfter (bytes: number, from: Side, how: How = 'reset'): Cut {
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const flows = [...this.#links].map(link => link.flows[from])
    this.#byteCuts.add({ bytes, from, how, passed: new Map(flows.map(flow => [flow, flow.passed])), resolve })
    return { done }
  }

  /** Every second connection is reset in the middle of its next answer. `onCut` is called for each. */
  cutHalfway (onCut: () => void = () => {}): void {
    for (const link of [...this.#links].filter((_, i) => i % 2 === 0)) link.next ??= { passed: 'half', how: 'reset', onCut }
  }

  /** Cuts all connections and accepts no other one, until `restore`. */
  cutOff (): void {
    this.#isOff = true
    this.cut('close')
  }

  // --- silence ------------------------------------------------------------------------------------------------------------------

  /** From now on nothing goes through, in no direction, and nobody is told; new connections are accepted and hear nothing. Until `restore`. */
  goSilent (): void {
    this.#isSilent = true
    this.silence()
  }

  /** The same for the connections that are there now, or for each with the probability `share`. New ones are as ever. */
  silence (share = 1): void {
    for (const link of this.#links) if (share === 1 || this.#random.chance(share)) link.isSilent = true
  }

  /** After `cutOff` and `goSilent`: new connections go through. Those that are silent are reset, since bytes are missing in them. */
  restore (): void {
    this.#isOff = false
    this.#isSilent = false
    for (const link of this.#links) if (link.isSilent) cut(link, 'reset')
  }

  // --- time and size --------------------------------------------------------------------------------------------------------------

  /** What `from` sends comes so much later. */
  delay (ms: number, from: Side = 'server'): void {
    this.#manners[from].delayMs = ms
  }

  /** What `from` sends comes in pieces of 1 to `maxBytes` bytes, at random. Infinity: as it is. */
  split (maxBytes: number, from: Side = 'server'): void {
    this.#manners[from].maxPieceBytes = maxBytes
  }

  /** What `from` sends within so long is sent as one piece. */
  coalesce (ms: number, from: Side = 'server'): void {
    this.#manners[from].coalesceMs = ms
  }

  /** What `from` sends is read and passed on so slowly. Infinity: as fast as can be. */
  throttle (bytesPerSecond: number, from: Side = 'server'): void {
    this.#manners[from].bytesPerSecond = bytesPerSecond
  }

  // --- what clients send ------------------------------------------------------------------------------------------------------------

  /** Keeps the next `text` from the server. */
  holdRequest (text: string): Held {
    return this.#hold(text, async (_link, see, letGo) => {
      see()
      await letGo
    })
  }

  /** Keeps the server's answer to the next `text`, and all that follows on that connection. */
  holdAnswer (text: string): Held {
    return this.#hold(text, (link, see, letGo) => {
      link.flows.server.hold(letGo)
      setImmediate(see) // when the server has it
    })
  }

  /** In what is sent from now on, `text` is replaced by another one of the same length. */
  replace (text: string, by: string): void {
    if (text.length !== by.length) throw new Error('the texts have to have the same length')
    this.#replacements.push([text, by])
  }

  /** Forgets the cuts that nobody has met yet. */
  disarm (): void {
    this.#watches.clear()
    this.#byteCuts.clear()
  }

  /** What was asked for and has not happened does not happen; everything is as fast as can be; `restore`. */
  calm (): void {
    this.disarm()
    for (const link of this.#links) {
      if (link.next?.passed === 'none') cut(link, 'reset') // it waits for that
      link.next = undefined
    }
    for (const side of ['client', 'server'] as const) Object.assign(this.#manners[side], calmManners)
    this.restore()
  }

  async close (): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  // --- one connection -----------------------------------------------------------------------------------------------------------------

  #link (client: Socket): void {
    if (this.#isOff) { client.destroy(); return }
    this.connections++
    const upstream = connect({ port: Number(this.#target.port), host: this.#target.hostname, noDelay: true, allowHalfOpen: true })
    const tellsEnd = (): boolean => !link.isSilent
    const flows = {
      client: this.#flow('client', { from: client, to: upstream, tellsEnd, onArrival: chunk => this.#hear(link, chunk), onTurn: async chunk => await this.#request(link, chunk) }),
      server: this.#flow('server', { from: upstream, to: client, tellsEnd, onArrival: chunk => this.#arrive(link, chunk), onTurn: chunk => this.#answer(link, chunk) })
    }
    const link: Link = { client, upstream, flows, next: undefined, isSilent: this.#isSilent, isServersTurn: false }
    this.#links.add(link)
    this.#watch(link, client, upstream)
    this.#watch(link, upstream, client)
  }

  /** What becomes of the other socket when one is gone. An orderly end goes the way of the bytes. */
  #watch (link: Link, socket: Socket, other: Socket): void {
    socket.on('error', () => { if (!link.isSilent) abandon(other) })
    socket.on('close', () => {
      if (!link.isSilent && !socket.readableEnded) other.destroy()
      if (socket.destroyed && other.destroyed) this.#links.delete(link)
    })
  }

  #flow (side: Side, ends: Pick<FlowOptions, 'from' | 'to' | 'tellsEnd' | 'onArrival' | 'onTurn'>): Flow {
    const [client, upstream] = side === 'client' ? [ends.from, ends.to] : [ends.to, ends.from]
    return new Flow({
      ...ends,
      manners: this.#manners[side],
      random: this.#random,
      limit: flow => this.#nextByteCut(side, flow)?.left ?? Infinity,
      onLimit: flow => {
        const byteCut = this.#nextByteCut(side, flow)?.byteCut
        if (byteCut === undefined) return
        this.#byteCuts.delete(byteCut)
        cut({ client, upstream }, byteCut.how)
        byteCut.resolve()
      }
    })
  }

  /** The one that this flow reaches first, and how many bytes before it. */
  #nextByteCut (side: Side, flow: Flow): { byteCut: ByteCut, left: number } | undefined {
    if (this.#byteCuts.size === 0) return undefined
    return [...this.#byteCuts].filter(({ from }) => from === side)
      .map(byteCut => ({ byteCut, left: Math.max(0, (byteCut.passed.get(flow) ?? 0) + byteCut.bytes - flow.passed) }))
      .reduce<{ byteCut: ByteCut, left: number } | undefined>((first, next) => first === undefined || next.left < first.left ? next : first, undefined)
  }

  /** Bytes of a client, on arrival. */
  #hear (link: Link, chunk: Buffer): Buffer | undefined {
    if (!link.isServersTurn) { link.isServersTurn = true; this.roundTrips++ }
    if (this.#records) this.sent.push(chunk.toString('latin1'))
    return link.isSilent ? undefined : chunk
  }

  async #request (link: Link, chunk: Buffer): Promise<Buffer | undefined> {
    if (this.#watches.size === 0 && this.#replacements.length === 0) return link.isSilent ? undefined : chunk
    const sent = chunk.toString('latin1')
    const matching = [...this.#watches].filter(({ text }) => sent.includes(text))
    for (const watch of matching) this.#watches.delete(watch)
    for (const watch of matching) await watch.act(link)
    const text = this.#replacements.reduce((text, [from, to]) => text.replace(from, to), sent)
    return link.isSilent ? undefined : Buffer.from(text, 'latin1')
  }

  /** Bytes of the server, on arrival. */
  #arrive (link: Link, chunk: Buffer): Buffer | undefined {
    if (link.isSilent) return undefined
    const { next } = link
    if (next === undefined) return chunk
    link.next = undefined
    link.client.write(chunk.subarray(0, next.passed === 'half' ? chunk.length >> 1 : 0), () => {
      cut(link, next.how)
      next.onCut()
    })
    return undefined
  }

  #answer (link: Link, chunk: Buffer): Buffer | undefined {
    link.isServersTurn = false
    return link.isSilent ? undefined : chunk
  }

  #hold (text: string, act: (link: Link, see: () => void, letGo: Promise<void>) => void | Promise<void>): Held {
    const { promise: seen, resolve: see } = Promise.withResolvers<void>()
    const { promise, resolve: letGo } = Promise.withResolvers<void>()
    this.#watches.add({ text, act: link => act(link, see, promise) })
    return { seen, letGo }
  }
}

/** Closed with the test. */
export async function startProxy (t: Test, target: string, options: ProxyOptions = {}): Promise<Proxy> {
  const proxy = await Proxy.start(target, options)
  t.teardown(async () => { await proxy.close() })
  return proxy
}

/** What the client sends in the meantime does not reach the server. */
function loseAnswer (link: Link, how: How, onCut: () => void): void {
  link.flows.client.hold(new Promise(() => {}))
  link.next = { passed: 'none', how, onCut }
}

function cut ({ client, upstream }: Pick<Link, 'client' | 'upstream'>, how: How): void {
  if (how === 'reset') abandon(client)
  else client.destroy()
  upstream.destroy()
}

/** A socket that does not stand yet cannot be reset, nor one that was ended: the process would wait for its close at its own end, for ever. */
function abandon (socket: Socket): void {
  if (socket.connecting || socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
