/** The thread that owns pg for bridge-client.ts: takes one statement at a time, answers by message, and then says in the shared cell that it has. */
import { workerData, type MessagePort } from 'node:worker_threads'
import pg from 'pg'

export interface BridgeJob {
  readonly url: string
  readonly port: MessagePort
  /** 0: asked. 1: answered. */
  readonly cell: Int32Array
  readonly notifies: boolean
}

export interface Asked { readonly text: string, readonly values: unknown[] }
export interface Answered { readonly rows?: unknown[], readonly error?: string }

const { url, port, cell, notifies } = workerData as BridgeJob
const client = new pg.Client({ connectionString: url })
await client.connect()

port.on('message', ({ text, values }: Asked) => {
  client.query(text, values).then(
    ({ rows }) => { answer({ rows: rows as unknown[] }) },
    (error: unknown) => { answer({ error: String(error) }) }
  )
})
answer({ rows: [] }) // it is connected

function answer (answered: Answered): void {
  port.postMessage(answered)
  Atomics.store(cell, 0, 1)
  if (notifies) Atomics.notify(cell, 0)
}
