/** Placeholders are found where they are, and nowhere else. */
import t from 'tap'
import { createParser, parseQuery, parseScript, postgresTokens, sqliteTokens, type Dialect } from '../../plugins/db/sql.ts'

const postgres: Dialect = { tokens: postgresTokens, nestedComments: true, placeholder: index => `$${index}` }
const sqlite: Dialect = { tokens: sqliteTokens, nestedComments: false, placeholder: (_, name) => name === undefined ? '?' : `:${name}` }

const onPostgres: ReadonlyArray<readonly [sql: string, text: string]> = [
  ['SELECT ?', 'SELECT $1'],
  ['SELECT ?, ?', 'SELECT $1, $2'],
  ['SELECT :a, :b, :a', 'SELECT $1, $2, $1'],
  ["SELECT '?', ?", "SELECT '?', $1"],
  ["SELECT 'it''s ?', ?", "SELECT 'it''s ?', $1"],
  ["SELECT E'\\' ? \\'', ?", "SELECT E'\\' ? \\'', $1"],
  ["SELECT e'a''b\\\\', ?", "SELECT e'a''b\\\\', $1"],
  ["SELECT note'?', ?", "SELECT note'?', $1"],
  ['SELECT U&\'\\0041 ?\', ?', 'SELECT U&\'\\0041 ?\', $1'],
  ['SELECT "a?b""c?", ?', 'SELECT "a?b""c?", $1'],
  ['SELECT ? -- ? :x\n, ?', 'SELECT $1 -- ? :x\n, $2'],
  ['SELECT /* ? /* ? */ ? */ ?', 'SELECT /* ? /* ? */ ? */ $1'],
  ['SELECT $$ ? $$, ?', 'SELECT $$ ? $$, $1'],
  ['SELECT $tag$ ? $$ ? $tag$, ?', 'SELECT $tag$ ? $$ ? $tag$, $1'],
  ['SELECT a$1, ? FROM b$2', 'SELECT a$1, $1 FROM b$2'],
  ["SELECT '1'::int, ?::text", "SELECT '1'::int, $1::text"],
  ['SELECT a[1:n], :n', 'SELECT a[1:n], $1'],
  ['SELECT a[:n], :m', 'SELECT a[:n], $1'],
  ['SELECT ARRAY[:a, :b]', 'SELECT ARRAY[$1, $2]'],
  ['SELECT ARRAY[[:a], [:b]]', 'SELECT ARRAY[[$1], [$2]]'],
  ['SELECT a[?]', 'SELECT a[$1]'],
  ['SELECT doc ?? ?', 'SELECT doc ? $1'],
  ['SELECT doc ??| ?', 'SELECT doc ?| $1'],
  ['SELECT doc @?? ?', 'SELECT doc @? $1'],
  ['SELECT f(x := ?)', 'SELECT f(x := $1)'],
  ['SELECT $2, $1', 'SELECT $2, $1'],
  ['SELECT 1e5, 1.5, .5, ?', 'SELECT 1e5, 1.5, .5, $1'],
  ['SELECT größe, :größe', 'SELECT größe, $1']
]

void t.test('PostgreSQL: placeholders become $n, nothing else changes', async t => {
  for (const [sql, text] of onPostgres) t.equal(parseQuery(sql, postgres).text, text, sql)
})

const onSqlite: ReadonlyArray<readonly [sql: string, count: number]> = [
  ["SELECT '?', ?", 1],
  ['SELECT "a?", `b?`, [c?], ?', 1],
  ['SELECT /* ? /* ? */ ? -- ?', 1],
  ['SELECT :a, :b, :a', 2],
  ["SELECT 'a\\', ?", 1],
  ['SELECT $2, $1', 2],
  ['SELECT 1', 0]
]

void t.test('SQLite: its own placeholders are left as they are, and counted', async t => {
  for (const [sql, count] of onSqlite) {
    const query = parseQuery(sql, sqlite)
    t.equal(query.count, count, sql)
    if (query.style !== 'numbered') t.equal(query.text, sql)
  }
})

void t.test('what is not portable or mixed is refused', async t => {
  for (const dialect of [postgres, sqlite]) {
    for (const sql of ['SELECT ?, :a', 'SELECT :a, $1', 'SELECT $1, ?', 'SELECT ?1', 'SELECT $0']) {
      t.throws(() => parseQuery(sql, dialect), { code: 'TDM_ERR_DB_PLACEHOLDER' }, sql)
    }
  }
})

void t.test('the keyword is the first word, after comments and parentheses', async t => {
  for (const [sql, keyword] of [['select 1', 'SELECT'], ['-- x\n /* y */ Insert into a values (1)', 'INSERT'], ['(SELECT 1)', 'SELECT'], ['', ''], ['WITH a AS (SELECT 1) DELETE FROM b', 'WITH']]) {
    t.equal(parseQuery(sql as string, postgres).keyword, keyword)
  }
})

void t.test('a script is counted by its statements', async t => {
  for (const [sql, count] of [
    ['', 0], [';;', 0], ['-- nothing', 0], ['SELECT 1', 1], ['SELECT 1;', 1], ["SELECT ';'; SELECT 2", 2],
    ['CREATE TRIGGER x AFTER INSERT ON a BEGIN UPDATE a SET b = CASE WHEN 1 THEN 2 END; DELETE FROM c; END; SELECT 1', 2],
    ['CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 1', 2],
    ['CREATE FUNCTION f() RETURNS int AS $$ BEGIN; COMMIT; $$ LANGUAGE sql', 1]
  ] as const) t.equal(parseScript(sql, postgres).statements, count, sql)
  for (const sql of ['SELECT 1; COMMIT', 'CREATE TRIGGER x BEGIN SELECT 1; END; ROLLBACK']) {
    t.throws(() => parseScript(sql, postgres), { code: 'TDM_ERR_DB_TRANSACTION_CONTROL' }, sql)
  }
})

void t.test('what was parsed is remembered, and old texts are forgotten', async t => {
  const parser = createParser(postgres)
  const first = parser.parseQuery('SELECT 0')
  t.equal(parser.parseQuery('SELECT 0'), first)
  for (let n = 1; n < 600; n++) parser.parseQuery(`SELECT ${n}`)
  t.equal(parser.parseQuery('SELECT 0'), first, 'used again, so kept')
  for (let n = 600; n < 2000; n++) parser.parseQuery(`SELECT ${n}`)
  t.not(parser.parseQuery('SELECT 0'), first)
})
