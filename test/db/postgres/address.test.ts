/** What a postgres:// URL becomes, what is refused, and that neither the environment nor a message has a part in it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { parseAddress, type ServerConfig } from '../../../plugins/db/postgres/address.ts'
import { AddressClient } from '../../../plugins/db/postgres/connect.ts'
import { ConnectFailure, explainConnectError, failureOf, isAboutServer, isAboutTls } from '../../../plugins/db/postgres/explain.ts'
import { displayPostgresUrl, parameters, readPostgresUrl, type PostgresUrl } from '../../../plugins/db/postgres-url.ts'
import { freshFolder } from '../../helper/db.ts'
import { root } from '../../helper/paths.ts'

function read (url: string): PostgresUrl {
  const parsed = readPostgresUrl(url)
  if (!parsed.ok) throw new Error(`${parsed.expected}; ${parsed.instead}`)
  return parsed.value
}

function refusal (url: string): string {
  const parsed = readPostgresUrl(url)
  return parsed.ok ? 'accepted' : `expected ${parsed.expected}; write ${parsed.instead}`
}

function first (url: string): ServerConfig {
  const way = parseAddress(url).servers[0]?.ways[0]
  if (way === undefined) throw new Error('there is a way')
  return way
}

const passwordOf = async (config: ServerConfig): Promise<string | undefined> => typeof config.password === 'function' ? await config.password() : config.password

// --- servers ---------------------------------------------------------------------------------------------------------------

void t.test('hosts, ports and sockets, one or several', async t => {
  const at = (host: string, port = 5432): object => ({ host, port })
  const expected: Record<string, object[]> = {
    'postgres://db/app': [at('db')],
    'postgres://db:5433/app': [at('db', 5433)],
    'postgres://': [at('localhost')],
    'postgres:///app': [at('localhost')],
    'postgres://db:/app': [at('db')],
    'POSTGRESQL://[::1]:5433/app': [at('::1', 5433)],
    'postgres://[fe80::1%25eth0]/app': [at('fe80::1%eth0')],
    'postgres://a:1,b,[::1]:3/app': [at('a', 1), at('b'), at('::1', 3)],
    'postgres://a,b/app?port=7': [at('a', 7), at('b', 7)],
    'postgres:///app?host=a,b&port=1,2': [at('a', 1), at('b', 2)],
    'postgres:///app?host=::1': [at('::1')],
    'postgres://db/app?host=other': [at('other')],
    'postgres://%2Frun%2Fpostgresql:5433/app': [at('/run/postgresql', 5433)],
    'postgres://%2frun,db/app': [at('/run'), at('db')],
    'postgres:///app?host=/run/postgresql': [at('/run/postgresql')],
    'postgres://app:x@:5433/app?host=%2Frun': [at('/run', 5433)]
  }
  for (const [url, servers] of Object.entries(expected)) t.same(read(url).servers, servers, url)
})

void t.test('servers have names for messages', async t => {
  const names = parseAddress('postgres://u@a:1,[::1]:2,%2Frun/app').servers.map(({ name }) => name)
  t.strictSame(names, ['a:1', '[::1]:2', '/run/.s.PGSQL.5432'])
})

void t.test('hosts and ports that cannot be are refused', async t => {
  t.match(refusal('postgres://a,b/app?port=1,2,3'), 'one port for all 2 hosts, or one for each')
  for (const port of ['0', 'x', '65536']) t.match(refusal(`postgres://db/app?port=${port}`), 'a port from 1 to 65535')
  t.match(refusal('postgres://db:65536/app'), 'percent-encoded')
  t.match(refusal('postgres:///app?host=/run/.s.PGSQL.5432'), 'the folder of the Unix socket')
  t.match(refusal('postgres:///app?host=a%20b'), 'a name, an address or the absolute path')
  for (const host of ['[::x]', 'a%3Ab', 'a]b', '%zz']) t.match(refusal(`postgres://${host}/app`), 'percent-encoded', host)
})

// --- user, password, database ------------------------------------------------------------------------------------------------

void t.test('user, password and database are percent-decoded, and a + is a +', async t => {
  t.match(read('postgres://us%40er:p%2Fw%3F+%25@db/my%20app'), { user: 'us@er', password: 'p/w?+%', database: 'my app' })
  t.match(read('postgres://db/app?user=us%26er&password=p+w&dbname=other'), { user: 'us&er', password: 'p+w', database: 'other' })
  t.match(read('postgres://a:b@db/app?user=c&password=d'), { user: 'c', password: 'd' })
  t.match(read('postgres://app:pa:ss@word@db/a/b'), { user: 'app', password: 'pa:ss@word', database: 'a/b' })
  t.match(read('postgres://app:@db'), { user: 'app', password: undefined, database: undefined })
})

void t.test('what is not said is as in libpq: the user of the process, the database of that name, port 5432', async t => {
  const me = userInfo().username
  t.match(first('postgres://'), { user: me, database: me, host: 'localhost', port: 5432 })
  t.match(first('postgres://app@db'), { user: 'app', database: 'app' })
  t.match(first('postgres://app@db/x'), { user: 'app', database: 'x' })
})

void t.test('the password is given by a function, and one that is asked for without being there is an error', async t => {
  t.equal(await passwordOf(first('postgres://app:s3%20cret@db')), 's3 cret')
  await t.rejects(async () => await passwordOf(first('postgres://app@db')), { message: 'the server asks for a password, and the URL has none.' })
})

void t.test('pg takes nothing from the environment', async t => {
  const set = {
    PGUSER: 'wrong', PGPASSWORD: 'wrong', PGDATABASE: 'wrong', PGHOST: 'wrong', PGPORT: '1', PGOPTIONS: '-cwrong=1', PGSSLMODE: 'require',
    PGAPPNAME: 'wrong', PGSSLNEGOTIATION: 'direct', PGREPLICATION: 'database', PGPASSFILE: '/wrong', PGCONNECT_TIMEOUT: '1'
  }
  Object.assign(process.env, set)
  t.teardown(() => { for (const name of Object.keys(set)) delete process.env[name] })
  for (const url of ['postgres://', 'postgres://u@db/d?sslmode=disable', 'postgres://u@%2Frun/d']) {
    for (const config of parseAddress(url).servers.flatMap(({ ways }) => ways)) {
      const client = new AddressClient(config)
      t.notMatch(inspect(client, { depth: 3, showHidden: true }), /wrong/, url)
      const { connectionParameters } = client as unknown as { connectionParameters: object }
      t.match(connectionParameters, { host: config.host, port: config.port, user: config.user, options: undefined, replication: undefined, application_name: 'fastify-tandem' })
      t.equal(Boolean(client.ssl), config.ssl !== false)
    }
  }
})

// --- TLS -------------------------------------------------------------------------------------------------------------------

void t.test('each sslmode has its ways, the best first', async t => {
  const ways = (url: string): Array<'TLS' | 'plain'> => parseAddress(url).servers[0]?.ways.map(({ ssl }) => ssl === false ? 'plain' : 'TLS') ?? []
  t.strictSame(ways('postgres://u@db'), ['TLS', 'plain'])
  t.strictSame(ways('postgres://u@db?sslmode=prefer'), ['TLS', 'plain'])
  t.strictSame(ways('postgres://u@db?sslmode=allow'), ['plain', 'TLS'])
  t.strictSame(ways('postgres://u@db?sslmode=disable'), ['plain'])
  for (const mode of ['sslmode=require', 'ssl=true', 'sslrootcert=system']) t.strictSame(ways(`postgres://u@db?${mode}`), ['TLS'], mode)
  t.strictSame(ways('postgres://u@%2Frun?sslmode=require'), ['plain'], 'a socket')
  t.match(first('postgres://u@db?sslmode=require&sslnegotiation=direct'), { sslnegotiation: 'direct' })
  t.match(first('postgres://u@%2Frun?sslmode=require&sslnegotiation=direct'), { ssl: false, sslnegotiation: 'postgres' })
})

void t.test('what would be less safe than it looks is refused', async t => {
  const cases: Record<string, string> = {
    'sslmode=verify-full': 'write sslrootcert=system, or sslrootcert=file',
    'sslmode=verify-ca': 'write sslrootcert=file',
    'sslmode=require&sslrootcert=system': 'verify-full with sslrootcert=system',
    'sslrootcert=ca.crt': 'sslmode=prefer goes on without encryption',
    'sslmode=allow&sslrootcert=ca.crt': 'sslmode=allow goes on without encryption',
    'sslmode=no-verify': 'write sslmode=require, which encrypts and does not check',
    'ssl=true&sslmode=disable': 'ssl or sslmode, not both',
    'ssl=false': 'ssl=true',
    'sslcert=x': 'sslcert and sslkey together',
    'sslpassword=x': 'sslpassword only with sslkey',
    'sslnegotiation=direct': 'sslmode=require or stronger with sslnegotiation=direct',
    'channel_binding=require': 'sslmode=require or stronger with channel_binding=require',
    'gssencmode=require': 'gssencmode=disable or gssencmode=prefer'
  }
  for (const [query, expected] of Object.entries(cases)) t.match(refusal(`postgres://db/app?${query}`), expected, query)
})

void t.test('files of certificates that cannot be used are told by their parameter', async t => {
  const folder = freshFolder(t)
  const path = (name: string, text: string): string => { writeFileSync(join(folder, name), text); return encodeURIComponent(join(folder, name)) }
  const open = (query: string): void => { parseAddress(`postgres://app:s3cret@db/app?sslmode=verify-full&${query}`) }
  const refused = (message: RegExp): { code: string, message: RegExp } => ({ code: 'TDM_ERR_DB_OPEN', message })
  t.throws(() => { open('sslrootcert=/nothing/there') }, refused(/^The database postgres:\/\/app:\*\*\*@db\/app\?.* cannot be opened: the file in sslrootcert cannot be read/))
  t.throws(() => { open(`sslrootcert=${path('text', 'nothing')}`) }, refused(/sslrootcert has no certificate in PEM form/))
  t.throws(() => { open(`sslrootcert=${path('bad.crt', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')}`) }, refused(/a certificate in the file of sslrootcert cannot be read/))
  t.throws(() => { open(`sslrootcert=system&sslcert=${path('c', '-----BEGIN X')}&sslkey=${path('k', '-----BEGIN X')}`) }, refused(/sslcert and sslkey cannot be used/))
})

// --- the other parameters --------------------------------------------------------------------------------------------------

void t.test('parameters become pg\'s', async t => {
  t.match(first('postgres://u@db?connect_timeout=7&application_name=my%20app&options=-csearch_path%3Dapp&keepalives_idle=30'),
    { connectionTimeoutMillis: 7000, application_name: 'my app', options: '-csearch_path=app', keepAlive: true, keepAliveInitialDelayMillis: 30_000 })
  t.match(first('postgres://u@db?connect_timeout=0&keepalives=0&client_encoding=utf8&gssencmode=prefer&uselibpqcompat=true'), { connectionTimeoutMillis: 0, keepAlive: false })
  t.notOk('connectionTimeoutMillis' in first('postgres://u@db'), 'the pool says')
  t.equal(parseAddress('postgres://u@db').targetSession, 'any')
  t.equal(parseAddress('postgres://u@a,b?target_session_attrs=prefer-standby').targetSession, 'prefer-standby')
  t.match(first('postgres://u@db?sslmode=require&channel_binding=require'), { enableChannelBinding: true, requireChannelBinding: true })
  t.match(first('postgres://u@db?sslmode=require&channel_binding=disable'), { enableChannelBinding: false, requireChannelBinding: false })
})

void t.test('a parameter that does not exist, is there twice or has no meaning is refused by its name', async t => {
  const cases: Record<string, string> = {
    'nothing=s3cret': 'no parameter nothing, which is not supported; write one of host, port, user',
    'schema=s3cret': 'write options=-csearch_path%3Dname',
    'SSLMODE=require': 'no parameter SSLMODE, which is not supported; write sslmode=',
    'toString=s3cret': 'no parameter toString, which is not supported; write one of',
    'passfile=/s3cret': 'write the password into the URL',
    'hostaddr=::1': 'no parameter hostaddr',
    'user=a&user=s3cret': 'the parameter user once',
    'application_name=': 'a value for application_name',
    'options=%00s3cret': 'without %00',
    'sslmode=s3cret': 'sslmode=disable or sslmode=allow or',
    'client_encoding=LATIN1': 'client_encoding=UTF8',
    'connect_timeout=10s': 'seconds for connect_timeout, a whole number',
    'target_session_attrs=master': 'target_session_attrs=any or',
    s3cret: 'name=value behind the ?',
    's3%20cret=1': 'name=value behind the ?'
  }
  for (const [query, expected] of Object.entries(cases)) {
    t.match(refusal(`postgres://db/app?${query}`), expected, query)
    t.notMatch(refusal(`postgres://db/app?${query}`), 's3cret')
    t.throws(() => parseAddress(`postgres://db/app?${query}`), { code: 'TDM_ERR_DB_OPEN', message: /cannot be opened: its URL has to have / })
  }
})

// --- secrets ---------------------------------------------------------------------------------------------------------------

void t.test('no password is in what is shown, thrown or printed, whatever it is made of', async t => {
  const letters = fc.array(fc.constantFrom(...'aZ0/?#@:%&=+ ,;$\\[]*\'"\né🙂'), { minLength: 1, maxLength: 12 })
  await fc.assert(fc.asyncProperty(letters, fc.boolean(), async (parts, isEncoded) => {
    const secret = `zqjx${parts.join('')}zqjx`
    const written = isEncoded ? encodeURIComponent(secret) : secret
    const texts: unknown[] = []
    for (const url of [`postgres://app:${written}@a:1,b/app`, `postgres://a/app?password=${written}`, `postgres://a/app?nothing=${written}`, `postgres://app:${written}@a?sslrootcert=/x`]) {
      texts.push(displayPostgresUrl(url), refusal(url))
      try {
        const address = parseAddress(url)
        texts.push(inspect(address, { depth: 9, showHidden: true }), JSON.stringify(address), inspect(new AddressClient(address.servers[0]?.ways[0] ?? {}), { depth: 9 }))
        if (isEncoded) t.equal(await passwordOf(first(url)), secret)
      } catch (error) {
        texts.push(inspect(error))
      }
    }
    return texts.every(text => !String(text).includes('zqjx'))
  }), { numRuns: 100 })
})

// --- failures --------------------------------------------------------------------------------------------------------------

const driverError = (message: string, code?: string): Error => Object.assign(new Error(message), code === undefined ? {} : { code })
const serverError = (code: string): Error => Object.assign(new Error('s3cret'), { code, severity: 'FATAL' })

void t.test('a failure is told in our words', async t => {
  const cases: Array<[Error, RegExp]> = [
    [serverError('3D000'), /createdb/], [serverError('28P01'), /user or password\.$/], [serverError('28000'), /pg_hba\.conf/], [serverError('53300'), /DB_POOL_MAX/],
    [serverError('57P03'), /starting up/], [serverError('42501'), /GRANT CONNECT/], [serverError('42704'), /options/], [serverError('XX000'), /its error is the cause/],
    [driverError('s3cret', 'ECONNREFUSED'), /nothing listens/], [driverError('s3cret', 'ENOENT'), /Unix socket/], [driverError('s3cret', 'EACCES'), /Unix socket/],
    [driverError('s3cret', 'ENOTFOUND'), /not known/], [driverError('s3cret', 'ETIMEDOUT'), /in time/], [driverError('timeout expired'), /in time/],
    [driverError('Connection terminated unexpectedly'), /ended the connection/], [driverError('s3cret', 'CERT_NOT_YET_VALID'), /clock/], [driverError('s3cret', 'CERT_HAS_EXPIRED'), /expired/],
    [driverError('s3cret', 'DEPTH_ZERO_SELF_SIGNED_CERT'), /authority in sslrootcert/], [driverError('s3cret', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'), /authority in sslrootcert/],
    [driverError('s3cret', 'ERR_TLS_CERT_ALTNAME_INVALID'), /another host name/], [driverError('s3cret', 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'), /this client's certificate/],
    [driverError('s3cret', 'ERR_SSL_WRONG_VERSION_NUMBER'), /TLS handshake failed/], [driverError('The server does not support SSL connections'), /sslmode=disable/],
    [driverError('SASL: Only mechanism(s) SCRAM-SHA-256 are supported'), /way to log in/], [driverError('SASL: s3cret'), /logging in with SCRAM failed/]
  ]
  for (const [error, expected] of cases) {
    t.match(explainConnectError(error), expected)
    t.notMatch(explainConnectError(error), 's3cret')
    t.match(explainConnectError(error), /^[a-z].*[.?]$/)
  }
  t.match(explainConnectError('s3cret'), /its error is the cause/)
})

void t.test('what is tried next after a failure', async t => {
  for (const error of [serverError('28000'), driverError('', 'EPROTO'), driverError('', 'ERR_SSL_X'), driverError('The server does not support SSL connections')]) t.ok(isAboutTls(error))
  for (const error of [serverError('28P01'), driverError('', 'ECONNREFUSED'), new ConnectFailure('x')]) t.notOk(isAboutTls(error))
  for (const error of [serverError('57P03'), driverError('', 'ECONNREFUSED'), driverError('', 'CERT_HAS_EXPIRED')]) t.ok(isAboutServer(error))
  for (const error of [serverError('28P01'), serverError('3D000'), driverError('SASL: x'), new ConnectFailure('x')]) t.notOk(isAboutServer(error))
})

void t.test('of several failures each is told', async t => {
  const [a, b] = [driverError('', 'ECONNREFUSED'), driverError('', 'ENOTFOUND')]
  t.equal(failureOf([{ server: 'a:1', error: a }]), a)
  const both = failureOf([{ server: 'a:1', error: a }, { server: 'b:1', error: b }])
  t.match(explainConnectError(both), /^a:1: nothing listens there\..* b:1: the host name is not known\.$/)
})

// --- the document ----------------------------------------------------------------------------------------------------------

void t.test('docs/postgres-connection.md has the table of the parameters', async t => {
  const rows = parameters.map(({ name, meaning, words, unit, default: otherwise }) => `| \`${name}\` | ${meaning} | ${words?.join(', ') ?? unit ?? 'text'} | ${otherwise} |`)
  const table = ['| Parameter | Meaning | Value | Without it |', '|---|---|---|---|', ...rows].join('\n')
  const [, written] = /<!-- parameters -->\n([^]*?)\n<!-- \/parameters -->/.exec(readFileSync(new URL('docs/postgres-connection.md', root), 'utf8')) ?? []
  t.equal(written, table)
})
