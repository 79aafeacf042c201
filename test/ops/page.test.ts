/** What the page is told, and that it is true. The page in a browser: page-browser.test.ts. */
import { Script } from 'node:vm'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { Meter } from '../../plugins/db/meter.ts'
import { History, HISTORY_SAMPLES, quantile } from '../../plugins/ops/history.ts'
import ops from '../../plugins/ops/index.ts'
import { Live } from '../../plugins/ops/live.ts'
import { makePage } from '../../plugins/ops/page/document.ts'
import type { Snapshot } from '../../plugins/ops/page/snapshot.ts'
import { findAttention } from '../../plugins/ops/page/client/attention.js'
import { formatAge, formatBytes, formatCount, formatMs, formatRate } from '../../plugins/ops/page/client/format.js'
import { toEntries } from '../../plugins/ops/page/client/slow.js'
import { startPlugins } from '../helper/app.ts'
import { engines } from '../helper/db.ts'

const token = 'a-token-of-the-tests'

/** The first snapshot that somebody gets who looks now. */
async function look (app: FastifyInstance): Promise<Snapshot> {
  const live = new Live(app)
  const [event] = await live.watch().take(1).toArray() as [Buffer]
  live.close()
  return JSON.parse(String(event).replace(/^data: /, '')) as Snapshot
}

for (const engine of engines) {
  void t.test(`${engine}: the figures are those of db.status(), and those of the work that was done`, async t => {
    const app = await startPlugins(t, engine)
    const before = await look(app)
    await app.db.exec('CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT NOT NULL)')
    const insert = app.db.prepare('INSERT INTO item (id, name) VALUES (?, \'secret\')')
    for (let id = 0; id < 7; id++) await insert.run(id)
    await t.rejects(insert.run(3), { code: 'TDM_ERR_DB_UNIQUE' })
    const find = app.db.prepare('SELECT name FROM item WHERE id = ?')
    for (let id = 0; id < 11; id++) await find.get(id)
    for (const name of ['one', 'two', 'two']) await app.db.prepare(`SELECT id FROM item WHERE name = '${name}'`).all()
    const after = await look(app)
    const status = app.db.status()
    const sum = ({ totals: { runs } }: Snapshot): number => runs.inline + runs.lane + runs.apart
    t.equal(sum(after) - sum(before), Object.values(status.meters.runs).reduce((all, { count }) => all + count, 0) - sum(before))
    t.strictSame(after.totals.failures, { unique: 1 })
    t.strictSame(after.totals.failures, status.meters.failures)
    t.strictSame(after.queues, status.queues)
    const shown = (sql: string): { count: number, failures: number } | undefined => {
      const found = after.fingerprints.find(view => view.sql === sql)
      return found && { count: found.count, failures: found.failures }
    }
    t.strictSame(shown('INSERT INTO item (id, name) VALUES (?, ?)'), { count: 7, failures: 1 }, 'without its literal')
    t.strictSame(shown('SELECT name FROM item WHERE id = ?'), { count: 11, failures: 0 })
    t.strictSame(shown('SELECT id FROM item WHERE name = ?'), { count: 3, failures: 0 }, 'texts that differ in literals only, as one')
    const found = status.statements.find(({ sql }) => sql === find.sql)
    const view = after.fingerprints.find(({ sql }) => sql === find.sql)
    t.strictSame([view?.totalMs, view?.maxMs, view?.runs, view?.why], [found?.total.sumMs, found?.total.maxMs, found?.runs, found?.why])
    t.notMatch(JSON.stringify(after), /secret/)
    t.equal(after.limits.hardBytes === null, engine === 'postgres' || app.config.sqlite.hardHeapBytes === Infinity)
  })
}

void t.test('a transaction that is open is shown, with what it did last', async t => {
  const app = await startPlugins(t, 'sqlite')
  await app.db.exec('CREATE TABLE item (id BIGINT PRIMARY KEY)')
  await app.db.tx(async () => {
    await app.db.prepare('INSERT INTO item (id) VALUES (1)').run()
    const { transactions } = await look(app)
    t.match(transactions, [{ sql: 'INSERT INTO item (id) VALUES (?)', canStop: true }])
    t.type(transactions[0]?.idleMs, 'number')
  })
  t.strictSame((await look(app)).transactions, [])
})

void t.test('/ops/live sends a snapshot at once and one each second, to all; and ends with the server', async t => {
  const app = await startPlugins(t, 'sqlite')
  await app.register(ops, { token })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  t.equal((await fetch(`${address}/ops/live`)).status, 401)
  const answer = await fetch(`${address}/ops/live`, { headers: { authorization: `Bearer ${token}` } })
  t.match(answer.headers.get('content-type'), 'text/event-stream')
  if (answer.body === null) throw new Error('there is no body')
  let text = ''
  let closed: Promise<unknown> | undefined
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const events = text.split('\n\n').slice(0, -1)
    if (events.length >= 2) closed ??= app.close()
  }
  const [first, second] = text.split('\n\n').map(event => event === '' ? undefined : JSON.parse(event.slice('data: '.length)) as Snapshot)
  t.strictSame(first?.samples, [], 'there is nothing to compare the first look with')
  t.equal(second?.samples.length, 1)
  await closed
})

void t.test('nothing is measured before somebody looks, and nothing after the end', async t => {
  const app = await startPlugins(t, 'sqlite')
  const live = new Live(app)
  t.notOk(live.isMeasuring)
  const stream = live.watch()
  t.ok(live.isMeasuring)
  stream.destroy()
  t.ok(live.isMeasuring, 'for who comes back')
  live.close()
  t.notOk(live.isMeasuring)
})

void t.test('the page has everything in it, and a policy that allows just that', async t => {
  const app = await startPlugins(t, 'sqlite')
  await app.register(ops, { access: () => true })
  const { body, headers } = await app.inject('/ops')
  t.match(headers['content-type'], 'text/html')
  t.match(headers['content-security-policy'], /^default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'; connect-src 'self'/)
  t.notMatch(body, /(?:src|href)="(?!#|data:,)/, 'nothing from elsewhere')
  t.notMatch(body, / style=| on\w+=/, 'nothing that the policy would refuse')
  const script = /<script type="module">([\s\S]*)<\/script>/.exec(body)?.[1] ?? ''
  t.doesNotThrow(() => { new Script(script) }, 'the modules fit into one')
  t.equal(makePage().html, makePage().html)
  const without = await startPlugins(t, 'sqlite')
  await without.register(ops)
  for (const path of ['/ops', '/ops/live']) t.equal((await without.inject(path)).statusCode, 404, `${path} is off without an access`)
})

void t.test('a sample is the difference of two looks; after a pause there is none', async t => {
  const runs = { inline: new Meter(), lane: new Meter(), apart: new Meter() }
  const waits = new Meter()
  const failures: Record<string, number> = {}
  const status = { meters: { runs, waits, failures }, queues: { writer: { used: 1, waiting: 2 }, threads: { used: 3, waiting: 0 } } }
  const history = new History()
  const note = (second: number): void => { history.note({ at: second * 1000, now: second * 1000, status, loop: null, memory: 5 }) }
  runs.inline.note(3)
  note(0)
  t.strictSame(history.since(-1), [])
  for (let i = 0; i < 98; i++) runs.inline.note(0.2)
  for (let i = 0; i < 2; i++) runs.inline.note(40)
  failures.busy = 2
  note(1)
  const [sample] = history.since(0)
  t.match(sample, { at: 1000, spanMs: 1000, runs: { inline: { count: 100 }, lane: null, apart: null }, failures: 2, waits: null, memory: 5, wal: null, used: 4, waiting: 2 })
  t.ok((sample?.runs.inline?.p50 ?? 0) > 0.1 && (sample?.runs.inline?.p50 ?? 1) <= 0.25, 'in the bucket of 0.2')
  t.ok((sample?.runs.inline?.p99 ?? 0) > 25 && (sample?.runs.inline?.p99 ?? 99) <= 40, 'never beyond the longest')
  history.pause()
  note(500)
  t.equal(history.since(1000).length, 0)
  for (let second = 501; second < 501 + HISTORY_SAMPLES + 5; second++) note(second)
  t.equal(history.since(-1).length, HISTORY_SAMPLES)
})

void t.test('quantiles', async t => {
  const meter = new Meter()
  t.equal(quantile(meter, 0.99), 0)
  meter.note(30_000)
  t.equal(quantile(meter, 1), 30_000, 'beyond the last bound')
})

void t.test('figures have units', async t => {
  const plain = (text: string): string => text.replaceAll('\u202F', ' ')
  t.strictSame([0, 0.042, 0.42, 4.2, 42, 420, 4200, 59_949, 192_000, 7_500_000, 200_000_000, -3000].map(ms => plain(formatMs(ms))),
    ['0 ms', '0.042 ms', '0.42 ms', '4.2 ms', '42 ms', '420 ms', '4.2 s', '59.9 s', '3 min 12 s', '2 h 5 min', '2 d 7 h', '−3.0 s'])
  t.strictSame([0, 3.4, 2500, 42_900, 61_000].map(ms => plain(formatAge(ms))), ['0 ms', '3.0 ms', '2.5 s', '42 s', '1 min 1 s'])
  t.strictSame([0, 999, 1500, 512e6, 2.1e9].map(bytes => plain(formatBytes(bytes))), ['0 B', '999 B', '1.5 kB', '512 MB', '2.1 GB'])
  t.strictSame([plain(formatRate(0)), plain(formatRate(3.14)), plain(formatRate(1234.5)), formatCount(1234567)], ['0 /s', '3.1 /s', '1,235 /s', '1,234,567'])
})

void t.test('what needs attention is told, the worst first', async t => {
  const app = await startPlugins(t, 'sqlite')
  const calm = await look(app)
  t.strictSame(findAttention({ ...calm, limits: { softBytes: null, hardBytes: null } }, []).filter(({ text }: { text: string }) => !text.includes('watchdog')), [])
  const statement = { id: '1', sql: 'SELECT ?', ageMs: 42_000, place: 'reader', deadlineMs: null, method: 'GET', route: '/reports' }
  const sample = { at: 0, spanMs: 1000, runs: { inline: null, lane: null, apart: null }, failures: 3, waits: null, loop: { p50: 0, p99: 1, max: 1500 }, memory: 95, wal: null, used: 3, waiting: 4 }
  const bad: Snapshot = {
    ...calm,
    statements: [statement, { ...statement, id: '2', ageMs: 3000 }],
    transactions: [{ id: '3', sql: 'SELECT ?', ageMs: 9000, idleMs: 8000, canStop: true }],
    queues: { threads: { used: 3, waiting: 4 } },
    limits: { softBytes: 50, hardBytes: 100 },
    replica: { state: 'down', lagMs: 0 }
  }
  const found = findAttention(bad, [sample, sample, sample])
  t.match(found.map(({ text }: { text: string }) => text.replaceAll('\u202F', ' ')), [
    'A statement has been running for 42 s, for GET /reports. 1 other has run for more than 2 s.',
    'Statements wait for a place: 4 for threads.',
    'Memory is at 95 B of at most 100 B.',
    'The event loop was held up for 1.5 s',
    '1 transaction holds a connection and does nothing, for up to 8.0 s.',
    '9 statements failed within the last 10 seconds.',
    'The read replica cannot be reached.'
  ])
})

void t.test('of the slow log is taken what can be used', async t => {
  t.equal(toEntries(undefined).size, 0)
  t.equal(toEntries({ error: 'no' }).size, 0)
  t.strictSame(toEntries({ statements: [null, { fingerprint: 'abc', plan: ['SCAN a', '  SCAN b'], hints: ['an index'], route: 'GET /a' }] }).get('abc'),
    { fingerprint: 'abc', plan: 'SCAN a\n  SCAN b', hints: 'an index', problem: '', route: 'GET /a' })
})
