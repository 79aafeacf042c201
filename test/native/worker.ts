/** A thread with a connection of its own that does what it is told: see `Thread` in helper.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import type { StopReason, Watchdog } from '../../plugins/db/sqlite/watchdog.ts'
import { codeOf, load, type Binary } from './connection.ts'

export interface Setup { readonly binary: Binary, readonly file: string }

export type Task =
  /** Begins an operation (answer: started), runs a statement in it (answer: ended). `tell()` in the statement answers: running. */
  | { do: 'run', op: number, ms?: number, sql: string }
  /** Many operations in a row, each with a statement, and behind it one that belongs to no operation. `shared[0]` is the one that runs. Answer: raced. */
  | { do: 'race', operations: number, sql: readonly string[], shared: Int32Array }
  /**
   * Opens and closes a connection so many times, and after each one another one, that nobody knows of. `shared[0]` is 1 + the index of its slot, `shared[1]` its
   * generation. Answer: reopened.
   */
  | { do: 'reopen', times: number, shared: Int32Array }

export type Answer =
  | { is: 'ready', slot: number }
  | { is: 'started' }
  | { is: 'running' }
  /** `at`: a clock that all threads have. */
  | { is: 'ended', code: string, reason: StopReason | undefined, at: number }
  | { is: 'raced', stopped: number, unexplained: number, innocentsHit: number }
  | { is: 'reopened', innocentsHit: number }

const { binary, file } = (workerData ?? { file: ':memory:' }) as Setup
const db = new Sqlite(file, { timeout: 0 })
const watchdog = load(db, binary)
watchdog.useBusyHandler()
db.function('tell', () => { say({ is: 'running' }) })

parentPort?.on('message', (task: Task) => {
  if (task.do === 'run') run(task)
  else if (task.do === 'race') race(task)
  else reopen(task)
})
say({ is: 'ready', slot: watchdog.slot })

function run ({ op, ms, sql }: Extract<Task, { do: 'run' }>): void {
  if (!watchdog.begin(op, ms)) return say({ is: 'ended', code: 'not begun', reason: 'cancel', at: now() })
  say({ is: 'started' })
  const code = codeOf(() => { db.exec(sql) })
  say({ is: 'ended', code, reason: watchdog.end(), at: now() })
}

function now (): number {
  return performance.timeOrigin + performance.now()
}

function race ({ operations, sql, shared }: Extract<Task, { do: 'race' }>): void {
  const statements = sql.map(text => db.prepare(text))
  const innocents = ['SELECT count(*) FROM sqlite_schema a, sqlite_schema b', 'SELECT 1'].map(text => db.prepare(text))
  const result = { stopped: 0, unexplained: 0, innocentsHit: 0 }
  for (let op = 1; op <= operations; op++) {
    Atomics.store(shared, 0, op)
    if (!watchdog.begin(op, undefined)) continue
    const statement = statements[op % statements.length]
    const code = codeOf(() => statement?.all())
    const reason = watchdog.end()
    if (reason === 'cancel') result.stopped++
    if (code !== 'none' && reason !== 'cancel') result.unexplained++
    if (innocents.some(innocent => codeOf(() => innocent.all()) !== 'none')) result.innocentsHit++
    if (codeOf(() => db.prepare('EXPLAIN SELECT * FROM sqlite_schema')) !== 'none') result.innocentsHit++
  }
  say({ is: 'raced', ...result })
}

function reopen ({ times, shared }: Extract<Task, { do: 'reopen' }>): void {
  let innocentsHit = 0
  for (let i = 0; i < times; i++) {
    useOnce(({ slot }) => {
      Atomics.store(shared, 1, slot / 2 ** 20)
      Atomics.store(shared, 0, 1 + slot % 2 ** 20)
    })
    if (useOnce(() => {}) !== undefined) innocentsHit++
  }
  say({ is: 'reopened', innocentsHit })
}

function useOnce (tell: (watchdog: Watchdog) => void): StopReason | undefined {
  const other = new Sqlite(':memory:')
  const mine = load(other, binary)
  tell(mine)
  const isBegun = mine.begin(1, undefined)
  codeOf(() => { other.exec('SELECT 1') })
  const reason = isBegun ? mine.end() : 'cancel'
  other.close()
  return reason
}

function say (answer: Answer): void {
  parentPort?.postMessage(answer)
}
