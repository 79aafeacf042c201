/** The two databases as a run needs them: how they are hurt, what is in them, and whether everything was given back. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { ask } from '../../test/helper/pg.ts'
import { PostgresServer } from '../../test/helper/postgres-server.ts'
import { Proxy } from '../../test/helper/proxy.ts'
import type { AppProcess } from './process.ts'
import type { Random } from './random.ts'

export interface Truth {
  /** The parts that are there, in order, by request. */
  readonly parts: ReadonlyMap<string, readonly number[]>
  readonly counter: number
}

export interface Target {
  /** The configuration of the app. */
  readonly env: Record<string, string>
  /** Often, by weight. */
  readonly faults: Readonly<Record<string, number>>
  /** A few times in a run, in turn. */
  readonly rareFaults: readonly string[]
  /** How many requests can hold a connection at the same time. */
  readonly capacity: { readonly write: number, readonly read: number }
  hurt: (fault: string, app: AppProcess, random: Random) => Promise<void>
  /** No more faults. */
  calm: () => void
  /** How often faults that wait for their moment found it. */
  counts: () => Readonly<Record<string, number>>
  truth: () => Promise<Truth>
  /** What is not as it was before the run, while the app is idle. */
  leftovers: () => Promise<string[]>
  /** Ends everything. */
  stop: () => Promise<void>
}

const POOL = 8
/** Of the pool, that requests can hold; the last one is the lane of short reads. */
const HELD = POOL - 1
const timeouts = { DB_ACQUIRE_TIMEOUT: '5s', DB_STATEMENT_TIMEOUT: '6s', DB_TX_TIMEOUT: '8s' }

export async function startPostgres (): Promise<Target> {
  const server = await PostgresServer.start({ settings: { max_connections: 100 } })
  const proxy = await Proxy.start(server.url, { records: false })
  const done = { request: 0, answer: 0, half: 0 }

  async function terminate (random: Random): Promise<void> {
    const which = random.chance(0.5) ? "AND state <> 'idle'" : ''
    const list = await ask<{ pid: number }>(server.url, `SELECT pid FROM pg_stat_activity WHERE application_name = 'fastify-tandem' ${which} ORDER BY pid`)
    const victim = list[random.between(0, Math.max(0, list.length - 1))]
    if (victim !== undefined) await ask(server.url, 'SELECT pg_terminate_backend($1)', [victim.pid])
  }

  function loseCommit (when: 'before' | 'after'): void {
    void proxy.cutAt('COMMIT\0', when, 'reset').done.then(() => { done[when === 'before' ? 'request' : 'answer']++ })
  }

  const actions: Record<string, (random: Random) => void | Promise<void>> = {
    'terminate a backend': async random => { await terminate(random).catch(() => {}) }, // which cannot be while the server restarts
    'cut all connections': () => { proxy.cut() },
    'reset half in an answer': () => { proxy.cutHalfway(() => { done.half++ }) },
    'lose a COMMIT': () => { loseCommit('before') },
    'lose the answer to a COMMIT': () => { loseCommit('after') },
    'restart, fast': async () => { await server.restart('fast') },
    'restart, immediate': async () => { await server.restart('immediate') }
  }

  return {
    env: { DATABASE_URL: proxy.url, DB_POOL_MAX: String(POOL), ...timeouts },
    faults: { 'terminate a backend': 4, 'cut all connections': 1, 'reset half in an answer': 2, 'lose a COMMIT': 2, 'lose the answer to a COMMIT': 2 },
    rareFaults: ['restart, fast', 'restart, immediate'],
    capacity: { write: HELD, read: HELD },
    hurt: async (fault, _app, random) => { await actions[fault]?.(random) },
    calm: () => { proxy.calm() },
    counts: () => ({ 'COMMITs lost': done.request, 'answers to COMMIT lost': done.answer, 'answers cut in half': done.half }),
    truth: async () => {
      const rows = await ask<{ request: string, parts: number[] }>(server.url, 'SELECT request, array_agg(part ORDER BY part) AS parts FROM fault GROUP BY request')
      const [counter] = await ask<{ n: number }>(server.url, 'SELECT n FROM counter')
      return { parts: new Map(rows.map(({ request, parts }) => [request, parts])), counter: counter?.n ?? NaN }
    },
    leftovers: async () => {
      const count = "SELECT count(*)::int AS n, coalesce(state, '?') AS state FROM pg_stat_activity WHERE application_name = 'fastify-tandem' GROUP BY state"
      let found: Array<{ n: number, state: string }> = []
      for (let i = 0; i < 40; i++) { // the server notices a connection's end later than the client
        found = await ask(server.url, count)
        if (found.length === 1 && found[0]?.state === 'idle' && found[0].n >= HELD && found[0].n <= POOL) return []
        await sleep(50)
      }
      return [`connections: ${found.map(({ n, state }) => `${n} ${state}`).join(', ')}, not ${HELD} or ${POOL} idle`]
    },
    stop: async () => {
      await proxy.close()
      await server.stop()
    }
  }
}

export async function startSqlite (): Promise<Target> {
  const folder = mkdtempSync(join(tmpdir(), 'faults-sqlite-'))
  process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  const path = join(folder, 'faults.db')
  let locker: ChildProcess | undefined

  /** The other process, once the app has made the file. */
  async function getLocker (): Promise<ChildProcess> {
    if (locker !== undefined) return locker
    locker = fork(new URL('locker.ts', import.meta.url), [path], { execArgv: [], env: {} })
    await once(locker, 'message')
    return locker
  }

  async function lock (ms: number): Promise<void> {
    const other = await getLocker()
    const done = once(other, 'message')
    other.send(ms)
    await done
  }

  const actions: Record<string, (app: AppProcess, random: Random) => Promise<void>> = {
    'lock by another process': async (_app, random) => { await lock(random.between(5, 80)) },
    'long lock by another process': async (_app, random) => { await lock(random.between(200, 500)) },
    'kill -9 the app': async app => {
      await app.kill()
      await app.start()
    }
  }

  const readers = 3
  return {
    env: { DATABASE_URL: `sqlite:${path}`, SQLITE_READERS: String(readers), ...timeouts },
    faults: { 'lock by another process': 6, 'long lock by another process': 1 },
    rareFaults: ['kill -9 the app'],
    capacity: { write: 1, read: readers },
    hurt: async (fault, app, random) => { await actions[fault]?.(app, random) },
    calm: () => {},
    counts: () => ({}),
    truth: async () => {
      const db = new Sqlite(path)
      try {
        const rows = db.prepare<[], { request: string, part: number }>('SELECT request, part FROM fault ORDER BY request, part').all()
        const parts = new Map<string, number[]>()
        for (const { request, part } of rows) {
          const list = parts.get(request)
          if (list === undefined) parts.set(request, [part])
          else list.push(part)
        }
        return { parts, counter: db.prepare<[], { n: number }>('SELECT n FROM counter').get()?.n ?? NaN }
      } finally {
        db.close()
      }
    },
    leftovers: async () => {
      const db = new Sqlite(path, { timeout: 0 })
      try {
        db.exec('BEGIN IMMEDIATE; ROLLBACK') // throws while a writer is left
        const check = db.pragma('integrity_check', { simple: true })
        return check === 'ok' ? [] : [`integrity_check: ${String(check)}`]
      } catch (error) {
        return [`the write lock is still taken: ${(error as Error).message}`]
      } finally {
        db.close()
      }
    },
    stop: async () => {
      locker?.disconnect()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
