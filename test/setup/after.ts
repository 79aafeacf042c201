// tap `after`: runs once after the last test file, also after a bail-out.
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { stateFile } from '../helper/paths.ts'

if (existsSync(stateFile)) {
  const { daemon, runner } = JSON.parse(readFileSync(stateFile, 'utf8')) as { daemon: number, runner: number }
  if (runner === process.ppid) { // and not of another run in this folder
    try { process.kill(daemon, 'SIGTERM') } catch {}
    for (let i = 0; i < 200 && existsSync(stateFile); i++) await sleep(25)
  }
}
