/** One of the threads of memory-threads.ts. All rows are only counted, since handing them over would hold them twice. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Answered, Asked } from './memory-threads.ts'
import { openRaw } from './raw.ts'

const db = openRaw((workerData as { path: string }).path, { readonly: true })
db.pragma('cache_size = -15625')
db.pragma('temp_store = FILE')

parentPort?.on('message', (asked: Asked) => { parentPort?.postMessage(answer(asked)) })

function answer ({ method, sql }: Asked): Answered {
  try {
    return method === 'get' ? { row: db.prepare(sql).get() } : { row: db.prepare(sql).all().length }
  } catch (error) {
    return { error: String(error) }
  }
}
