/** What is shown of an SQL text, and under which name. */
import t from 'tap'
import { fingerprintOf, operationOf, redact, summaryOf } from '../../plugins/ops/fingerprint.ts'

void t.test('literals are not shown', async t => {
  const cases: Array<[sql: string, shown: string]> = [
    ['SELECT \'secret\', \'it\'\'s\' FROM t', 'SELECT ?, ? FROM t'],
    ['SELECT 1, 1.5, .5, 1e10, 1.5E-3, 0xFF, 1_000, -7', 'SELECT ?, ?, ?, ?, ?, ?, ?, -?'],
    ['SELECT E\'a\\\'secret\', e\'b\'\'secret\'', 'SELECT ?, ?'],
    ['SELECT x\'5ec4e7\', B\'0101\', N\'secret\', U&\'\\0073\'', 'SELECT ?, ?, ?, ?'],
    ['SELECT $$secret$$, $tag$it\'s $$ secret$tag$, $1', 'SELECT ?, ?, $1'],
    ['SELECT a WHERE b LIKE\'secret%\'', 'SELECT a WHERE b LIKE?'],
    ['SELECT ARRAY[1, \'secret\'], a[2:3]', 'SELECT ARRAY[?, ?], a[?:?]'],
    ['SELECT a->\'secret\', a ?? \'secret\', b::varchar(20)', 'SELECT a->?, a ?? ?, b::varchar(?)'],
    ['SELECT \'secret', 'SELECT ?'],
    ['SELECT $a$secret\nsecret', 'SELECT ?'],
    ['SELECT E\'secret\\', 'SELECT ?']
  ]
  for (const [sql, shown] of cases) t.equal(redact(sql), shown, sql)
})

void t.test('comments are not shown', async t => {
  t.equal(redact('SELECT a -- secret\'\nFROM t -- secret'), 'SELECT a FROM t')
  t.equal(redact('/* secret */ SELECT /* \'secret */ a'), 'SELECT a')
  t.equal(redact('SELECT /* a /* secret */ secret */ b'), 'SELECT b', 'nested, as on PostgreSQL')
  t.equal(redact('SELECT /* a /* secret */ b'), 'SELECT b', 'not nested, as on SQLite')
  t.equal(redact('SELECT /* secret'), 'SELECT')
})

void t.test('names and placeholders stay', async t => {
  const sql = 'SELECT t1.a2, "x 1", "it\'s", `y 2`, é1, a$1 FROM t1 WHERE a = ? AND b = :name1 AND c = $12 AND d = ?3 AND e::int4 = f'
  t.equal(redact(sql), sql)
  t.equal(redact('SELECT a\n    FROM   t\n'), 'SELECT a FROM t', 'on one line')
})

void t.test('one fingerprint for one statement, however it is written', async t => {
  const fingerprint = fingerprintOf('SELECT a FROM t WHERE b = 1 AND c IN (?, ?)')
  t.match(fingerprint, /^[\da-f]{12}$/)
  for (const sql of ['SELECT a FROM t WHERE b = \'x\' AND c IN (?)', 'SELECT a\nFROM t -- all\nWHERE b = ? AND c IN (?, ?, ?);', 'SELECT a FROM t WHERE b = $1 AND c IN ($2, $3)']) {
    t.equal(fingerprintOf(sql), fingerprint, sql)
  }
  t.not(fingerprintOf('SELECT a FROM t WHERE d = 1 AND c IN (?, ?)'), fingerprint)
  t.not(fingerprintOf('SELECT a FROM t WHERE b = :a'), fingerprintOf('SELECT a FROM t WHERE b = :b'), 'names are kept')
  t.equal(fingerprintOf('INSERT INTO t (a, b) VALUES (?, ?), (?, ?)'), fingerprintOf('INSERT INTO t (a, b) VALUES (?, ?)'))
})

void t.test('many texts do not fill the memory', async t => {
  for (let i = 0; i < 5000; i++) fingerprintOf(`SELECT ${i}`)
  t.equal(fingerprintOf('SELECT 1'), fingerprintOf('SELECT 4999'))
})

void t.test('operation and summary', async t => {
  t.equal(operationOf('-- x\n select 1'), 'SELECT')
  t.equal(operationOf(''), '')
  const cases: Array<[sql: string, summary: string]> = [
    ['SELECT * FROM job JOIN "user" u ON u.id = job.user_id WHERE a = \'FROM secret\'', 'SELECT job "user"'],
    ['insert into app.job (a) VALUES (?)', 'INSERT app.job'],
    ['UPDATE job SET a = 1', 'UPDATE job'],
    ['DELETE FROM ONLY job', 'DELETE job'],
    ['WITH x AS (SELECT 1 FROM job) SELECT * FROM x JOIN job', 'WITH job x'],
    ['INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1', 'INSERT t'],
    ['SELECT 1', 'SELECT'],
    [`SELECT * FROM ${'x'.repeat(300)}`, `SELECT ${'x'.repeat(248)}`]
  ]
  for (const [sql, summary] of cases) t.equal(summaryOf(sql), summary, sql)
})
