/**
 * The `sqlite3` package, in a process of its own: it brings a second SQLite, and two of them on one file in one process undo each other's locks
 * (https://sqlite.org/howtocorrupt.html, 2.2.1). Asked for a row it answers it; asked for a number of reads it answers the nanoseconds of one.
 */
import { promisify } from 'node:util'
import { readJob, tell } from './child.ts'
import { spreadId, type Span } from './ids.ts'

interface Statement { get: (id: number, done: (error: Error | null, row: unknown) => void) => void }
interface Connection { prepare: (sql: string) => Statement }
interface Package { default: { Database: new (path: string, mode: number, done: (error: Error | null) => void) => Connection, OPEN_READONLY: number } }

export type Asked = { row: number } | Span

const { path, sql } = readJob<{ path: string, sql: string }>()
const name: string = 'sqlite3'
const { default: sqlite3 } = await import(name) as Package
const statement = await new Promise<Statement>((resolve, reject) => {
  const db = new sqlite3.Database(path, sqlite3.OPEN_READONLY, error => { if (error === null) resolve(db.prepare(sql)); else reject(error) })
})
const get = promisify((id: number, done: (error: Error | null, row: unknown) => void) => { statement.get(id, done) })

process.on('message', (asked: Asked) => { void answer(asked) })
await tell('ready')

async function answer (asked: Asked): Promise<void> {
  if ('row' in asked) return await tell({ row: await get(asked.row) })
  const start = process.hrtime.bigint()
  for (let i = 0; i < asked.reads; i++) await get(spreadId(asked.first + i, asked.ids))
  await tell({ ns: Number(process.hrtime.bigint() - start) / asked.reads })
}
