/** better-sqlite3 in worker threads, each with the PRAGMAs that this package sets: what one has without it. Rows by id are read on the main thread. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { pointSql } from './data.ts'
import type { Job, Subject } from './memory-phases.ts'
import { openRaw } from './raw.ts'

export type Asked = { method: 'get' | 'all', sql: string }
/** `row`: of `all`, how many there are. */
export type Answered = { row: unknown } | { error: string }

export async function openThreads ({ path, readers }: Job): Promise<Subject> {
  const raw = openRaw(path, { readonly: true })
  const point = raw.prepare(pointSql)
  const workers = Array.from({ length: readers }, () => new Worker(new URL('memory-worker.ts', import.meta.url), { workerData: { path } }))
  await Promise.all(workers.map(worker => once(worker, 'online')))
  const idle = [...workers]
  const waiting: Array<(worker: Worker) => void> = []

  async function ask (asked: Asked): Promise<unknown> {
    const worker = idle.pop() ?? await new Promise<Worker>(resolve => { waiting.push(resolve) })
    worker.postMessage(asked)
    const [answer] = await once(worker, 'message') as [Answered]
    const next = waiting.shift()
    if (next === undefined) idle.push(worker)
    else next(worker)
    if ('error' in answer) throw new Error(answer.error)
    return answer.row
  }

  return {
    point: async id => point.get(id),
    get: sql => ask({ method: 'get', sql }),
    all: sql => ask({ method: 'all', sql }),
    within: async (_ms, read) => await read(), // nothing can stop it
    status: () => undefined,
    async close () {
      await Promise.all(workers.map(worker => worker.terminate()))
      raw.close()
    }
  }
}
