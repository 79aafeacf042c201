/** Servers with TLS and certificates of their own: what each sslmode has to accept and to refuse, as plain pg does it. */
import pg from 'pg'
import t, { type Test } from 'tap'
import { makeAuthority, whyNoOpenssl, type Authority } from '../helper/certificates.ts'
import { freshFolder } from '../helper/db.ts'
import { ask } from '../helper/pg.ts'
import { findPgBouncers, noPgBouncer, startPgBouncer } from '../helper/pgbouncer.ts'
import { skip as skipAll, startPostgres, type PostgresServer } from '../helper/postgres-server.ts'

const skip = skipAll !== false ? skipAll : await whyNoOpenssl()
const bouncers = await findPgBouncers()

const isEncrypted = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'

/** With the meaning that libpq gives to sslmode. */
function withTls (url: string, parameters: Record<string, string>): string {
  const target = new URL(url)
  target.hostname = 'localhost'
  for (const [name, value] of Object.entries({ uselibpqcompat: 'true', ...parameters })) target.searchParams.set(name, value)
  return target.href
}

async function startWithTls (t: Test, ca: Authority, hosts: string[], hba: string[] = []): Promise<PostgresServer> {
  return await startPostgres(t, { tls: { ...await ca.issue('server', hosts), ca: ca.certificate }, hba: [...hba, 'hostnossl secret all all reject'] })
}

t.test('sslmode require, verify-ca and verify-full, a wrong CA, a wrong host name, no TLS, a client certificate', { skip, timeout: 180_000 }, async t => {
  const folder = freshFolder(t)
  const [ca, otherCa] = [await makeAuthority(folder, 'ca'), await makeAuthority(folder, 'other')]
  const [right, elsewhere] = await Promise.all([
    startWithTls(t, ca, ['DNS:localhost', 'IP:127.0.0.1'], ['hostssl secret test all cert']),
    startWithTls(t, ca, ['DNS:elsewhere.test'])
  ])
  const good = ca.certificate
  const cases: Array<[server: PostgresServer, parameters: Record<string, string>, refused?: RegExp]> = [
    [right, { sslmode: 'require' }],
    [right, { sslmode: 'verify-ca', sslrootcert: good }],
    [right, { sslmode: 'verify-full', sslrootcert: good }],
    [right, { sslmode: 'verify-ca', sslrootcert: otherCa.certificate }, /unable to verify|self.signed/],
    [right, { sslmode: 'verify-full', sslrootcert: otherCa.certificate }, /unable to verify|self.signed/],
    [elsewhere, { sslmode: 'require' }],
    [elsewhere, { sslmode: 'verify-ca', sslrootcert: good }],
    [elsewhere, { sslmode: 'verify-full', sslrootcert: good }, /does not match certificate/]
  ]
  for (const [server, parameters, refused] of cases) {
    const name = `${server === right ? 'right host' : 'wrong host'}, ${JSON.stringify(parameters)}`
    if (refused === undefined) t.strictSame(await ask(withTls(server.url, parameters), isEncrypted), [{ ssl: true }], name)
    else await t.rejects(ask(withTls(server.url, parameters), isEncrypted), { message: refused }, name)
  }
  t.strictSame(await ask(right.url, isEncrypted), [{ ssl: false }], 'without TLS, where that is allowed')

  await ask(right.url, 'CREATE DATABASE secret')
  const secret = right.url.replace('/postgres', '/secret').replace('test:test', 'test')
  await t.rejects(ask(secret, 'SELECT 1'), { code: '28000' }, 'without TLS, where it is not')
  const own = await ca.issue('test')
  const files = { sslmode: 'verify-full', sslrootcert: good, sslcert: own.certificate, sslkey: own.key }
  t.strictSame(await ask(withTls(secret, files), isEncrypted), [{ ssl: true }], 'a certificate instead of a password')
  const foreign = await otherCa.issue('test')
  await t.rejects(ask(withTls(secret, { ...files, sslcert: foreign.certificate, sslkey: foreign.key }), 'SELECT 1'), Error, 'one of another CA')
})

t.test('a server without TLS says no, and PgBouncer may have it instead', { skip, timeout: 180_000 }, async t => {
  const ca = await makeAuthority(freshFolder(t), 'ca')
  const server = await startPostgres(t)
  await t.rejects(ask(withTls(server.url, { sslmode: 'require' }), 'SELECT 1'), /does not support SSL/)
  if (bouncers.length === 0) { t.comment(noPgBouncer); return }
  const bouncer = await startPgBouncer(t, { server, tls: await ca.issue('server', ['DNS:localhost']) })
  const client = new pg.Client({ connectionString: withTls(bouncer.url, { sslmode: 'verify-full', sslrootcert: ca.certificate }) })
  await client.connect()
  t.match(await client.query('SELECT 1 AS one'), { rows: [{ one: 1 }] })
  await client.end()
})
