/**
 * What runs in a reader's or the writer's thread: one connection, and one task at a time. Everything in it is synchronous; a task is stopped by the watchdog, which is asked
 * for that by the main thread.
 */
import type Sqlite from 'better-sqlite3'
import { constants, setPriority } from 'node:os'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { backup } from './backup.ts'
import { codeOf } from './errors.ts'
import { Handle, type Batch, type Rows } from './handle.ts'
import type { Answer, Failure, Request, Task, ThreadData } from './messages.ts'
import { openConnection } from './open.ts'
import { loadWatchdog, type StopReason } from './watchdog.ts'

/** Rows that cross at once: few enough that taking them in does not keep the main thread, enough that crossing costs little for each. */
const CHUNK_ROWS = 500
const CHUNK_BYTES = 256 * 1024

const port = parentPort as MessagePort
const { path, settings, readonly } = workerData as ThreadData
/** The open cursor. */
let rows: Rows | undefined

try {
  const db = openConnection(path, settings, readonly)
  const watchdog = settings.watchdog === 'on' ? loadWatchdog(db) : undefined
  watchdog?.limitLength(settings.maxLengthBytes)
  if (readonly && watchdog !== undefined) stepBack() // without one what is short is here as well
  const handle = new Handle(db, watchdog)
  port.on('message', (request: Request) => {
    port.postMessage(answerTo(handle, request, task => perform(db, handle, task)))
    if (request.task.kind === 'end') port.close() // whatever came of it, or its end would be waited for in vain
  })
  port.postMessage({ slot: watchdog?.slot ?? 0 })
} catch (error) {
  port.postMessage({ failure: failureOf(error) })
  port.close()
}

/** The event loop comes first, and what takes long takes a little longer. On Linux this is about the calling thread alone. */
function stepBack (): void {
  if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_BELOW_NORMAL)
}

function answerTo (handle: Handle, { operation, remainingMs, task }: Request, perform: (task: Task) => unknown): Answer {
  const startedAt = performance.now()
  const result = attempt(() => {
    if (handle.watchdog?.begin(operation, remainingMs) === false) throw new Error('stopped before it began')
    return perform(task)
  })
  const stopped = handle.isOpen ? endOperation(handle) : undefined
  return { ...result, stopped, inTransaction: handle.inTransaction, ms: performance.now() - startedAt }
}

function attempt (task: () => unknown): { value: unknown } | { failure: Failure } {
  try {
    return { value: task() }
  } catch (error) {
    return { failure: failureOf(error) }
  }
}

/** A stop that came behind the last row has hit nobody yet: it would hit this, as long as the cursor is open. */
function endOperation ({ watchdog }: Handle): StopReason | undefined {
  try {
    return watchdog?.end()
  } catch {
    closeRows()
    return watchdog?.end()
  }
}

function perform (db: Sqlite.Database, handle: Handle, task: Task): unknown {
  switch (task.kind) {
    case 'execute': return handle.execute(task.method, task.text, task.values)
    case 'exec': handle.exec(task.sql); return undefined
    case 'open': rows = handle.open(task.text, task.values); return fetch()
    case 'fetch': return fetch()
    case 'close': closeRows(); return undefined
    case 'trim': handle.watchdog?.trim(); return undefined
    case 'optimize': handle.exec('PRAGMA analysis_limit = 1000; PRAGMA optimize = 0x10002'); return undefined
    case 'checkpoint': return handle.pragma(`wal_checkpoint(${task.mode})`)
    case 'backup': return backup(db, task.target, task)
    case 'end': end(handle); return undefined
  }
}

/** A thread that ends leaves what it has not given back. */
function end (handle: Handle): void {
  closeRows()
  handle.watchdog?.trim()
  handle.close()
}

function fetch (): Batch {
  if (rows === undefined) throw new Error('the cursor was closed')
  const chunk = rows.fetch(CHUNK_ROWS, CHUNK_BYTES, Infinity)
  if (chunk.done) rows = undefined
  return chunk
}

function closeRows (): void {
  rows?.close()
  rows = undefined
}

function failureOf (error: unknown): Failure {
  if (!(error instanceof Error)) return { name: '', message: String(error), code: '', stack: undefined }
  return { name: error.name, message: error.message, code: codeOf(error), stack: error.stack }
}
