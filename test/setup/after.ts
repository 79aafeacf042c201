// tap `after`: runs once after the last test file, also after a bail-out.
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { stateFile } from '../helper/paths.ts'

if (existsSync(stateFile)) {
  const { daemon } = JSON.parse(readFileSync(stateFile, 'utf8')) as { daemon: number }
  try { process.kill(daemon, 'SIGTERM') } catch {}
  for (let i = 0; i < 200 && existsSync(stateFile); i++) await sleep(25)
}
