/**
 * docs/benchmarks.md, its figures and its pictures, from a run.
 *
 *   npm run bench:docs -- [data/bench]
 */
import { copyFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { toMarkdown } from './report/markdown.ts'
import { readRun } from './report/run.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean', default: false } } })
if (values.help) {
  console.log('npm run bench:docs -- [FOLDER]\n\nMakes docs/benchmarks.md, docs/benchmarks.json and docs/images/bench-*.svg from the folder of a run (data/bench).')
  process.exit(0)
}
const folder = positionals[0] ?? join('data', 'bench')
const docs = fileURLToPath(new URL('../docs/', import.meta.url))
const run = readRun(join(folder, 'bench.json'))
copyFileSync(join(folder, 'bench.json'), join(docs, 'benchmarks.json'))
writeFileSync(join(docs, 'benchmarks.md'), toMarkdown(run))
const pictures = readdirSync(folder).filter(name => /^bench-.*\.svg$/.test(name))
for (const name of pictures) copyFileSync(join(folder, name), join(docs, 'images', name))
console.log(`docs/benchmarks.md, benchmarks.json and ${pictures.length} pictures are written`)
