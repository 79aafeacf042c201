/** What of a statement operators may see. */
import t from 'tap'
import { fingerprintOf, redactSql } from '../../plugins/ops/fingerprint.ts'

const cases: Record<string, string> = {
  'SELECT a1, "b 2" FROM t3 WHERE x = 4': 'SELECT a1, "b 2" FROM t3 WHERE x = ?',
  'SELECT \'it\'\'s secret\', 1.5e-3, .5, 0xFF, -7': 'SELECT ?, ?, ?, ?, -?',
  'INSERT INTO t VALUES (?, :name, $1, @a, ?2)': 'INSERT INTO t VALUES (?, :name, $1, @a, ?2)',
  'SELECT x::int, y::text FROM t -- secret\n WHERE /* secret */ z = X\'00ff\'': 'SELECT x::int, y::text FROM t WHERE z = ?',
  'SELECT E\'a\\\'secret\', $$secret$$, $tag$ secret $$ $tag$, U&\'secret\'': 'SELECT ?, ?, ?, ?',
  'SELECT \'secret never ends': 'SELECT ?',
  'SELECT $tag$ secret never ends': 'SELECT ?',
  'SELECT 1 /* secret never ends': 'SELECT ?',
  'SELECT größe, naïve FROM "a""b" LIMIT 1_000': 'SELECT größe, naïve FROM "a""b" LIMIT ?'
}

void t.test('literals are redacted, and nothing else', async t => {
  for (const [sql, redacted] of Object.entries(cases)) {
    t.equal(redactSql(sql), redacted)
    t.equal(redactSql(redacted), redacted, 'twice is as once')
  }
})

void t.test('a fingerprint is short, and the same for what differs in literals, blanks and comments', async t => {
  const of = (sql: string): string => fingerprintOf(redactSql(sql))
  t.match(of('SELECT 1'), /^[\da-f]{12}$/)
  t.equal(of('SELECT a\n  FROM t WHERE x = 1'), of('SELECT a FROM t WHERE x = 22 -- other'))
  t.not(of('SELECT a FROM t'), of('SELECT b FROM t'))
})

void t.test('a long text takes no longer than its length', async t => {
  for (const text of ['\''.repeat(50_001), '$a'.repeat(50_000), '/*'.repeat(50_000), '1.'.repeat(50_000), 'e\'\\'.repeat(30_000)]) t.ok(redactSql(text).length <= text.length + 1)
})
