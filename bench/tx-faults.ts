/**
 * Faults against the guarantee of plugins/tx: a complete 2xx means that the request's rows are there, any other answer that none of them is.
 *
 * An app in a process of its own, behind real sockets, gets requests from many clients at a time, each a transaction that writes rows with the request's id.
 * Meanwhile, at moments that the seed decides: PostgreSQL's backends are terminated, its connections cut (all, or half of them in the middle of an answer, or one
 * at its COMMIT), the server restarted; SQLite's file locked by another process, the app killed; clients go away. Then what was told is compared with what is
 * there. Exit code 1 if anything does not fit.
 *
 *   npm run faults:tx -- [--requests 10000] [--engine both] [--seed N] [--concurrency 16] [--kinds plain,span]
 */
import { parseArgs } from 'node:util'
import { formatCount, formatTable } from '../scripts/terminal.ts'
import { kinds, type KindName } from './faults/kinds.ts'
import { run, type Result } from './faults/run.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '10000' },
    engine: { type: 'string', default: 'both' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    kinds: { type: 'string', default: '' },
    concurrency: { type: 'string', default: '16' },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log(`npm run faults:tx -- [options]

  --requests N      how many requests on each engine (10000)
  --engine NAME     postgres, sqlite or both (both)
  --seed N          what is sent and what is broken when; printed with the result (the time)
  --concurrency N   how many clients at the same time (16)
  --kinds A,B       only these requests (${Object.keys(kinds).join(', ')})

A PostgreSQL of its own is started. Exit code 1 if any request was told something else than what is in the database, if a connection, listener or request
is left, or if the app's process died or wrote to stderr.`)
  process.exit(0)
}
if (!['postgres', 'sqlite', 'both'].includes(values.engine)) throw new Error('--engine is postgres, sqlite or both')
// an exit, so that the app is ended too
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(1) })

const chosen = values.kinds.split(',').filter(name => name !== '')
for (const name of chosen) if (!(name in kinds)) throw new Error(`--kinds: there is no ${name}`)
const [requests, seed, concurrency] = [values.requests, values.seed, values.concurrency].map(Number) as [number, number, number]
for (const engine of ['sqlite', 'postgres'] as const) {
  if (values.engine !== 'both' && values.engine !== engine) continue
  const result = await run({ engine, requests, seed, concurrency, kinds: chosen as KindName[] })
  print(result)
  if (result.violations.length > 0) process.exitCode = 1
}

function print ({ options, seconds, outcomes, faults, report, violations }: Result): void {
  const { engine, requests, concurrency, seed } = options
  console.log(`\n${engine}: ${formatCount(requests)} requests, ${concurrency} at a time, in ${seconds.toFixed(0)} s, seed ${seed}, Node.js ${process.version}\n`)
  const table = [['kind', 'requests', 'succeeded', 'refused', 'outcome unknown', 'no complete answer']]
  for (const [kind, { success }] of [...Object.entries(kinds), ['all', { success: undefined }] as const]) {
    const own = outcomes.filter(({ plan }) => kind === 'all' || plan.kind === kind)
    if (own.length === 0) continue
    const isGood = ({ plan, answer }: typeof own[number]): boolean => answer.isComplete && answer.status === (kind === 'all' ? kinds[plan.kind].success : success)
    const unknown = own.filter(({ answer }) => answer.isComplete && answer.code === 'TDM_ERR_TX_OUTCOME_UNKNOWN').length
    const open = own.filter(({ answer }) => !answer.isComplete).length
    const good = own.filter(isGood).length
    table.push([kind, own.length, good, own.length - good - unknown - open, unknown, open].map(String))
  }
  console.log(formatTable(table))
  console.log(`\nfaults: ${list({ ...faults, 'clients gone': outcomes.filter(({ answer }) => answer.isAborted).length })}`)
  const answers: Record<string, number> = {}
  for (const { answer: { isComplete, status, code = '' } } of outcomes) {
    const name = isComplete ? `${status} ${code}`.trim() : 'incomplete'
    answers[name] = (answers[name] ?? 0) + 1
  }
  console.log(`answers: ${list(answers)}`)
  const events: Record<string, number> = {}
  for (const counts of Object.values(report.events)) for (const [outcome, n] of Object.entries(counts)) events[outcome] = (events[outcome] ?? 0) + n
  console.log(`tandem:tx: ${list(events)}`)
  if (violations.length === 0) console.log('\nno violations')
  else console.log(`\n${violations.length} VIOLATIONS (seed ${seed})\n${violations.slice(0, 100).map(text => `- ${text}`).join('\n')}`)
}

function list (counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).sort(([, a], [, b]) => b - a).map(([name, n]) => `${formatCount(n)} ${name}`).join(', ')
}
