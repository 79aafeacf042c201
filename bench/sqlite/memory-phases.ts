/**
 * The process whose memory is measured: tells which phase it is in, and how statements ended. It does not look at its memory itself.
 *
 *   opened → warm (statements on all readers at once, and clients that read rows) → timedOut (long statements, as many at a time as there are readers, given
 *   up at a deadline) → rest → hogs (statements that want more than there may be, one after the other, beside 20 clients that read rows) → rest → done
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { errorKind, isOurs } from '../../plugins/errors.ts'
import { leave, readJob, tell } from '../measure/child.ts'
import { allSql, heavySql, orSql, pointSql, textSql, type HeavyName, type Item } from './data.ts'
import { spreadId } from '../measure/ids.ts'
import { openThreads } from './memory-threads.ts'
import { openTandem } from './tandem.ts'

export type Phase = 'started' | 'opened' | 'warm' | 'timedOut' | 'rest' | 'hogs' | 'restAgain' | 'done'

export interface Job {
  readonly who: 'db' | 'better-sqlite3'
  readonly path: string
  readonly rows: number
  readonly readers: number
  readonly softMebibytes: number
  readonly hardMebibytes: number
  readonly timedOut: number
  readonly timeoutMs: number
  readonly warmMs: number
  readonly restMs: number
  /** Long statements read so many rows, a small table several times. */
  readonly atLeast: number
}

export interface HogResult {
  readonly name: string
  readonly ms: number
  /** In words. */
  readonly ending: string
  /** Ended by its size: kind 'memory', or a result that is too large. */
  readonly isRefused: boolean
  /** The table is so small that it fits. */
  readonly mayBeAnswered: boolean
  /** The longest that one of the clients waited for a row meanwhile, in ms. */
  readonly wait: number
}

export type Told = { phase: Phase } | { hog: HogResult } | { problem: string } | { status: object }

/** Who is measured. */
export interface Subject {
  readonly point: (id: number) => Promise<unknown>
  readonly get: (sql: string) => Promise<unknown>
  /** All rows, into memory. */
  readonly all: (sql: string) => Promise<unknown>
  /** Gives up after so many milliseconds, if it can. */
  readonly within: <T>(ms: number, read: () => Promise<T>) => Promise<T>
  readonly status: () => object | undefined
  readonly close: () => Promise<unknown>
}

const CLIENTS = 20
/** The set of row ids that an OR needs takes some 23 bytes for each. */
const OR_BYTES_PER_ROW = 23
/** Work for some milliseconds on a thread of its own, without a page of the table: caches are to be filled later. */
const countSql = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) AS n FROM n'

const job = readJob<Job>()
await main(job.who === 'db' ? await openDb() : await openThreads(job))
leave()

async function main (subject: Subject): Promise<void> {
  await enter('opened')
  await enter('warm')
  await warm(subject)
  await pause(job.restMs)
  await enter('timedOut')
  await timeOut(subject)
  await enter('rest')
  await pause(job.restMs)
  await enter('hogs')
  for (const hog of hogs()) await tell({ hog: await feed(subject, hog) } satisfies Told)
  await enter('restAgain')
  await pause(job.restMs)
  await enter('done')
  const status = subject.status()
  if (status !== undefined) await tell({ status } satisfies Told)
  await subject.close()
}

async function enter (phase: Phase): Promise<void> {
  await tell({ phase } satisfies Told)
}

async function openDb (): Promise<Subject> {
  const db = await openTandem(job.path, {
    SQLITE_READERS: String(job.readers),
    SQLITE_SOFT_HEAP_LIMIT: `${job.softMebibytes}MiB`,
    SQLITE_HARD_HEAP_LIMIT: `${job.hardMebibytes}MiB`,
    DB_STATEMENT_TIMEOUT: '10min'
  })
  const point = db.prepare(pointSql)
  return {
    point: id => point.get(id),
    get: sql => db.prepare(sql).get(),
    all: sql => db.prepare(sql).all(),
    within: (ms, read) => db.deadline(ms, read),
    status: () => db.status().sqlite,
    close: () => db.close()
  }
}

// --- phases ----------------------------------------------------------------------------------------------------------------------

/** As many statements at a time as there are readers; and clients. */
async function warm (subject: Subject): Promise<void> {
  const end = performance.now() + job.warmMs
  const scanner = async (): Promise<void> => { while (performance.now() < end) await subject.get(countSql) }
  await Promise.all([...Array.from({ length: job.readers }, scanner), readRows(subject, () => performance.now() < end)])
}

async function timeOut (subject: Subject): Promise<void> {
  const names: readonly HeavyName[] = ['scan', 'sort', 'group']
  let next = 0
  await Promise.all(Array.from({ length: job.readers }, async () => {
    while (next < job.timedOut) {
      const sql = heavySql(names[next++ % names.length] ?? 'scan', job.rows, job.atLeast)
      await subject.within(job.timeoutMs, () => subject.get(sql)).catch(async (error: unknown) => {
        if (errorKind(error) !== 'timeout') await tell({ problem: `${sql}: ${String(error)}` } satisfies Told)
      })
    }
  }))
}

interface Hog { readonly name: string, readonly mayBeAnswered: boolean, readonly run: (subject: Subject) => Promise<unknown> }

function hogs (): Hog[] {
  const { rows, atLeast, hardMebibytes } = job
  // one text of all rows may be as long as the connection allows: without a layer, 512 MB
  const many = Math.min(Math.max(atLeast, rows), 20_000_000)
  return [
    { name: 'OR over two indexes', mayBeAnswered: rows * OR_BYTES_PER_ROW < hardMebibytes * 2 ** 20, run: subject => subject.get(orSql) },
    { name: 'group_concat of the table', mayBeAnswered: false, run: subject => subject.get(textSql(rows, many)) },
    // without a layer all of them would take minutes of garbage collection, and all of the memory
    job.who === 'db'
      ? { name: 'all() of the table', mayBeAnswered: false, run: subject => subject.all(allSql(rows, many)) }
      : { name: 'all() of at most 2,000,000 rows', mayBeAnswered: false, run: subject => subject.all(`${allSql(rows, many)} LIMIT 2000000`) }
  ]
}

/** Runs a hog beside clients that read rows. */
async function feed (subject: Subject, { name, mayBeAnswered, run }: Hog): Promise<HogResult> {
  const start = performance.now()
  let isOver = false
  const wait = readRows(subject, () => !isOver)
  const [ending, isRefused] = await run(subject).then(() => ['answered', false] as const, (error: unknown) => [String(error), isForItsSize(error)] as const)
  const ms = performance.now() - start
  isOver = true
  return { name, ms, ending, isRefused, mayBeAnswered, wait: await wait }
}

function isForItsSize (error: unknown): boolean {
  return errorKind(error) === 'memory' || (isOurs(error) && error.code === 'TDM_ERR_DB_RESULT_TOO_LARGE')
}

/** 20 clients that read rows; the longest that one of them waited. */
async function readRows (subject: Subject, goesOn: () => boolean): Promise<number> {
  let longest = 0
  let i = 0
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (goesOn()) {
      const id = spreadId(i++, job.rows)
      const start = performance.now()
      const wrong = await subject.point(id).then(row => (row as Item | undefined)?.id === id ? undefined : JSON.stringify(row), String)
      longest = Math.max(longest, performance.now() - start)
      if (wrong !== undefined) await tell({ problem: `the row with id ${id}: ${wrong}` } satisfies Told)
      await nextTurn()
    }
  }))
  return longest
}
