/**
 * One direction of a connection through the proxy: bytes come from one socket, wait, are cut into pieces or put together, and go to the other one.
 *
 * What is kept true: the order of the bytes; one side's end reaches the other behind all bytes before it; and who reads slowly slows the writer down, since no more
 * than MOST_QUEUED bytes are kept here. What happens to whole connections is decided in proxy.ts.
 */
import type { Socket } from 'node:net'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import type { Random } from '../../bench/faults/random.ts'

/** How bytes of one direction are passed on, for all connections of a proxy. */
export interface Manners {
  /** From their arrival on. */
  delayMs: number
  /** Pieces have 1 to so many bytes, each sent by itself. */
  maxPieceBytes: number
  /** Bytes that arrive within so long of the first one are sent as one piece. */
  coalesceMs: number
  bytesPerSecond: number
}

export const calmManners: Readonly<Manners> = { delayMs: 0, maxPieceBytes: Infinity, coalesceMs: 0, bytesPerSecond: Infinity }

export interface FlowOptions {
  readonly from: Socket
  readonly to: Socket
  readonly manners: Manners
  readonly random: Random
  /** What becomes of a chunk on its arrival. Undefined: nothing is passed on. */
  readonly onArrival: (chunk: Buffer) => Buffer | undefined
  /** The same when its time has come. */
  readonly onTurn: (chunk: Buffer) => Promise<Buffer | undefined> | Buffer | undefined
  /** Whether an end of `from` is told to `to`. */
  readonly tellsEnd: () => boolean
  /** How many more bytes may pass before `onLimit`. */
  readonly limit: (flow: Flow) => number
  /** The bytes before the limit have been handed to the system. */
  readonly onLimit: (flow: Flow) => void
}

const MOST_QUEUED = 256 * 1024

export class Flow {
  /** Bytes that were passed on. */
  passed = 0
  readonly #options: FlowOptions
  readonly #queue: Array<{ chunk: Buffer, at: number }> = []
  #queuedBytes = 0
  readonly #gates = new Set<Promise<void>>()
  #isRunning = false
  #hasEnded = false

  constructor (options: FlowOptions) {
    this.#options = options
    options.from.on('data', chunk => { this.#arrive(chunk) })
    options.from.on('end', () => { if (options.tellsEnd()) this.#end() })
  }

  /** Nothing more passes before `gate` resolves. The end of the connection does. */
  hold (gate: Promise<void>): void {
    this.#gates.add(gate)
    void gate.then(() => { this.#gates.delete(gate) })
  }

  #arrive (arrived: Buffer): void {
    const chunk = this.#options.onArrival(arrived)
    if (chunk === undefined) return
    this.#queue.push({ chunk, at: performance.now() })
    this.#queuedBytes += chunk.length
    if (this.#queuedBytes > MOST_QUEUED) this.#options.from.pause()
    this.#run()
  }

  #end (): void {
    this.#hasEnded = true
    if (this.#gates.size > 0) this.#options.to.destroy()
    else this.#run()
  }

  #run (): void {
    if (this.#isRunning) return
    this.#isRunning = true
    void this.#passAll().finally(() => {
      this.#isRunning = false
      if (this.#options.to.destroyed) return
      if (this.#queue.length > 0) this.#run() // it came in the meantime
      else if (this.#hasEnded) this.#options.to.end()
    })
  }

  async #passAll (): Promise<void> {
    const { manners, onTurn, from, to } = this.#options
    for (let next = this.#queue[0]; next !== undefined && !to.destroyed; next = this.#queue[0]) {
      await waitUntil(next.at + manners.delayMs + manners.coalesceMs)
      for (const gate of this.#gates) await gate
      const chunk = await onTurn(this.#take(manners.coalesceMs > 0))
      if (chunk !== undefined) await this.#write(chunk)
      if (this.#queuedBytes <= MOST_QUEUED) from.resume()
    }
  }

  /** The first chunk, or all of them as one. */
  #take (areAll: boolean): Buffer {
    const taken = this.#queue.splice(0, areAll ? this.#queue.length : 1).map(({ chunk }) => chunk)
    const chunk = taken.length === 1 && taken[0] !== undefined ? taken[0] : Buffer.concat(taken)
    this.#queuedBytes -= chunk.length
    return chunk
  }

  async #write (chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length && !this.#options.to.destroyed;) {
      const piece = chunk.subarray(at, at + this.#pieceBytes())
      at += piece.length
      await this.#writePiece(piece)
      await this.#rest(piece.length)
    }
  }

  #pieceBytes (): number {
    const { manners: { maxPieceBytes, bytesPerSecond }, random } = this.#options
    const most = Math.min(maxPieceBytes, Math.ceil(bytesPerSecond / 20)) // 20 pieces a second
    return maxPieceBytes === Infinity ? most : random.between(1, most)
  }

  async #writePiece (piece: Buffer): Promise<void> {
    const { to, limit, onLimit } = this.#options
    const left = limit(this)
    if (piece.length < left) {
      this.passed += piece.length
      if (!to.write(piece)) await drained(to)
      return
    }
    this.passed += left
    await new Promise(resolve => { to.write(piece.subarray(0, left), resolve) })
    onLimit(this)
  }

  /** So that the other side reads what was sent by itself. */
  async #rest (bytes: number): Promise<void> {
    const { bytesPerSecond, maxPieceBytes } = this.#options.manners
    if (bytesPerSecond < Infinity) await pause(bytes / bytesPerSecond * 1000)
    else if (maxPieceBytes < Infinity) await turn()
  }
}

async function waitUntil (at: number): Promise<void> {
  const ms = at - performance.now()
  if (ms > 0) await pause(ms)
}

/** Resolves when more may be written, or when nothing more can be. */
async function drained (socket: Socket): Promise<void> {
  await new Promise<void>(resolve => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
}
