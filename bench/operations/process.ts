/**
 * One contender in a process of its own, so that nobody's garbage, threads or connections are in another's times.
 *
 * Asked 'check', it says what is wrong with its answers. Asked for a turn, it works in a closed loop, so many at a time, until the time is over and all are answered, and says how many
 * that were and what they took. Answers that come at once are awaited as well: that is what a handler of Fastify does with them.
 */
import { isDeepStrictEqual } from 'node:util'
import type { EngineName } from '../../plugins/db/types.ts'
import { leave, readJob, tell } from '../measure/child.ts'
import { spreadId } from '../measure/ids.ts'
import type { Operation } from '../contenders/contender.ts'
import { ACCOUNTS, itemOf, RANGE } from '../contenders/data.ts'
import { entrants } from '../contenders/index.ts'

export interface ContenderJob { readonly engine: EngineName, readonly name: string, readonly target: string, readonly rows: number }

export interface Turn { readonly operation: Operation, readonly inFlight: number, readonly ms: number }

export type Asked = 'check' | 'close' | Turn

/** Microseconds of this process' processor time, threads included. */
export interface Speed { readonly count: number, readonly ms: number, readonly cpuMicros: number }

export type Told = { readonly isReady: true } | { readonly problems: string[] } | { readonly speed: Speed } | { readonly failed: string }

const CHECKED = 20

const { engine, name, target, rows } = readJob<ContenderJob>()
const entrant = entrants[engine].find(other => other.name === name)
if (entrant === undefined) throw new Error(`there is no ${name} for ${engine}`)
const contender = await entrant.open(target)
let sent = 0

process.on('message', (asked: Asked) => {
  answer(asked).then(tell, (error: unknown) => tell({ failed: String(error) } satisfies Told)).catch(() => { process.exit(1) })
})
await tell({ isReady: true } satisfies Told)

async function answer (asked: Asked): Promise<Told> {
  if (asked === 'check') return { problems: await check() }
  if (asked !== 'close') return { speed: await work(asked) }
  await contender.close()
  setImmediate(leave)
  return { isReady: true }
}

async function check (): Promise<string[]> {
  const problems: string[] = []
  const expect = (what: string, got: unknown, expected: unknown): void => {
    if (!isDeepStrictEqual(plain(got), expected)) problems.push(`${name} answers ${what} with ${JSON.stringify(got)}, not with ${JSON.stringify(expected)}`)
  }
  for (let i = 0; i < CHECKED; i++) {
    const id = spreadId(i, rows - RANGE)
    if (contender.point !== undefined) expect(`the row ${id}`, await contender.point(id), itemOf(id))
    if (contender.list !== undefined) expect(`the rows from ${id} on`, await contender.list(id), Array.from({ length: RANGE }, (_, n) => itemOf(id + n)))
  }
  if (contender.point !== undefined) expect('the row 0', await contender.point(0), undefined)
  return problems
}

/** Without the classes that libraries give their rows and lists. */
function plain (got: unknown): unknown {
  return got === undefined ? undefined : JSON.parse(JSON.stringify(got))
}

async function work ({ operation, inFlight, ms }: Turn): Promise<Speed> {
  const run = contender[operation]
  if (run === undefined) throw new Error(`${name} has no ${operation}`)
  const ids = { point: rows, list: rows - RANGE, insert: ACCOUNTS, transfer: ACCOUNTS }[operation]
  const [start, before] = [performance.now(), process.cpuUsage()]
  const end = start + ms
  let count = 0
  const client = async (): Promise<void> => {
    do {
      await run(spreadId(sent++, ids))
      count++
    } while (performance.now() < end)
  }
  await Promise.all(Array.from({ length: inFlight }, client))
  const { user, system } = process.cpuUsage(before)
  return { count, ms: performance.now() - start, cpuMicros: user + system }
}
