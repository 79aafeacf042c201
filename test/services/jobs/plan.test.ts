// Which index a page is read from: without statistics SQLite must not sort a whole table for the newest jobs.
import t, { type Test } from 'tap'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import type { JobFilter, Position } from '../../../services/jobs/schema.ts'
import { queryJobs, type JobsDatabase } from '../../../services/jobs/store.ts'
import { makeJobs, NOW, writeJobDb } from '../../data/jobs.ts'
import { copyDatabase, missing } from './data-sets.ts'

const user = { username: 'root', roles: ['admin'] }
const order = { field: 'startTime', type: 'col', order: 'DESC' } as const

/** Filters that many rows meet: the order has to choose the index. */
const filters: JobFilter[] = [
  {}, { state: ['completed', 'running', 'failed'] }, { state: ['completed', 'failed'], cluster: { in: ['alex', 'fritz'] } }, { numNodes: { from: 1, to: 64 } }, { duration: { from: 1, to: 0 } },
  { energy: { from: 0, to: 100 } }, { partition: { in: ['a40', 'a100'] } }, { numAccelerators: { from: 1, to: 8 }, shared: 'multi_user' }, { cluster: { eq: 'alex' } }, { user: { eq: 'user00' } },
  { project: { eq: 'Project0' }, state: ['completed', 'timeout'] }, { startTime: { from: NOW - 86400 } }, { node: { contains: 'a0' } }, { jobName: { contains: 'train' } }
]

/** The plan of the statement that the store sends. */
async function planOf (path: string, filter: JobFilter, after?: Position, field = 'startTime'): Promise<string> {
  const sqlite = new Sqlite(path, { readonly: true })
  let plan = ''
  const prepare = (sql: string) => ({
    all: async (...values: unknown[]) => {
      plan = sqlite.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...values).map(({ detail }) => detail).join('; ')
      return []
    }
  })
  try {
    await queryJobs({ engine: 'sqlite', prepare } as unknown as JobsDatabase, { user, filter: [filter], order: { ...order, field }, page: { itemsPerPage: 10, page: 2 }, ...(after && { after }) }, { now: () => NOW })
    return plan
  } finally {
    sqlite.close()
  }
}

async function checkPlans (t: Test, path: string): Promise<void> {
  for (const filter of filters) {
    const plan = await planOf(path, filter)
    t.notMatch(plan, /TEMP B-TREE FOR ORDER BY/, `${JSON.stringify(filter)}: ${plan}`)
    t.match(plan, /USING (?:COVERING )?INDEX/)
    const behind = await planOf(path, filter, { value: String(NOW - 86400), id: '7' })
    t.notMatch(behind, /TEMP B-TREE/, `behind a row: ${JSON.stringify(filter)}: ${behind}`)
    t.match(behind, /start_?time<\?|\(start_time>\? AND start_time<\?\)/, `the index is entered there: ${behind}`)
  }
  t.match(await planOf(path, {}, { value: '7', id: '7' }, 'id'), /^SEARCH job USING INTEGER PRIMARY KEY \(rowid<\?\)$/)
}

void t.test('with our own indices', async t => {
  const path = join(t.testdir(), 'job.db')
  writeJobDb(path, makeJobs(200))
  await checkPlans(t, path)
})

for (const name of ['job_v10_79idx.db', 'job_canonical_v11.db']) {
  void t.test(`with those of cc-backend, in ${name}`, { skip: missing ?? false }, async t => {
    await checkPlans(t, copyDatabase(t, name))
  })
}
