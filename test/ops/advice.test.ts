/** What is advised for the memory, from what is observed. */
import t from 'tap'
import { readConfig } from '../../plugins/config/index.ts'
import type { Machine } from '../../plugins/config/machine.ts'
import { publishMemory } from '../../plugins/db/events.ts'
import { advisePostgres, adviseSqlite, adviceRoutes, type MemoryAdvice, type Observed } from '../../plugins/ops/advice.ts'
import { startPlugins } from '../helper/app.ts'
import { engines } from '../helper/db.ts'
import { ask, startOps } from './helper.ts'

const machine: Machine = { memoryBytes: 512e9, memoryOf: 'machine', processors: 8 }
const seen: Observed = {
  databaseBytes: 80e9, walBytes: 0, memoryBytes: machine.memoryBytes, memoryOf: 'machine', processBytes: 100e6, cachesBytes: 128e6, diskReadBytes: 0, hitRate: undefined,
  hitRateIs: 'derived from what was read from the disk', spilledBytes: 0, releases: 0, endedForMemory: 0
}

function advise (variables: Record<string, string>, observed: Partial<Observed> = {}, on: Machine = machine): MemoryAdvice {
  return adviseSqlite(readConfig({ DATABASE_URL: 'sqlite:x.db', ...variables }, on), on, { ...seen, memoryBytes: on.memoryBytes, ...observed })
}

for (const engine of engines) {
  void t.test(`${engine}: what is observed, and what follows`, async t => {
    const app = await startPlugins(t, engine)
    adviceRoutes(app)
    await app.db.exec('CREATE TABLE job (id INTEGER PRIMARY KEY)')
    publishMemory({ what: 'ended', sql: 'SELECT secret' })
    publishMemory({ what: 'released', sql: undefined })
    const answer = await app.inject('/ops/memory/advice')
    t.equal(answer.statusCode, 200)
    const advice = answer.json<MemoryAdvice>()
    t.match(advice, { engine, observed: { databaseBytes: Number, memoryBytes: Number, memoryOf: /machine|container/, releases: 1, endedForMemory: 1 }, reasons: [String] })
    t.ok((advice.observed.databaseBytes ?? 0) > 0)
    t.notMatch(answer.body, /secret/)
    if (engine === 'sqlite') {
      t.strictSame(advice.changes, [], 'the defaults are what is advised')
      t.match(advice.settings, { SQLITE_CACHE_SIZE: String, SQLITE_TEMP_STORE: 'file' })
    } else t.match(advice.observed, { hitRate: Number, hitRateIs: 'measured' })
  })
}

void t.test('without the watchdog nobody is asked what went to files, and nothing fails', async t => {
  const app = await startOps(t, 'sqlite', { SQLITE_WATCHDOG: 'off' })
  t.equal((await ask(app, '/ops/memory/advice')).json<MemoryAdvice>().observed.spilledBytes, undefined)
  t.strictSame(app.db.status().meters.failures, {})
})

void t.test('the defaults stay as they are, on a large machine with a large database too', async t => {
  const { changes, settings, reasons } = advise({})
  t.strictSame(changes, [])
  t.equal(settings.SQLITE_CACHE_SIZE, '16MB')
  t.match(reasons, [/The database \(80GB\) fits into/, /Since the start 0B? ?.* were read from the disk.*\(derived\)/])
})

void t.test('no advice is more than was measured to help', async t => {
  for (const memoryBytes of [64e6, 1e9, 16e9, 512e9, 4e12]) {
    const { settings } = advise({}, { databaseBytes: 1e12, diskReadBytes: 1e13 }, { ...machine, memoryBytes })
    t.strictSame(readConfig(settings, { ...machine, memoryBytes }).sqlite.tempStore, 'file', 'the settings fit together')
    t.ok(readConfig(settings, { ...machine, memoryBytes }).sqlite.cacheBytes <= 16e6)
  }
})

void t.test('a large cache: smaller, and why; or kept for what it was measured to help', async t => {
  const large = { SQLITE_CACHE_SIZE: '2GiB', SQLITE_READERS: '4', SQLITE_SOFT_HEAP_LIMIT: '17GiB', SQLITE_HARD_HEAP_LIMIT: '20GiB' }
  const [change, ...others] = advise(large).changes
  t.match(change, { variable: 'SQLITE_CACHE_SIZE', to: '16MB', why: /no query faster that meets new rows, and took 15 to 71 times the memory/ })
  t.notMatch(change?.why, /half the time/)
  t.strictSame(others, [], 'limits that are far from the memory may stay')
  t.match(advise(large, { databaseBytes: 1e9 }).changes[0]?.why, /half the time.*keep it/)
})

void t.test('a small one, limits near the memory, and sorts in memory', async t => {
  const { changes } = advise({ SQLITE_CACHE_SIZE: '2MB', SQLITE_SOFT_HEAP_LIMIT: '90%', SQLITE_HARD_HEAP_LIMIT: '95%', SQLITE_TEMP_STORE: 'memory' }, {}, { ...machine, memoryBytes: 8e9 })
  t.strictSame(changes.map(({ variable }) => variable), ['SQLITE_CACHE_SIZE', 'SQLITE_SOFT_HEAP_LIMIT', 'SQLITE_HARD_HEAP_LIMIT', 'SQLITE_TEMP_STORE'])
  for (const { why } of changes) t.ok(why.length > 20)
})

void t.test('what the disk was asked for stands for the hit rate', async t => {
  const reasons = (observed: Partial<Observed>): string => advise({}, observed).reasons.join('\n')
  t.match(reasons({ databaseBytes: 1e9, diskReadBytes: 5e8 }), /for the first time \(derived\)/)
  t.match(reasons({ databaseBytes: 1e9, diskReadBytes: 5e9 }), /again and again \(derived\)/)
  t.match(reasons({ diskReadBytes: undefined }), /not known/)
  t.match(reasons({ databaseBytes: undefined }), /not known/)
})

void t.test('statements that were ended, and what went to files', async t => {
  t.match(advise({}, { endedForMemory: 1, spilledBytes: 2e6 }).reasons.join('\n'), /1 statement was ended.*iterate\(\)[\s\S]*2MB were written to temporary files/)
  t.match(advise({}, { endedForMemory: 2 }).reasons.join('\n'), /2 statements were ended/)
})

void t.test('PostgreSQL: the server tells', async t => {
  t.match(advisePostgres({ ...seen, hitRate: 0.999, spilledBytes: 0 }), { settings: {}, changes: [], reasons: [/nothing to set/, /99\.9 % of the pages were in shared_buffers\.$/] })
  t.match(advisePostgres({ ...seen, hitRate: 0.5, spilledBytes: 3e6 }).reasons, [/nothing to set/, /50\.0 %.*shared_buffers may help/, /3MB.*work_mem/])
  t.equal(advisePostgres({ ...seen, hitRate: undefined }).reasons.length, 1)
})
