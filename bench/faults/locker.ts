/** Another process on the same SQLite file. Argument: the path. Each message is a number: it takes the write lock, holds it for so many ms, and answers. */
import { setTimeout as sleep } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'

const db = new Sqlite(process.argv[2] ?? '', { timeout: 10_000 })
const insert = db.prepare('INSERT INTO foreign_lock (n) VALUES (?)')

async function hold (ms: number): Promise<void> {
  db.exec('BEGIN IMMEDIATE')
  insert.run(ms)
  await sleep(ms)
  db.exec('COMMIT')
  process.send?.('done')
}

process.on('message', message => { void hold(Number(message)) })
process.on('disconnect', () => { process.exit(0) })
process.send?.('ready')
