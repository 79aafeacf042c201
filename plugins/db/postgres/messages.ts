/**
 * Messages to PostgreSQL (https://www.postgresql.org/docs/18/protocol-message-formats.html), collected in one buffer so that everything said in one turn of the event
 * loop is one write. Knows the format of the messages and nothing of their order.
 */
import type { PostgresValue } from './values.ts'

/** The protocol counts parameters with 16 bits. */
export const MOST_VALUES = 65_535

const FIRST_SIZE = 4096
/** Up to this length a string of ASCII is written faster byte by byte than by a call into C++. */
const SHORT = 32

const SYNC = Uint8Array.of(0x53, 0, 0, 0, 4)
const EMPTY = Buffer.alloc(0)
/** Execute the unnamed portal to its end. */
const EXECUTE = Uint8Array.of(0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0)
/** Describe the unnamed portal. */
const DESCRIBE = Uint8Array.of(0x44, 0, 0, 0, 6, 0x50, 0)
const COPY_DONE = Uint8Array.of(0x63, 0, 0, 0, 4)
export const TERMINATE = Uint8Array.of(0x58, 0, 0, 0, 4)

export class Outbox {
  #buffer = Buffer.allocUnsafe(FIRST_SIZE)
  #length = 0

  get isEmpty (): boolean {
    return this.#length === 0
  }

  /** What was collected; the outbox is empty then. */
  take (): Buffer {
    if (this.#length === 0) return EMPTY
    const taken = Buffer.from(this.#buffer.subarray(0, this.#length)) // the socket keeps it until it is sent
    this.#length = 0
    if (this.#buffer.length > 64 * FIRST_SIZE) this.#buffer = Buffer.allocUnsafe(FIRST_SIZE)
    return taken
  }

  parse (name: string, text: string): void {
    const start = this.#open(0x50)
    this.#cstring(name)
    this.#cstring(text)
    this.#int16(0)
    this.#close(start)
  }

  /** `portal`: '' for the unnamed one. All results in text form; bytes are sent in binary form, all else as text. */
  bind (portal: string, name: string, values: readonly PostgresValue[]): void {
    const start = this.#open(0x42)
    this.#cstring(portal)
    this.#cstring(name)
    this.#formats(values)
    this.#int16(values.length)
    for (const value of values) this.#value(value)
    this.#int16(0)
    this.#close(start)
  }

  describeStatement (name: string): void {
    const start = this.#open(0x44)
    this.#int8(0x53)
    this.#cstring(name)
    this.#close(start)
  }

  describePortal (portal: string): void {
    if (portal === '') return this.#bytes(DESCRIBE)
    const start = this.#open(0x44)
    this.#int8(0x50)
    this.#cstring(portal)
    this.#close(start)
  }

  /** `rows`: how many at most; 0 for all. */
  execute (portal: string, rows: number): void {
    if (portal === '' && rows === 0) return this.#bytes(EXECUTE)
    const start = this.#open(0x45)
    this.#cstring(portal)
    this.#int32(rows)
    this.#close(start)
  }

  closeStatement (name: string): void {
    const start = this.#open(0x43)
    this.#int8(0x53)
    this.#cstring(name)
    this.#close(start)
  }

  closePortal (portal: string): void {
    const start = this.#open(0x43)
    this.#int8(0x50)
    this.#cstring(portal)
    this.#close(start)
  }

  sync (): void {
    this.#bytes(SYNC)
  }

  /** The simple protocol: one or more statements, answered together. */
  query (text: string): void {
    const start = this.#open(0x51)
    this.#cstring(text)
    this.#close(start)
  }

  /** All data of one COPY … FROM STDIN. */
  copyIn (bytes: Uint8Array): void {
    const start = this.#open(0x64)
    this.#bytes(bytes)
    this.#close(start)
    this.#bytes(COPY_DONE)
  }

  /** Refuses the data that COPY … FROM STDIN asks for. */
  copyFail (reason: string): void {
    const start = this.#open(0x66)
    this.#cstring(reason)
    this.#close(start)
  }

  // --- parts of a message --------------------------------------------------------------------------------------------------

  /** The type, and room for the length; answers where that is. */
  #open (type: number): number {
    this.#reserve(5)
    this.#buffer[this.#length] = type
    this.#length += 5
    return this.#length - 4
  }

  #close (start: number): void {
    this.#buffer.writeInt32BE(this.#length - start, start)
  }

  /** One format for each value if one of them is bytes; none if all are text. */
  #formats (values: readonly PostgresValue[]): void {
    if (!values.some(value => typeof value === 'object' && value !== null)) return this.#int16(0)
    this.#int16(values.length)
    for (const value of values) this.#int16(typeof value === 'object' && value !== null ? 1 : 0)
  }

  #value (value: PostgresValue): void {
    if (value === null) return this.#int32(-1)
    this.#int32(0)
    const start = this.#length
    if (typeof value === 'string') this.#text(value)
    else this.#bytes(value)
    this.#buffer.writeInt32BE(this.#length - start, start - 4)
  }

  #cstring (text: string): void {
    this.#text(text)
    this.#int8(0)
  }

  #text (text: string): void {
    this.#reserve(text.length * 3)
    if (text.length > SHORT || !this.#ascii(text)) this.#length += this.#buffer.write(text, this.#length)
  }

  /** Writes `text` if it is ASCII. */
  #ascii (text: string): boolean {
    const buffer = this.#buffer
    const start = this.#length
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) return false
      buffer[start + i] = code
    }
    this.#length += text.length
    return true
  }

  #bytes (bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #int8 (value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
  }

  #int16 (value: number): void {
    this.#reserve(2)
    this.#buffer[this.#length++] = value >>> 8
    this.#buffer[this.#length++] = value
  }

  #int32 (value: number): void {
    this.#reserve(4)
    this.#length = this.#buffer.writeInt32BE(value, this.#length)
  }

  #reserve (bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length))
    larger.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = larger
  }
}
