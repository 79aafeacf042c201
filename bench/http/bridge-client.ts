/**
 * A synchronous bridge to PostgreSQL, rebuilt for comparison only: a worker thread owns pg, the main thread posts a statement and blocks until it is answered, in steps
 * of 10 ms. While it blocks nothing else happens in the process.
 *
 * Two variants: with `notifies` the thread wakes the main thread; without, the main thread sees the answer at the end of its step.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import type { Answered, Asked, BridgeJob } from './bridge-worker.ts'

const STEP_MS = 10

export class BridgeClient {
  readonly #port: MessagePort
  readonly #cell: Int32Array

  private constructor (port: MessagePort, cell: Int32Array) {
    this.#port = port
    this.#cell = cell
  }

  /** Blocks until it is connected, as everything of it does. */
  static async open (url: string, notifies: boolean): Promise<BridgeClient> {
    const { port1, port2 } = new MessageChannel()
    const cell = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(new URL('bridge-worker.ts', import.meta.url), { workerData: { url, port: port2, cell, notifies } satisfies BridgeJob, transferList: [port2] })
    worker.unref()
    const started = Promise.withResolvers<void>()
    worker.once('online', started.resolve).once('error', started.reject)
    await started.promise
    const bridge = new BridgeClient(port1, cell)
    bridge.#wait()
    return bridge
  }

  query (text: string, values: unknown[]): unknown[] {
    Atomics.store(this.#cell, 0, 0)
    this.#port.postMessage({ text, values } satisfies Asked)
    return this.#wait()
  }

  #wait (): unknown[] {
    while (Atomics.load(this.#cell, 0) === 0) Atomics.wait(this.#cell, 0, 0, STEP_MS)
    const { message } = receiveMessageOnPort(this.#port) as { message: Answered }
    const { rows, error } = message
    if (rows === undefined) throw new Error(error)
    return rows
  }
}
