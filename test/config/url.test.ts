// Database URLs, and that no password leaves them.
import { resolve } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { problemLine, showValue } from '../../plugins/config/problem.ts'
import { parseDatabaseUrl, parsePostgresUrl, redact } from '../../plugins/config/url.ts'

function parse (text: string) {
  const parsed = parseDatabaseUrl(text)
  return parsed.ok ? parsed.value : `${parsed.expected}; ${parsed.instead}`
}

t.test('sqlite: is followed by a path, which becomes absolute', async t => {
  const expected = (url: string, path: string, readonly = false) => ({ engine: 'sqlite', url, displayUrl: url, path, readonly })
  t.same(parse('sqlite:data/app.db'), expected('sqlite:data/app.db', resolve('data/app.db')))
  t.same(parse('sqlite:/var/lib/app.db'), expected('sqlite:/var/lib/app.db', '/var/lib/app.db'))
  t.same(parse('sqlite:///var/lib/app.db'), expected('sqlite:///var/lib/app.db', '/var/lib/app.db'))
  t.same(parse('sqlite:a b%20#c.db'), expected('sqlite:a b%20#c.db', resolve('a b%20#c.db')), 'as it is')
  t.same(parse('sqlite:x.db?mode=ro'), expected('sqlite:x.db?mode=ro', resolve('x.db'), true))
  t.same(parse('sqlite::memory:'), expected('sqlite::memory:', ':memory:'))
})

t.test('a path that would be something else than it seems is refused', async t => {
  t.match(parse('sqlite:'), 'a path behind sqlite:')
  t.match(parse('sqlite://data/app.db'), 'no host')
  t.match(parse('sqlite:file:x.db'), 'not a URI')
  t.match(parse('sqlite:data/'), 'not of a folder')
  t.match(parse('sqlite:a\0b'), 'NUL')
  t.match(parse('sqlite:x.db?mode=rw'), 'nothing behind the path but ?mode=ro')
  t.match(parse('sqlite:x.db?'), '?mode=ro')
  t.match(parse('sqlite::memory:?mode=ro'), 'stays empty')
  t.match(parse('file:x.db'), 'sqlite: in place of the scheme')
  t.match(parse('data/app.db'), 'for example sqlite:data/app.db')
  t.match(parse('mysql://localhost/x'), 'begins with sqlite: or postgres://')
})

t.test('a PostgreSQL URL is kept as given and shown without its password', async t => {
  const shown: Record<string, string> = {
    'postgres://localhost:5432/tandem': 'postgres://localhost:5432/tandem',
    'postgresql://app:s3cret@db.example.org/app?sslmode=require': 'postgresql://app:***@db.example.org/app?sslmode=require',
    'postgres://app:s3%2Fcret@[::1]:5432/app': 'postgres://app:***@[::1]:5432/app',
    'postgres://app:pa@s3cret@db/app': 'postgres://app:***@db/app',
    'postgres://db/app?user=app&password=s3cret&sslcert=c&sslkey=k&sslpassword=s3cret': 'postgres://db/app?user=app&password=***&sslcert=c&sslkey=k&sslpassword=***',
    'postgres://app:s3cret@a:5432,[::1]:5433,b/app?target_session_attrs=primary': 'postgres://app:***@a:5432,[::1]:5433,b/app?target_session_attrs=primary',
    'postgres://app:s3cret@%2Frun%2Fpostgresql/app?options=-csecret%3Ds3cret': 'postgres://app:***@%2Frun%2Fpostgresql/app?options=***',
    'postgres://app:s3cret@/app?host=/run/postgresql': 'postgres://app:***@/app?host=/run/postgresql',
    'postgres:///app': 'postgres:///app'
  }
  for (const [url, displayUrl] of Object.entries(shown)) {
    t.same(parse(url), { engine: 'postgres', url, displayUrl, path: '', readonly: false })
  }
})

t.test('a PostgreSQL URL whose password could be another part is refused and shown by its scheme only', async t => {
  const unclear = [
    'postgres://app:s3cret/word@db/app', 'postgres://app:12/s3cret@db/app', 'postgres://app:1#s3cret@db/app', 'postgres://app:1?s3cret@db/app',
    'postgres://app:s3cret%zz@db/app', 'postgres://app:s3cret', 'postgres:app:s3cret@db/app', 'postgres://app:s3cret@db:port/app', 'postgres://app:s3cret @db/app x:@'
  ]
  for (const url of unclear) {
    t.match(parse(url), 'percent-encoded', url)
    t.equal(redact(url), 'postgres://… (not shown, it may hold a password)')
  }
})

t.test('a PostgreSQL URL that the engine cannot use is refused at start, and the problem has no secret', async t => {
  const problem = parsePostgresUrl('postgres://app:s3cret@db/app?schema=s3cret')
  t.match(problem, { ok: false, expected: 'no parameter schema, which is not supported', instead: /^options=-csearch_path%3Dname$/ })
  t.match(parse('postgres://db/app?sslmode=verify-full'), 'sslrootcert=system')
  t.equal(redact('postgres://app:s3cret@db/app?schema=s3cret&s3cret&x%20y=s3cret'), 'postgres://app:***@db/app?schema=***&***&***')
  t.match(parse('postgres://app%3As3cret%40db/app'), 'percent-encoded', 'all of it was encoded')
})

t.test('a replica has to be PostgreSQL', async t => {
  t.equal(parsePostgresUrl('postgres://replica/app').ok, true)
  t.equal(parsePostgresUrl('sqlite:x.db').ok, false)
})

t.test('of a text that is no known URL nothing but a known scheme is shown', async t => {
  t.equal(redact('sqlite:data/a@b.db'), 'sqlite:data/a@b.db')
  t.equal(redact('sqlite:x.db?key=s3cret'), 'sqlite:… (not shown, it may hold a password)')
  t.equal(redact('sqlite://app:s3cret@db/x'), 'sqlite:… (not shown, it may hold a password)')
  t.equal(redact('mysql://app:s3cret@db/x'), 'mysql:… (not shown, it may hold a password)')
  t.equal(redact('app:s3cret@db'), '… (not shown, it may hold a password)')
  t.equal(redact('s3cret'), '… (not shown, it may hold a password)')
})

t.test('no password is shown, whatever it is made of', async t => {
  const password = fc.array(fc.constantFrom(...'aZ0/?#@:%&=+ \\[]*'.split('')), { minLength: 1, maxLength: 12 }).map(letters => `Q${letters.join('')}Q`)
  const pattern = fc.constantFrom('postgres://app:%s@db:5432/app', 'postgresql://app:%s@/app?host=/x', 'postgress://app:%s@db/app', 'postgres:app:%s@db', 'postgres://app:%s@a,b:1/app',
    'postgres://db/app?password=%s', 'postgres://db/app?nothing=%s', 'mysql://a:%s@b', 'app:%s@db')
  fc.assert(fc.property(password, pattern, (secret, form) => {
    const url = form.replace('%s', () => secret)
    const parsed = parseDatabaseUrl(url)
    const texts = [redact(url), showValue(url), parsed.ok ? parsed.value.displayUrl : `${parsed.expected} ${parsed.instead}`]
    return texts.every(text => !text.includes('Q'))
  }), { numRuns: 2000 })
  t.pass()
})

t.test('a problem is one short line without control characters', async t => {
  const line = problemLine({ variable: 'DB_MIGRATE', value: `a\nb\u2028${'x'.repeat(200)}`, expected: 'on or off', instead: 'on or off' })
  t.match(line, /^DB_MIGRATE=a\?b\?x+…: expected on or off; write on or off\.$/)
  t.ok(line.length < 150)
  t.equal(showValue('postgres://app:s3cret@db/app'), 'postgres://app:***@db/app', 'also in a variable that is no URL')
})
