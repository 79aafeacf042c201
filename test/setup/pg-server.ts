/** Owns the PostgreSQL of a test run; ends with SIGTERM, or when the process in its argument is gone. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { stateFile } from '../helper/paths.ts'
import { PostgresServer } from '../helper/postgres-server.ts'

const watched = Number(process.argv[2])
let isStopping = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => { isStopping = true })

const server = await PostgresServer.start({ settings: { synchronous_commit: 'off' }, onLog: text => { process.stderr.write(text) } })
const path = fileURLToPath(stateFile)
writeFileSync(`${path}.new`, JSON.stringify({ url: server.url, daemon: process.pid, runner: watched }))
renameSync(`${path}.new`, path)

while (!isStopping && server.isUp && isThere(watched)) await sleep(100)
const isWanted = server.isUp
await server.stop()
rmSync(stateFile, { force: true })
process.exit(isWanted ? 0 : 1)

function isThere (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
