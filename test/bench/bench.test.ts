/** `npm run bench`: that everybody is asked the same and wrong answers are noticed, and that the report says what the run has measured. Times are its own business. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import t from 'tap'
import { audit, itemOf, makeFile, numbered } from '../../bench/contenders/data.ts'
import { entrants, isThere } from '../../bench/contenders/index.ts'
import { OURS } from '../../bench/contenders/tandem.ts'
import { agreementOf, compareRuns } from '../../bench/report/compare.ts'
import { toMarkdown } from '../../bench/report/markdown.ts'
import { readRun, type Run } from '../../bench/report/run.ts'
import { freshFolder } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { start, waitFor } from '../rules/run.ts'

const repository = fileURLToPath(root)

t.test('a run measures what it was asked for, and its answers are right', { timeout: 120_000 }, async t => {
  const out = freshFolder(t)
  const { code, output } = await waitFor(start(process.execPath, ['bench/index.ts', '--only', 'sqlite,postgres', '--effort', 'tiny', '--out', out], { cwd: repository }))
  t.equal(code, 0, output)
  const run = readRun(join(out, 'bench.json'))
  t.strictSame(run.parts.map(({ name }) => name), ['sqlite', 'postgres'])
  t.strictSame(run.parts.flatMap(({ problems }) => problems), [])
  t.strictSame(run.parts.flatMap(({ figures }) => figures).filter(({ value }) => !(value > 0)), [], 'every ratio is a number')
  for (const { name, tables } of run.parts) {
    const measured = tables?.[0]?.slice(1).map(([contender]) => contender)
    const expected = entrants[name as 'sqlite' | 'postgres'].filter(entrant => isThere(entrant) && entrant.can.includes('point'))
    t.strictSame(measured, expected.map(entrant => entrant.name), 'everybody who is there')
  }
  t.match(toMarkdown(run), /^# Benchmarks\n/)
})

t.test('what cannot be measured is refused before anything is started', async t => {
  for (const [args, expected] of [[['--only', 'mysql'], /there is no mysql; there are sqlite, postgres,/], [['--rounds', '0'], /--rounds: a whole number above 0, not 0/]] as const) {
    const { code, output } = await waitFor(start(process.execPath, ['bench/index.ts', ...args], { cwd: repository }))
    t.equal(code, 1)
    t.match(output, expected)
  }
})

t.test('lost and half transactions are noticed', async t => {
  const path = join(freshFolder(t), 'item.db')
  makeFile(path, 200)
  const db = new Sqlite(path)
  t.teardown(() => { db.close() })
  t.strictSame(db.prepare('SELECT id, a, b, c FROM item WHERE id = 7').get(), itemOf(7))
  t.strictSame(await audit('sqlite', path, { transfers: 0, notes: 0 }), [])
  db.exec('UPDATE account SET n = 1 WHERE id = 1')
  t.match(await audit('sqlite', path, { transfers: 0, notes: 0 }), [/the accounts say 1, and there are 0 entries/])
  db.exec('INSERT INTO entry (account, n) VALUES (1, 0)')
  t.strictSame(await audit('sqlite', path, { transfers: 1, notes: 0 }), [])
  t.match(await audit('sqlite', path, { transfers: 2, notes: 1 }), [/there are 1 entries, of 2 transfers/, /there are 0 notes, of 1/])
})

t.test('placeholders are numbered for drivers of PostgreSQL', async t => {
  t.equal(numbered('UPDATE a SET n = ? WHERE id = ?'), 'UPDATE a SET n = $1 WHERE id = $2')
})

// --- reports -----------------------------------------------------------------------------------------------------------------

const machine = { processors: '2 × something' }
const figure = (name: string, value: number, unit = '×'): Run['parts'][number]['figures'][number] => ({ name, value, unit })
const runOf = (...figures: Run['parts'][number]['figures']): Run => ({ machine, date: '2026-01-01', effort: 'full', seconds: 60, parts: [{ name: 'sqlite', title: 'A title', seconds: 60, figures, problems: [], notes: [] }] })

t.test('two runs are compared by their ratios, whichever is larger, and none is left out', async t => {
  const { pairs, alone } = compareRuns(runOf(figure('a', 2), figure('b', 5), figure('ms', 9, 'ms')), runOf(figure('a', 2.5), figure('c', 1), figure('ms', 1, 'ms')))
  t.strictSame(pairs, [{ name: 'sqlite: a', one: 2, other: 2.5, percent: 25 }])
  t.strictSame(alone, ['sqlite: b', 'sqlite: c'])
  t.strictSame(agreementOf(runOf(figure('a', 2), figure('b', 1), figure('c', 1)), runOf(figure('a', 2.5), figure('b', 1.1), figure('c', 2))), { ratios: 3, within20: 1, within50: 2 })
})

t.test('compare says which ratios are too far apart, with exit code 1', async t => {
  const folder = freshFolder(t)
  const write = (name: string, run: Run): string => {
    writeFileSync(join(folder, name), JSON.stringify(run))
    return join(folder, name)
  }
  const [one, other] = [write('one.json', runOf(figure('a', 2), figure('b', 1))), write('other.json', runOf(figure('a', 2.5), figure('b', 1.1)))]
  const { code, output } = await waitFor(start(process.execPath, ['bench/compare.ts', one, other], { cwd: repository }))
  t.equal(code, 1)
  t.match(output, /sqlite: a +2 +2\.50 +25 %\n\n1 of 2 ratios are within 20 %/)
})

t.test('docs/benchmarks.md is what its figures say, and its pictures are there', async t => {
  const docs = join(repository, 'docs')
  const text = readFileSync(join(docs, 'benchmarks.md'), 'utf8')
  const run = readRun(join(docs, 'benchmarks.json'))
  t.equal(text, toMarkdown(run), 'npm run bench:docs makes it')
  t.equal(run.effort, 'full')
  t.ok(run.parts.some(({ tables }) => tables?.some(table => table.some(([name]) => name === OURS))))
  for (const [, picture] of text.matchAll(/\((images\/[^)]+)\)/g)) t.ok(existsSync(join(docs, picture ?? '')), picture ?? '')
})
