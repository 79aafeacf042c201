/** `npm run jobs:memory-proof` in small: it replays the plan of the incident on both sides, gets right answers, and draws what it saw. Memory is its own business, with rows enough. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import t from 'tap'
import { drawMemoryLines } from '../../bench/sqlite/memory-drawing.ts'
import { makeJobs, writeJobDb } from '../data/jobs.ts'
import { freshFolder } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { start, waitFor, type Ended } from '../rules/run.ts'

const skip = process.platform !== 'linux' && 'reads /proc, so Linux'

interface Report {
  facts: { rows: number, indices: number }
  runs: Array<{ subject: { name: string, process: string }, plan: string, answer: string, end: { ending: string, startTime?: number }, endMs: number, samples: number[][] }>
}

async function prove (...args: string[]): Promise<Ended> {
  return await waitFor(start(process.execPath, ['bench/jobs-memory.ts', ...args], { cwd: fileURLToPath(root) }))
}

t.test('all four processes answer, with the plan of the incident where it is meant, and the picture is complete', { skip, timeout: 100_000 }, async t => {
  const folder = freshFolder(t)
  const { code, output } = await prove('--rows', '3000', '--timeout', '20000', '--rest', '200', '--out', folder)
  t.equal(code, 0, output)
  const { facts, runs } = JSON.parse(readFileSync(join(folder, 'jobs-memory.json'), 'utf8')) as Report
  t.match(facts, { rows: 3000, indices: 78 })
  t.strictSame(runs.map(({ subject }) => subject.process), ['raw.ts', 'service.ts', 'service.ts', 'service.ts'])
  for (const { plan } of runs.slice(0, 3)) t.match(plan, /jobs_jobstate_energy.*USE TEMP B-TREE FOR ORDER BY/)
  t.notMatch(runs[3]?.plan, /TEMP B-TREE|not known/, 'the service has a better one')
  for (const { subject, answer, end, samples } of runs) {
    t.match(answer, /^200, /, subject.name)
    t.match(end, { ending: 'answered', startTime: runs[0]?.end.startTime }, subject.name)
    t.ok(samples.length > 2 && samples.every(sample => sample.length === 3 && sample.every(Number.isFinite)), subject.name)
  }
  const svg = readFileSync(join(folder, 'jobs-memory.svg'), 'utf8')
  t.match(svg, /^<svg .*<\/svg>\n$/s)
  t.equal(svg.match(/<polyline /g)?.length, 4 + 3, 'a line for each process, and those of the service once more')
  for (const text of ['query sent', 'MB', 'seconds since the query was sent', '3,000 generated jobs', ...runs.map(({ subject }) => subject.name)]) t.match(svg, text)
  t.notMatch(svg, /NaN|undefined|Infinity/)
})

t.test('without the plan of the incident there is no proof, and it says so', { skip, timeout: 180_000 }, async t => {
  const path = join(freshFolder(t), 'job.db')
  writeJobDb(path, makeJobs(1000))
  const db = new Sqlite(path)
  db.exec('DROP INDEX IF EXISTS jobs_jobstate_energy')
  db.close()
  const { code, output } = await prove('--file', path, '--rest', '1', '--out', freshFolder(t))
  t.equal(code, 1)
  t.match(output, /The proof is void: the plan of the incident is jobs_jobstate_energy/)
})

t.test('--help says what there is, and nonsense is refused', { skip }, async t => {
  const { code, output } = await prove('--help')
  t.equal(code, 0)
  for (const option of ['--rows', '--file', '--out', '--timeout', '--rest']) t.match(output, option)
  t.equal((await prove('--rows', 'x')).code, 1)
})

t.test('a picture has its legend, its marks and its text, escaped', async t => {
  const samples = [{ ms: -100, bytes: 5e7 }, { ms: 0, bytes: 5e7 }, { ms: 900, bytes: 8e8 }]
  const line = { title: 'a < b & c', colour: '#123456', samples, marks: [{ ms: 500, kind: 'ended' }, { ms: 800, kind: 'released' }] } as const
  const svg = drawMemoryLines({ title: 'T', description: 'd', graphs: [{ title: 'G', lines: [line] }], moments: [{ ms: 0, title: 'now' }], notes: ['n'] })
  t.match(svg, /a &lt; b &amp; c/)
  t.equal(svg.match(/<circle [^>]*fill="#123456"/g)?.length, 1)
  t.equal(svg.match(/<path [^>]*stroke="#123456"/g)?.length, 1)
  for (const label of ['>0<', '>200<', '>800<', '>0.4<', '>now<', '>n<', '>G<', '>T<']) t.ok(svg.includes(label), label)
})
