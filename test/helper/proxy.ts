/**
 * A proxy on loopback in front of PostgreSQL, for what a network does: it cuts, holds, delays, goes silent, and counts the round trips.
 * Texts are looked for in what a client sends; pg sends a statement in one piece.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'

/** Something that a client sent and that is held back, or whose answer is. */
export interface Held {
  /** Resolves when it is here. */
  readonly seen: Promise<void>
  /** Lets it go on. */
  readonly letGo: () => void
}

export interface Proxy {
  /** The address of the database, by way of the proxy. */
  readonly url: string
  /** Everything that clients sent, in order; protocol bytes included. */
  readonly sent: string[]
  /** How often it was the server's turn: the direction changed from client to server. */
  roundTrips: number
  /** Cuts the connection on which `text` goes by next; by then the server has it ('after', the default) or never gets it ('before'). */
  cutAt: (text: string, when?: 'before' | 'after') => void
  /** Keeps the next `text` from the server. */
  holdRequest: (text: string) => Held
  /** Keeps the server's answer to the next `text`, and all that follows on that connection. */
  holdAnswer: (text: string) => Held
  /** In what is sent from now on, `text` is replaced by another one of the same length. */
  replace: (text: string, by: string) => void
  /** What the server sends comes so much later. */
  delay: (ms: number) => void
  /** From now on nothing goes through, in no direction, and nobody is told. */
  goSilent: () => void
  /** Cuts all connections and accepts no other one, until `restore`. */
  cutOff: () => void
  restore: () => void
}

interface Watch { readonly text: string, readonly act: (pipe: Pipe) => void | Promise<void>, readonly when: 'before' | 'after' }

/** One connection of a client and the one to the server that belongs to it. */
interface Pipe { readonly client: Socket, readonly upstream: Socket, answers: Promise<void> }

export async function startProxy (t: Test, target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target)
  const pipes = new Set<Pipe>()
  const watches = new Set<Watch>()
  const replacements: Array<[text: string, by: string]> = []
  let delayMs = 0
  let isSilent = false
  let isOff = false

  const server = createServer(client => {
    if (isOff) { client.destroy(); return }
    const upstream = connect(Number(port), hostname)
    const pipe: Pipe = { client, upstream, answers: Promise.resolve() }
    pipes.add(pipe)
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      socket.on('error', () => {}).on('close', () => { if (!isSilent) { cut(pipe); pipes.delete(pipe) } })
    }
    let isServersTurn = false
    let requests = Promise.resolve()
    client.on('data', chunk => {
      if (!isServersTurn) { isServersTurn = true; proxy.roundTrips++ }
      const text = chunk.toString('latin1')
      proxy.sent.push(text)
      requests = requests.then(async () => { await forward(pipe, text) })
    })
    upstream.on('data', chunk => {
      pipe.answers = pipe.answers.then(async () => {
        if (delayMs > 0) await pause(delayMs)
        isServersTurn = false
        if (!isSilent) client.write(chunk)
      })
    })
  })

  async function forward (pipe: Pipe, sent: string): Promise<void> {
    const matching = [...watches].filter(({ text }) => sent.includes(text))
    for (const watch of matching) watches.delete(watch)
    for (const watch of matching) if (watch.when === 'before') await watch.act(pipe)
    const text = replacements.reduce((text, [from, to]) => text.replace(from, to), sent)
    if (!isSilent) pipe.upstream.write(text, 'latin1')
    for (const watch of matching) if (watch.when === 'after') await watch.act(pipe)
  }

  const proxy: Proxy = {
    url: '',
    sent: [],
    roundTrips: 0,
    cutAt: (text, when = 'after') => {
      // after: the answer shows that the server is done with it
      const act = when === 'before' ? cut : async (pipe: Pipe) => { pipe.client.pause(); pipe.answers = new Promise(() => {}); await once(pipe.upstream, 'data'); cut(pipe) }
      watches.add({ text, when, act })
    },
    holdRequest: text => hold(text, 'before', (_pipe, letGo) => letGo),
    holdAnswer: text => hold(text, 'after', (pipe, letGo) => { pipe.answers = pipe.answers.then(() => letGo) }),
    replace: (text, by) => {
      if (text.length !== by.length) throw new Error('the texts have to have the same length')
      replacements.push([text, by])
    },
    delay: ms => { delayMs = ms },
    goSilent: () => { isSilent = true },
    cutOff: () => { isOff = true; for (const pipe of pipes) cut(pipe) },
    restore: () => { isOff = false }
  }

  function hold (text: string, when: Watch['when'], act: (pipe: Pipe, letGo: Promise<void>) => void | Promise<void>): Held {
    const { promise: seen, resolve: see } = Promise.withResolvers<void>()
    const { promise, resolve: letGo } = Promise.withResolvers<void>()
    watches.add({ text, when, act: pipe => { see(); return act(pipe, promise) } })
    return { seen, letGo }
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    isSilent = false
    for (const pipe of pipes) cut(pipe)
    server.close()
  })
  const url = new URL(target)
  url.port = String((server.address() as AddressInfo).port)
  return Object.assign(proxy, { url: url.href })
}

function cut ({ client, upstream }: Pipe): void {
  client.destroy()
  upstream.destroy()
}
