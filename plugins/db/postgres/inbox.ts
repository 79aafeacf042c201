/**
 * Cuts what arrives from PostgreSQL into messages. A message that came in pieces is put together once, when its last piece is there, however many there were.
 */

/** A message: its type, and its body in `buffer` from `start` to `end`. The buffer is not kept: whoever wants something of it copies it. */
export type Visit = (type: number, buffer: Buffer, start: number, end: number) => void

/** Type and length. */
const HEADER = 5

export class Inbox {
  readonly #visit: Visit
  /** Pieces of a message that is not complete, how long they are, and how long they must be before it is worth another look. */
  #pieces: Buffer[] = []
  #length = 0
  #needed = 0

  constructor (visit: Visit) {
    this.#visit = visit
  }

  /** Throws a `RangeError` for what cannot be PostgreSQL's protocol; nothing can be read afterwards. */
  read (chunk: Buffer): void {
    if (this.#length === 0) return this.#cut(chunk)
    this.#pieces.push(chunk)
    this.#length += chunk.length
    if (this.#length < this.#needed) return
    const whole = Buffer.concat(this.#pieces, this.#length)
    this.#pieces = []
    this.#length = 0
    this.#cut(whole)
  }

  #cut (buffer: Buffer): void {
    let start = 0
    while (buffer.length - start >= HEADER) {
      const length = (buffer[start + 1] as number) << 24 | (buffer[start + 2] as number) << 16 | (buffer[start + 3] as number) << 8 | (buffer[start + 4] as number)
      if (length < 4) throw new RangeError('a message is shorter than its own length')
      const end = start + 1 + length
      if (end > buffer.length) return this.#keep(buffer, start, 1 + length)
      this.#visit(buffer[start] as number, buffer, start + HEADER, end)
      start = end
    }
    if (start < buffer.length) this.#keep(buffer, start, HEADER)
  }

  #keep (buffer: Buffer, start: number, needed: number): void {
    this.#pieces = [buffer.subarray(start)]
    this.#length = buffer.length - start
    this.#needed = needed
  }
}
