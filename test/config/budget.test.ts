// What settings come to in memory, and what is recommended.
import t from 'tap'
import { budgetOf, recommend } from '../../plugins/config/budget.ts'
import { readConfig } from '../../plugins/config/index.ts'
import { reportOn, reportText } from '../../plugins/config/report.ts'
import { machine, problemsOf } from './helper.ts'

const sqlite = (env: Record<string, string> = {}) => readConfig(env, machine).sqlite

t.test('the memory is connections × (cache and sorter), threads, and the process', async t => {
  t.same(budgetOf(sqlite()), {
    connections: 8, readers: 4, cachesBytes: 128e6, sortersBytes: 128e6, threads: 5, threadsBytes: 55e6, processBytes: 60e6, totalBytes: 371e6
  })
})

t.test('a sorter is never larger than 512 MiB, however large the cache', async t => {
  const large = sqlite({ SQLITE_READERS: '1', SQLITE_CACHE_SIZE: '1GB', SQLITE_SOFT_HEAP_LIMIT: '5GB' })
  t.match(budgetOf(large), { cachesBytes: 5e9, sortersBytes: 4 * 512 * 2 ** 20 + 1e9 }, 'of the small connections each has a sixteenth')
})

t.test('the report says which connections the caches belong to', async t => {
  const config = readConfig({ SQLITE_READERS: '1' }, machine)
  t.match(reportText(reportOn(config, machine, {}, new Set())), /page caches +80MB +5 times SQLITE_CACHE_SIZE: 1 reader, the writer, .* 16 small ones as one\n/)
})

t.test('sorts in memory have no bound, and that is said', async t => {
  const config = readConfig({ SQLITE_TEMP_STORE: 'memory' }, machine)
  t.equal(budgetOf(config.sqlite).totalBytes, Infinity)
  t.match(reportText(reportOn(config, machine, {}, new Set())), /sorters +no bound[^]*together +no bound[^]*the process keeps it/)
})

t.test('large caches are advised against, and so is more than there is', async t => {
  const settings = sqlite({ SQLITE_CACHE_SIZE: '1GB', SQLITE_SOFT_HEAP_LIMIT: '14GB' })
  t.match(recommend(settings, machine, 5e9).reasons, [/fits into/, /held up to 8 times/])
  const full = sqlite({ SQLITE_CACHE_SIZE: '1.8GB', SQLITE_SOFT_HEAP_LIMIT: '15GB' })
  t.match(recommend(full, machine, 5e12).reasons, [/is larger than/, /held up to 8 times/, /is more than the memory/])
})

t.test('what is recommended can be used', async t => {
  t.same(problemsOf(recommend(sqlite(), machine, undefined).settings), [])
  const odd = { memoryBytes: 123_456_789, memoryOf: 'container', processors: 3 } as const
  t.same(problemsOf(recommend(readConfig({}, odd).sqlite, odd, 1e6).settings, odd), [])
})
