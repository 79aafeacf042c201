/**
 * `npm run vault:simulate`: groups of players whose plugins report as real ones do, against the app in a process of its own on a fresh database.
 *
 * What is kept true: exit code 0 means that each request was answered as it has to be, that the tables hold what the answers said, and that the bounds were met. Ctrl-C ends the
 * app and removes the database. Progress and errors go to stderr, the figures to stdout.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { percentile } from '../bench/measure/statistics.ts'
import { PostgresServer } from '../test/helper/postgres-server.ts'
import { explain, watchInterrupt } from './command.ts'
import { formatCount, formatTable, Progress } from './terminal.ts'
import { simulate, type Simulated } from './vault-simulate/simulate.ts'

const usage = `Usage: npm run vault:simulate -- [options]

Groups of players whose plugins report once a second, over sockets of their own: half of the ticks
without containers, most others with what is known already; some reports are lost, repeated, or come
after later ones. At the end the tables are compared with a recomputation of what was acknowledged.

  --groups N    how many groups (200)
  --members N   players in each (5)
  --seconds N   how long they play, after all have signed in and played for 3 s (30)
  --engine E    sqlite or postgres; each on a fresh database, removed at the end (sqlite)
  --url URL     an empty database of your own instead, which stays
  --seed N      another number makes other players (1)
  --p99 MS      the 99th percentile of the answers may be so long; 0: whatever it is (50)
  --loop MS     the event loop of the app may be so late, 99th percentile; 0: whatever it is (20)
  --help        this text

Exit code: 0 when all is well, 1 on an error, a difference or a missed bound, 130 after Ctrl-C.`

const interrupted = watchInterrupt()
const progress = new Progress({ unit: 'done' })

try {
  await main()
} catch (error) {
  progress.clear()
  console.error(interrupted.aborted ? 'vault:simulate: interrupted' : `vault:simulate: ${explain(error)}`)
  process.exitCode = interrupted.aborted ? 130 : 1
}

async function main (): Promise<void> {
  const { values } = parseArgs({
    options: {
      groups: { type: 'string', default: '200' }, members: { type: 'string', default: '5' }, seconds: { type: 'string', default: '30' }, engine: { type: 'string', default: 'sqlite' }, url: { type: 'string' },
      seed: { type: 'string', default: '1' }, p99: { type: 'string', default: '50' }, loop: { type: 'string', default: '20' }, help: { type: 'boolean', short: 'h' }
    }
  })
  if (values.help === true) {
    console.log(usage)
    return
  }
  const sizes = { groups: readNumber('--groups', values.groups, 1), members: readNumber('--members', values.members, 1), seconds: readNumber('--seconds', values.seconds, 1), seed: readNumber('--seed', values.seed, 0) }
  const bounds = { p99: readNumber('--p99', values.p99, 0), loop: readNumber('--loop', values.loop, 0) }
  if (values.engine !== 'sqlite' && values.engine !== 'postgres') throw new Error(`--engine: sqlite or postgres, not ${values.engine}`)
  const place = values.url === undefined ? await makePlace(values.engine) : { url: values.url, remove: async () => {} }
  try {
    const result = await simulate({ ...sizes, url: place.url, signal: interrupted, onProgress: (done, total, label) => { progress.update(done, total, label) } })
    progress.clear()
    console.log(report(result))
    const problems = judge(result, bounds)
    for (const problem of problems) console.error(problem)
    if (problems.length > 0) process.exitCode = 1
  } finally {
    await place.remove()
  }
}

interface Place { readonly url: string, readonly remove: () => Promise<void> }

async function makePlace (engine: 'sqlite' | 'postgres'): Promise<Place> {
  if (engine === 'postgres') {
    const server = await PostgresServer.start({ settings: { max_connections: 50 } })
    return { url: server.url, remove: async () => { await server.stop() } }
  }
  const folder = mkdtempSync(join(tmpdir(), 'vault-simulate-'))
  const remove = (): void => { rmSync(folder, { recursive: true, force: true }) }
  process.once('exit', remove)
  return { url: `sqlite:${join(folder, 'vault.db')}`, remove: async () => { remove() } }
}

function report ({ tally, load, seconds }: Simulated): string {
  const rows = [...tally.latencies].sort(([, a], [, b]) => b.length - a.length).map(([route, list]) => [route, formatCount(list.length), ...timesOf(list)])
  return [
    formatTable([['', 'requests', 'p50 ms', 'p99 ms', 'longest ms'], ...rows, ['all', formatCount(tally.requests), ...timesOf(tally.all)]]),
    '',
    `${formatCount(Math.round(tally.requests / seconds))} requests a second for ${seconds.toFixed(0)} s; containers: ${formatCount(tally.results.unchanged)} unchanged, ${formatCount(tally.results.applied)} applied, ${formatCount(tally.results.stale)} stale; ${formatCount(tally.failures)} errors`,
    `the app: event loop late by p50 ${load.loopP50.toFixed(1)} ms, p99 ${load.loopP99.toFixed(1)} ms, at most ${load.loopMax.toFixed(0)} ms; CPU ${(load.cpuMs / 10 / seconds).toFixed(0)} % of one core, ${(1000 * load.cpuMs / Math.max(1, tally.requests)).toFixed(0)} µs a request; ${(load.rssBytes / 1e6).toFixed(0)} MB`
  ].join('\n')
}

function timesOf (list: readonly number[]): string[] {
  return [0.5, 0.99, 1].map(share => percentile(list, share).toFixed(1))
}

function judge ({ tally, load, differences }: Simulated, { p99, loop }: { p99: number, loop: number }): string[] {
  const reached = percentile(tally.all, 0.99)
  return [
    ...[...tally.errors].map(([what, count]) => `${formatCount(count)} times ${what}`),
    ...load.errors.slice(0, 5).map(line => `the app logged ${line.trim()}`),
    ...differences.slice(0, 20).map(text => `not as acknowledged: ${text}`),
    ...p99 > 0 && !(reached <= p99) ? [`the 99th percentile is ${reached.toFixed(1)} ms, and ${p99} is the bound`] : [],
    ...loop > 0 && load.loopP99 > loop ? [`the event loop is late by ${load.loopP99.toFixed(1)} ms, and ${loop} is the bound`] : []
  ]
}

function readNumber (option: string, text: string, least: number): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < least) throw new Error(`${option}: a whole number from ${least} up, not ${text}`)
  return number
}
