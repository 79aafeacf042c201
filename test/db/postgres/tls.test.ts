/** Connections by URL to a PostgreSQL with TLS: what is encrypted, what is checked, which server is taken, and what a failure tells. */
import { join } from 'node:path'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { parseAddress } from '../../../plugins/db/postgres/address.ts'
import { connectFirst } from '../../../plugins/db/postgres/connect.ts'
import { explainConnectError } from '../../../plugins/db/postgres/explain.ts'
import { startTlsServer, whyNoTlsServer } from '../../helper/tls-server.ts'

const skip = whyNoTlsServer()
if (skip !== undefined) t.comment(`skipped: ${skip}`)
const server = skip === undefined ? await startTlsServer(t) : { folder: '', port: 0, standbyPort: 0, portWithoutTls: 0 }
const { folder, port, standbyPort, portWithoutTls } = server
const file = (name: string): string => encodeURIComponent(join(folder, name))
const trusted = `sslrootcert=${file('ca.crt')}`
const base = (user: string, host = `localhost:${port}`): string => `postgres://${user}:test@${host}/postgres`

async function connect (t: Test, url: string): Promise<pg.Client> {
  const client = await connectFirst(parseAddress(url))
  t.teardown(async () => { await client.end() })
  return client
}

async function isEncrypted (t: Test, url: string): Promise<boolean | undefined> {
  const client = await connect(t, url)
  const { rows } = await client.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
  return rows[0]?.ssl
}

/** What a failed attempt tells. */
async function failure (t: Test, url: string): Promise<string> {
  try {
    await connect(t, url)
    return 'connected'
  } catch (error) {
    return explainConnectError(error)
  }
}

void t.test('each sslmode encrypts when it can, and says so when it has to and cannot', { skip }, async t => {
  const encrypted = { '': true, 'sslmode=disable': false, 'sslmode=allow': false, 'sslmode=prefer': true, 'sslmode=require': true, 'ssl=true': true, 'sslnegotiation=direct&sslmode=require': true }
  for (const [parameters, expected] of Object.entries(encrypted)) t.equal(await isEncrypted(t, `${base('test')}?${parameters}`), expected, parameters)
})

void t.test('allow and prefer go the other way when the server refuses the first one', { skip }, async t => {
  t.equal(await isEncrypted(t, `${base('encrypted')}?sslmode=allow`), true)
  t.equal(await isEncrypted(t, base('encrypted')), true)
  t.equal(await isEncrypted(t, `${base('plain')}?sslmode=allow`), false)
  t.equal(await isEncrypted(t, base('plain')), false)
  t.match(await failure(t, `${base('plain')}?sslmode=require`), /pg_hba\.conf/)
  t.match(await failure(t, `${base('encrypted')}?sslmode=disable`), /sslmode=require/)
})

void t.test('a server without TLS: prefer and allow do without, require says what to do', { skip }, async t => {
  const url = base('test', `localhost:${portWithoutTls}`)
  for (const parameters of ['', 'sslmode=prefer', 'sslmode=allow', 'sslmode=disable']) t.equal(await isEncrypted(t, `${url}?${parameters}`), false, parameters)
  t.match(await failure(t, `${url}?sslmode=require`), /^the server does not support TLS\. .*sslmode=disable\.$/)
  t.match(await failure(t, `${url}?sslmode=require&sslnegotiation=direct`), /TLS handshake failed|ended the connection/)
})

void t.test('what is checked of the certificate: nothing, the authority, the name, the time', { skip }, async t => {
  const other = `sslrootcert=${file('other-ca.crt')}`
  const byAddress = base('test', `127.0.0.1:${port}`)
  const expired = base('test', `localhost:${standbyPort}`)
  const good = [`${base('test')}?sslmode=require`, `${base('test')}?sslmode=require&${trusted}`, `${byAddress}?sslmode=require&${trusted}`,
    `${byAddress}?sslmode=verify-ca&${trusted}`, `${base('test')}?sslmode=verify-full&${trusted}`, `${expired}?sslmode=require`]
  for (const url of good) t.equal(await isEncrypted(t, url), true, url.replace(folder, ''))
  const bad: Array<[string, RegExp]> = [
    [`${base('test')}?sslmode=require&${other}`, /not signed by an authority in sslrootcert/],
    [`${base('test')}?sslmode=verify-ca&${other}`, /not signed by an authority in sslrootcert/],
    [`${base('test')}?sslrootcert=system`, /not signed by an authority in sslrootcert/],
    [`${byAddress}?sslmode=verify-full&${trusted}`, /for another host name/],
    [`${expired}?sslmode=verify-full&${trusted}`, /has expired/]
  ]
  for (const [url, expected] of bad) t.match(await failure(t, url), expected, url.replace(folder, ''))
})

void t.test('NODE_TLS_REJECT_UNAUTHORIZED=0 does not weaken a URL that asks for a check', { skip }, async t => {
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  t.teardown(() => { delete process.env.NODE_TLS_REJECT_UNAUTHORIZED })
  t.match(await failure(t, `${base('test')}?sslmode=verify-full&sslrootcert=${file('other-ca.crt')}`), /not signed by an authority/)
})

void t.test('a certificate of the client lets it in, also one whose key has a password', { skip }, async t => {
  const url = `postgres://certified@localhost:${port}/postgres?sslmode=verify-full&${trusted}`
  const client = await connect(t, `${url}&sslcert=${file('client.crt')}&sslkey=${file('client.key')}`)
  t.same((await client.query('SELECT current_user AS name')).rows, [{ name: 'certified' }])
  t.equal(await isEncrypted(t, `${url}&sslcert=${file('client.crt')}&sslkey=${file('locked.key')}&sslpassword=key%20s3cret`), true)
  t.match(await failure(t, url), /sslcert, sslkey/)
  const stranger = `&sslcert=${file('other-ca.crt')}&sslkey=${file('other-ca.key')}`
  t.match(await failure(t, `${url}${stranger}`), /does not accept this client's certificate/)
})

void t.test('logging in is bound to TLS, or refused when it has to be', { skip }, async t => {
  const url = `${base('test')}?sslmode=require&channel_binding=`
  for (const value of ['disable', 'prefer', 'require']) t.equal(await isEncrypted(t, `${url}${value}`), true, value)
  for (const user of ['trusted', 'cleartext']) {
    t.match(await failure(t, `${base(user)}?sslmode=require&channel_binding=require`), /no login with channel binding/)
    t.equal(await isEncrypted(t, `${base(user)}?sslmode=require&channel_binding=prefer`), true)
  }
})

void t.test('a Unix socket has no TLS, whatever sslmode says', { skip }, async t => {
  const host = encodeURIComponent(folder)
  const urls = [`postgres://test:test@${host}:${port}/postgres`, `postgres://test:test@/postgres?host=${host}&port=${port}`, `postgres://test:test@:${port}/postgres?host=${folder}&sslmode=verify-full&${trusted}`]
  for (const url of urls) t.equal(await isEncrypted(t, url), false)
  t.match(await failure(t, `postgres://test:test@${host}:1/postgres`), /no such Unix socket/)
})

void t.test('of several servers the first that is reached and is what is wanted', { skip }, async t => {
  const servers = base('test', `localhost:1,localhost:${port},localhost:${standbyPort}`)
  const portOf = async (attributes: string): Promise<unknown> => (await (await connect(t, `${servers}?target_session_attrs=${attributes}`)).query<{ port: string }>('SHOW port')).rows[0]?.port
  for (const attributes of ['any', 'primary', 'read-write']) t.equal(await portOf(attributes), String(port), attributes)
  for (const attributes of ['standby', 'read-only', 'prefer-standby']) t.equal(await portOf(attributes), String(standbyPort), attributes)
  t.equal(await portOf('read-only&options=-cdefault_transaction_read_only%3Don'), String(port))
  const alone = await connect(t, `${base('test')}?target_session_attrs=prefer-standby`)
  t.equal(alone.port, port, 'no standby, so another one')
  t.match(await failure(t, `${base('test', `localhost:1,localhost:${port}`)}?target_session_attrs=standby`),
    new RegExp(`^localhost:1: nothing listens there\\..* localhost:${port}: the server is not what target_session_attrs=standby asks for\\.$`))
})

void t.test('a user that is refused is not tried on the next server', { skip }, async t => {
  t.equal(await failure(t, `postgres://test:geheim@localhost:${port},localhost:${standbyPort}/postgres`), 'the server does not accept this user or password.')
  t.match(await failure(t, `postgres://test:test@localhost:${port},localhost:${standbyPort}/nothing`), /no database of this name/)
  t.equal(await failure(t, `postgres://test@localhost:${port}/postgres`), 'the server asks for a password, and the URL has none.')
  t.match(await failure(t, `${base('test')}?options=-cnothing%3D1`), /setting in options/)
})

void t.test('nothing stays behind of an attempt that failed', { skip }, async t => {
  const admin = await connect(t, base('test'))
  const attempts = [`postgres://test@localhost:${port}/postgres`, `${base('test')}?target_session_attrs=standby`, `${base('trusted')}?sslmode=require&channel_binding=require`]
  for (const url of attempts) t.not(await failure(t, url), 'connected')
  const count = async (): Promise<number> => Number((await admin.query<{ n: string }>('SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = \'client backend\'')).rows[0]?.n)
  while (await count() > 1) await admin.query('SELECT pg_sleep(0.01)')
  t.pass()
})
