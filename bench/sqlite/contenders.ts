/**
 * Who reads rows by id: this package, better-sqlite3 without anything, and a worker thread. (The libraries: ../operations, each in a process of its own.)
 *
 * What is kept true: all read the same file, one row at a time, awaited if it is a promise.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type Sqlite from 'better-sqlite3'
import type { Database } from '../../plugins/db/types.ts'
import { pointSql } from './data.ts'
import { spreadId, type Span } from '../measure/ids.ts'

export interface Contender {
  readonly name: string
  /** The row with this id. */
  readonly get: (id: number) => unknown
  /** Nanoseconds a read, one after the other. */
  readonly time: (span: Span) => Promise<number>
  readonly close: () => unknown
}

const nothing = (): void => {}

// --- ours, raw, a thread ---------------------------------------------------------------------------------------------------------

export function readRaw (raw: Sqlite.Database): Contender[] {
  const statement = raw.prepare(pointSql)
  return [
    { name: 'better-sqlite3: statement.get(id)', get: id => statement.get(id), time: async span => timeSync(id => statement.get(id), span), close: nothing },
    awaited('better-sqlite3, in an async function', async id => statement.get(id))
  ]
}

export function readTandem (db: Database): Contender[] {
  const statement = db.prepare(pointSql)
  return [
    awaited('await db.prepare(sql).get(id)', id => db.prepare(pointSql).get(id)),
    awaited('await statement.get(id)', id => statement.get(id))
  ]
}

export async function readByWorker (path: string): Promise<Contender> {
  const worker = new Worker(new URL('point-worker.ts', import.meta.url), { workerData: { path, sql: pointSql } })
  const waiting: Array<(row: unknown) => void> = []
  worker.on('message', row => { waiting.shift()?.(row) })
  await once(worker, 'online')
  const get = (id: number): Promise<unknown> => new Promise(resolve => {
    waiting.push(resolve)
    worker.postMessage(id)
  })
  return awaited('better-sqlite3 in a worker thread', get, () => worker.terminate())
}

// --- time ------------------------------------------------------------------------------------------------------------------------

function awaited (name: string, get: (id: number) => unknown, close: () => unknown = nothing): Contender {
  return { name, get, time: span => timeAwaited(get, span), close }
}

function timeSync (get: (id: number) => unknown, { reads, ids, first }: Span): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < reads; i++) get(spreadId(first + i, ids))
  return Number(process.hrtime.bigint() - start) / reads
}

async function timeAwaited (get: (id: number) => unknown, { reads, ids, first }: Span): Promise<number> {
  const start = process.hrtime.bigint()
  for (let i = 0; i < reads; i++) await get(spreadId(first + i, ids))
  return Number(process.hrtime.bigint() - start) / reads
}

/** Nanoseconds a read with so many waiting at a time. */
export async function timeMany ({ get }: Contender, atOnce: number, { reads, ids, first }: Span): Promise<number> {
  let i = 0
  const work = async (): Promise<void> => { while (i < reads) await get(spreadId(first + i++, ids)) }
  const start = process.hrtime.bigint()
  await Promise.all(Array.from({ length: atOnce }, work))
  return Number(process.hrtime.bigint() - start) / reads
}
