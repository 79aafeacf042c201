/**
 * docs/benchmarks.md, its figures and its pictures, from a run.
 *
 *   npm run bench:docs -- [data/bench] [other/bench.json]
 */
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { agreementOf } from './report/compare.ts'
import { drawCharts } from './report/charts.ts'
import { toMarkdown } from './report/markdown.ts'
import { readRun } from './report/run.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean', default: false } } })
if (values.help) {
  console.log('npm run bench:docs -- [FOLDER] [OTHER/bench.json]\n\nMakes docs/benchmarks.md, docs/benchmarks.json and docs/images/bench-*.svg from the folder of a run (data/bench), and says how far another one agrees.')
  process.exit(0)
}
const [folder = join('data', 'bench'), other] = positionals
const docs = fileURLToPath(new URL('../docs/', import.meta.url))
const measured = readRun(join(folder, 'bench.json'))
const run = other === undefined ? measured : { ...measured, agreement: agreementOf(measured, readRun(other)) }
writeFileSync(join(docs, 'benchmarks.json'), `${JSON.stringify(run, null, 1)}\n`)
writeFileSync(join(docs, 'benchmarks.md'), toMarkdown(run))
copyFileSync(join(folder, 'bench-memory.svg'), join(docs, 'images', 'bench-memory.svg'))
const charts = await drawCharts(run, join(docs, 'images'))
console.log(`docs/benchmarks.md, benchmarks.json and ${charts.length + 1} pictures are written`)
