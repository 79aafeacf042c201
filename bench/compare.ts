/**
 * Two runs side by side: do they agree on every ratio?
 *
 *   npm run bench:compare -- data/bench/bench.json other/bench.json [--within 20] [--all]
 */
import { parseArgs } from 'node:util'
import { formatTable } from '../scripts/terminal.ts'
import { formatNumber } from './measure/report.ts'
import { compareRuns } from './report/compare.ts'
import { readRun } from './report/run.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { within: { type: 'string', default: '20' }, all: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } }
})
const [first, second] = positionals
if (values.help || first === undefined || second === undefined) {
  console.log(`npm run bench:compare -- ONE/bench.json OTHER/bench.json [options]

  --within N  how far they may be apart, in percent of the smaller one (${values.within})
  --all       lists all ratios, not only those that are further apart

Exit code 1 if a ratio is further apart, or is in one run only.`)
  process.exit(values.help ? 0 : 1)
}
const within = Number(values.within)
if (!(within > 0)) throw new Error(`--within: percent above 0, not ${values.within}`)

const { pairs, alone } = compareRuns(readRun(first), readRun(second))
const apart = pairs.filter(({ percent }) => !(percent <= within))
const shown = values.all ? pairs : apart
if (shown.length > 0) console.log(`${formatTable([['ratio', 'one', 'other', 'apart'], ...shown.map(({ name, one, other, percent }) => [name, formatNumber(one), formatNumber(other), `${formatNumber(percent)} %`])])}\n`)
for (const name of alone) console.log(`only in one of them: ${name}`)
console.log(`${pairs.length - apart.length} of ${pairs.length} ratios are within ${within} %`)
if (apart.length + alone.length > 0) process.exitCode = 1
