/** A client of server-sent events over a real socket, for the tests. */
import type { Test } from 'tap'
import type { Person, World } from './world.ts'

export interface Heard { readonly event: string, readonly id?: string, readonly data: { readonly [name: string]: unknown } }

export class EventSource {
  readonly #abort = new AbortController()
  readonly #buffer: Heard[] = []
  #reader: ReadableStreamDefaultReader<string> | undefined
  #text = ''
  status = 0
  headers = new Headers()

  /** `close`: the client leaves. */
  close (): void {
    this.#abort.abort()
  }

  async open (url: string, headers: Record<string, string>): Promise<void> {
    const answer = await fetch(url, { headers: { accept: 'text/event-stream', ...headers }, signal: this.#abort.signal })
    this.status = answer.status
    this.headers = answer.headers
    this.#reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  }

  /** The next one; undefined: the server has ended the stream. */
  async next (): Promise<Heard | undefined> {
    while (true) {
      const heard = this.#buffer.shift()
      if (heard !== undefined) return heard
      const { value, done } = await this.#reader?.read() ?? { done: true, value: undefined }
      if (done) return undefined
      const parts = (this.#text + value).split('\n\n')
      this.#text = parts.pop() ?? ''
      this.#buffer.push(...parts.filter(part => !part.startsWith(':')).map(parse))
    }
  }

  /** Up to the first with this name. */
  async until (event: string): Promise<Heard[]> {
    const heard: Heard[] = []
    while (true) {
      const next = await this.next()
      if (next === undefined) throw new Error(`the stream ended before ${event}: ${JSON.stringify(heard)}`)
      heard.push(next)
      if (next.event === event) return heard
    }
  }

  /** How it ends. What else is told until then, as of a group's making, comes when it comes. */
  async last (): Promise<Heard | undefined> {
    let last: Heard | undefined
    for (let next = await this.next(); next !== undefined; next = await this.next()) last = next
    return last
  }
}

function parse (part: string): Heard {
  const fields = Object.fromEntries(part.split('\n').map(line => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]))
  return { event: fields.event ?? '', ...(fields.id !== undefined && { id: fields.id }), data: JSON.parse(fields.data ?? '{}') as Heard['data'] }
}

/** The app on a port of its own, once. */
export async function addressOf ({ app }: World): Promise<string> {
  return app.server.listening ? app.listeningOrigin : await app.listen({ port: 0, host: '127.0.0.1' })
}

export async function watch (t: Test, world: World, groupId: string, { by, headers = {}, query = '' }: { by?: Person, headers?: Record<string, string>, query?: string } = {}): Promise<EventSource> {
  const source = new EventSource()
  t.teardown(() => { source.close() })
  await source.open(`${await addressOf(world)}/api/v1/web/groups/${groupId}/events${query}`, { ...(by?.headers.cookie !== undefined && { cookie: by.headers.cookie }), ...headers })
  return source
}
