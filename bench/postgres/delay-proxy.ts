/**
 * A process that forwards TCP connections and holds everything back for the same time in each direction: a network that is far, and as fast as it was.
 *
 * What is kept true: order, and the time of each piece by itself, so that the throughput is not limited. Node's timers count whole milliseconds; so while something
 * is held, the thread sleeps for a tenth of one at a time and looks. Told: its port.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { readJob, tell } from '../measure/child.ts'

export interface DelayJob {
  /** On 127.0.0.1. */
  readonly port: number
  /** In each direction. */
  readonly delayMs: number
}

interface Held { readonly to: Socket, readonly chunk: Buffer, readonly due: number }

const SLEEP_MS = 0.1

const { port, delayMs } = readJob<DelayJob>()
const held: Held[] = []
let first = 0
const cell = new Int32Array(new SharedArrayBuffer(4))

const server = createServer({ noDelay: true }, client => {
  const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
  pipe(client, upstream)
  pipe(upstream, client)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
await tell({ port: (server.address() as AddressInfo).port })

function pipe (from: Socket, to: Socket): void {
  from.on('data', chunk => { hold({ to, chunk, due: performance.now() + delayMs }) })
  from.on('error', () => {}).on('close', () => { to.destroySoon() })
}

function hold (piece: Held): void {
  if (held.push(piece) === first + 1) setImmediate(release)
}

/** All delays are equal, so what came first is due first. */
function release (): void {
  for (let piece = held[first]; piece !== undefined && piece.due <= performance.now(); piece = held[++first]) piece.to.write(piece.chunk)
  if (first === held.length) {
    held.length = first = 0
    return
  }
  const waitMs = (held[first]?.due ?? 0) - performance.now()
  if (waitMs > 0) Atomics.wait(cell, 0, 0, Math.min(SLEEP_MS, waitMs))
  setImmediate(release)
}
