/** The benchmark of the PostgreSQL engine: its answers, and that it would notice wrong ones. Times are its own business, with nothing beside it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { compareAnswers } from '../../bench/postgres/answers.ts'
import { openPool } from '../../bench/postgres/clients.ts'
import { audit, itemOf, makeTables } from '../../bench/contenders/data.ts'
import { readWrk } from '../../bench/http/load-tool.ts'
import { rateFigure, tailFigure } from '../../bench/measure/figures.ts'
import { runOpenLoop } from '../../bench/postgres/open-loop.ts'
import { runRounds } from '../../bench/measure/rounds.ts'
import { ask } from '../../bench/postgres/servers.ts'
import { quartiles } from '../../bench/measure/statistics.ts'
import { freshFolder, freshUrl } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { start, waitFor } from '../rules/run.ts'

interface Report { results: Array<{ name: string, problems: string[], figures: Array<{ name: string, value: number | null }> }> }

t.test('a measurement gets right answers, from everybody whom it compares', { timeout: 120_000 }, async t => {
  const json = join(freshFolder(t), 'figures.json')
  const args = ['bench/postgres.ts', '--only', 'point', '--effort', 'tiny', '--json', json]
  const { code, output } = await waitFor(start(process.execPath, args, { cwd: fileURLToPath(root) }))
  t.equal(code, 0, output)
  const { results } = JSON.parse(readFileSync(json, 'utf8')) as Report
  t.strictSame(results.map(({ name }) => name), ['point'])
  t.strictSame(results.flatMap(({ problems }) => problems), [])
  t.strictSame(results.flatMap(({ figures }) => figures).filter(({ value }) => value === null), [], 'every figure is a number')
})

t.test('an unknown measurement is refused before anything is started', async t => {
  const { code, output } = await waitFor(start(process.execPath, ['bench/postgres.ts', '--only', 'points'], { cwd: fileURLToPath(root) }))
  t.equal(code, 1)
  t.match(output, /there is no points/)
})

// --- judgement ---------------------------------------------------------------------------------------------------------------

t.test('a row that is not what it has to be is noticed', async t => {
  const url = await freshUrl(t, 'postgres')
  await makeTables(url, 200)
  const client = openPool(url, 'named')
  t.teardown(() => client.close())
  t.strictSame(await compareAnswers([client], 200), [])
  const wrong = { ...client, one: async () => itemOf(7) }
  t.match(await compareAnswers([wrong], 200), [/answers the row \d+ with \{"id":7,/])
})

t.test('halves of transactions and lost transactions are noticed', async t => {
  const [none, any] = [{ transfers: 0, notes: 0 }, { transfers: Infinity, notes: Infinity }]
  const url = await freshUrl(t, 'postgres')
  await makeTables(url, 200)
  await ask(url, 'UPDATE account SET n = 1 WHERE id = 1')
  t.match(await audit('postgres', url, none), [/the accounts say 1, and there are 0 entries/])
  await ask(url, 'INSERT INTO entry (account, n) VALUES (1, 0)')
  t.strictSame(await audit('postgres', url, { transfers: 1, notes: 0 }), [])
  t.match(await audit('postgres', url, { transfers: 2, notes: 0 }), [/there are 1 entries, of 2 transfers/])
  t.strictSame(await audit('postgres', url, none, any), [], 'nobody knows how many there were')
})

t.test('of rates the fastest quarter counts, and each half of the rounds is beside it', async t => {
  t.match(rateFigure('x', [1, 2, 3, 4, 5, 6, 7, 9], [1, 2, 1, 1, 1, 1, 2, 2]), { value: 4, spread: [3.5, 4.5], unit: '×' })
  t.strictSame(rateFigure('x', [6], [3]), { name: 'x', value: 2, unit: '×', spread: undefined, bound: undefined })
})

t.test('of tails the median of what was measured in the same rounds counts, between its quartiles', async t => {
  t.strictSame(quartiles([5, 1, 4, 2, 3]), [2, 4])
  t.match(tailFigure('x', [2, 9, 4], [1, 3, 4]), { value: 2, spread: [1, 3], unit: '×' })
})

t.test('every other round is backwards, and the first does not count', async t => {
  const order: string[] = []
  const turns = ['a', 'b'].map(name => ({ name, run: async () => order.push(name) }))
  const seen = await runRounds(turns, 2, 'test')
  t.strictSame(order, ['b', 'a', 'a', 'b', 'b', 'a'])
  t.strictSame([...seen], [['a', [3, 6]], ['b', [4, 5]]])
})

t.test('an open loop counts from when a statement was due, and only what is to be counted', async t => {
  const { latencies, cores } = await runOpenLoop(2000, 0.05, i => ({ isCounted: i % 2 === 0, done: Promise.resolve() }))
  t.ok(latencies.length > 20 && latencies.length < 100, `${latencies.length} of about 50`)
  t.ok(latencies.every(ms => ms >= 0))
  t.ok(cores > 0)
})

t.test('what wrk prints is read', async t => {
  const text = `  Latency Distribution
     50%  635.00us
     99%    1.20ms
  15015 requests in 1.00s, 2.81MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 4
Requests/sec:  15014.21`
  t.strictSame(readWrk(text), { requests: 15015, perSecond: 15014.21, p50Ms: 0.635, p99Ms: 1.2, failed: 7 })
})
