/** The benchmark of the SQLite engine: its answers, and that it would notice wrong ones. Times are its own business, with rows enough and nothing beside it. */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import t from 'tap'
import { findTable, heavySql, makeTable } from '../../bench/sqlite/data.ts'
import { spreadId } from '../../bench/measure/ids.ts'
import { addEntry, auditLedger, makeLedger, prepareRawEntry, readLedger } from '../../bench/sqlite/ledger.ts'
import { isMet } from '../../bench/measure/measurement.ts'
import { openRaw } from '../../bench/sqlite/raw.ts'
import { median, percentile, ratios, spread } from '../../bench/measure/statistics.ts'
import { freshFolder, openUrl } from '../helper/db.ts'
import { skipWithoutNative } from '../helper/native.ts'
import { root } from '../helper/paths.ts'
import { start, waitFor } from '../rules/run.ts'

interface Report { results: Array<{ name: string, problems: string[], figures: Array<{ name: string, value: number | null }> }> }

t.test('each measurement gets right answers, from everybody whom it compares', { timeout: 60_000, skip: skipWithoutNative('ends statements and measures memory') }, async t => {
  const folder = freshFolder(t)
  const json = join(folder, 'figures.json')
  const args = ['bench/sqlite.ts', '--rows', '5000', '--effort', 'tiny', '--keep', folder, '--json', json, '--svg', join(folder, 'memory.svg')]
  const { code, output } = await waitFor(start(process.execPath, args, { cwd: fileURLToPath(root) }))
  const { results } = JSON.parse(readFileSync(json, 'utf8')) as Report
  t.strictSame(results.map(({ name }) => name), ['point', 'loop', 'cancel', 'memory', 'writes', 'processes', 'crash'])
  t.strictSame(results.flatMap(({ problems }) => problems), [])
  t.strictSame(results.flatMap(({ figures }) => figures).filter(({ value }) => value === null), [], 'every figure is a number')
  t.equal(code, 0, output)
})

t.test('an unknown measurement is refused before anything is made', async t => {
  const { code, output } = await waitFor(start(process.execPath, ['bench/sqlite.ts', '--only', 'points', '--keep', join(freshFolder(t), 'none')], { cwd: fileURLToPath(root) }))
  t.equal(code, 1)
  t.match(output, /there is no points/)
})

// --- data --------------------------------------------------------------------------------------------------------------------

const digest = (path: string): string => {
  const db = new Sqlite(path, { readonly: true })
  const hash = createHash('sha256')
  for (const row of db.prepare('SELECT * FROM item ORDER BY id').iterate()) hash.update(JSON.stringify(row))
  db.close()
  return hash.digest('hex')
}

t.test('the same number of rows gives the same rows, and a table that was not finished is made again', async t => {
  const [one, two] = [freshFolder(t), freshFolder(t)]
  writeFileSync(join(two, 'item-1000.db.incomplete'), 'the beginning of a file')
  t.equal(digest(findTable(one, 1000)), digest(findTable(two, 1000)))
  t.equal(findTable(one, 1000), join(one, 'item-1000.db'))
})

t.test('a small table is read as often as it takes to read so many rows', async t => {
  const path = join(freshFolder(t), 'item.db')
  makeTable(path, 5000)
  const db = openRaw(path, { readonly: true })
  t.teardown(() => { db.close() })
  const count = (atLeast: number): number => (db.prepare(heavySql('scan', 5000, atLeast)).get() as { n: number }).n
  t.ok(count(0) > 0)
  t.equal(count(15_000), 3 * count(0))
})

t.test('ids are from 1 to the number of rows, and all over them', async t => {
  const ids = Array.from({ length: 10_000 }, (_, i) => spreadId(i, 100))
  t.strictSame([...new Set(ids)].sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i + 1))
})

// --- judgement ---------------------------------------------------------------------------------------------------------------

t.test('median, percentile, spread and ratios are what their names say', async t => {
  const list = [5, 1, 4, 2, 3]
  t.equal(median(list), 3)
  t.equal(percentile(list, 0.99), 5)
  t.equal(percentile(Array.from({ length: 100 }, (_, i) => i + 1), 0.99), 99)
  t.ok(Number.isNaN(percentile([], 0.5)))
  t.strictSame(spread(list), [1, 5])
  t.strictSame(ratios([2, 9], [1, 3]), [2, 3])
})

t.test('a figure that is no number misses its bound', async t => {
  const figure = { name: 'p99', unit: 'ms' }
  t.ok(isMet({ ...figure, value: NaN }))
  t.notOk(isMet({ ...figure, value: NaN, bound: { atMost: 8 } }))
  t.notOk(isMet({ ...figure, value: 8.1, bound: { atMost: 8 } }))
  t.notOk(isMet({ ...figure, value: 7.9, bound: { atLeast: 8 } }))
  t.ok(isMet({ ...figure, value: 8, bound: { atMost: 8, atLeast: 8 } }))
})

t.test('lost updates, halves of transactions and lost transactions are noticed', async t => {
  const path = join(freshFolder(t), 'ledger.db')
  makeLedger(path)
  await addEntry(await openUrl(t, `sqlite:${path}`), 'one')
  const raw = openRaw(path)
  t.teardown(() => { raw.close() })
  prepareRawEntry(raw)('two')
  const both = new Set(['one', 'two'])
  t.strictSame(auditLedger(readLedger(path), both), [])
  t.match(auditLedger(readLedger(path), new Set([...both, 'three'])), [/1 of 3 transactions are lost, such as three/])
  t.match(auditLedger(readLedger(path), new Set(['one'])), [/2 entries, and only 1 transactions succeeded/])
  t.strictSame(auditLedger(readLedger(path), new Set(['one']), 1), [], 'one that was under way may be there')
  raw.exec('UPDATE account SET n = 1')
  t.match(auditLedger(readLedger(path), both), [/the count is 1, and there are 2 entries/])
})
