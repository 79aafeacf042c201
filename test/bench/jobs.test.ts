/** The benchmarks of the jobs service: that they get right answers. Times are their own business. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { freshFolder } from '../helper/db.ts'
import { start, waitFor } from '../rules/run.ts'
import { root } from '../helper/paths.ts'

interface Report { results: Array<{ name: string, problems: string[], figures: Array<{ name: string, value: number | null }> }> }

const cases: ReadonlyArray<readonly [script: string, args: string[], names: string[]]> = [
  ['bench/jobs.ts', ['--rows', '5000'], ['lists', 'pages', 'stats', 'beside', 'memory']],
  ['bench/jobs-write.ts', [], ['sqlite', 'postgres']]
]

for (const [script, args, names] of cases) {
  void t.test(`${script} measures everything, with right answers`, { timeout: 90_000 }, async t => {
    const folder = freshFolder(t)
    const json = join(folder, 'figures.json')
    const keep = script === 'bench/jobs.ts' ? ['--keep', folder] : []
    const { code, output } = await waitFor(start(process.execPath, [script, ...args, ...keep, '--effort', 'tiny', '--json', json], { cwd: fileURLToPath(root) }))
    const { results } = JSON.parse(readFileSync(json, 'utf8')) as Report
    t.strictSame(results.map(({ name }) => name), names)
    t.strictSame(results.flatMap(({ problems }) => problems), [])
    t.strictSame(results.flatMap(({ figures }) => figures).filter(({ value }) => value === null), [], 'every figure is a number')
    t.equal(code, 0, output)
  })
}
