/**
 * 7. `kill -9` of a process that writes: the file is whole, and every transaction that was told to be committed is there. (The process dies, not the machine: what
 * the operating system has taken is kept, so this says nothing about a power failure.)
 *
 * How it measures: the process writes some transactions at a time and names each in its standard output when `db.tx` has resolved. It is killed at a random
 * moment; a copy of the file and its log is opened and checked by better-sqlite3, and the file itself is opened by the next process, which reads all that was told.
 */
import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { formatCount, Progress } from '../../scripts/terminal.ts'
import { Random } from '../faults/random.ts'
import { Child } from '../measure/child.ts'
import type { Job } from './crash-writer.ts'
import { auditLedger, makeLedger, readLedger } from './ledger.ts'
import type { Measurement, Outcome, Settings } from '../measure/measurement.ts'

const sizes = { full: 200, short: 10, tiny: 2 }
const AT_ONCE = 4
const LATEST_MS = 120
/** So many of the last transactions are asked for by the next process. */
const REMEMBERED = 1000

export const crash: Measurement = { name: 'crash', title: 'kill -9 of a process that writes', measure }

async function measure ({ scratch, effort }: Settings): Promise<Outcome> {
  const kills = sizes[effort]
  const path = join(scratch, 'crash.db')
  makeLedger(path)
  const random = new Random(4)
  const progress = new Progress({ unit: 'kills' })
  const told = new Set<string>()
  const problems: string[] = []
  let unfinished = 0
  for (let life = 0; life < kills; life++) {
    const died = await liveAndDie({ path, life, expected: [...told].slice(-REMEMBERED), atOnce: AT_ONCE }, random.between(0, LATEST_MS))
    for (const key of died.told) told.add(key)
    unfinished += AT_ONCE
    const wrong = [...died.problems, ...audit(path, join(scratch, 'copy.db'), told, unfinished)]
    problems.push(...wrong.map(text => `kill ${life + 1}: ${text}`))
    progress.update(life + 1, kills, `${told.size} transactions`)
  }
  progress.clear()
  problems.push(...auditLedger(readLedger(path), told, unfinished))
  return {
    figures: [{ name: 'kills after which something was wrong', value: problems.length, unit: `of ${kills}`, bound: { atMost: 0 } }],
    problems,
    notes: [`${formatCount(told.size)} transactions were told to be committed, and up to ${AT_ONCE} more were under way at each kill`]
  }
}

async function liveAndDie (job: Job, afterMs: number): Promise<{ told: string[], problems: string[] }> {
  const child = new Child<never>(new URL('crash-writer.ts', import.meta.url), job, { stdout: 'pipe' })
  const told: string[] = []
  const problems: string[] = []
  let isKilled = false
  const { stdout } = child.process
  if (stdout === null) throw new Error('the process has no standard output')
  for await (const line of createInterface({ input: stdout })) {
    if (line.startsWith('problem ')) problems.push(line)
    else told.push(line)
    if (isKilled) continue
    isKilled = true
    void pause(afterMs).then(() => child.process.kill('SIGKILL'))
  }
  const { code, signal } = await child.ended
  if (signal !== 'SIGKILL') problems.push(`the process ended by itself, with ${code ?? signal}`)
  return { told, problems }
}

/** Nobody has the file open now, so it can be copied. */
function audit (path: string, copy: string, told: ReadonlySet<string>, unfinished: number): string[] {
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(copy + suffix, { force: true })
    if (suffix !== '-shm' && existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix)
  }
  return auditLedger(readLedger(copy), told, unfinished)
}
