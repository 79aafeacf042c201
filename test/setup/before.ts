// tap `before`: runs once, in its own process, before the first test file.
// Starts one PostgreSQL for the whole run and leaves its address in .tap/pg.json; and prepares what preload.js serves.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { root, stateFile, logFile } from '../helper/paths.ts'
import { stripTypes } from './strip-types.ts'

stripTypes()
rmSync(new URL('.tap/compiled/', root), { recursive: true, force: true }) // it would grow from run to run

if (process.env.TEST_DATABASE_URL == null && process.env.TEST_POSTGRES !== 'off') {
  mkdirSync(new URL('.tap/', root), { recursive: true })
  rmSync(stateFile, { force: true })
  const log = openSync(logFile, 'w')
  // a clean environment: no coverage, no tap protocol, no inherited stdio
  const env = Object.fromEntries(Object.entries(process.env).filter(([k]) => !/^(TAP|_TAPJS|NODE_OPTIONS|NODE_V8_COVERAGE)/.test(k)))
  const daemon = spawn(process.execPath, [new URL('./pg-server.ts', import.meta.url).pathname, String(process.ppid)],
    { detached: true, stdio: ['ignore', log, log], env })
  for (let i = 0; i < 600 && !existsSync(stateFile) && daemon.exitCode === null; i++) await sleep(50)
  daemon.unref()
  if (!existsSync(stateFile)) {
    console.error(`PostgreSQL did not start (exit ${String(daemon.exitCode)}):\n${readFileSync(logFile, 'utf8')}`)
    process.exit(1)
  }
}
