/**
 * Faults against what plugins/db promises on PostgreSQL: what a call was told is what is in the database, and it is told in time.
 *
 * An app in a process of its own works with many clients on three ways to one server: directly, through a proxy that cuts, holds and is silent, and through
 * PgBouncer in transaction mode. They insert, read back, run transactions and move money between accounts. Meanwhile, at moments that the seed decides: backends are
 * terminated, connections cut at any byte or half-open, server and PgBouncer restarted, killed and stopped for a while. Every call is in a ledger. At the end:
 *
 *  1. What was told as done is there. 2. What was told as failed is not, except with the code TDM_ERR_TX_OUTCOME_UNKNOWN. 3. Of a transaction all or nothing is there, and
 *  nothing ran twice. 4. The sum of the accounts is right. 5. No call took longer than its time-out and a grace. 6. No exception was uncaught, and every database works
 *  again and closes. 7. The server has as many connections as before.
 *
 *   npm run faults:postgres -- [--minutes 20] [--seed N] [--clients 64] [--pgbouncer newest] [--grace 1500]
 */
import { parseArgs } from 'node:util'
import { formatCount, formatTable } from '../scripts/terminal.ts'
import { outcomes, type Entry } from './postgres-faults/ledger.ts'
import { run, type Result } from './postgres-faults/run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    clients: { type: 'string', default: '64' },
    pgbouncer: { type: 'string', default: 'newest' },
    grace: { type: 'string', default: '1500' },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log(`npm run faults:postgres -- [options]

  --minutes N       how long; parts of a minute are possible (20)
  --seed N          what is sent and what is broken when; printed with the result (the time)
  --clients N       how many at the same time (64)
  --pgbouncer V     newest, none, or the beginning of a version such as 1.18 (newest; without any that way is left out)
  --grace MS        how long after its time-out a call may still take: a statement on its own has 3 s, a transaction 5 s (1500)

A PostgreSQL of its own is started. Exit code 1 if a call was told something else than what is in the database, or too late, or if something was left.`)
  process.exit(0)
}
// an exit, so that the app is ended too
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(1) })

const [minutes, seed, clients, graceMs] = [values.minutes, values.seed, values.clients, values.grace].map(Number) as [number, number, number, number]
if (!(minutes > 0) || !(graceMs >= 0) || !Number.isInteger(seed) || !(clients >= 1 && clients <= 1000)) throw new Error('--minutes has to be above 0, --grace at least 0, --seed an integer, --clients from 1 to 1000')
const result = await run({ seconds: Math.round(minutes * 60), seed, clients, graceMs, pgbouncer: values.pgbouncer })
print(result)
process.exit(result.violations.length > 0 ? 1 : 0)

function print ({ paths, ledgers, faults, report, violations }: Result): void {
  console.log(`\n${formatCount(ledgers.reduce((sum, { length }) => sum + length, 0))} calls of ${clients} clients in ${values.minutes} min, seed ${seed}, Node.js ${process.version}\n`)
  const table = [['way', 'calls', ...outcomes, 'longest ms', 'works again after ms']]
  for (const [i, path] of paths.entries()) {
    const own = ledgers.filter(({ client }) => client % paths.length === i)
    const counts = outcomes.map(outcome => count(own, entry => entry.outcome === outcome))
    const longest = Math.max(0, ...own.map(ledger => longestOf(ledger.entries())))
    table.push([path, ...[counts.reduce((a, b) => a + b, 0), ...counts, longest, Math.round(report?.recoveryMs[path] ?? NaN)].map(formatCount)])
  }
  console.log(formatTable(table))
  console.log(`\nfaults: ${list(faults)}`)
  const codes: Record<string, number> = {}
  for (const ledger of ledgers) for (const { code } of ledger.entries()) if (code !== '') codes[code] = (codes[code] ?? 0) + 1
  console.log(`errors: ${list(codes)}`)
  if (violations.length === 0) console.log('\nno violations')
  else console.log(`\n${formatCount(violations.length)} VIOLATIONS (seed ${seed})\n${violations.slice(0, 100).map(text => `- ${text}`).join('\n')}`)
}

function count (ledgers: Result['ledgers'], isMeant: (entry: Entry) => boolean): number {
  let n = 0
  for (const ledger of ledgers) for (const entry of ledger.entries()) if (isMeant(entry)) n++
  return n
}

function longestOf (entries: Iterable<Entry>): number {
  let longest = 0
  for (const { ms } of entries) longest = Math.max(longest, ms)
  return longest
}

function list (counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).sort(([, a], [, b]) => b - a).map(([name, n]) => `${formatCount(n)} ${name}`).join(', ')
}
