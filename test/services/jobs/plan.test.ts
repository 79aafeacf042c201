// From which index a list and a total is read: whatever statistics there are, SQLite must not sort a table, skip through an index, or fetch a row for each entry of one.
import t, { type Test } from 'tap'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { migrate } from '../../../plugins/db/migrate.ts'
import { generateJobs } from '../../../services/jobs/generate/generate.ts'
import { indexSets } from '../../../services/jobs/indices.ts'
import { jobMigrations } from '../../../services/jobs/migrations/index.ts'
import type { GroupBy, JobFilter, JobsListInput, Order, User } from '../../../services/jobs/schema.ts'
import { jobsStats, jobsStatsGrouped, queryJobIds, queryJobs, queryJobsPage, type JobsDatabase } from '../../../services/jobs/store.ts'
import { collectLog, openUrl } from '../../helper/db.ts'
import { createRandom, makeJobs, NOW as MADE_UNTIL, writeJobDb } from '../../data/jobs.ts'
import { copyDatabase, missing } from './data-sets.ts'

const NOW = 1_767_225_600
const admin: User = { username: 'root', roles: ['admin'] }
const newest: Order = { field: 'startTime', type: 'col', order: 'DESC' }
const page = { itemsPerPage: 50, page: 1 }
const month = { from: NOW - 30 * 86_400 }

/** Filters that have an index to be read from, and whether that is one of few jobs. */
const words: ReadonlyArray<JobFilter> = [
  {}, { user: { eq: 'c102di10' } }, { project: { eq: 'c102di' } }, { cluster: { eq: 'woody' } }, { user: { eq: 'c102di10' }, cluster: { eq: 'woody' } }, { project: { eq: 'c102di' }, cluster: { eq: 'alex' } },
  { user: { eq: 'c102di10' }, project: { eq: 'c102di' } }, { user: { eq: 'c102di10' }, project: { eq: 'c102di' }, cluster: { eq: 'alex' } }, { cluster: { in: ['alex', 'fritz'] } }
]
const states: ReadonlyArray<JobFilter> = [{}, { state: ['completed'] }, { state: ['completed', 'running', 'failed'] }, { state: ['failed'] }, { state: ['running'] }, { state: ['node_fail', 'preempted', 'timeout'] }]
const others: ReadonlyArray<JobFilter> = [
  {}, { startTime: month }, { numNodes: { from: 1, to: 64 }, duration: { from: 1, to: 0 } }, { energy: { from: 0, to: 100 }, shared: 'multi_user', partition: { in: ['a40', 'a100'] } }, { node: { contains: 'a0' }, jobName: { contains: 'train' } }
]
const allowed: ReadonlySet<string> = new Set(indexSets.ours.map(({ name }) => name))

/** Keeps the plans of all statements that the store sends. Nothing is answered but what the store wants to know of the catalog. */
class Plans {
  readonly seen: string[] = []
  readonly db: JobsDatabase
  readonly #sqlite: Sqlite.Database

  constructor (path: string) {
    this.#sqlite = new Sqlite(path, { readonly: true })
    const prepare = (sql: string) => ({ all: async (...values: unknown[]) => this.#explain(sql, values) })
    this.db = { engine: 'sqlite', prepare } as unknown as JobsDatabase
  }

  #explain (sql: string, values: unknown[]): unknown[] {
    if (sql.includes('sqlite_master')) return this.#sqlite.prepare(sql).all(...values)
    this.seen.push(this.#sqlite.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...values).map(({ detail }) => detail).join('; '))
    return []
  }

  /** Of the last statement. */
  get last (): string {
    return this.seen.at(-1) ?? ''
  }

  close (): void {
    this.#sqlite.close()
  }
}

async function planOf (plans: Plans, filter: JobFilter, input: Partial<JobsListInput> = {}): Promise<string> {
  await queryJobs(plans.db, { user: admin, filter: [filter], order: newest, page, ...input }, { now: () => NOW })
  return plans.last
}

async function checkLists (t: Test, plans: Plans): Promise<void> {
  for (const word of words) {
    for (const state of states) {
      for (const other of others) {
        const filter = { ...word, ...state, ...other }
        for (const after of [undefined, { value: String(NOW - 86_400), id: '7' }]) checkList(t, await planOf(plans, filter, after && { after }), JSON.stringify(filter))
      }
    }
  }
  const users: User[] = [{ username: 'c102di10', roles: ['user'] }, { username: 'c102di10', roles: ['manager'], projects: ['c102di', 'd103ed'] }]
  for (const user of users) for (const state of states) checkList(t, await planOf(plans, state, { user }), `${user.roles.join()} ${JSON.stringify(state)}`)
  checkList(t, await planOf(plans, { state: ['failed'] }, { order: { ...newest, order: 'ASC' } }), 'the oldest')
}

function checkList (t: Test, plan: string, what: string): void {
  const reads = [...plan.matchAll(/(?:SEARCH|SCAN) (?:job|other)(?: USING (?:COVERING )?INDEX (\w+)( \(.*?\))?)?(?=;|$)/g)]
  const isGood = reads.length > 0 && !/TEMP B-TREE|ANY\(/.test(plan) && reads.every(([, index = '']) => allowed.has(index))
  if (!isGood) t.fail(`${what}: ${plan}`)
}

/** Of the totals: an index alone, entered at the cluster and the time if there are any. */
async function checkTotals (t: Test, plans: Plans): Promise<void> {
  for (const word of words) {
    for (const state of states.slice(0, 4)) {
      for (const time of [{}, { startTime: month }]) {
        const filter = [{ ...word, ...state, ...time }]
        await jobsStats(plans.db, { user: admin, filter }, { now: () => NOW })
        checkTotal(t, plans.last, filter)
        for (const groupBy of ['USER', 'PROJECT', 'CLUSTER'] as GroupBy[]) {
          await jobsStatsGrouped(plans.db, { user: admin, filter, groupBy, sortBy: 'TOTALJOBS' }, { now: () => NOW })
          checkTotal(t, plans.last, filter)
        }
      }
    }
  }
}

function checkTotal (t: Test, plan: string, filter: readonly JobFilter[]): void {
  const [, index = ''] = /(?:SEARCH|SCAN) job USING (?:COVERING )?INDEX (\w+)/.exec(plan) ?? []
  const isFew = filter[0]?.state?.join() === 'failed' // those are read by their own index, and fetched
  const isEntered = filter[0]?.startTime === undefined || filter[0].user !== undefined || filter[0].project !== undefined || plan.includes('start_time>?') || isFew
  if (!allowed.has(index) || (!isFew && (!plan.includes('USING COVERING') || plan.includes('ANY(') || !isEntered))) t.fail(`${JSON.stringify(filter)}: ${plan}`)
}

// --- with our own indices ----------------------------------------------------------------------------------------------------------

const folder = mkdtempSync(join(tmpdir(), 'jobs-plan-'))
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
const generated = join(folder, 'generated.db')

t.before(async () => {
  await t.test('many jobs are made', async t => {
    const db = await openUrl(t, `sqlite:${generated}`, { DB_EVENT_LOOP_BUDGET: '1s' })
    await migrate(db, [jobMigrations], { mode: 'on', log: collectLog() })
    await generateJobs(db, { rows: 50_000, seed: 1, meta: 'small', badRows: false, until: NOW, indices: 'ours' })
  })
})

const conditions: Readonly<Record<string, string>> = { 'no statistics': '', 'all statistics': 'ANALYZE', 'those of sqlite_stat1 alone': 'ANALYZE; DELETE FROM sqlite_stat4', 'those of a sample': 'PRAGMA analysis_limit = 1000; ANALYZE' }

for (const [name, sql] of Object.entries(conditions)) {
  void t.test(`every list is a walk along an index, and every total is in one: with ${name}`, async t => {
    const path = join(folder, `${name}.db`)
    copyFileSync(generated, path)
    const sqlite = new Sqlite(path)
    sqlite.exec(sql)
    sqlite.close()
    const plans = new Plans(path)
    t.teardown(() => { plans.close() })
    await checkLists(t, plans)
    await checkTotals(t, plans)
    t.ok(plans.seen.length > 800, `${plans.seen.length} plans`)
    t.match(await planOf(plans, {}, { order: { ...newest, field: 'id' }, after: { value: '7', id: '7' } }), /^SEARCH job USING INTEGER PRIMARY KEY \(rowid<\?\)$/)
  })
}

// --- the walks have every job once -------------------------------------------------------------------------------------------------

void t.test('the merged walks are what the conditions say, in order, page by page', async t => {
  const path = join(folder, 'made.db')
  writeJobDb(path, makeJobs(600, 3))
  const db = await openUrl(t, `sqlite:${path}`)
  const now = { now: () => MADE_UNTIL }
  const starts = new Map((await db.prepare<{ id: number, start_time: number }>('SELECT id, start_time FROM job').all()).map(row => [row.id, row.start_time]))
  const random = createRandom(5)
  const some = <T>(list: readonly T[], most: number): T[] => Array.from({ length: Math.floor(random() * (most + 1)) }, () => list[Math.floor(random() * list.length)] as T)
  const users = Array.from({ length: 12 }, (_, i) => `user${String(i).padStart(2, '0')}`)
  const projects = ['Project0', 'Project1', 'Project2', 'Project3', 'Project4', 'none']
  const maybe = <T extends object>(chance: number, filter: () => T): Partial<T> => random() < chance ? filter() : {}
  let found = 0
  for (let i = 0; i < 300; i++) {
    const filter: JobFilter[] = Array.from({ length: 1 + Math.floor(random() * 2) }, () => ({
      ...maybe(0.3, () => ({ user: { in: some(users, 6) } })),
      ...maybe(0.3, () => ({ project: random() < 0.5 ? { eq: projects[Math.floor(random() * 5)] as string } : { in: some(projects, 4) } })),
      ...maybe(0.3, () => ({ cluster: random() < 0.5 ? { eq: 'alex' } : { in: some(['alex', 'fritz', 'woody'], 4) } })),
      ...maybe(0.5, () => ({ state: some(['completed', 'failed', 'timeout', 'running', 'cancelled', 'preempted'] as const, 4) })),
      ...maybe(0.2, () => ({ duration: { from: 100, to: 0 } }))
    }))
    const user: User = [admin, { username: users[i % 12] as string, roles: ['user'] }, { username: users[i % 12] as string, roles: ['manager'], projects: some(projects, 3) }][i % 3] as User
    const ids = await queryJobIds(db, { user, filter }, now)
    const expected = ids.toSorted((a, b) => (starts.get(b) ?? 0) - (starts.get(a) ?? 0) || b - a)
    t.strictSame(await queryJobIds(db, { user, filter, order: newest }, now), expected, JSON.stringify({ user, filter }))
    t.strictSame(await queryJobIds(db, { user, filter, order: { ...newest, order: 'ASC' } }, now), expected.toReversed())
    const first = await queryJobsPage(db, { user, filter, order: newest, page: { itemsPerPage: 20, page: 1 } }, now)
    const second = first.next === undefined ? undefined : await queryJobsPage(db, { user, filter, order: newest, page: { itemsPerPage: 20, page: 1 }, after: first.next }, now)
    t.strictSame([...first.jobs, ...second?.jobs ?? []].map(({ id }) => id), expected.slice(0, 40))
    found += ids.length
  }
  t.ok(found > 1000)
})

// --- with those of cc-backend ------------------------------------------------------------------------------------------------------

/** Rows that start together are sorted among themselves, since none of those indices has the id behind the start time. */
for (const name of ['job_v10_79idx.db', 'job_canonical_v11.db']) {
  void t.test(`with those of cc-backend, in ${name}`, { skip: missing ?? false }, async t => {
    const plans = new Plans(copyDatabase(t, name))
    t.teardown(() => { plans.close() })
    for (const word of words) {
      for (const state of states) {
        for (const other of others) {
          const plan = await planOf(plans, { ...word, ...state, ...other })
          if (/TEMP B-TREE FOR ORDER BY|ANY\(/.test(plan) || !/USING (?:COVERING )?INDEX/.test(plan)) t.fail(`${JSON.stringify({ ...word, ...state, ...other })}: ${plan}`)
        }
      }
    }
    t.ok(plans.seen.length > 100)
  })
}
