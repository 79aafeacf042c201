/** docs/benchmarks.md from a run. What is kept true: every figure in it comes from bench.json; the words around them are here. */
import { isMet, type Figure, type Table } from '../measure/measurement.ts'
import { formatBound, formatNumber } from '../measure/report.ts'
import type { Part, Run } from './run.ts'

/** What one has to know of a part; its title is the measurement's. */
const about: Readonly<Record<string, string>> = {
  sqlite: 'Each contender is a process of its own with a copy of a file of 100,000 rows, in WAL mode with `synchronous = NORMAL`. better-sqlite3, node:sqlite and Drizzle answer synchronously: that is the least that an answer can cost, and nothing else happens in the process meanwhile; what that does to an app is measured under "mixed". TypeORM and sqlite3 have one connection without a queue for transactions, so theirs wait for each other here.',
  postgres: 'Each contender is a process of its own with a database of its own of 100,000 rows and at most 10 connections. The server is on the same machine, and neither `fsync` nor `synchronous_commit` is on, so that the client is what differs. `writes not awaited`: the two writes of the transaction are sent without waiting one by one; the transaction waits for them and fails with them.',
  'http-sqlite': 'A route with one read, and one with a transaction, with a copy of the file for each. `fastify-tandem` reads with `tx: false`; "in a read transaction" is the default of a GET.',
  'http-postgres': 'The same on PostgreSQL. `@fastify/postgres` takes a client with `transact: true` for the route with the transaction.',
  rtt: 'A proxy delays each direction by half a millisecond. Round trips of the transaction: `transact` 5, this package 4, 3 and 2. "sync on": COMMIT waits for the disk.',
  'mixed-sqlite': 'Fifty clients, a 50th of whose statements reads a whole table of 2,000,000 rows, and one read a millisecond that is counted from when it was due.',
  'mixed-postgres': 'An open loop of 8,000 statements a second, of which some take 50 ms; percentiles are those of the fast ones, from when they were due. "naive" puts them on ten pipelined connections in turn.',
  memory: 'Scans, sorts and GROUP BYs that are given up, then statements that want more memory than there may be; the anonymous memory of the process, from the operating system.',
  bridge: 'What this replaces: a worker thread owns pg, the main thread blocks in `Atomics.wait` until it has answered; "poll" looks each 10 ms, "notify" is woken.',
  growth: 'This package beside the driver on which it stands. All sizes take part in the same rounds.'
}

export function toMarkdown (run: Run): string {
  const { machine, date, seconds, parts } = run
  return `# Benchmarks

Made from [benchmarks.json](benchmarks.json) by \`npm run bench:docs\`; not to be edited. Everything here can be measured anew:

\`\`\`sh
npm run bench:setup                # once: the libraries that are compared, into bench/node_modules
npm run bench                      # all of it, in less than half an hour; the figures go to data/bench
npm run bench -- --only sqlite     # or postgres, http, rtt, mixed, memory, bridge, growth
npm run bench -- --ci              # a few minutes, with generous bounds
npm run bench:compare -- data/bench/bench.json docs/benchmarks.json
\`\`\`

## How it is measured

- **Interleaved.** Each contender has its turn of some 0.06 to 1 s. A round is everybody's turn at everything, every other one backwards, so a bad minute of the machine hits one round of each comparison, and not all rounds of one.
- **Ratios of what was not disturbed.** What else happens on a machine only ever slows down, so of the rounds of each contender the fastest quarter counts: a rate is their mean, a × is one mean against the other. Percentiles of latencies are medians of all rounds. A spread is what each half of the rounds says of a rate, and the quartiles of everything else. Absolute figures are this machine's; ratios travel better.
- **Answers first.** Before anything is timed, all contenders have to answer equally; afterwards nothing that was acknowledged may be missing. What could not be measured is named.
- **As documented.** Each library is used as its own documents show it, at most 10 connections, prepared statements where its documents have them.

## What it does not show

- Client, server and load share ${machine.processors?.split(' ')[0] ?? 'a few'} processors. On machines of their own PostgreSQL is faster, a network is in between, and a client that needs less of its processor gains more.
- The rows fit into memory. Disks are measured only where it says so.
- Libraries do more than this: types, migrations, relations. Who needs them will not choose by microseconds.
- Machines have noise. ${tellAgreement(run)}

## This run

${date}, ${formatMinutes(seconds)} in all. ${Object.entries(machine).map(([name, value]) => `${name}: ${value}`).join(' · ')}

| part | |
|---|---|
${parts.map(({ name, title }) => `| [${name}](#${anchorOf(title)}) | ${title} |`).join('\n')}

${parts.map(formatPart).join('\n\n')}
`
}

function tellAgreement ({ agreement }: Run): string {
  if (agreement === undefined) return '`npm run bench:compare` says how far two runs agree.'
  const { ratios, within20, within50 } = agreement
  return `Two runs of this code on this machine, one after the other, were within 20 % of each other for ${within20} of ${ratios} ratios, and within 50 % for ${within50} (\`npm run bench:compare\`). So a ratio of 1.2 says little, and one of 2 a lot.`
}

function formatPart ({ name, title, tables = [], figures, charts = [], notes, problems, seconds }: Part): string {
  const pictures = name === 'memory' ? ['memory'] : charts.map(chart => chart.name)
  const bounded = figures.filter(({ bound }) => bound !== undefined)
  const isPlain = tables.length === 0
  return [
    `## ${title}`,
    ...name in about ? [about[name]] : [],
    ...pictures.map(picture => `![${title}](images/bench-${picture}.svg)`),
    ...tables.map(formatTable),
    ...isPlain ? [formatFigures(figures)] : bounded.length > 0 ? [`What is promised:\n\n${formatFigures(bounded)}`] : [],
    ...notes.length > 0 ? [notes.filter(isForReaders).map(note => `- ${note}`).join('\n')] : [],
    ...problems.length > 0 ? [`**What went wrong:**\n\n${problems.map(problem => `- ${problem}`).join('\n')}`] : [],
    `\`npm run bench -- --only ${name.split('-')[0]}\`, ${formatMinutes(seconds)}.`
  ].join('\n\n')
}

/** The state of the database in JSON is for who looks at a run. */
function isForReaders (note: string): boolean {
  return !note.startsWith('db.status()')
}

function formatTable ([head = [], ...rows]: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${head.map((_, i) => i === 0 ? '---' : '--:').join('|')}|`, ...rows.map(line)].join('\n')
}

function formatFigures (figures: readonly Figure[]): string {
  const rows = figures.map(figure => [
    figure.name,
    `${formatNumber(figure.value)} ${figure.unit}`,
    figure.spread === undefined ? '' : figure.spread.map(formatNumber).join(' to '),
    formatBound(figure.bound),
    figure.bound === undefined ? '' : isMet(figure) ? 'met' : '**missed**'
  ])
  return formatTable([['', 'measured', 'spread', 'bound', ''], ...rows])
}

/** As GitHub makes them. */
function anchorOf (title: string): string {
  return title.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-')
}

function formatMinutes (seconds: number): string {
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}
