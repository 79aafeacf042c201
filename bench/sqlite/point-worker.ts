/** The least that a thread can do: answers an id with the row. */
import { parentPort, workerData } from 'node:worker_threads'
import { openRaw } from './raw.ts'

const { path, sql } = workerData as { path: string, sql: string }
const statement = openRaw(path, { readonly: true }).prepare(sql)
parentPort?.on('message', (id: number) => { parentPort?.postMessage(statement.get(id)) })
