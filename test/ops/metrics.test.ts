/** The numbers are true: known work is done, and each metric is compared with it. */
import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { Counter } from 'prom-client'
import t, { type Test } from 'tap'
import { fingerprintOf, redact } from '../../plugins/ops/fingerprint.ts'
import { definitions, metricsTable } from '../../plugins/ops/metrics.ts'
import { deferred, engines } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { endless } from '../helper/long.ts'
import { hasNative, skipWithoutNative } from '../helper/native.ts'
import { ask, scrape, startOps } from './helper.ts'

const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

const READ = 'SELECT v FROM kv WHERE k = ?'
const WRITE = 'INSERT INTO kv (k, v) VALUES (?, ?)'

async function prepare (app: FastifyInstance): Promise<void> {
  await app.db.exec('CREATE TABLE kv (k INTEGER PRIMARY KEY, v TEXT NOT NULL CHECK (v <> \'bad\'))')
}

/** What has been added between two looks. */
class Growth {
  readonly #before: ReadonlyMap<string, number>
  readonly #after: ReadonlyMap<string, number>

  constructor (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>) {
    this.#before = before
    this.#after = after
  }

  /** Of all series that begin with `start`. */
  of (start: string): Record<string, number> {
    const series = [...this.#after].filter(([name]) => name.startsWith(start))
    return Object.fromEntries(series.map(([name, value]) => [name.slice(start.length), value - (this.#before.get(name) ?? 0)] as const).filter(([, grown]) => grown !== 0))
  }

  sum (start: string): number {
    return Object.values(this.of(start)).reduce((sum, value) => sum + value, 0)
  }
}

/** 10 reads, 4 writes, failures of six kinds, and transactions of each outcome. */
async function work (t: Test, app: FastifyInstance): Promise<void> {
  const { db } = app
  for (let i = 0; i < 4; i++) await db.prepare(WRITE).run(i, 'some')
  for (let i = 0; i < 10; i++) await db.prepare(READ).get(i)
  for (let i = 0; i < 2; i++) await t.rejects(db.prepare(WRITE).run(1, 'again'), { code: 'TDM_ERR_DB_UNIQUE' })
  await t.rejects(db.prepare(WRITE).run(100, null), { code: 'TDM_ERR_DB_NOT_NULL' })
  await t.rejects(db.prepare(WRITE).run(100, 'bad'), { code: 'TDM_ERR_DB_CHECK' })
  await t.rejects(db.prepare('SELECT x FROM nowhere').get(), { code: 'TDM_ERR_DB_SYNTAX' })
  await t.rejects(db.deadline(30, async () => await db.prepare(endless).get()), { code: 'TDM_ERR_DB_TIMEOUT' })
  const leaving = new AbortController()
  const left = t.rejects(db.signal(leaving.signal, async () => await db.prepare(endless).get()), { code: 'TDM_ERR_DB_ABORTED' })
  leaving.abort()
  await left
  for (let i = 0; i < 3; i++) {
    await db.tx(async tx => {
      await tx.prepare(WRITE).run(200 + i, 'in a transaction')
      await tx.prepare(READ).get(200 + i)
    })
  }
  for (let i = 0; i < 2; i++) {
    await t.rejects(db.tx(async tx => {
      await tx.prepare(WRITE).run(300, 'undone')
      throw new Error('changed my mind')
    }))
  }
  await t.rejects(db.tx(async tx => { await tx.prepare(WRITE).run(1, 'again') }), { code: 'TDM_ERR_DB_UNIQUE' })
  await db.tx(async tx => { await tx.prepare(READ).get(1) }, { mode: 'read' })
  await db.tx(async () => {})
}

for (const engine of engines) {
  const system = engine === 'postgres' ? 'postgresql' : 'sqlite'

  void t.test(`${engine}: statements, failures and transactions are counted as they were`, { skip: engine === 'sqlite' && skipWithoutNative('ends statements') }, async t => {
    const app = await startOps(t, engine, { OPS_SLOW: '0' }) // the plans of what is slow are statements, too
    await prepare(app)
    const before = await scrape(app)
    const began = performance.now()
    await work(t, app)
    const tookS = (performance.now() - began) / 1000
    const growth = new Growth(before, await scrape(app))
    t.equal(growth.sum('db_client_operation_duration_seconds_count'), 4 + 10 + 3 * 2 + 2 + 1, 'statements that came to their end')
    const spent = growth.sum('db_client_operation_duration_seconds_sum')
    t.ok(spent > 0 && spent <= tookS, `${spent} s in statements of ${tookS} s`)
    const failure = (kind: string): string => `{db_system_name="${system}",error_type="${kind}"}`
    t.strictSame(growth.of('db_client_operation_failures_total'), {
      [failure('unique')]: 3, [failure('notNull')]: 1, [failure('check')]: 1, [failure('syntax')]: 1, [failure('timeout')]: 1, [failure('aborted')]: 1
    })
    t.strictSame(growth.of('tandem_transactions_total'), {
      '{outcome="committed",mode="write"}': 3, '{outcome="rolledback",mode="write"}': 3, '{outcome="committed",mode="read"}': 1, '{outcome="none",mode="write"}': 1
    })
    t.strictSame(growth.of('tandem_transaction_duration_seconds_count'), { '{mode="write"}': 7, '{mode="read"}': 1 })
    const print = (sql: string): string => `{fingerprint="${fingerprintOf(redact(sql))}"}`
    t.strictSame(growth.of(`tandem_statement_duration_seconds_count${print(READ)}`), { '': 10 + 3 + 1 })
    t.strictSame(growth.of(`tandem_statement_duration_seconds_count${print(WRITE)}`), { '': 4 + 3 + 2 })
    t.strictSame(growth.of(`tandem_statement_failures_total${print(WRITE)}`), { '': 5 })
  })

  void t.test(`${engine}: each histogram is one`, async t => {
    const app = await startOps(t, engine)
    await prepare(app)
    await app.db.prepare(WRITE).run(1, 'some')
    const series = await scrape(app)
    for (const { name } of definitions.filter(({ type }) => type === 'histogram')) {
      const counts = [...series].filter(([key]) => key.startsWith(`${name}_count`))
      t.ok(counts.length > 0, name)
      for (const [key, count] of counts) {
        const labels = key.slice(`${name}_count`.length).replace(/^\{|\}$/g, '')
        const buckets = [...series].filter(([bucket]) => bucket.startsWith(`${name}_bucket{`) && bucket.includes(labels))
        const bounds = buckets.map(([bucket]) => /le="([^"]+)"/.exec(bucket)?.[1] ?? '')
        t.equal(bounds.at(-1), '+Inf')
        t.equal(buckets.at(-1)?.[1], count, `${key}: the last bucket has all`)
        t.ok(buckets.every(([, value], i) => value >= (buckets[i - 1]?.[1] ?? 0)), `${key}: each bucket has those below`)
      }
    }
  })

  void t.test(`${engine}: what is used and waited for`, async t => {
    const app = await startOps(t, engine, { DB_POOL_MAX: '1' })
    await prepare(app)
    const pool = engine === 'postgres' ? 'connections' : 'writer'
    const before = await scrape(app)
    const written = deferred()
    const { promise: hold, resolve: letGo } = deferred()
    const first = app.db.tx(async tx => {
      await tx.prepare(WRITE).run(1, 'some')
      written.resolve()
      await hold
    })
    await written.promise
    const others = [2, 3].map(async k => await app.db.prepare(WRITE).run(k, 'some'))
    const during = await scrape(app)
    t.equal(during.get(`db_client_connection_count{pool="${pool}",state="used"}`), 1)
    t.equal(during.get(`db_client_connection_pending_requests{pool="${pool}"}`), 2)
    letGo()
    await Promise.all([first, ...others])
    const after = await scrape(app)
    t.equal(after.get(`db_client_connection_count{pool="${pool}",state="used"}`), 0)
    t.equal(after.get(`db_client_connection_pending_requests{pool="${pool}"}`), 0)
    const growth = new Growth(before, after)
    t.equal(growth.sum('db_client_connection_wait_time_seconds_count'), 3, 'each place was waited for, or not, once')
    t.ok(growth.sum('db_client_connection_wait_time_seconds_sum') > 0)
  })
}

void t.test('requests are transactions, too, with what they asked', async t => {
  const app = await startOps(t, 'sqlite')
  await prepare(app)
  app.get('/read', async () => await app.db.prepare(READ).get(1) ?? {})
  app.post('/write', async () => await app.db.prepare(WRITE).run(1, 'some'))
  const before = await scrape(app)
  t.equal((await app.inject('/read')).statusCode, 200)
  t.equal((await app.inject({ method: 'POST', url: '/write' })).statusCode, 200)
  t.equal((await app.inject({ method: 'POST', url: '/write' })).statusCode, 409)
  const growth = new Growth(before, await scrape(app))
  t.strictSame(growth.of('tandem_transactions_total'), { '{outcome="committed",mode="read"}': 1, '{outcome="committed",mode="write"}': 1, '{outcome="rolledback",mode="write"}': 1 })
})

void t.test('SQLite: memory, limits, the log and the event loop', async t => {
  const app = await startOps(t, 'sqlite', { SQLITE_CACHE_SIZE: '1MiB', SQLITE_READERS: '2', SQLITE_SOFT_HEAP_LIMIT: '50MB', SQLITE_HARD_HEAP_LIMIT: '4GB' })
  await prepare(app)
  await app.db.prepare(WRITE).run(1, 'some')
  const series = await scrape(app)
  t.equal(series.get('tandem_memory_limit_bytes{limit="soft"}'), 50e6)
  t.equal(series.get('tandem_memory_limit_bytes{limit="hard"}'), 4e9)
  t.equal(series.get('tandem_memory_limit_bytes{limit="cache"}'), 6 * 2 ** 20)
  const { sqlite, meters } = app.db.status()
  t.equal(series.get('tandem_sqlite_wal_bytes'), sqlite?.walBytes)
  t.equal(series.get('tandem_sqlite_threads'), sqlite?.threads)
  t.equal(series.get('tandem_eventloop_stalls_total'), sqlite?.stalls.count)
  t.equal(series.get('tandem_eventloop_inline_seconds_total'), meters.runs.inline.sumMs / 1000)
  const lag = ['0.5', '0.99', '1'].map(quantile => series.get(`nodejs_eventloop_lag_seconds{quantile="${quantile}"}`) ?? NaN)
  t.ok(lag.every((value, i) => value >= (lag[i - 1] ?? 0)), lag.join())
  const memory = series.get('process_resident_memory_bytes') ?? 0
  t.ok(memory > 20e6)
  if (process.platform === 'linux' && hasNative()) t.ok((series.get('tandem_memory_anonymous_bytes') ?? 0) > 10e6)
})

void t.test('as OpenMetrics for those who accept it, and afterwards as before; with what the app adds', async t => {
  const app = await startOps(t, 'sqlite')
  const own = new Counter({ name: 'my_things_total', help: 'Things of the app', labelNames: ['kind'], registers: [app.ops.registry] })
  own.inc({ kind: 'small' }, 3)
  const plain = await ask(app, '/ops/metrics')
  t.match(plain.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  t.match(plain.body, /^# TYPE my_things_total counter\nmy_things_total\{kind="small"\} 3$/m)
  const open = await ask(app, '/ops/metrics', { headers: { accept: 'application/openmetrics-text; version=1.0.0; charset=utf-8, text/plain;q=0.5' } })
  t.match(open.headers['content-type'], /^application\/openmetrics-text; version=1\.0\.0/)
  t.match(open.body, /^# TYPE my_things counter\nmy_things_total\{kind="small"\} 3$/m)
  t.match(open.body, /^# TYPE tandem_transaction_retries counter\ntandem_transaction_retries_total 0$/m)
  t.match(open.body, /\n# EOF\n$/)
  t.notMatch(open.body, /total_total/)
  const again = await ask(app, '/ops/metrics')
  const names = (body: string): string[] => body.split('\n').filter(line => line.startsWith('# TYPE'))
  t.strictSame(names(again.body), names(plain.body))
})

void t.test('docs/ops.md has the table of the metrics', async t => {
  const [, table] = /<!-- metrics -->\n([^]*?)\n<!-- \/metrics -->/.exec(read('docs/ops.md')) ?? []
  t.equal(table, metricsTable(), 'put what metricsTable() of plugins/ops/metrics.ts gives between the two comments')
})

void t.test('docs/grafana.json is JSON, and each metric in it exists with these labels', async t => {
  const text = read('docs/grafana.json')
  const { panels } = JSON.parse(text) as { panels: Array<{ title: string, targets?: Array<{ expr: string }> }> }
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  t.ok(expressions.length > 10)
  const names = new Map<string, readonly string[]>(definitions.flatMap(({ name, type, labels }) =>
    type === 'histogram' ? ['bucket', 'sum', 'count'].map(part => [`${name}_${part}`, [...labels, 'le']] as const) : [[name, labels] as const]))
  for (const expression of expressions) {
    const used = expression.match(/\b(?:db_client|tandem|nodejs|process)_\w+/g)?.filter(name => !/^(?:db_system_name|tandem_place)$/.test(name)) ?? []
    t.ok(used.length > 0, expression)
    t.strictSame(used.filter(name => !names.has(name)), [], expression)
    const labels = [...expression.matchAll(/\bby \(([^)]*)\)|[{,]\s*(\w+)\s*=/g)].flatMap(([, by, one]) => (by ?? one ?? '').split(/, */))
    const known = used.flatMap(name => names.get(name) ?? [])
    t.strictSame(labels.filter(label => ![...known, 'instance', 'job'].includes(label)), [], expression)
  }
})
