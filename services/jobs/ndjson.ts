/**
 * A list as a stream of lines of JSON.
 *
 * What is kept true: as much is read as the client takes, so that memory does not grow with the list; who takes nothing for too long is cut off, since a cursor is held
 * for it; an error in the middle breaks the stream off, so that what has an end is complete.
 */
import { Readable } from 'node:stream'
import { JobsStreamIdle } from './errors.ts'
import { explainLimit } from './limits.ts'

/** How much is sent at a time, in characters. */
const CHUNK = 32 * 1024

/** `idleMs`: how long the client may take nothing; Infinity for ever. */
export function toNdjson (items: AsyncIterable<object>, idleMs: number): Readable {
  const idle = new IdleTimer(idleMs, error => { stream.destroy(error) })
  const stream = Readable.from(chunks(items, idle), { objectMode: false, highWaterMark: CHUNK })
  return stream
}

async function * chunks (items: AsyncIterable<object>, idle: IdleTimer): AsyncGenerator<string, undefined> {
  let text = ''
  try {
    for await (const item of items) {
      text += `${JSON.stringify(item)}\n`
      if (text.length < CHUNK) continue
      idle.start()
      yield text
      idle.stop()
      text = ''
    }
    if (text !== '') yield text
  } catch (error) {
    throw explainLimit(error)
  } finally {
    idle.stop()
  }
}

/** Runs while the client has what was read last. */
class IdleTimer {
  readonly #ms: number
  readonly #expire: (error: Error) => void
  #timer: NodeJS.Timeout | undefined

  constructor (ms: number, expire: (error: Error) => void) {
    this.#ms = ms
    this.#expire = expire
  }

  start (): void {
    if (this.#ms !== Infinity) this.#timer = setTimeout(() => { this.#expire(new JobsStreamIdle(this.#ms)) }, this.#ms)
  }

  stop (): void {
    clearTimeout(this.#timer)
  }
}
