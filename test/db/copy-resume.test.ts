/** A copy that is interrupted, however, is taken up where it stopped; until it is done, no app starts on its target. */
import t, { type Test } from 'tap'
import { compareDatabases, copyDatabase, type CopyProgress } from '../../plugins/db/copy/index.ts'
import { migrate } from '../../plugins/db/migrate.ts'
import type { Database, EngineName } from '../../plugins/db/types.ts'
import { errorKind } from '../../plugins/errors.ts'
import { collectLog, engines, freshUrl, openTestDatabase, openUrl } from '../helper/db.ts'
import { until } from '../helper/long.ts'
import { startProxy } from '../helper/proxy.ts'

/** More than two steps of rows, and what is told apart by two texts. */
const ROWS = 450
const stepRows = 200
const tables = 'CREATE TABLE a (id BIGINT PRIMARY KEY, s TEXT); CREATE TABLE b (x TEXT NOT NULL, y TEXT NOT NULL, s TEXT, PRIMARY KEY (x, y)); CREATE INDEX a_s ON a (s)'
const numbers = `WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < ${ROWS})`
const rows = `${numbers} INSERT INTO a (id, s) SELECT n, 'text ' || n FROM g; ${numbers} INSERT INTO b (x, y, s) SELECT 'x' || (n % 7), '"' || n, 'ä' FROM g`

async function open (t: Test, engine: EngineName, sql: string): Promise<Database> {
  const db = await openTestDatabase(t, engine)
  await db.exec(sql)
  return db
}

async function countOf (db: Database, table: string): Promise<number> {
  return Number((await db.prepare(`SELECT count(*) AS n FROM ${table}`).get())?.n)
}

/** As an app does. */
async function start (db: Database): Promise<unknown> {
  return await migrate(db, [], { mode: 'off', log: collectLog() })
}

async function hasIndex (db: Database): Promise<boolean> {
  const catalog = { sqlite: 'SELECT 1 AS found FROM sqlite_schema WHERE name = \'a_s\'', postgres: 'SELECT 1 AS found FROM pg_indexes WHERE indexname = \'a_s\'' }
  return await db.prepare(catalog[db.engine]).get() !== undefined
}

/** Copies until `rows` rows are there. */
async function copyUntil (source: Database, target: Database, rows: number): Promise<unknown> {
  const client = new AbortController()
  const onProgress = ({ doing, rows: done }: CopyProgress): void => { if (doing === 'copy' && done >= rows) client.abort() }
  return await source.signal(client.signal, async () => await copyDatabase(source, target, { stepRows, onProgress }))
}

const incomplete = { code: 'TDM_ERR_COPY_INCOMPLETE' }

for (const [from, to] of [['sqlite', 'postgres'], ['postgres', 'sqlite']] as const) {
  void t.test(`interrupted again and again it comes to its end, from ${from} to ${to}`, async t => {
    const source = await open(t, from, `${tables}; ${rows}`)
    const target = await open(t, to, tables)
    await start(target)
    await t.rejects(copyUntil(source, target, 200), { code: 'TDM_ERR_DB_ABORTED' })
    const first = await countOf(target, 'a')
    t.ok(first >= 200 && first < ROWS, 'what was committed is there', { first })
    await t.rejects(start(target), incomplete)
    await t.rejects(copyDatabase(target, await open(t, to, tables)), { ...incomplete, message: /^The source / })
    t.notOk(await hasIndex(target))

    await t.rejects(copyUntil(source, target, ROWS - first + 200), { code: 'TDM_ERR_DB_ABORTED' })
    const second = await countOf(target, 'b')
    t.ok(second >= 200 && second < ROWS, 'it is in the next table', { second })

    const told: CopyProgress[] = []
    const { tables: copied } = await copyDatabase(source, target, { stepRows, force: true, onProgress: progress => { told.push(progress) } })
    t.equal(told.find(({ doing }) => doing === 'copy')?.total, ROWS - second, 'only the rest was left, also for who has asked for force')
    t.strictSame(copied.map(({ table, rows }) => [table, rows]), [['a', ROWS], ['b', ROWS]])
    t.ok(await hasIndex(target))
    await start(target)
    await compareDatabases(source, target)
    await t.rejects(copyDatabase(source, target), { code: 'TDM_ERR_COPY_NOT_EMPTY' }, 'it is a database like any other')
  })

  void t.test(`a failure in the middle is mended and gone on from, from ${from} to ${to}`, async t => {
    const source = await open(t, from, `${tables}; ${rows}`)
    const target = await open(t, to, tables)
    await source.exec('UPDATE a SET s = \'\' WHERE id = 300')
    const check = { sqlite: 'CREATE TRIGGER no BEFORE INSERT ON a WHEN NEW.s = \'\' BEGIN SELECT RAISE(ABORT, \'empty\'); END', postgres: 'ALTER TABLE a ADD CONSTRAINT no CHECK (s <> \'\')' }[to]
    await target.exec(check)
    await t.rejects(copyDatabase(source, target, { stepRows }), { code: 'TDM_ERR_COPY_FAILED', message: /^Table a .*--restart/ })
    t.equal(await countOf(target, 'a'), 200)
    await target.exec({ sqlite: 'DROP TRIGGER no', postgres: 'ALTER TABLE a DROP CONSTRAINT no' }[to])
    await copyDatabase(source, target)
    t.equal(await countOf(target, 'a'), ROWS)
  })
}

void t.test('a source that has changed meanwhile is found, and copied anew on demand', async t => {
  const source = await open(t, 'sqlite', `${tables}; ${rows}`)
  const target = await open(t, 'postgres', tables)
  await t.rejects(copyUntil(source, target, 200), { code: 'TDM_ERR_DB_ABORTED' })
  await source.exec('UPDATE a SET s = \'late\' WHERE id = 7')
  for (const _ of [1, 2]) {
    await t.rejects(copyDatabase(source, target), { code: 'TDM_ERR_COPY_DIFFERS', message: /in a \(450 rows in both, first seen at id = 7\).*changed.*--restart/ })
    await t.rejects(start(target), incomplete)
  }
  await copyDatabase(source, target, { restart: true })
  t.strictSame(await target.prepare('SELECT s FROM a WHERE id = 7').get(), { s: 'late' })
  t.ok(await hasIndex(target))
  await start(target)
})

void t.test('another source, or other tables, do not go on where one has stopped', async t => {
  const source = await open(t, 'sqlite', `${tables}; ${rows}`)
  const other = await open(t, 'sqlite', tables)
  const target = await open(t, 'sqlite', tables)
  await t.rejects(copyUntil(source, target, 200), { code: 'TDM_ERR_DB_ABORTED' })
  for (const [from, options] of [[other, {}], [source, { tables: ['b'] }]] as const) await t.rejects(copyDatabase(from, target, options), { code: 'TDM_ERR_COPY_OTHER' })
  await copyDatabase(source, target, { tables: ['b'], restart: true })
  t.strictSame([await countOf(target, 'a'), await countOf(target, 'b'), await hasIndex(target)], [0, ROWS, true], 'and what was left is taken away')
})

void t.test('of two copies at once one fails, and each row is there once', async t => {
  const source = await open(t, 'sqlite', `${tables}; ${rows}`)
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url, { records: false })
  const [first, second] = [await openUrl(t, proxy.url), await openUrl(t, url)]
  await first.exec(tables)
  const held = proxy.holdRequest('COPY "a"')
  const copying = copyDatabase(source, first, { stepRows })
  await held.seen
  const file = await source.prepare('SELECT file FROM pragma_database_list').get()
  const late = t.rejects(copyDatabase(await openUrl(t, `sqlite:${String(file?.file)}`), second, { stepRows }), { code: 'TDM_ERR_COPY_CONCURRENT' })
  const waits = second.prepare('SELECT 1 AS found FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = \'Lock\'')
  await until('the second waits for the first', async () => await waits.get() !== undefined)
  held.letGo()
  await Promise.all([copying, late])
  await compareDatabases(source, second)
})

void t.test('a table without a key, one that points at itself and a circle are there as a whole, or not at all', async t => {
  const whole = `CREATE TABLE bag (x BIGINT, s TEXT); CREATE TABLE tree (id BIGINT PRIMARY KEY, up BIGINT REFERENCES tree (id)); CREATE TABLE z (id BIGINT PRIMARY KEY, s TEXT)`
  const source = await open(t, 'postgres', `${whole}; ${numbers} INSERT INTO bag SELECT n % 9, 'same' FROM g; ${numbers} INSERT INTO tree SELECT n, ${ROWS} - n + 1 FROM g`)
  const target = await open(t, 'sqlite', whole)
  await t.rejects(copyUntil(source, target, 200), { code: 'TDM_ERR_DB_ABORTED' })
  t.equal(await countOf(target, 'bag'), 0)
  await t.rejects(copyUntil(source, target, ROWS + 200), { code: 'TDM_ERR_DB_ABORTED' })
  t.strictSame([await countOf(target, 'bag'), await countOf(target, 'tree')], [ROWS, 0])
  const { tables: copied } = await copyDatabase(source, target)
  t.strictSame(copied.map(({ rows }) => rows), [ROWS, ROWS, 0])
})

for (const [text, when] of [['COPY "a"', 'before'], ['COPY "b"', 'after'], ['COMMIT', 'before']] as const) {
  void t.test(`a connection that is cut at ${text} loses nothing`, async t => {
    const source = await open(t, 'sqlite', `${tables}; ${rows}`)
    const proxy = await startProxy(t, await freshUrl(t, 'postgres'), { records: false })
    const target = await openUrl(t, proxy.url)
    await target.exec(tables)
    const onBegin = (): void => { void proxy.cutAt(text, when) }
    await t.rejects(copyDatabase(source, target, { stepRows, onBegin }), { code: /^TDM_ERR_(?:DB_CONNECTION|TX_OUTCOME_UNKNOWN|TX_LOST)$/ })
    await t.rejects(start(target), incomplete)
    await copyDatabase(source, target)
    t.strictSame([await countOf(target, 'a'), await countOf(target, 'b')], [ROWS, ROWS])
  })
}

/** Columns, and what the n-th row has there. */
const keys: Record<EngineName, Array<[columns: string, value: string]>> = {
  sqlite: [['(id INTEGER PRIMARY KEY)', '9007199254740990 + n'], ['(id TEXT)', '\'k\' || n'], ['(id BLOB PRIMARY KEY) WITHOUT ROWID', 'CAST(n AS BLOB)']],
  postgres: [
    ['(id BIGINT PRIMARY KEY)', '9007199254740990 + n'], ['(id TEXT PRIMARY KEY)', '\'k\' || n'], ['(id BYTEA PRIMARY KEY)', 'int8send(n)'], ['(id DOUBLE PRECISION NOT NULL UNIQUE)', 'n / 7.0'],
    ['(id TIMESTAMPTZ PRIMARY KEY)', 'to_timestamp(n / 7.0)'], ['(id NUMERIC PRIMARY KEY)', 'n * 1e20']
  ]
}

/** Ends each go at its first step. Answers with how many it took. */
async function copyInGoes (source: Database, target: Database): Promise<number> {
  for (let goes = 1; ; goes++) {
    const outcome = await copyUntil(source, target, 1).then(() => undefined, (error: unknown) => error)
    if (outcome === undefined) return goes
    if (errorKind(outcome) !== 'aborted') throw outcome
  }
}

for (const engine of engines) {
  void t.test(`keys of every kind are gone on from, on ${engine}`, async t => {
    const empty = keys[engine].map(([columns], i) => `CREATE TABLE t${i} ${columns}`).join('; ')
    const source = await open(t, engine, empty)
    const target = await open(t, engine, empty)
    const first = { sqlite: '1', postgres: 'CAST(1 AS BIGINT)' }[engine]
    for (const [i, [, value]] of keys[engine].entries()) await source.exec(`WITH RECURSIVE g (n) AS (SELECT ${first} UNION ALL SELECT n + 1 FROM g WHERE n < 201) INSERT INTO t${i} SELECT ${value} FROM g`)
    t.ok(await copyInGoes(source, target) > keys[engine].length)
    const { tables: compared } = await compareDatabases(source, target)
    t.strictSame(compared.map(({ rows }) => rows), keys[engine].map(() => 201))
  })
}

void t.test('a large value goes alone', async t => {
  const table = { sqlite: 'CREATE TABLE big (id INTEGER PRIMARY KEY, s TEXT, b BLOB)', postgres: 'CREATE TABLE big (id BIGINT PRIMARY KEY, s TEXT, b BYTEA)' }
  const source = await open(t, 'sqlite', table.sqlite)
  const [target, back] = [await open(t, 'postgres', table.postgres), await open(t, 'sqlite', table.sqlite)]
  const insert = source.prepare('INSERT INTO big (id, s, b) VALUES (?, ?, ?)')
  await insert.run(1, 'ä\t\\'.repeat(1_000_000), Buffer.alloc(3_000_000, 0xfe))
  await insert.run(2, 'small', Buffer.alloc(1))
  t.strictSame(await copyDatabase(source, target), await copyDatabase(target, back))
})
