// cache × connections ≤ soft ≤ hard ≤ memory, and the defaults that keep it.
import fc from 'fast-check'
import t from 'tap'
import { readConfig } from '../../plugins/config/index.ts'
import type { Machine } from '../../plugins/config/machine.ts'
import { checkSizes, completeSizes, defaultReaders } from '../../plugins/config/rules.ts'
import { machine, problemsOf } from './helper.ts'

const onMachine = (memoryBytes: number, processors: number): Machine => ({ memoryBytes, memoryOf: 'container', processors })

t.test('there is a reader a processor but one, at least 2 and at most 4', async t => {
  t.same([1, 2, 3, 5, 64].map(defaultReaders), [2, 2, 2, 4, 4])
})

t.test('the defaults fit a container of 512 MB and a machine of 512 GB', async t => {
  t.same(completeSizes({}, onMachine(512 * 2 ** 20, 16)), { cacheBytes: 16e6, softHeapBytes: 134217728, hardHeapBytes: 268435456, readers: 4 })
  t.same(completeSizes({}, onMachine(512e9, 128)), { cacheBytes: 16e6, softHeapBytes: 2e9, hardHeapBytes: 4e9, readers: 4 })
})

t.test('the defaults keep the rules on every machine', async t => {
  fc.assert(fc.property(fc.integer({ min: 32e6, max: 8e12 }), fc.integer({ min: 1, max: 256 }), (memoryBytes, processors) => {
    const on = onMachine(memoryBytes, processors)
    return checkSizes(completeSizes({}, on), on, new Map()).length === 0
  }))
  t.pass()
})

t.test('a default gives way to what is set', async t => {
  const sqlite = (env: Record<string, string>) => readConfig(env, machine).sqlite
  t.match(sqlite({ SQLITE_SOFT_HEAP_LIMIT: '80MB' }), { cacheBytes: 10e6, softHeapBytes: 80e6, hardHeapBytes: 160e6 })
  t.match(sqlite({ SQLITE_HARD_HEAP_LIMIT: '600MB' }), { cacheBytes: 16e6, softHeapBytes: 600e6, hardHeapBytes: 600e6 })
  t.match(sqlite({ SQLITE_SOFT_HEAP_LIMIT: '12GB' }), { softHeapBytes: 12e9, hardHeapBytes: 16e9 })
})

t.test('the caches of all connections have to fit into the soft limit', async t => {
  const [problem, ...others] = problemsOf({ SQLITE_CACHE_SIZE: '200MB', SQLITE_SOFT_HEAP_LIMIT: '1GB', SQLITE_READERS: '4' })
  t.match(problem, /^SQLITE_CACHE_SIZE=200MB: expected at most SQLITE_SOFT_HEAP_LIMIT \(1GB\) for all connections together; 8 times 200MB \(4 readers, the writer, .*\) are 1.6GB;/)
  t.match(problem, 'write SQLITE_SOFT_HEAP_LIMIT=1.6GB or more, SQLITE_CACHE_SIZE=125MB or less, or fewer SQLITE_READERS.')
  t.same(others, [])
  t.same(problemsOf({ SQLITE_CACHE_SIZE: '125MB', SQLITE_SOFT_HEAP_LIMIT: '1GB', SQLITE_READERS: '4' }), [], 'what it tells to write is accepted')
  t.same(problemsOf({ SQLITE_CACHE_SIZE: '200MB', SQLITE_SOFT_HEAP_LIMIT: '1.6GB', SQLITE_READERS: '4' }), [], 'at the bound itself too')
})

t.test('a soft limit that would be more than the memory is not proposed', async t => {
  t.notMatch(problemsOf({ SQLITE_CACHE_SIZE: '4TB', SQLITE_READERS: '1' }).join(), /write SQLITE_SOFT_HEAP_LIMIT|fewer/)
})

t.test('so many readers that the smallest caches do not fit are refused too', async t => {
  t.match(problemsOf({ SQLITE_READERS: '100000' }), [/^SQLITE_CACHE_SIZE=512KiB \(the default\): .*100004 times 512KiB/])
})

t.test('the soft limit is at most the hard limit', async t => {
  t.match(problemsOf({ SQLITE_SOFT_HEAP_LIMIT: '2GB', SQLITE_HARD_HEAP_LIMIT: '1GB' }),
    [/^SQLITE_SOFT_HEAP_LIMIT=2GB: expected at most SQLITE_HARD_HEAP_LIMIT \(1GB\).*write SQLITE_SOFT_HEAP_LIMIT=1GB or less, or SQLITE_HARD_HEAP_LIMIT=2GB or more\.$/])
})

t.test('without a hard limit the soft limit is at most the memory', async t => {
  t.match(problemsOf({ SQLITE_SOFT_HEAP_LIMIT: '20GB' }), [/^SQLITE_SOFT_HEAP_LIMIT=20GB: expected at most the memory \(16GB\)/])
})

t.test('the hard limit is at most the memory', async t => {
  t.match(problemsOf({ SQLITE_HARD_HEAP_LIMIT: '17GB' }), [/^SQLITE_HARD_HEAP_LIMIT=17GB: expected at most the memory of this machine \(16GB\)/])
  t.same(problemsOf({ SQLITE_HARD_HEAP_LIMIT: '100%' }), [])
})

t.test('the user with 512 GB can have large caches by saying all of it', async t => {
  const large = onMachine(512e9, 64)
  t.match(problemsOf({ SQLITE_CACHE_SIZE: '2GiB' }, large), [/write SQLITE_SOFT_HEAP_LIMIT=16GiB or more/])
  t.same(problemsOf({ SQLITE_CACHE_SIZE: '2GiB', SQLITE_SOFT_HEAP_LIMIT: '16GiB' }, large), [])
})

t.test('with PostgreSQL the rules of SQLite stop nothing', async t => {
  t.same(problemsOf({ DB_DRIVER: 'postgres', SQLITE_HARD_HEAP_LIMIT: '17GB' }), [])
  t.match(problemsOf({ DB_DRIVER: 'postgres', SQLITE_HARD_HEAP_LIMIT: 'much' }), [/^SQLITE_HARD_HEAP_LIMIT=much/], 'but what cannot be read does')
})
